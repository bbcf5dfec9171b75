"""`OutgoingSync.run`: what a queue message about the emails that a mailbox is to send sets off.

What a run does is `shared.sync.outgoing_run`; when it may begin and what follows from its end is `shared.sync.admission`.
"""

from concurrent.futures import Executor

from shared.domain import scheduling
from shared.domain.choices import Workload
from shared.domain.configuration import WorkloadSchedule
from shared.domain.ids import MailboxId
from shared.domain.operations import RunOutcome
from shared.messages import Queue, SyncMailbox
from shared.organisation import RecentSettings
from shared.ports import Clock, Discover, OpenOutgoing, Stores
from shared.sync.admission import Admission
from shared.sync.assignment import Surroundings
from shared.sync.booking import Tally
from shared.sync.budgets import ItemLimits, RunBudget
from shared.sync.endings import Success
from shared.sync.inline import InlineExecutor
from shared.sync.outgoing_run import OutgoingRun


class OutgoingSync:
    """Sends what waits in the outbox, one mailbox per message."""

    def __init__(
        self,
        stores: Stores,
        open_outgoing: OpenOutgoing,
        clock: Clock,
        budget: RunBudget | None = None,
        executor: Executor | None = None,
        discover: Discover | None = None,
    ) -> None:
        """`executor` runs calls of the store beside the sending; without one they run in turn."""
        around = Surroundings(
            stores=stores,
            clock=clock,
            budget=budget or RunBudget(),
            limits=ItemLimits(),
            executor=executor or InlineExecutor(),
            settings=RecentSettings(stores.settings, clock),
            version="",
            discover=discover,
        )
        self._admission = Admission(
            Workload.OUTGOING,
            around,
            lambda assignment: OutgoingRun(assignment, around, open_outgoing),
            _Outbox(stores, clock),
        )

    def run(self, message: SyncMailbox, dequeue_count: int = 1) -> RunOutcome:
        """As `Admission.run`."""
        return self._admission.run(message, dequeue_count)


class _Outbox:
    """`Timetable`: a mailbox is due when the first email of its outbox is."""

    def __init__(self, stores: Stores, clock: Clock) -> None:
        self._stores = stores
        self._clock = clock

    def after(self, schedule: WorkloadSchedule, success: Success) -> WorkloadSchedule:
        waits_for = self._stores.outbox.next_due(success.mailbox_id)
        return scheduling.after_sending(schedule, success.now, waits_for, success.tally.not_before)

    def queue(self, tally: Tally) -> Queue:  # noqa: ARG002 - there is one queue for all
        return Queue.SYNC_OUTGOING

    def look_again(self, mailbox_id: MailboxId, after: WorkloadSchedule) -> None:
        """An email that was announced while the schedule was written waited for nobody: `send` saw a run under way."""
        now = self._clock()
        if after.due is None or after.due <= now + scheduling.SOON:
            return
        waits_for = self._stores.outbox.next_due(mailbox_id)
        if waits_for is not None and waits_for < after.due:
            self._stores.mailboxes.make_due(mailbox_id, Workload.OUTGOING, max(waits_for, now))
