"""`IncomingSync.run`: what a queue message about a mailbox's incoming mail sets off, from admission to the next due time.

Applies the error table of the design: says for every way in which a run can end what becomes of the mailbox's schedule, which
alert is raised, and whether a continuation is queued. What a run does in between is `shared.sync.run`.
"""

import logging
from concurrent.futures import Executor
from dataclasses import replace
from datetime import datetime
from uuid import uuid4

from shared.domain.choices import AlertLevel, Workload
from shared.domain.configuration import StoredMailbox, StoredProfile, WorkloadSchedule
from shared.domain.eligibility import Ineligible, at_probe, breaker_applies
from shared.domain.errors import (
    AuthenticationFailed,
    FolderNotFound,
    LeaseLost,
    MailboxError,
    SyncError,
    TransientError,
)
from shared.domain.ids import RunId
from shared.domain.operations import Alert, Run, RunOutcome
from shared.domain.words import cause_of
from shared.messages import Queue, SyncMailbox, SyncReason
from shared.ports import Clock, OpenMailbox, Stores
from shared.sync import schedule as scheduling
from shared.sync.booking import Tally
from shared.sync.budgets import ItemLimits, RunBudget
from shared.sync.inline import InlineExecutor
from shared.sync.lease import run_id_of
from shared.sync.profiles import RecentProfiles
from shared.sync.run import Assignment, IncomingRun, Surroundings

log = logging.getLogger(__name__)

UNEXPECTED = "unexpected"
"""Code of an exception that is not one of ours."""


class IncomingSync:
    """Synchronizes incoming mail, one mailbox per message. Holds no state but the profiles it read lately."""

    def __init__(
        self,
        stores: Stores,
        open_mailbox: OpenMailbox,
        clock: Clock,
        budget: RunBudget | None = None,
        limits: ItemLimits | None = None,
        executor: Executor | None = None,
        version: str = "",
    ) -> None:
        """`executor` runs calls of the store beside the fetching; without one they run in turn."""
        self._stores = stores
        self._clock = clock
        self._budget = budget or RunBudget()
        self._around = Surroundings(
            stores, open_mailbox, clock, self._budget, limits or ItemLimits(), executor or InlineExecutor(), version
        )
        self._profiles = RecentProfiles(stores.profiles, clock, self._budget.profile_life)

    def run(self, message: SyncMailbox, dequeue_count: int = 1) -> RunOutcome:
        """Runs until nothing new or no budget is left. Raises only what keeps it from writing the mailbox's schedule:
        the queue then delivers the message again."""
        started = self._clock()
        if message.workload is not Workload.INCOMING:
            log.error("other_workload", extra={"workload": message.workload.value, "message_id": message.id})
            return RunOutcome.REFUSED
        mailbox = self._stores.mailboxes.get(message.mailbox_id)
        if mailbox is None:
            log.warning("unknown_mailbox", extra={"mailbox_id": message.mailbox_id, "message_id": message.id})
            return RunOutcome.UNKNOWN_MAILBOX
        profile = self._profiles.get(mailbox.record.profile_id)
        probing = message.reason is SyncReason.PROBE
        reason = scheduling.ineligibility(mailbox, profile, Workload.INCOMING, started, probing=probing)
        ending = _Ending(self._stores, self._clock, self._budget, self._profiles, message, mailbox, started)
        run_id = run_id_of(message.id, dequeue_count)
        if reason is not None or profile is None:
            return ending.refused(run_id, reason or Ineligible.UNKNOWN_PROFILE)
        run = IncomingRun(_assignment(run_id, message, mailbox, profile), self._around)
        return ending.of(run, run_id, profile)


def _assignment(run_id: RunId, message: SyncMailbox, mailbox: StoredMailbox, profile: StoredProfile) -> Assignment:
    return Assignment(
        run_id=run_id,
        mailbox=mailbox.record,
        profile=profile.record,
        failures=mailbox.schedule.get(message.workload, WorkloadSchedule()).failures,
        is_continuation=message.reason is SyncReason.CONTINUATION,
    )


class _Ending:
    """How a run of one message ends."""

    def __init__(
        self,
        stores: Stores,
        clock: Clock,
        budget: RunBudget,
        profiles: RecentProfiles,
        message: SyncMailbox,
        mailbox: StoredMailbox,
        started: datetime,
    ) -> None:
        self._stores = stores
        self._clock = clock
        self._budget = budget
        self._profiles = profiles
        self._message = message
        self._mailbox = mailbox
        self._schedule = mailbox.schedule.get(Workload.INCOMING, WorkloadSchedule())
        self._started = started

    def of(self, run: IncomingRun, run_id: RunId, profile: StoredProfile) -> RunOutcome:
        error: Exception | None = None
        try:
            outcome = run.go()
        except LeaseLost:
            outcome = RunOutcome.LEASE_LOST
        except Exception as failure:  # noqa: BLE001 # an unknown error of one mailbox is counted, and never loses its schedule
            outcome, error = RunOutcome.FAILED, failure
            self._give_back(run)
        self._conclude(outcome, run.tally, error, profile)
        if outcome not in (RunOutcome.IDLE, RunOutcome.HELD):
            self._record(run_id, outcome, run.tally, error)
        return outcome

    def refused(self, run_id: RunId, reason: Ineligible) -> RunOutcome:
        """The message slipped through to a mailbox that may not run now."""
        log.info("run_refused", extra={"mailbox_id": self._mailbox.record.id, "reason": reason.value})
        after = scheduling.after_refusal(self._schedule, self._clock(), reason)
        if self._schedule.due is not None or after.due is not None:
            self._reschedule_unless_changed(after)
        self._put_run(run_id, RunOutcome.REFUSED, Tally(), reason.value, cause_of(reason.value))
        return RunOutcome.REFUSED

    # ---- what becomes of the mailbox

    def _conclude(self, outcome: RunOutcome, tally: Tally, error: Exception | None, profile: StoredProfile) -> None:
        now, minimum = self._clock(), profile.record.min_polling_interval
        match outcome:
            case RunOutcome.IDLE:
                self._succeed(scheduling.after_idle(self._schedule, now, minimum), tally, profile)
            case RunOutcome.COMPLETED:
                busy = scheduling.after_busy(self._schedule, now, minimum)
                self._succeed(scheduling.not_after(busy, tally.next_todo), tally, profile)
            case RunOutcome.CONTINUED:
                self._continue(tally, profile)
            case RunOutcome.FAILED if error is not None:
                self._fail(error, profile)
            case _:
                log.info("run_ended", extra={"mailbox_id": self._mailbox.record.id, "outcome": outcome.value})

    def _succeed(self, after: WorkloadSchedule, tally: Tally, profile: StoredProfile) -> None:
        for folder in tally.missing_folders:
            after = scheduling.with_missing_folder(after, FolderNotFound.code)
            self._alert(self._about_mailbox, FolderNotFound(folder.name), {"folder": folder.name})
        self._close_breaker(profile)
        self._reschedule(after)

    def _continue(self, tally: Tally, profile: StoredProfile) -> None:
        """Marked as queued first, then queued: whoever takes the continuation decides the next due time after us."""
        self._close_breaker(profile)
        now = self._clock()
        self._reschedule(scheduling.continued(self._schedule, now, self._budget.queued_for))
        queue = Queue.SYNC_INCOMING if tally.caught_up else Queue.SYNC_BACKFILL
        continuation = SyncMailbox(uuid4().hex, self._mailbox.record.id, Workload.INCOMING, SyncReason.CONTINUATION)
        try:
            self._stores.queues.send(queue, continuation.to_json())
        except TransientError:
            log.warning("continuation_not_queued", extra={"mailbox_id": self._mailbox.record.id})
            self._reschedule(scheduling.after_busy(self._schedule, now, profile.record.min_polling_interval))

    def _fail(self, error: Exception, profile: StoredProfile) -> None:
        now, minimum = self._clock(), profile.record.min_polling_interval
        code = _code_of(error)
        match error:
            case AuthenticationFailed(profile_wide=True):
                self._open_profile_breaker(error, profile)
                self._reschedule(scheduling.after_profile_error(self._schedule, now, minimum, code))
            case MailboxError():
                self._alert(self._about_mailbox, error, {})
                self._reschedule_unless_changed(scheduling.after_mailbox_error(self._schedule, now, code))
            case _:
                retry_after = error.retry_after if isinstance(error, TransientError) else None
                after = scheduling.after_transient(self._schedule, now, minimum, code, retry_after)
                self._reschedule(after)
                if after.breaker is not None and self._schedule.breaker is None:
                    self._alert(self._about_mailbox, error, {})

    def _reschedule(self, after: WorkloadSchedule) -> None:
        self._stores.mailboxes.reschedule(self._mailbox.record.id, Workload.INCOMING, after)

    def _reschedule_unless_changed(self, after: WorkloadSchedule) -> None:
        """A schedule that keeps the mailbox from running must not outlive a change of the record that this run did not see.

        Written first, then compared: whichever of the two writers comes last, the mailbox is due.
        """
        self._reschedule(after)
        present = self._stores.mailboxes.get(self._mailbox.record.id)
        if present is not None and present.etag != self._mailbox.etag:
            self._reschedule(replace(after, due=self._clock(), breaker=None))

    # ---- the profile's credential

    def _open_profile_breaker(self, error: AuthenticationFailed, profile: StoredProfile) -> None:
        """Once per credential: of several mailboxes that fail together, the first one opens it."""
        now = self._clock()
        present = self._profiles.get_now(profile.record.id)
        if present is None:
            return
        failed = replace(profile, breaker=present.breaker)
        if breaker_applies(failed) and not at_probe(failed, now) and not self._is_probe:
            return
        self._alert(f"profile:{profile.record.id}", error, {})
        self._stores.profiles.set_breaker(profile.record.id, scheduling.profile_breaker(failed, now, error.code))
        self._profiles.forget(profile.record.id)

    @property
    def _is_probe(self) -> bool:
        return self._message.reason is SyncReason.PROBE

    def _close_breaker(self, profile: StoredProfile) -> None:
        if profile.breaker is not None:
            self._stores.profiles.set_breaker(profile.record.id, None)
            self._profiles.forget(profile.record.id)

    # ---- what is left behind

    def _give_back(self, run: IncomingRun) -> None:
        """If it cannot be released, the lease expires by itself; the schedule is written all the same."""
        try:
            run.give_back()
        except Exception as error:  # noqa: BLE001 # what ended the run is reported, not what followed from it
            log.warning("lease_not_released", extra={"mailbox_id": self._mailbox.record.id, "code": _code_of(error)})

    @property
    def _about_mailbox(self) -> str:
        return f"mailbox:{self._mailbox.record.id}"

    def _alert(self, about: str, error: Exception, parameters: dict[str, str]) -> None:
        code = _code_of(error)
        remedy = error.remedy if isinstance(error, SyncError) else SyncError.remedy
        cause = f"{cause_of(code)} {error}".strip() if isinstance(error, SyncError) else cause_of(code)
        self._stores.alerts.put(Alert(about, code, AlertLevel.ERROR, cause, remedy, self._clock(), parameters=parameters))

    def _record(self, run_id: RunId, outcome: RunOutcome, tally: Tally, error: Exception | None) -> None:
        if error is None:
            self._put_run(run_id, outcome, tally, None, "")
            return
        code = _code_of(error)
        if code == UNEXPECTED:
            log.error("run_failed", exc_info=error, extra={"mailbox_id": self._mailbox.record.id})
        else:
            log.warning("run_failed", extra={"mailbox_id": self._mailbox.record.id, "code": code})
        self._put_run(run_id, outcome, tally, code, str(error) if isinstance(error, SyncError) else type(error).__name__)

    def _put_run(self, run_id: RunId, outcome: RunOutcome, tally: Tally, error: str | None, detail: str) -> None:
        run = Run(
            id=run_id,
            mailbox_id=self._mailbox.record.id,
            workload=Workload.INCOMING,
            started_on=self._started,
            duration=self._clock() - self._started,
            outcome=outcome,
            seen=tally.seen,
            verdicts=tally.verdicts,
            pages=tally.pages,
            error=error,
            detail=detail[:500],
        )
        try:
            self._stores.runs.put(run)
        except TransientError:
            log.warning("run_not_recorded", extra={"mailbox_id": run.mailbox_id, "run_id": run_id})


def _code_of(error: Exception) -> str:
    return error.code if isinstance(error, SyncError) else UNEXPECTED
