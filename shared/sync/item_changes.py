"""Writes into the ledger what people want of items: judged again, tried again, given up, tracked, untracked.

Under the lease of the mailbox, like everything that writes item rows; what follows from it is done by a run, from todos.
Where a run has the mailbox, the message comes back later; a lease that was abandoned is left to a run, which knows what to
make of it. Repeating a message writes the same rows again.
"""

import logging
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4

from shared.domain.choices import Reason, Verdict, Workload
from shared.domain.email import ListOf
from shared.domain.errors import LeaseLost
from shared.domain.ids import MailboxId
from shared.domain.ledger import LedgerItem, Todo, TodoKind
from shared.domain.listings import entry
from shared.domain.records import RecordRef
from shared.messages import ChangeItems, ItemTask, Queue, SyncMailbox, SyncReason
from shared.ports import Clock, Stores
from shared.sync.budgets import ItemLimits, RunBudget
from shared.sync.items import DETAIL_LENGTH
from shared.sync.lease import Change, Lease, is_held, run_id_of, was_abandoned
from shared.sync.quarantine import raw_blob_name

log = logging.getLogger(__name__)

COMES_BACK = timedelta(seconds=30)
"""After which a message is tried again that found the mailbox busy."""

_AT_ONCE = 45
"""Changes that are planned and committed together."""

_FINAL = frozenset({Reason.DRAFT, Reason.NOT_A_MESSAGE, Reason.UNTRACKED, Reason.DELETED, Reason.DISCARDED})
"""Reasons to skip that no setting changes."""

type Plan = Callable[[LedgerItem], Change | None]
"""What becomes of an item; None leaves it alone."""


class ItemChanges:
    """Does what `ChangeItems` messages say."""

    def __init__(self, stores: Stores, clock: Clock, budget: RunBudget | None = None, limits: ItemLimits | None = None) -> None:
        self._stores = stores
        self._clock = clock
        self._budget = budget or RunBudget()
        self._limits = limits or ItemLimits()

    def run(self, message: ChangeItems, dequeue_count: int = 1) -> bool:
        """Whether it was done; if not, the message is queued again. Raises TransientError."""
        if self._stores.mailboxes.get(message.mailbox_id) is None:
            log.warning("unknown_mailbox", extra={"mailbox_id": message.mailbox_id, "message_id": message.id})
            return True
        run_id = run_id_of(message.id, dequeue_count)
        ledger, term = self._stores.ledger, self._budget.lease
        lease = Lease(ledger, message.mailbox_id, Workload.INCOMING, run_id, term, self._clock)
        done = self._under(lease, message)
        if not done:
            self._stores.queues.send(Queue.CHANGE_ITEMS, message.to_json(), COMES_BACK)
        run = SyncMailbox(uuid4().hex, message.mailbox_id, Workload.INCOMING, SyncReason.REQUESTED)
        self._stores.queues.send(Queue.SYNC_INCOMING, run.to_json())
        return done

    def _under(self, lease: Lease, message: ChangeItems) -> bool:
        head = self._stores.ledger.head(message.mailbox_id, Workload.INCOMING, self._clock())
        if is_held(head.state, self._clock()) or was_abandoned(head.state):
            return False
        deadline = self._clock() + self._budget.time
        try:
            lease.take(head)
            for changes in self._planned(message):
                lease.commit(changes)
                self._follow(message, changes)
                if self._clock() >= deadline:
                    lease.release()
                    return False
            lease.release()
        except LeaseLost:
            return False
        return True

    def _planned(self, message: ChangeItems) -> Iterator[list[Change]]:
        plan = self._plan(message)
        changes: list[Change] = []
        for item in self._items(message):
            if (change := plan(item)) is not None:
                changes.append(change)
            if len(changes) == _AT_ONCE:
                yield changes
                changes = []
        if changes:
            yield changes

    def _items(self, message: ChangeItems) -> Iterator[LedgerItem]:
        if message.identity is None:
            return self._stores.ledger.items(message.mailbox_id, Workload.INCOMING)
        return iter(self._stores.ledger.find(message.mailbox_id, Workload.INCOMING, message.identity))

    def _plan(self, message: ChangeItems) -> Plan:
        match message.task:
            case ItemTask.JUDGE:
                return lambda item: judged_again(item, _since(message))
            case ItemTask.REPLAY:
                return lambda item: replayed(item, self._limits)
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
                self._stores.quarantine.remove(message.mailbox_id, change.item.key)
                self._stores.blobs.delete(raw_blob_name(message.mailbox_id, change.item))
            elif message.task is ItemTask.UNTRACK:
                self._unsight(message.mailbox_id, change.item)

    def _unsight(self, mailbox_id: MailboxId, item: LedgerItem) -> None:
        """The email leaves the list of the mailbox."""
        stored = self._stores.activities.get(item.activity_id) if item.activity_id is not None else None
        if stored is not None:
            self._stores.timeline.remove([entry(stored.record, ListOf.MAILBOX, mailbox_id)])
            self._stores.activities.unsight(stored.record.id, mailbox_id)


# ---- plans, one for each task. A todo is due when its item was decided: past, and the same however often it is planned


def judged_again(item: LedgerItem, since: datetime) -> Change | None:
    if item.verdict is not Verdict.SKIPPED or item.reason in _FINAL or (item.received is not None and item.received < since):
        return None
    return Change(item, Todo(TodoKind.JUDGE, item.decided_on, item))


def replayed(item: LedgerItem, limits: ItemLimits) -> Change | None:
    """One more attempt: what fails again is quarantined again."""
    if item.verdict is not Verdict.QUARANTINED:
        return None
    again = replace(item, verdict=Verdict.FAILING, attempts=limits.attempts - 1)
    return Change(again, Todo(TodoKind.RETRY, item.decided_on, again))


def given_up(item: LedgerItem, note: str, now: datetime) -> Change | None:
    if item.reason is Reason.DISCARDED:
        return Change(item)
    if item.verdict is not Verdict.QUARANTINED:
        return None
    return Change(replace(item, verdict=Verdict.SKIPPED, reason=Reason.DISCARDED, decided_on=now, detail=note[:DETAIL_LENGTH]))


def tracked(item: LedgerItem, regarding: RecordRef | None) -> Change | None:
    if item.verdict in (Verdict.GONE, Verdict.QUARANTINED):
        return None
    return Change(item, Todo(TodoKind.TRACK, item.decided_on, item, regarding=regarding))


def untracked(item: LedgerItem, now: datetime) -> Change | None:
    """The category that says "tracked" is taken away by the todo."""
    if item.reason is Reason.UNTRACKED:
        return Change(item)
    if item.verdict is not Verdict.PROMOTED:
        return None
    row = replace(item, verdict=Verdict.SKIPPED, reason=Reason.UNTRACKED, decided_on=now)
    return Change(row, Todo(TodoKind.STAMP, item.decided_on, row) if item.is_stamped else None)


def _since(message: ChangeItems) -> datetime:
    since = datetime.fromisoformat(message.since) if message.since else datetime.min.replace(tzinfo=UTC)
    return since if since.tzinfo else since.replace(tzinfo=UTC)


def _regarding(message: ChangeItems) -> RecordRef | None:
    if message.regarding_type is None or message.regarding_id is None:
        return None
    return RecordRef(message.regarding_type, message.regarding_id)
