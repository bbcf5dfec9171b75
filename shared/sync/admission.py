"""What a queue message about a workload of a mailbox sets off, whichever workload it is.

Admits the mailbox or refuses it, runs, and hands every way in which a run can end to `shared.sync.endings`. What a run does
in between is its own.
"""

import logging
from collections.abc import Callable
from datetime import datetime
from typing import Protocol

from shared import breakers
from shared.domain import scheduling
from shared.domain.alerts import alert_of, code_of
from shared.domain.choices import Workload
from shared.domain.configuration import StoredMailbox, StoredProfile, WorkloadSchedule
from shared.domain.eligibility import Ineligible, breaker_stops
from shared.domain.errors import LeaseLost, UnreadableRow
from shared.domain.ids import RunId
from shared.domain.operations import RunOutcome
from shared.messages import SyncMailbox, SyncReason
from shared.sync.assignment import Assignment, Surroundings
from shared.sync.booking import Tally
from shared.sync.endings import Ending, Timetable
from shared.sync.lease import run_id_of
from shared.sync.profiles import RecentProfiles
from shared.sync.whereabouts import forget_whereabouts, is_looked_for

log = logging.getLogger(__name__)


class WorkloadRun(Protocol):
    """One run over one workload of one mailbox. However `go` ends, `give_back` may be called after it."""

    tally: Tally

    def go(self) -> RunOutcome:
        """Raises SyncError where the run cannot go on, LeaseLost where another worker has the mailbox now."""
        ...

    def give_back(self) -> None:
        """Releases the lease if this run holds it. Raises TransientError or LeaseLost; the lease then expires by itself."""
        ...


class Admission:
    """One workload, one mailbox per message. Holds no state but the profiles and settings it read lately."""

    def __init__(
        self,
        workload: Workload,
        around: Surroundings,
        new_run: Callable[[Assignment], WorkloadRun],
        timetable: Timetable,
    ) -> None:
        self._workload = workload
        self._around = around
        self._stores = around.stores
        self._clock = around.clock
        self._new_run = new_run
        self._timetable = timetable
        self._profiles = RecentProfiles(around.stores.profiles, around.clock, around.budget.profile_life)

    def run(self, message: SyncMailbox, dequeue_count: int) -> RunOutcome:
        """Runs until nothing new or no budget is left. Raises only what keeps it from writing the mailbox's schedule:
        the queue then delivers the message again."""
        started = self._clock()
        if message.workload is not self._workload:
            log.error("other_workload", extra={"workload": message.workload.value, "message_id": message.id})
            return RunOutcome.REFUSED
        try:
            mailbox = self._stores.mailboxes.get(message.mailbox_id)
            profile = None if mailbox is None else self._profiles.get(mailbox.record.profile_id)
        except UnreadableRow as error:  # nobody knows whether it may run, nor when next: its mark expires by itself
            self._stores.alerts.put(alert_of(f"mailbox:{message.mailbox_id}", error, started, {}, self._workload))
            return RunOutcome.REFUSED
        if mailbox is None:
            log.warning("unknown_mailbox", extra={"mailbox_id": message.mailbox_id, "message_id": message.id})
            return RunOutcome.UNKNOWN_MAILBOX
        return self._run(message, mailbox, profile, run_id_of(message.id, dequeue_count), started)

    def _run(
        self, message: SyncMailbox, mailbox: StoredMailbox, profile: StoredProfile | None, run_id: RunId, started: datetime
    ) -> RunOutcome:
        probing = message.reason is SyncReason.PROBE
        reason = scheduling.ineligibility(mailbox, profile, self._workload, started, probing=probing)
        ending = Ending(self._around, self._profiles, self._timetable, message, mailbox, run_id, started)
        if reason is not None or profile is None:
            return ending.refused(reason or Ineligible.UNKNOWN_PROFILE)
        if _is_overtaken(mailbox, message):
            return RunOutcome.HELD
        is_probe = breaker_stops(profile, self._workload)
        if is_probe:
            taken = breakers.take_probe(self._stores.profiles, profile.record.id, self._workload, started, message.id)
            if taken is None:
                return ending.refused(Ineligible.PROFILE_BREAKER_OPEN)
            profile = taken
        run = self._new_run(_assignment(run_id, message, mailbox, profile, is_probe=is_probe))
        try:
            outcome, error = run.go(), None
        except LeaseLost:
            outcome, error = RunOutcome.LEASE_LOST, None
        except Exception as failure:  # noqa: BLE001 # an unknown error of one mailbox is counted, and never loses its schedule
            outcome, error = RunOutcome.FAILED, failure
            _give_back(run, message)
            if is_looked_for(profile.record, self._workload):
                forget_whereabouts(self._stores.mailboxes, mailbox, failure)
        return ending.concluded(outcome, run.tally, error, profile)


def _assignment(
    run_id: RunId, message: SyncMailbox, mailbox: StoredMailbox, profile: StoredProfile, *, is_probe: bool
) -> Assignment:
    return Assignment(
        run_id=run_id,
        workload=message.workload,
        mailbox=mailbox.record,
        profile=profile.record,
        failures=mailbox.schedule.get(message.workload, WorkloadSchedule()).failures,
        is_continuation=message.reason is SyncReason.CONTINUATION,
        discovered=mailbox.discovered,
        has_rules=mailbox.has_rules,
        is_probe=is_probe,
    )


def _give_back(run: WorkloadRun, message: SyncMailbox) -> None:
    """If the lease cannot be released it expires by itself; the schedule is written all the same."""
    try:
        run.give_back()
    except Exception as error:  # noqa: BLE001 # what ended the run is reported, not what followed from it
        log.warning("lease_not_released", extra={"mailbox_id": message.mailbox_id, "code": code_of(error)})


def _is_overtaken(mailbox: StoredMailbox, message: SyncMailbox) -> bool:
    """A continuation after which another run came to an end: its due time holds, which may be one that the server named."""
    schedule = mailbox.schedule.get(message.workload, WorkloadSchedule())
    return message.reason is SyncReason.CONTINUATION and schedule.queued_until is None
