"""Writes into the ledger what people want of items: judged again, tried again, given up, tracked, untracked.

Under the lease of the mailbox, like everything that writes item rows; what follows from it is done by a run, from todos.
Where a run has the mailbox, the message comes back later; a lease that was abandoned is taken over, but for one of a run that
died of a single item: that is left to a run, which knows what to make of it. Repeating a message writes the same rows again.
Memory holds the items of one commit.
"""

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4

from shared.domain.choices import Reason, Verdict, Workload
from shared.domain.configuration import StoredMailbox
from shared.domain.email import ListOf
from shared.domain.errors import LeaseLost, SyncError
from shared.domain.ids import MailboxId, RunId
from shared.domain.ledger import ItemKey, LedgerItem, RunState, Todo, TodoKind
from shared.domain.listings import entry
from shared.domain.records import RecordRef
from shared.domain.scheduling import ineligibility
from shared.messages import ChangeItems, ItemTask, Queue, SyncMailbox, SyncReason
from shared.ports import LEDGER_COMMIT_ROWS, Clock, Stores
from shared.sync.budgets import RunBudget
from shared.sync.items import DETAIL_LENGTH
from shared.sync.lease import Change, Lease, is_held, run_id_of, was_abandoned
from shared.sync.quarantine import release
from shared.sync.relevance import CONFIGURED

log = logging.getLogger(__name__)

COMES_BACK = timedelta(seconds=30)
"""After which a message is tried again that found the mailbox busy."""
COMES_BACK_ABANDONED = timedelta(minutes=5)
"""The same, where a run has to take over first."""
RUN_COMES_WITHIN = timedelta(hours=2)
"""After which nobody waits any more for a run that has to take over: the mailbox is not run, or has nothing new."""

_LONGEST_WALK = 500
"""Items that are looked at between two commits at most, so that the lease is kept and the walk can stop."""

type Plan = Callable[[LedgerItem], Change | None]
"""What becomes of an item; None leaves it alone."""


@dataclass(slots=True)
class _Part:
    """Items that were looked at in a row, and what becomes of them."""

    changes: list[Change] = field(default_factory=list)
    rows: int = 0
    seen: int = 0
    last: ItemKey | None = None

    def take(self, item: LedgerItem, change: Change | None) -> None:
        self.seen += 1
        self.last = item.key
        if change is not None:
            self.changes.append(change)
            self.rows += change.rows

    @property
    def is_full(self) -> bool:
        return self.rows + _MOST_ROWS_OF_A_CHANGE > LEDGER_COMMIT_ROWS or self.seen >= _LONGEST_WALK


_MOST_ROWS_OF_A_CHANGE = 3


class ItemChanges:
    """Does what `ChangeItems` messages say."""

    def __init__(self, stores: Stores, clock: Clock, budget: RunBudget | None = None) -> None:
        self._stores = stores
        self._clock = clock
        self._budget = budget or RunBudget()

    def run(self, message: ChangeItems, dequeue_count: int = 1) -> bool:
        """Whether it was done; if not, what is left is queued again. Raises TransientError."""
        mailbox = self._stores.mailboxes.get(message.mailbox_id)
        if mailbox is None:
            log.warning("unknown_mailbox", extra={"mailbox_id": message.mailbox_id, "message_id": message.id})
            return True
        left, delay = self._under_lease(message, run_id_of(message.id, dequeue_count))
        if left is not None:
            self._stores.queues.send(Queue.CHANGE_ITEMS, left.to_json(), delay)
        self._wake(mailbox)
        return left is None

    def _wake(self, mailbox: StoredMailbox) -> None:
        """A run does what was written, where one may run."""
        profile_id = mailbox.record.profile_id
        profile = self._stores.profiles.get(profile_id) if profile_id is not None else None
        if ineligibility(mailbox, profile, Workload.INCOMING, self._clock()) is None:
            run = SyncMailbox(uuid4().hex, mailbox.record.id, Workload.INCOMING, SyncReason.REQUESTED)
            self._stores.queues.send(Queue.SYNC_INCOMING, run.to_json())

    # ---- under the lease

    def _under_lease(self, message: ChangeItems, holder: RunId) -> tuple[ChangeItems | None, timedelta]:
        """What is left to do of the message, and when."""
        ledger, term = self._stores.ledger, self._budget.lease
        head = ledger.head(message.mailbox_id, Workload.INCOMING, self._clock())
        if is_held(head.state, self._clock()):
            return message, COMES_BACK
        if _is_for_a_run(head.state, self._clock()):
            return message, COMES_BACK_ABANDONED
        lease = Lease(ledger, message.mailbox_id, Workload.INCOMING, holder, term, self._clock)
        try:
            lease.take(head)
            left = self._write(lease, message)
            lease.release()
        except LeaseLost:
            return message, COMES_BACK
        except Exception:
            _give_back(lease, message)
            raise
        return left, timedelta()

    def _write(self, lease: Lease, message: ChangeItems) -> ChangeItems | None:
        """What is left when the time is spent."""
        deadline = self._clock() + self._budget.time
        for part in self._parts(message):
            if part.changes:
                lease.commit(part.changes)
                self._follow(message, part.changes)
            lease.renew_when_half_gone()
            if self._clock() >= deadline and part.last is not None:
                return replace(message, after=str(part.last))
        return None

    def _parts(self, message: ChangeItems) -> Iterator[_Part]:
        plan = self._plan(message)
        part = _Part()
        for item in self._items(message):
            part.take(item, plan(item))
            if part.is_full:
                yield part
                part = _Part()
        yield part

    # ---- which items

    def _items(self, message: ChangeItems) -> Iterator[LedgerItem]:
        ledger, mailbox_id = self._stores.ledger, message.mailbox_id
        if message.identity is None and message.task is ItemTask.REPLAY:
            yield from self._quarantined(message)
        elif message.identity is None:
            yield from (item for item in ledger.items(mailbox_id, Workload.INCOMING) if str(item.key) > (message.after or ""))
        elif message.server is None:
            yield from ledger.find(mailbox_id, Workload.INCOMING, message.identity)
        else:
            item = ledger.get(mailbox_id, Workload.INCOMING, ItemKey(message.identity, message.server))
            yield from () if item is None else (item,)

    def _quarantined(self, message: ChangeItems) -> Iterator[LedgerItem]:
        """By the list of what is quarantined, which is short: where the time is spent it begins anew, which does no harm."""
        part = self._stores.quarantine.list(message.mailbox_id)
        while True:
            for kept in part.items:
                item = self._stores.ledger.get(message.mailbox_id, Workload.INCOMING, kept.key)
                if item is not None and kept.version != message.tried_by:
                    yield item
            if part.continuation is None:
                return
            part = self._stores.quarantine.list(message.mailbox_id, part.continuation)

    # ---- what becomes of them

    def _plan(self, message: ChangeItems) -> Plan:
        match message.task:
            case ItemTask.JUDGE:
                return lambda item: judged_again(item, _since(message))
            case ItemTask.REPLAY:
                return replayed
            case ItemTask.GIVE_UP:
                return lambda item: given_up(item, message.note or "", self._clock())
            case ItemTask.TRACK:
                return lambda item: tracked(item, _regarding(message))
            case ItemTask.UNTRACK:
                return lambda item: untracked(item, self._clock())

    def _follow(self, message: ChangeItems, changes: list[Change]) -> None:
        """What lies outside of the ledger, after its commit: derived from the rows, and repeated with them."""
        for change in changes:
            if message.task is ItemTask.GIVE_UP:
                release(self._stores, message.mailbox_id, change.item)
            elif message.task is ItemTask.UNTRACK:
                self._unsight(message.mailbox_id, change.item)

    def _unsight(self, mailbox_id: MailboxId, item: LedgerItem) -> None:
        """The emails leave the list of the mailbox."""
        for stored in map(self._stores.activities.get, item.activity_ids):
            if stored is not None:
                self._stores.timeline.remove([entry(stored.record, ListOf.MAILBOX, mailbox_id)])
                self._stores.activities.unsight(stored.record.id, mailbox_id)


def _is_for_a_run(state: RunState | None, now: datetime) -> bool:
    """A run died of the item that it tried alone: the next run sets that item aside."""
    if state is None or not was_abandoned(state) or state.trying is None or state.expires is None:
        return False
    return now < state.expires + RUN_COMES_WITHIN


def _give_back(lease: Lease, message: ChangeItems) -> None:
    """If it cannot be released, it expires by itself."""
    try:
        lease.release()
    except SyncError as error:
        log.warning("lease_not_released", extra={"mailbox_id": message.mailbox_id, "code": error.code})


# ---- plans, one for each task. A todo is due when its item was decided: past, and the same however often it is planned


def judged_again(item: LedgerItem, since: datetime) -> Change | None:
    """Only reasons that settings change, or what is stored since."""
    if item.verdict is not Verdict.SKIPPED or item.reason not in CONFIGURED:
        return None
    if item.received is not None and item.received < since:
        return None
    return Change(item, Todo(TodoKind.JUDGE, item.decided_on, item), leaves_row=True)


def replayed(item: LedgerItem) -> Change | None:
    """One more attempt. Until it succeeds the item stays in quarantine."""
    if item.verdict is not Verdict.QUARANTINED:
        return None
    return Change(item, Todo(TodoKind.RETRY, item.decided_on, item), leaves_row=True)


def given_up(item: LedgerItem, note: str, now: datetime) -> Change | None:
    if item.reason is Reason.DISCARDED:
        return Change(item)
    if item.verdict is not Verdict.QUARANTINED:
        return None
    return Change(replace(item, verdict=Verdict.SKIPPED, reason=Reason.DISCARDED, decided_on=now, detail=note[:DETAIL_LENGTH]))


def tracked(item: LedgerItem, regarding: RecordRef | None) -> Change | None:
    if item.verdict in (Verdict.GONE, Verdict.QUARANTINED):
        return None
    return Change(item, Todo(TodoKind.TRACK, item.decided_on, item, regarding=regarding), leaves_row=True)


def untracked(item: LedgerItem, now: datetime) -> Change | None:
    """The category that says "tracked" is taken away by the todo."""
    if item.reason is Reason.UNTRACKED:
        return Change(item)
    if item.verdict is not Verdict.PROMOTED:
        return None
    row = replace(item, verdict=Verdict.SKIPPED, reason=Reason.UNTRACKED, decided_on=now)
    return Change(row, Todo(TodoKind.STAMP, item.decided_on, row) if item.category else None)


def _since(message: ChangeItems) -> datetime:
    since = datetime.fromisoformat(message.since) if message.since else datetime.min.replace(tzinfo=UTC)
    return since if since.tzinfo else since.replace(tzinfo=UTC)


def _regarding(message: ChangeItems) -> RecordRef | None:
    if message.regarding_type is None or message.regarding_id is None:
        return None
    return RecordRef(message.regarding_type, message.regarding_id)
