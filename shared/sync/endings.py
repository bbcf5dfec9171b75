"""How a run ends: what becomes of the mailbox's schedule, which alert is raised, whether a continuation is queued.

Applies the error table of the design. Every end writes a due time, so that no mailbox is ever forgotten; a mailbox that is
held by another run is left to that run.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Protocol
from uuid import uuid4

from shared import breakers
from shared.domain import scheduling
from shared.domain.alerts import UNEXPECTED, alert_of, code_of
from shared.domain.choices import AlertLevel
from shared.domain.configuration import StoredMailbox, StoredProfile, WorkloadSchedule
from shared.domain.eligibility import Ineligible, breaker_of, own_ineligibility
from shared.domain.errors import (
    AuthenticationFailed,
    MailboxError,
    SyncError,
    TransientError,
    UnreadableRow,
)
from shared.domain.ids import MailboxId, RunId, short_hash
from shared.domain.operations import Alert, Run, RunOutcome
from shared.domain.records import FolderTrackingRule
from shared.domain.words import cause_of
from shared.messages import Queue, SyncMailbox, SyncReason
from shared.sync.assignment import Surroundings
from shared.sync.booking import Tally
from shared.sync.profiles import RecentProfiles

log = logging.getLogger(__name__)

SET_ASIDE = "set_aside"
"""What a run counts rows as that a later version of Sidesync wrote."""


@dataclass(frozen=True, slots=True)
class Success:
    """A run went well."""

    outcome: RunOutcome
    """COMPLETED: it found something; or IDLE."""
    mailbox_id: MailboxId
    now: datetime
    minimum: timedelta
    """The profile's polling interval."""
    tally: Tally


class Timetable(Protocol):
    """When a workload runs next after it went well."""

    def after(self, schedule: WorkloadSchedule, success: Success) -> WorkloadSchedule:
        """Raises TransientError."""
        ...

    def queue(self, tally: Tally) -> Queue:
        """Where the continuation of a run is queued."""
        ...

    def look_again(self, mailbox_id: MailboxId, after: WorkloadSchedule) -> None:
        """The schedule is written: what was asked for while it was must not wait for it. Raises TransientError."""
        ...


class Ending:
    """How a run of one message ends: the one place that writes the mailbox's schedule after a run."""

    def __init__(
        self,
        around: Surroundings,
        profiles: RecentProfiles,
        timetable: Timetable,
        message: SyncMailbox,
        mailbox: StoredMailbox,
        run_id: RunId,
        started: datetime,
    ) -> None:
        self._stores = around.stores
        self._clock = around.clock
        self._budget = around.budget
        self._profiles = profiles
        self._timetable = timetable
        self._workload = message.workload
        self._mailbox = mailbox
        self._schedule = mailbox.schedule.get(message.workload, WorkloadSchedule())
        self._run_id = run_id
        self._started = started

    def refused(self, reason: Ineligible) -> RunOutcome:
        """The message slipped through to a mailbox that may not run now."""
        log.info("run_refused", extra={"mailbox_id": self._mailbox.record.id, "reason": reason.value})
        after = scheduling.after_refusal(self._schedule, self._clock(), reason)
        if self._schedule.due is not None or after.due is not None:
            self._reschedule_unless_changed(after)
        self._put_run(RunOutcome.REFUSED, Tally(), reason.value, cause_of(reason.value))
        return RunOutcome.REFUSED

    def concluded(self, outcome: RunOutcome, tally: Tally, error: Exception | None, profile: StoredProfile) -> RunOutcome:
        """The run ended with `outcome`; `error` is what made it fail. Raises TransientError where the store fails."""
        self._conclude(outcome, tally, error, profile)
        if tally.set_aside:
            self._tell_what_was_set_aside(tally.set_aside)
        if outcome not in (RunOutcome.IDLE, RunOutcome.HELD):
            self._record(outcome, tally, error)
        return outcome

    # ---- what becomes of the mailbox

    def _conclude(self, outcome: RunOutcome, tally: Tally, error: Exception | None, profile: StoredProfile) -> None:
        now, minimum = self._clock(), profile.record.min_polling_interval
        match outcome:
            case RunOutcome.IDLE | RunOutcome.COMPLETED:
                success = Success(outcome, self._mailbox.record.id, now, minimum, tally)
                self._succeed(self._timetable.after(self._schedule, success), tally, profile)
            case RunOutcome.CONTINUED:
                self._continue(tally, profile)
            case RunOutcome.FAILED if error is not None:
                self._fail(error, profile)
            case _:
                self._leave_probe(profile)
                log.info("run_ended", extra={"mailbox_id": self._mailbox.record.id, "outcome": outcome.value})

    def _succeed(self, after: WorkloadSchedule, tally: Tally, profile: StoredProfile) -> None:
        for folder, error in tally.unread_folders.items():
            after = scheduling.with_missing_folder(after, error.code)
            self._alert(self._about_mailbox, error, {"folder": folder.name})
        for rule in tally.lost_rules:
            self._stores.alerts.put(_not_watched(self._about_mailbox, rule, self._clock()))
        self._close_breaker(profile)
        if after.idle_polls:
            self._reschedule(after)  # one request less for what runs most; a change within a poll is corrected by a refusal
        else:
            self._reschedule_unless_changed(after)
        self._timetable.look_again(self._mailbox.record.id, after)

    def _continue(self, tally: Tally, profile: StoredProfile) -> None:
        """Marked as queued first, then queued: whoever takes the continuation decides the next due time after us."""
        self._close_breaker(profile)
        now = self._clock()
        self._reschedule(scheduling.continued(self._schedule, now, self._budget.queued_for))
        continuation = SyncMailbox(uuid4().hex, self._mailbox.record.id, self._workload, SyncReason.CONTINUATION)
        try:
            self._stores.queues.send(self._timetable.queue(tally), continuation.to_json())
        except TransientError:
            log.warning("continuation_not_queued", extra={"mailbox_id": self._mailbox.record.id})
            self._reschedule(scheduling.after_busy(self._schedule, now, profile.record.min_polling_interval))

    def _fail(self, error: Exception, profile: StoredProfile) -> None:
        after = scheduling.after_error(self._schedule, self._clock(), profile.record, error)
        match error:
            case AuthenticationFailed(profile_wide=True):
                self._open_profile_breaker(error, profile)
                self._reschedule_unless_changed(after)
            case MailboxError():
                if error.proves_sign_in:
                    self._close_breaker(profile)
                else:
                    self._leave_probe(profile)
                self._alert(self._about_mailbox, error, {})
                self._reschedule_unless_changed(after)
            case _:
                self._leave_probe(profile)
                self._reschedule_unless_changed(after)
                is_opened = after.breaker is not None and self._schedule.breaker is None
                if is_opened or isinstance(error, UnreadableRow):
                    self._alert(self._about_mailbox, error, {})

    def _reschedule(self, after: WorkloadSchedule) -> None:
        self._stores.mailboxes.reschedule(self._mailbox.record.id, self._workload, after)

    def _reschedule_unless_changed(self, after: WorkloadSchedule) -> None:
        """What a run found must not outlive a change of the record that it did not see: due at once, or not any more.

        Written first, then compared: whichever of the two writers comes last, the change counts.
        """
        self._reschedule(after)
        present = self._stores.mailboxes.get(self._mailbox.record.id)
        if present is not None and present.etag != self._mailbox.etag:
            may_run = own_ineligibility(present.record, self._workload) is None
            self._reschedule(replace(after, due=self._clock() if may_run else None, breaker=None))

    # ---- the profile's credential for this workload

    def _open_profile_breaker(self, error: AuthenticationFailed, profile: StoredProfile) -> None:
        breakers.open_breaker(self._stores, profile, self._workload, error, self._clock())
        self._profiles.forget(profile.record.id)

    def _close_breaker(self, profile: StoredProfile) -> None:
        if breaker_of(profile, self._workload) is not None:
            breakers.close_breaker(self._stores.profiles, profile, self._workload)
            self._profiles.forget(profile.record.id)

    def _leave_probe(self, profile: StoredProfile) -> None:
        breakers.leave_probe(self._stores.profiles, profile, self._workload, self._clock())

    # ---- what is left behind

    def _tell_what_was_set_aside(self, set_aside: Mapping[str, UnreadableRow]) -> None:
        """One alert, however many rows it is about."""
        row, error = next(iter(set_aside.items()))
        others = f" {len(set_aside) - 1} more cannot be read either." if len(set_aside) > 1 else ""
        self._alert(self._about_mailbox, UnreadableRow(f"{error}{others}", (row,)), {})

    @property
    def _about_mailbox(self) -> str:
        return f"mailbox:{self._mailbox.record.id}"

    def _alert(self, about: str, error: Exception, parameters: dict[str, str]) -> None:
        self._stores.alerts.put(alert_of(about, error, self._clock(), parameters, self._workload))

    def _record(self, outcome: RunOutcome, tally: Tally, error: Exception | None) -> None:
        if error is None:
            self._put_run(outcome, tally, None, "")
            return
        code = code_of(error)
        if code == UNEXPECTED:
            log.error("run_failed", exc_info=error, extra={"mailbox_id": self._mailbox.record.id})
        else:
            log.warning("run_failed", extra={"mailbox_id": self._mailbox.record.id, "code": code})
        self._put_run(outcome, tally, code, str(error) if isinstance(error, SyncError) else type(error).__name__)

    def _put_run(self, outcome: RunOutcome, tally: Tally, error: str | None, detail: str) -> None:
        run = Run(
            id=self._run_id,
            mailbox_id=self._mailbox.record.id,
            workload=self._workload,
            started_on=self._started,
            duration=self._clock() - self._started,
            outcome=outcome,
            seen=tally.seen,
            verdicts={**tally.verdicts, **({SET_ASIDE: len(tally.set_aside)} if tally.set_aside else {})},
            pages=tally.pages,
            error=error,
            detail=detail[:500],
        )
        try:
            self._stores.runs.put(run)
        except TransientError:
            log.warning("run_not_recorded", extra={"mailbox_id": run.mailbox_id, "run_id": run.id})


def _not_watched(about: str, rule: FolderTrackingRule, now: datetime) -> Alert:
    return Alert(
        about=about,
        code="folder_not_watched",
        level=AlertLevel.WARNING,
        cause=f"The folder {rule.folder_name} is not below the Inbox any more, so its tracking rule tracks nothing.",
        remedy="Move the folder back below the Inbox, or delete the rule. Mail that was tracked stays tracked.",
        raised_on=now,
        parameters={"folder": rule.folder_name, "folder_id": short_hash(rule.folder_id)},
    )
