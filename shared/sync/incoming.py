"""`IncomingSync.run`: what a queue message about a mailbox's incoming mail sets off.

What a run does is `shared.sync.run`; when it may begin and what follows from its end is `shared.sync.admission`.
"""

from concurrent.futures import Executor

from shared.domain import scheduling
from shared.domain.choices import Workload
from shared.domain.configuration import WorkloadSchedule
from shared.domain.ids import MailboxId
from shared.domain.operations import RunOutcome
from shared.messages import Queue, SyncMailbox
from shared.organisation import RecentSettings
from shared.ports import Clock, Discover, OpenMailbox, Stores
from shared.sync.admission import Admission
from shared.sync.assignment import Surroundings
from shared.sync.booking import Tally
from shared.sync.budgets import ItemLimits, RunBudget
from shared.sync.endings import Success
from shared.sync.inline import InlineExecutor
from shared.sync.run import IncomingRun


class IncomingSync:
    """Synchronizes incoming mail, one mailbox per message."""

    def __init__(
        self,
        stores: Stores,
        open_mailbox: OpenMailbox,
        clock: Clock,
        budget: RunBudget | None = None,
        limits: ItemLimits | None = None,
        executor: Executor | None = None,
        version: str = "",
        discover: Discover | None = None,
    ) -> None:
        """`executor` runs calls of the store beside the fetching; without one they run in turn."""
        around = Surroundings(
            stores=stores,
            clock=clock,
            budget=budget or RunBudget(),
            limits=limits or ItemLimits(),
            executor=executor or InlineExecutor(),
            settings=RecentSettings(stores.settings, clock),
            version=version,
            discover=discover,
        )
        self._admission = Admission(
            Workload.INCOMING, around, lambda assignment: IncomingRun(assignment, around, open_mailbox), _Polling()
        )

    def run(self, message: SyncMailbox, dequeue_count: int = 1) -> RunOutcome:
        """As `Admission.run`."""
        return self._admission.run(message, dequeue_count)


class _Polling:
    """`Timetable`: a mailbox is polled, more often the more comes."""

    def after(self, schedule: WorkloadSchedule, success: Success) -> WorkloadSchedule:
        if success.outcome is RunOutcome.IDLE:
            return scheduling.after_idle(schedule, success.now, success.minimum)
        busy = scheduling.after_busy(schedule, success.now, success.minimum)
        return scheduling.not_after(busy, success.tally.next_todo)

    def queue(self, tally: Tally) -> Queue:
        return Queue.SYNC_INCOMING if tally.caught_up else Queue.SYNC_BACKFILL

    def look_again(self, mailbox_id: MailboxId, after: WorkloadSchedule) -> None:
        """Mail that came meanwhile is found by the next poll."""
