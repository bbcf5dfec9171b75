"""The POP3 mailbox that mail is read from: `IncomingEmail` over a maildrop, which is its Inbox.

An idle poll signs in, asks STAT and the last message's UIDL, and lists nothing. What is new is listed newest page first: new
mail does not wait behind tens of thousands of old messages, and within a page the run goes from old to new anyway.
"""

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from itertools import groupby, islice
from time import monotonic

from shared.connectors.internet.connection import server_of
from shared.connectors.internet.gates import Gates
from shared.connectors.internet.sign_in import Identities, Password, sign_in_for
from shared.connectors.mime import read_envelope, read_message, received_of
from shared.connectors.pop3.contents import IN_MEMORY, Content, Sink, let_go
from shared.connectors.pop3.errors import Refused, ReplyTooLong
from shared.connectors.pop3.maildrop import Maildrop
from shared.connectors.pop3.session import Answer, Session
from shared.connectors.pop3.watermark import Looks, Watermark, looks_of
from shared.domain.configuration import EmailServerProfile, Mailbox
from shared.domain.email import ChangeKind, Envelope, IncomingMessage, ItemRef, ListedItem, Page
from shared.domain.errors import (
    FolderNotFound,
    ItemError,
    ItemGone,
    ItemRejected,
    ItemTooLarge,
    ItemUnreadable,
    WatermarkExpired,
)
from shared.domain.folders import INBOX, Folder
from shared.domain.ids import normalised_address
from shared.ports import PAGE_ITEMS, Secrets

TLS_PORT = 995
PORT = 110

LARGEST_MESSAGE = 256 << 20
"""Bytes; as of what is streamed from Exchange."""
_SLACK = 16 << 20
"""Bytes that a message may be longer than twice what LIST said: servers estimate, and add headers."""
_SLACK_OF_EACH = 2 << 20
"""Likewise, of several that are asked for together; one that is longer is asked for alone."""
_LONGEST_LISTING = timedelta(minutes=2)
"""What was not looked at by then is listed without a header: a run's lease would not outlast a server that drips."""
_LONGEST_HEADER = 256 << 10
"""Bytes of a header block that are looked at before the message is read."""
_AT_ONCE = 100
"""Messages that are asked for together, and `IN_MEMORY` bytes."""
_CHUNK = 1 << 16
_MOVED_FROM = 10
"""A maildrop of so many messages that has as many others now was moved to another server; what clients empty is small."""


@contextmanager
def open_pop3(
    profile: EmailServerProfile,
    mailbox: Mailbox,
    secrets: Secrets,
    gates: Gates | None = None,
    identities: Identities | None = None,
    *,
    allow_local_servers: bool,
) -> Iterator["Pop3Mail"]:
    """A mailbox; its server is not asked before something is asked of it. `gates` stop passwords that were refused before,
    `identities` keep tokens. Raises LocationRefused, AuthenticationFailed, TransientError."""
    server = server_of(profile, tls_port=TLS_PORT, port=PORT, allow_local_servers=allow_local_servers)
    who = sign_in_for(profile, mailbox, secrets, identities, allow_local_servers=allow_local_servers)
    gate = (gates or Gates()).at(server, who) if isinstance(who, Password) else None
    session = Session(server, who, gate, profile.authentication, profile.timeout, allow_local_servers=allow_local_servers)
    try:
        yield Pop3Mail(session)
    finally:
        session.close()


class Pop3Mail:
    """One mailbox. Not thread-safe."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._envelopes: dict[ItemRef, Envelope] = {}
        """Of the page listed last: its headers were read for the listing."""
        self._has_top: bool | None = None

    @property
    def source(self) -> str:
        server = self._session.server
        return f"pop3://{server.host}:{server.port}/{self._session.who.username}"

    def folders(self) -> Sequence[Folder]:
        return (INBOX,)

    def changes(self, folder: Folder, watermark: str | None, limit: int = PAGE_ITEMS) -> Page:
        """Deletions are not told: nothing follows from them. Within a session there is never anything new: whoever asks what
        came since it was read to its end gets another one. Raises UidlMissing too."""
        _check(folder)
        before = Watermark.of(watermark, self.source)
        if watermark is None or before.looked is not None:
            self._session.renew()
        totals = self._session.totals()
        if watermark is not None and self._looks_like(before.looked, totals):
            return Page((), watermark, more=False)
        maildrop = self._session.maildrop()
        there = frozenset(maildrop.hashes.values())
        if _may_have_moved(before.handed_out, there) and self._begins_before(before, maildrop, folder):
            raise WatermarkExpired("The maildrop has none of the messages that were there, and as many that are no newer.")
        new = [item_id for item_id, hashed in maildrop.hashes.items() if hashed not in before.handed_out]
        chosen = new[-max(1, min(limit, PAGE_ITEMS)) :]
        items = self._listed(maildrop, [ItemRef(item_id, folder.id) for item_id in chosen])
        more = len(chosen) < len(new)
        is_complete = totals is not None and totals[0] == len(maildrop.numbers)
        looked = looks_of(*totals, maildrop.last) if totals is not None and is_complete and not more else None
        kept = before.handed_out & there if is_complete else before.handed_out  # what is missing may be there next time
        handed_out = kept.union(maildrop.hashes[item_id] for item_id in chosen)
        after = before.after(handed_out, looked, (item.received for item in items))
        return Page(items, str(after), more, is_worth_keeping=str(after) != watermark)

    def latest(self, folder: Folder, count: int) -> Sequence[ItemRef]:
        """By their numbers, which servers give out in the order of arrival."""
        _check(folder)
        return [ItemRef(item_id, folder.id) for item_id in islice(reversed(list(self._session.maildrop().numbers)), count)]

    def envelopes(self, refs: Sequence[ItemRef]) -> Iterator[tuple[ItemRef, Envelope | ItemError]]:
        for is_known, some in groupby(refs, lambda ref: ref in self._envelopes):
            waiting = list(some)
            if is_known:
                yield from [(ref, self._envelopes[ref]) for ref in waiting]
                continue
            while waiting:
                outcomes = self._headers(waiting)
                del waiting[: len(outcomes)]
                yield from [(ref, _envelope(ref, header, self._size_of(ref))) for ref, header in outcomes]

    def fetch(self, refs: Sequence[ItemRef]) -> Iterator[tuple[ItemRef, IncomingMessage | ItemError]]:
        """Nothing is under way while the caller looks at a message: he may ask for something else meanwhile."""
        waiting = list(refs)
        while waiting:
            outcomes = deque(self._replies(waiting, "RETR {}"))
            del waiting[: len(outcomes)]
            while outcomes:
                ref, content = outcomes.popleft()
                yield _message(ref, content)
                if not isinstance(content, ItemError):
                    let_go(content)  # its attachments were read by now

    def raw(self, ref: ItemRef) -> Iterator[bytes]:
        """As it is on the server, without the dots of the protocol."""
        ((_, content),) = self._replies([ref], "RETR {}")
        if isinstance(content, ItemError):
            raise content
        for at in range(0, len(content), _CHUNK):
            yield content[at : at + _CHUNK]

    def discard(self, refs: Sequence[ItemRef]) -> Mapping[ItemRef, ItemError]:
        """By numbers that go with the ids in this very session. Ends the session: nothing is deleted before (RFC 1939)."""
        maildrop = self._session.maildrop()
        uncertain = [ref for ref in refs if maildrop.may_be_another(ref.id)]
        refused: dict[ItemRef, ItemError] = {
            ref: ItemRejected("The server gives several messages this id: which one to delete is not certain.")
            for ref in uncertain
        }
        there = [ref for ref in dict.fromkeys(refs) if ref not in refused and ref.id in maildrop.numbers]
        if there:
            outcomes = self._session.delete([maildrop.numbers[ref.id] for ref in there])
            refused |= {ref: ItemRejected(str(each)) for ref, each in zip(there, outcomes, strict=True) if each is not None}
        return refused

    # ---- listing

    def _looks_like(self, looked: Looks | None, totals: tuple[int, int] | None) -> bool:
        """Whether the maildrop looks as it did then: as many messages, as many bytes, the same one at the end."""
        if looked is None or totals != (looked.count, looked.octets):
            return False
        last = self._session.uidl(looked.count) if looked.count else None
        return looks_of(*totals, last) == looked

    def _begins_before(self, before: Watermark, maildrop: Maildrop, folder: Folder) -> bool:
        """Whether the first message there is no newer than what was handed out; of one that was emptied it is."""
        first = ItemRef(next(iter(maildrop.numbers)), folder.id)
        headers = [header for _, header in self._tops([first])]
        return any(isinstance(header, bytes) and before.is_from_before(received_of(header)) for header in headers)

    def _listed(self, maildrop: Maildrop, refs: Sequence[ItemRef]) -> tuple[ListedItem, ...]:
        """Their headers are kept for `envelopes`. Without TOP, or of a message that it does not work for, LIST is all there is
        before the message is read."""
        self._envelopes = {}
        if not refs:
            return ()
        known = self._session.sizes([maildrop.numbers[ref.id] for ref in refs])
        sizes = {ref: known[maildrop.numbers[ref.id]] for ref in refs}
        received: dict[ItemRef, datetime | None] = {}
        for ref, header in self._tops(refs):
            envelope = header if isinstance(header, ItemError) else _envelope(ref, header, sizes[ref])
            if isinstance(envelope, Envelope) and not isinstance(header, ItemError):
                self._envelopes[ref], received[ref] = envelope, received_of(bytes(header))
        return tuple(_listed_item(ref, sizes[ref], self._envelopes.get(ref), received.get(ref)) for ref in refs)

    def _tops(self, refs: Sequence[ItemRef]) -> Iterator[tuple[ItemRef, Content | ItemError]]:
        """Header blocks; none where the server has no TOP. Where it does not say, one is tried."""
        left = refs
        until = monotonic() + _LONGEST_LISTING.total_seconds()
        while left and monotonic() < until and (has_top := self._offers_top()) is not False:
            outcomes = self._replies(left if has_top else left[:1], "TOP {} 0", _LONGEST_HEADER, is_listing=True)
            if has_top is None:
                self._has_top = not isinstance(outcomes[0][1], ItemError)
            yield from outcomes
            left = left[len(outcomes) :]

    def _offers_top(self) -> bool | None:
        """TOP is optional, and not all that have it say so: None where nobody knows yet."""
        if self._has_top is None:
            self._session.maildrop()
            self._has_top = self._session.offers("TOP") or None
        return self._has_top

    # ---- replies of many lines

    def _size_of(self, ref: ItemRef) -> int:
        """As LIST says; 0 where it says nothing. It was asked for with the message."""
        number = self._session.maildrop().numbers.get(ref.id)
        return 0 if number is None else self._session.sizes([number])[number]

    def _headers(self, refs: Sequence[ItemRef]) -> Sequence[tuple[ItemRef, Content | ItemError]]:
        """As `_replies`."""
        return self._replies(refs, "TOP {} 0" if self._offers_top() else "RETR {}", _LONGEST_HEADER)

    def _replies(
        self, refs: Sequence[ItemRef], command: str, kept: int | None = None, *, is_listing: bool = False
    ) -> list[tuple[ItemRef, Content | ItemError]]:
        """What the command gives for the first of `refs`, for one at least; the caller asks again for those that are left.
        `kept`: bytes of it that matter; `is_listing`: nobody needs to know why something is refused."""
        numbers = self._session.maildrop().numbers
        known = self._session.sizes([numbers[ref.id] for ref in refs[:_AT_ONCE] if ref.id in numbers])
        sizes = {ref: known[numbers[ref.id]] for ref in refs[:_AT_ONCE] if ref.id in numbers}
        some = _fitting(refs[:_AT_ONCE], sizes, kept)
        asked = [ref for ref in some if ref in sizes and sizes[ref] <= LARGEST_MESSAGE]
        answers = dict(zip(asked, self._asked(asked, numbers, sizes, command, kept), strict=False))
        is_doubtful = not is_listing and any(isinstance(answer, Refused) for answer in answers.values())
        there = self._there_anew() if is_doubtful else numbers
        outcomes: list[tuple[ItemRef, Content | ItemError]] = []
        for ref in some:
            if isinstance(answers.get(ref), ReplyTooLong) and len(asked) > 1:  # it may be that LIST told too little
                return outcomes + self._replies([ref], command, kept, is_listing=is_listing)
            if ref in answers:
                outcomes.append((ref, _outcome(answers[ref], is_there=ref.id in there)))
            elif ref not in sizes:
                outcomes.append((ref, _gone()))
            elif sizes[ref] > LARGEST_MESSAGE:
                outcomes.append((ref, ItemTooLarge(f"The message is larger than {LARGEST_MESSAGE >> 20} MiB.")))
            else:  # the session ended before
                break
        return outcomes

    def _asked(
        self,
        refs: Sequence[ItemRef],
        numbers: Mapping[str, int],
        sizes: Mapping[ItemRef, int],
        command: str,
        kept: int | None,
    ) -> Sequence[Answer]:
        if not refs:
            return ()
        lines = [command.format(numbers[ref.id]) for ref in refs]
        slack = _SLACK if len(refs) == 1 else min(_SLACK, _SLACK_OF_EACH)
        return self._session.ask_each(lines, [_sink(sizes[ref], kept, slack) for ref in refs])

    def _there_anew(self) -> Mapping[str, int]:
        """What is there by now: within a session servers go on listing what others have removed."""
        self._session.renew()
        return self._session.maildrop().numbers


def _outcome(answer: Answer, *, is_there: bool) -> Content | ItemError:
    if isinstance(answer, ReplyTooLong):
        return ItemUnreadable("The server does not come to the end of the message.")
    if isinstance(answer, Refused):
        return ItemUnreadable(str(answer)) if is_there else _gone()
    return answer


def _gone() -> ItemGone:
    return ItemGone("The message is not in the maildrop any more.")


def _sink(size: int, kept: int | None, slack: int) -> Sink:
    """`size` is what LIST said, 0 where it says nothing: no more is believed than that it is about right."""
    most = min(2 * size + slack, LARGEST_MESSAGE) if size else LARGEST_MESSAGE
    return Sink(most, kept=kept, in_memory=kept or min(2 * size + _CHUNK, IN_MEMORY))


def _fitting(refs: Sequence[ItemRef], sizes: Mapping[ItemRef, int], kept: int | None) -> Sequence[ItemRef]:
    """The first of them, one at least, as many as may be in memory together."""
    total = 0
    for place, ref in enumerate(refs):
        if ref in sizes:
            total += min(sizes[ref] or IN_MEMORY, kept or IN_MEMORY)  # of one whose size nobody knows, nothing is
        if total > IN_MEMORY and place:
            return refs[:place]
    return refs


def _message(ref: ItemRef, content: Content | ItemError) -> tuple[ItemRef, IncomingMessage | ItemError]:
    if isinstance(content, ItemError):
        return ref, content
    try:
        return ref, read_message(content, ref)
    except ItemError as error:
        return ref, error
    except Exception as error:  # noqa: BLE001 # computed from this message alone, so whatever breaks is this message
        return ref, _unreadable(error)
    finally:
        let_go(content)


def _envelope(ref: ItemRef, header: Content | ItemError, size: int) -> Envelope | ItemError:
    if isinstance(header, ItemError):
        return header
    try:
        return read_envelope(bytes(header), ref, size=size)
    except Exception as error:  # noqa: BLE001 # as of a whole message
        return _unreadable(error)


def _unreadable(error: Exception) -> ItemUnreadable:
    return ItemUnreadable(f"The message cannot be read: {type(error).__name__}.").because_of(error)


def _listed_item(ref: ItemRef, size: int, envelope: Envelope | None, received: datetime | None) -> ListedItem:
    if envelope is None:
        return ListedItem(ref, ChangeKind.CREATED, size=size)
    return ListedItem(
        ref,
        ChangeKind.CREATED,
        item_class=envelope.item_class,
        message_id=envelope.message_id,
        sender=normalised_address(envelope.sender.address) if envelope.sender else None,
        sender_origin=envelope.sender_origin,
        received=received,
        size=size,
    )


def _may_have_moved(handed_out: frozenset[bytes], there: frozenset[bytes]) -> bool:
    return len(handed_out) >= _MOVED_FROM and len(there) >= len(handed_out) and handed_out.isdisjoint(there)


def _check(folder: Folder) -> None:
    if folder.id != INBOX.id:
        raise FolderNotFound(folder.name)
