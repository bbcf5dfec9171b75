"""The dry run: what a changed filter, setting or folder rule would do to the last messages of a mailbox, against the present
configuration.

Reads the mailbox and judges as a run would, and writes nothing anywhere: no activity, no ledger, no folder tree, no log of what
it read. Subjects and senders go to whoever asks, and are not kept. When mail is read from (the start date), and what people did
to single messages, do not count here: each message is judged as if it arrived now.
"""

import logging
from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import batched

from shared.domain.choices import IncomingFilteringMethod, Reason, Verdict
from shared.domain.configuration import AddressMatch, Mailbox, Matches, Owner
from shared.domain.email import ChangeKind, Envelope, IncomingMessage, ItemRef, ListedItem
from shared.domain.errors import FolderNotFound, InvalidRecord, ItemError
from shared.domain.folders import SENT_ITEMS, Folder, TreeFolder
from shared.domain.ids import MailboxId
from shared.domain.judgement import Judgement
from shared.domain.organisation import OrganisationSettings
from shared.domain.records import AddressBookRecord, FolderTrackingRule, RecordRef
from shared.domain.words import previewed, told, told_try
from shared.ports import Addresses, Clock, Discover, FolderTree, IncomingEmail, OpenMailbox, Stores
from shared.sync.forwarding import is_forward, originals, reads_sent_items
from shared.sync.inline import InlineExecutor
from shared.sync.judged import Judged
from shared.sync.judging import judging_of, own_voice
from shared.sync.relevance import reason_to_skip
from shared.sync.special import is_delivery_report
from shared.sync.visiting import Visiting
from shared.sync.watching import rules_that_hold

log = logging.getLogger(__name__)

MOST_MESSAGES = 200
LONGEST = timedelta(seconds=60)
"""After which no further envelopes are asked for: whoever asks waits for the answer."""

_ENVELOPES_AT_ONCE = 100
_WHOLE_AT_ONCE = 10


@dataclass(frozen=True, slots=True)
class ChangedConfiguration:
    """What is to be tried; None is as it is now."""

    filtering_method: IncomingFilteringMethod | None = None
    """Of the user or queue that the mailbox belongs to."""
    settings: OrganisationSettings | None = None
    """Of the organisation, all of them."""
    rules: tuple[FolderTrackingRule, ...] | None = None
    """The folder-level tracking rules of the mailbox, all of them."""


@dataclass(frozen=True, slots=True)
class PreviewedVerdict:
    verdict: Verdict
    reason: Reason | None
    """None: its folder is not read at all."""
    words: str
    """Both in plain words."""
    votes: tuple[str, ...] = ()
    """What each user and queue said, a sentence each."""
    correlation: tuple[str, ...] = ()
    """What was tried to find its conversation, a sentence each."""


@dataclass(frozen=True, slots=True)
class PreviewedMessage:
    item_id: str
    """The server's id of it."""
    message_id: str | None
    folder: str
    """Name of the folder that it lies in."""
    received: datetime
    subject: str
    sender: str
    before: PreviewedVerdict
    after: PreviewedVerdict
    differs: bool
    """It would be tracked and was not, or the other way round."""


@dataclass(frozen=True, slots=True)
class PreviewResult:
    messages: tuple[PreviewedMessage, ...]
    """Newest first."""
    tracked_before: int
    tracked_after: int
    newly_tracked: int
    no_longer_tracked: int
    unreadable: int
    """Messages that the server could not give."""
    is_complete: bool
    """False: the time was spent before all of the messages asked for were read."""


class Preview:
    def __init__(
        self,
        stores: Stores,
        open_mailbox: OpenMailbox,
        clock: Clock,
        executor: Executor | None = None,
        discover: Discover | None = None,
    ) -> None:
        """`executor` runs lookups that do not depend on each other."""
        self._stores = stores
        self._visiting = Visiting(stores, open_mailbox, clock, discover)
        self._clock = clock
        self._executor = executor or InlineExecutor()

    def run(self, mailbox_id: MailboxId, last: int, changes: ChangedConfiguration) -> PreviewResult:
        """Judges the `last` messages (1 to 200) of the folders that are or would be watched.

        Raises InvalidRecord, MailboxError, TransientError.
        """
        if not 1 <= last <= MOST_MESSAGES:
            raise InvalidRecord("last", "last is out of range", f"Write a whole number from 1 to {MOST_MESSAGES}.")
        deadline = self._clock() + LONGEST
        present = self._stores.settings.get().record
        wanted = changes.settings or present
        with self._visiting.visit(mailbox_id) as visit:
            mailbox, mail = visit.mailbox, visit.mail
            rules = tuple(stored.record for stored in self._stores.tracking_rules.list(mailbox_id))
            tree = self._tree(mail, (*rules, *(changes.rules or ())))
            holding = _holding(rules, tree)
            would_hold = holding if changes.rules is None else _holding(changes.rules, tree)
            sent = reads_sent_items(mailbox, present) or reads_sent_items(mailbox, wanted)
            folders = _folders(mail, tree, {*holding, *would_hold}, sent=sent)
            largest = max(present.largest_message, wanted.largest_message)
            read = _Latest(mail, last, deadline, self._clock, largest if is_forward(mailbox) else None)
            envelopes = read.envelopes(folders)
            voice = own_voice(self._stores.owners, mailbox)
            before = self._judge(mailbox, voice, present, holding, mail, envelopes)
            after = self._judge(mailbox, _with(voice, changes.filtering_method), wanted, would_hold, mail, envelopes)
        result = _result(folders, envelopes, before, after, read)
        log.info("previewed", extra={"mailbox_id": mailbox_id, "messages": len(result.messages)})
        return result

    def _tree(self, mail: IncomingEmail, rules: Sequence[FolderTrackingRule]) -> Sequence[TreeFolder]:
        """Read from the server where a rule needs it."""
        return mail.tree() if isinstance(mail, FolderTree) and any(rule.active for rule in rules) else ()

    def _judge(
        self,
        mailbox: Mailbox,
        voice: AddressMatch | None,
        settings: OrganisationSettings,
        rules: Mapping[str, FolderTrackingRule],
        mail: IncomingEmail,
        envelopes: Sequence[Envelope],
    ) -> list[PreviewedVerdict]:
        """Oldest first, as a run reads them, so that answers find what they answer."""
        stores = replace(self._stores, addresses=_AsTried(self._stores.addresses, voice))
        judging = judging_of(stores, mailbox, settings, rules, self._executor, voice)
        watched = {
            *(folder.id for folder in mail.folders()),
            *rules,
            *((SENT_ITEMS.id,) if reads_sent_items(mailbox, settings) else ()),
        }
        asked = {
            place: each
            for place, each in enumerate(envelopes)
            if _reason_to_skip(each, settings) is None and each.ref.folder in watched
        }
        judged = dict(zip(asked, judging.judge_each(list(asked.values())), strict=True))
        return [_verdict(each, settings, judged.get(place)) for place, each in enumerate(envelopes)]


class _Latest:
    """The last messages over several folders. What it was not given in time, or not at all, it says."""

    def __init__(self, mail: IncomingEmail, last: int, deadline: datetime, clock: Clock, unwraps: int | None) -> None:
        """`unwraps`: the messages are those attached to what the mailbox received, of up to so many bytes."""
        self._unwraps = unwraps
        self._mail = mail
        self._last = last
        self._deadline = deadline
        self._clock = clock
        self.unreadable = 0
        self.is_complete = True

    def envelopes(self, folders: Sequence[Folder]) -> list[Envelope]:
        """Oldest first."""
        refs = [ref for folder in folders for ref in self._latest(folder)]
        latest = sorted(self._asked(refs), key=lambda each: (each.received, each.ref.id))[-self._last :]
        return self._with_reports(latest) if self._unwraps is None else self._originals(latest, self._unwraps)

    def _latest(self, folder: Folder) -> Sequence[ItemRef]:
        if self._is_late():
            return ()
        try:
            return self._mail.latest(folder, self._last)
        except FolderNotFound:
            return ()

    def _asked(self, refs: Sequence[ItemRef]) -> Iterator[Envelope]:
        for some in batched(refs, _ENVELOPES_AT_ONCE, strict=False):
            if self._is_late():
                return
            for _, answer in self._mail.envelopes(some):
                if isinstance(answer, ItemError):
                    self.unreadable += 1
                else:
                    yield answer

    def _with_reports(self, envelopes: Sequence[Envelope]) -> list[Envelope]:
        """Which email a delivery report speaks of stands inside of it."""
        reports = [each.ref for each in envelopes if is_delivery_report(each)]
        if not reports or self._is_late():
            return list(envelopes)
        read = {
            ref: _without_content(answer) for ref, answer in self._mail.fetch(reports) if isinstance(answer, IncomingMessage)
        }
        return [read.get(each.ref, each) for each in envelopes]

    def _originals(self, envelopes: Sequence[Envelope], largest: int) -> list[Envelope]:
        """What is larger than `largest` no run reads."""
        found: list[Envelope] = []
        for some in batched(envelopes, _WHOLE_AT_ONCE, strict=False):
            if self._is_late():
                break
            found += [each for each in some if each.size > largest]
            wanted = [each.ref for each in some if each.size <= largest]
            answers = self._mail.fetch(wanted) if wanted else ()
            found += [each for _, answer in answers for each in self._originals_of(answer)]
        return found[-self._last :]

    def _originals_of(self, answer: IncomingMessage | ItemError) -> list[Envelope]:
        read = [answer] if isinstance(answer, ItemError) else list(originals(answer))
        self.unreadable += sum(isinstance(each, ItemError) for each in read)
        return [_without_content(each) for each in read if isinstance(each, IncomingMessage)]

    def _is_late(self) -> bool:
        is_late = self._clock() >= self._deadline
        self.is_complete = self.is_complete and not is_late
        return is_late


def _without_content(message: IncomingMessage) -> IncomingMessage:
    return replace(message, body_html=None, body_text=None, attachments=())


# ---- what is read


def _holding(rules: Sequence[FolderTrackingRule], tree: Sequence[TreeFolder]) -> Mapping[str, FolderTrackingRule]:
    return rules_that_hold([rule for rule in rules if rule.active], tree)


def _folders(mail: IncomingEmail, tree: Sequence[TreeFolder], ruled: Collection[str], *, sent: bool) -> list[Folder]:
    """Sent Items exist where there is a tree of folders."""
    below = [Folder(folder.id, folder.name) for folder in tree if folder.id in ruled]
    return [*mail.folders(), *below, *([SENT_ITEMS] if sent and isinstance(mail, FolderTree) else [])]


def _with(voice: AddressMatch | None, method: IncomingFilteringMethod | None) -> AddressMatch | None:
    return voice if voice is None or method is None else replace(voice, filtering_method=method)


class _AsTried:
    """The address book, in which the owner of the mailbox has the filter that is tried: recipients vote by it."""

    def __init__(self, addresses: Addresses, voice: AddressMatch | None) -> None:
        self._addresses = addresses
        self._voice = voice

    def find(self, addresses: Collection[str]) -> Matches:
        found = self._addresses.find(addresses)
        return {address: [self._as_tried(match) for match in matches] for address, matches in found.items()}

    def records(self, named: Collection[RecordRef]) -> Mapping[RecordRef, Owner | AddressBookRecord]:
        return self._addresses.records(named)

    def _as_tried(self, match: AddressMatch) -> AddressMatch:
        voice = self._voice
        is_owner = voice is not None and (match.kind, match.id) == (voice.kind, voice.id)
        return replace(match, filtering_method=voice.filtering_method) if voice is not None and is_owner else match


# ---- what becomes of it


def _reason_to_skip(envelope: Envelope, settings: OrganisationSettings) -> Reason | None:
    item = ListedItem(envelope.ref, ChangeKind.CREATED, envelope.item_class, size=envelope.size)
    return reason_to_skip(item, None, settings.largest_message)


def _verdict(envelope: Envelope, settings: OrganisationSettings, judged: Judged | ItemError | None) -> PreviewedVerdict:
    if isinstance(judged, Judged):
        return _told(judged.judgement)
    if judged is not None:
        return PreviewedVerdict(Verdict.FAILING, Reason.UNREADABLE, previewed(Verdict.FAILING, Reason.UNREADABLE))
    reason = _reason_to_skip(envelope, settings)
    return PreviewedVerdict(Verdict.SKIPPED, reason, previewed(Verdict.SKIPPED, reason))


def _told(judgement: Judgement) -> PreviewedVerdict:
    return PreviewedVerdict(
        judgement.verdict,
        judgement.reason,
        previewed(judgement.verdict, judgement.reason),
        tuple(told(vote) for vote in judgement.votes),
        tuple(told_try(attempt) for attempt in judgement.correlation.tried),
    )


def _result(
    folders: Sequence[Folder],
    envelopes: Sequence[Envelope],
    before: Sequence[PreviewedVerdict],
    after: Sequence[PreviewedVerdict],
    read: _Latest,
) -> PreviewResult:
    names = {folder.id: folder.name for folder in folders}
    messages = [
        PreviewedMessage(
            item_id=envelope.ref.id,
            message_id=envelope.message_id,
            folder=names.get(envelope.ref.folder, envelope.ref.folder),
            received=envelope.received,
            subject=envelope.subject,
            sender=envelope.sender.address if envelope.sender else "",
            before=was,
            after=would_be,
            differs=_is_tracked(was) is not _is_tracked(would_be),
        )
        for envelope, was, would_be in zip(envelopes, before, after, strict=True)
    ]
    tracked = [(_is_tracked(each.before), _is_tracked(each.after)) for each in messages]
    return PreviewResult(
        messages=tuple(reversed(messages)),
        tracked_before=sum(was for was, _ in tracked),
        tracked_after=sum(would_be for _, would_be in tracked),
        newly_tracked=tracked.count((False, True)),
        no_longer_tracked=tracked.count((True, False)),
        unreadable=read.unreadable,
        is_complete=read.is_complete,
    )


def _is_tracked(each: PreviewedVerdict) -> bool:
    return each.verdict is Verdict.PROMOTED
