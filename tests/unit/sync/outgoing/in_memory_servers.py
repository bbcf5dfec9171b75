"""Mail servers that email is sent through, in memory: faithful `Sending` and `Drafting`, with a script of their answers.

The one takes an email in one go and forgets who asked; the other keeps drafts, which somebody moves now and then, and finishes
several items one after the other: it may stop in between.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from shared.domain.configuration import Discovered, EmailServerProfile, Mailbox
from shared.domain.errors import ConnectionRefused, DeliveryError, DeliveryUnknown, DraftGone, NotGiven, TransientError
from shared.domain.outgoing import OutgoingMessage, Receipt, Trace
from shared.ports import OutgoingEmail
from tests.unit.sync.faults import FaultyWorld

type Answer = Receipt | Exception


@dataclass
class Script:
    """What the server answers, by subject: one answer each time it is given the email; then it accepts."""

    answers: dict[str, list[Answer]] = field(default_factory=dict)
    always: dict[str, Answer] = field(default_factory=dict)

    def of(self, message: OutgoingMessage) -> Answer | None:
        if message.subject in self.always:
            return self.always[message.subject]
        waiting = self.answers.get(message.subject)
        return waiting.pop(0) if waiting else None


@dataclass
class InMemorySending(Script):
    """A server of the kind of SMTP: what it accepted it delivers, once for each time that it was given it."""

    accepted: list[OutgoingMessage] = field(default_factory=list)
    given: list[str] = field(default_factory=list)
    """Subjects in the order in which they came, whatever became of them."""
    world: FaultyWorld = field(default_factory=FaultyWorld)
    on_send: Callable[[OutgoingMessage], None] | None = None

    def check(self) -> None:
        self.world.perform("mail.check", lambda: None)

    def send(self, message: OutgoingMessage) -> Receipt:
        accepted = len(self.accepted)
        try:
            return self.world.perform("mail.send", lambda: self._take(message))
        except TransientError as error:
            if len(self.accepted) > accepted:
                raise DeliveryUnknown("the connection was lost after the last dot") from error
            raise

    def _take(self, message: OutgoingMessage) -> Receipt:
        self.given.append(message.subject)
        if self.on_send is not None:
            self.on_send(message)
        _read(message)
        match self.of(message):
            case Receipt() as receipt:
                self.accepted.append(message)
                return receipt
            case DeliveryUnknown() as error:
                self.accepted.append(message)
                raise error
            case Exception() as error:
                raise error
        self.accepted.append(message)
        return Receipt(server_id=f"queued-{len(self.accepted)}")

    def copies(self) -> Counter[str]:
        """How often each Message-ID was accepted."""
        return Counter(message.message_id for message in self.accepted)


@dataclass
class InMemoryDrafting(Script):
    """A server of the kind of Exchange."""

    drafts: dict[str, tuple[OutgoingMessage, bool]] = field(default_factory=dict)
    """By reference: the draft, and whether it is complete."""
    moved: dict[str, str] = field(default_factory=dict)
    """Where somebody moved drafts within the folder: they have another reference since."""
    in_hand: Sequence[OutgoingMessage] = ()
    """What it was given last, to prepare or to send."""
    taken: list[OutgoingMessage] = field(default_factory=list)
    """Drafts that somebody deleted or moved elsewhere, and that can be found there."""
    sent: list[OutgoingMessage] = field(default_factory=list)
    copied: list[bool] = field(default_factory=list)
    prepared: int = 0
    world: FaultyWorld = field(default_factory=FaultyWorld)
    fails_to_prepare: dict[str, Exception] = field(default_factory=dict)
    """By subject: what all of the call raises while it has that email, after it made a part of it."""
    on_submit: Callable[[], None] | None = None
    source: str = "https://mail.contoso.example/EWS#anna"

    def check(self) -> None:
        self.world.perform("mail.check", lambda: None)

    def prepare(self, messages: Sequence[OutgoingMessage]) -> Sequence[str | DeliveryError]:
        self.in_hand = messages
        return self.world.perform("mail.prepare", lambda: [self._make(message) for message in messages])

    def _make(self, message: OutgoingMessage) -> str | DeliveryError:
        reference = self.world.perform("server.create", lambda: self._create(message))
        if message.subject in self.fails_to_prepare:
            raise self.fails_to_prepare[message.subject]
        _read(message)
        self.world.perform("server.complete", lambda: self.drafts.update({reference: (message, True)}))
        answer = self.always.get(f"prepare {message.subject}")
        return answer if isinstance(answer, DeliveryError) else reference

    def _create(self, message: OutgoingMessage) -> str:
        self.prepared += 1
        reference = f"draft-{self.prepared}"
        self.drafts[reference] = (message, False)
        return reference

    def submit(self, drafts: Sequence[str], *, save_copy: bool) -> Sequence[Receipt | DeliveryError]:
        if self.on_submit is not None:
            self.on_submit()
        self.in_hand = [self.drafts[draft][0] for draft in drafts if draft in self.drafts]
        answers: list[Receipt | DeliveryError] = []
        try:
            self.world.perform("mail.submit", lambda: answers.extend(self._sent(drafts, save_copy)))
        except ConnectionRefused as error:
            return [NotGiven(str(error)).because_of(error) for _ in drafts]
        return answers

    def _sent(self, drafts: Sequence[str], save_copy: bool) -> Iterator[Receipt | DeliveryError]:
        """What it was given before it refused connections has its answer."""
        away: ConnectionRefused | None = None
        for draft in drafts:
            if away is None:
                try:
                    yield self.world.perform("server.send", partial(self._do_send, draft, save_copy))
                    continue
                except ConnectionRefused as error:
                    away = error
            yield NotGiven(str(away)).because_of(away)

    def _do_send(self, draft: str, save_copy: bool) -> Receipt | DeliveryError:
        if draft not in self.drafts:
            return DraftGone("it is not there")
        message, is_complete = self.drafts[draft]
        assert is_complete, "a draft that is not complete was sent"
        match self.of(message):
            case DeliveryError() as error:
                return error
            case Exception() as error:
                raise error
            case Receipt() as receipt:
                answer = receipt
            case None:
                answer = Receipt(server_id=f"item-{len(self.sent) + 1}")
        del self.drafts[draft]
        self.sent.append(message)
        self.copied.append(save_copy)
        return answer

    def find(self, drafts: Sequence[str]) -> Sequence[str | DeliveryError | None]:
        return self.world.perform("mail.find", lambda: [self._present(draft) for draft in drafts])

    def _present(self, draft: str) -> str | None:
        present = self.moved.get(draft, draft)
        return present if present in self.drafts else None

    def withdraw(self, keys: Collection[str]) -> None:
        self.world.perform("mail.withdraw", lambda: self._remove(keys))

    def _remove(self, keys: Collection[str]) -> None:
        for reference in [each for each, (message, _) in self.drafts.items() if message.key in keys]:
            del self.drafts[reference]

    def trace(self, keys: Collection[str], *, has_copies: bool) -> Mapping[str, Trace]:
        del has_copies
        return self.world.perform("mail.trace", lambda: {key: self._trace(key) for key in keys})

    def _trace(self, key: str) -> Trace:
        if any(is_copied and message.key == key for message, is_copied in zip(self.sent, self.copied, strict=True)):
            return Trace.SENT
        return Trace.TAKEN if any(message.key == key for message in self.taken) else Trace.NOTHING

    def take_all(self) -> None:
        """Somebody moves all drafts into Deleted Items."""
        self.taken += [message for message, _ in self.drafts.values()]
        self.drafts.clear()

    def move_all(self) -> None:
        for reference in list(self.drafts):
            self.drafts[f"{reference}-moved"] = self.drafts.pop(reference)
            self.moved[reference] = f"{reference}-moved"

    def copies(self) -> Counter[str]:
        return Counter(message.message_id for message in self.sent)


type Server = InMemorySending | InMemoryDrafting


class Outward:
    """Opens mailboxes for sending: one server for all, or the error that opening has."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.refuses: list[Exception] = []
        """Raised by the next openings, one each."""
        self.opened = 0

    def __call__(
        self, profile: EmailServerProfile, mailbox: Mailbox, discovered: Discovered | None = None
    ) -> AbstractContextManager[OutgoingEmail]:
        assert profile.id == mailbox.profile_id
        return self._open(discovered)

    @contextmanager
    def _open(self, discovered: Any) -> Iterator[OutgoingEmail]:
        del discovered
        self.server.world.perform("open", lambda: None)
        self.opened += 1
        if self.refuses:
            raise self.refuses.pop(0)
        yield self.server


def _read(message: OutgoingMessage) -> None:
    for attachment in message.attachments:
        assert sum(len(chunk) for chunk in attachment.chunks()) == attachment.size
