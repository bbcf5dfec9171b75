"""What a change of configuration does to a mailbox's schedule: due now where it may run, never where it may not."""

from dataclasses import replace
from datetime import datetime

from shared.domain.choices import Workload
from shared.domain.configuration import Mailbox, Schedule, WorkloadSchedule
from shared.domain.eligibility import own_ineligibility


def due_now(schedule: WorkloadSchedule | None, now: datetime) -> WorkloadSchedule:
    """Due, with nothing held against it: what failed before the change says nothing about what happens after it."""
    return replace(schedule or WorkloadSchedule(), due=now, queued_until=None, failures=0, idle_polls=0, breaker=None)


def never(schedule: WorkloadSchedule | None) -> WorkloadSchedule:
    return replace(schedule or WorkloadSchedule(), due=None, queued_until=None, failures=0, idle_polls=0, breaker=None)


def after_change(mailbox: Mailbox, schedule: Schedule, now: datetime) -> Schedule:
    """The schedule that is written together with a changed record."""
    return {
        workload: due_now(schedule.get(workload), now)
        if own_ineligibility(mailbox, workload) is None
        else never(schedule.get(workload))
        for workload in Workload
    }


def enabled(mailbox: Mailbox, now: datetime) -> Mailbox:
    """With `enabled_on` set when it can be read for the first time; it never changes after that."""
    if mailbox.enabled_on is not None or own_ineligibility(mailbox, Workload.INCOMING) is not None:
        return mailbox
    return replace(mailbox, enabled_on=now)
