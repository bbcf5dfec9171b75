"""When a workload of a mailbox runs next, and whether it may run now. Pure: now and records come in, a record comes out.

Implements the error table of the design: transient failures back off and open a breaker after ten in a row; an error of
the mailbox switches its workload off for an hour; a credential of a profile has one breaker for all mailboxes on it. A run
at or after a breaker's probe time is the half-open probe; its success closes the breaker.
"""

from dataclasses import replace
from datetime import datetime, timedelta

from shared.domain.alerts import code_of
from shared.domain.choices import Workload, WorkloadStatus
from shared.domain.configuration import (
    Breaker,
    EmailServerProfile,
    StoredMailbox,
    StoredProfile,
    WorkloadSchedule,
)
from shared.domain.eligibility import (
    Ineligible,
    at_probe,
    breaker_of,
    breaker_stops,
    credential_version,
    own_ineligibility,
    profile_ineligibility,
)
from shared.domain.errors import AuthenticationFailed, MailboxError, TransientError

LONGEST_POLL = timedelta(minutes=15)
FAILURES_TO_OPEN = 10
PROBE_EVERY = timedelta(hours=1)
"""Between probes of what only a change of configuration repairs."""

IDLE_OUTBOX = timedelta(hours=24)
"""An outbox in which nothing waits is looked at so often, whatever happened to those who should have said so."""
SOON = timedelta(seconds=70)
"""No email waits longer for the pace of its mailbox, or behind what is left over in its outbox."""

_STEP = timedelta(minutes=1)
_POLLS_PER_STEP = 5
_FIRST_PROBE = timedelta(minutes=15)
_LONGEST_PROBE = timedelta(hours=4)
_LONGEST_RETRY_AFTER = timedelta(hours=24)
"""A server that asks for more is not believed."""

OWN_REASONS = frozenset({Ineligible.MAILBOX_INACTIVE, Ineligible.METHOD_NONE, Ineligible.NOT_APPROVED, Ineligible.NO_PROFILE})
"""Reasons that the mailbox's own record gives: only a change of that record removes them."""


# ---- may it run?


def ineligibility(
    mailbox: StoredMailbox, profile: StoredProfile | None, workload: Workload, now: datetime, *, probing: bool = False
) -> Ineligible | None:
    """Why this workload may not run now, None if it may. `probing`: this run was sent to probe the profile's credential."""
    if own := own_ineligibility(mailbox.record, workload):
        return own
    if reason := profile_ineligibility(profile, workload, now, probing=probing):
        return reason
    breaker = mailbox.schedule.get(workload, WorkloadSchedule()).breaker
    if breaker is not None and now < breaker.probe_after:
        return Ineligible.BREAKER_OPEN
    return None


# ---- when next?


def after_busy(schedule: WorkloadSchedule, now: datetime, minimum: timedelta) -> WorkloadSchedule:
    """A run that found something: next at the profile's minimum interval."""
    return replace(_succeeded(schedule, now), due=now + minimum, idle_polls=0)


def after_idle(schedule: WorkloadSchedule, now: datetime, minimum: timedelta) -> WorkloadSchedule:
    """A poll that found nothing: the interval grows from the profile's minimum to 15 minutes."""
    idle_polls = schedule.idle_polls + 1
    return replace(_succeeded(schedule, now), due=now + idle_interval(idle_polls, minimum), idle_polls=idle_polls)


def after_sending(
    schedule: WorkloadSchedule, now: datetime, waits_for: datetime | None, not_before: datetime | None = None
) -> WorkloadSchedule:
    """A run that looked through the outbox: next when the first email that is left waits for, None where none is left. What
    could not be sent though its time had come is looked at again soon. `send` makes the mailbox due by itself."""
    latest = now + IDLE_OUTBOX
    if waits_for is not None:
        possible = max(waits_for if waits_for > now else now + _STEP, not_before or waits_for)
        latest = min(latest, possible)
    return replace(_succeeded(schedule, now), due=latest, idle_polls=0)


def idle_interval(idle_polls: int, minimum: timedelta) -> timedelta:
    steps = min(idle_polls // _POLLS_PER_STEP, 8)
    if steps == 0:
        return minimum
    return max(minimum, min(LONGEST_POLL, max(minimum, _STEP) * (1 << steps)))


def continued(schedule: WorkloadSchedule, now: datetime, queued_for: timedelta) -> WorkloadSchedule:
    """A run whose continuation is queued."""
    until = now + queued_for
    return replace(_succeeded(schedule, now), due=until, queued_until=until, idle_polls=0)


def not_after(schedule: WorkloadSchedule, latest: datetime | None) -> WorkloadSchedule:
    """Due no later than `latest`: work on an item waits for then."""
    if latest is None or schedule.due is None or schedule.due <= latest:
        return schedule
    return replace(schedule, due=latest)


def with_missing_folder(schedule: WorkloadSchedule, code: str) -> WorkloadSchedule:
    """A run that could not read all its folders says so, though it ended well."""
    return replace(schedule, status=WorkloadStatus.FAILURE, last_error=code)


def after_test(schedule: WorkloadSchedule, now: datetime) -> WorkloadSchedule:
    """A test of the connection that went well: enabled, with nothing held against it. It was no run."""
    return replace(_succeeded(schedule, now), due=now, idle_polls=0, last_run_on=schedule.last_run_on)


def after_error(schedule: WorkloadSchedule, now: datetime, profile: EmailServerProfile, error: Exception) -> WorkloadSchedule:
    """What a failure with this profile does to the schedule, by what it says to its caller."""
    if isinstance(error, AuthenticationFailed) and error.profile_wide:
        return after_profile_error(schedule, now, profile.min_polling_interval, code_of(error))
    after = _after_error(schedule, now, profile.min_polling_interval, error)
    if after.breaker is None:
        return after
    return replace(after, breaker=replace(after.breaker, credential=credential_version(profile)))


def _after_error(schedule: WorkloadSchedule, now: datetime, minimum: timedelta, error: Exception) -> WorkloadSchedule:
    code = code_of(error)
    match error:
        case MailboxError():
            return after_mailbox_error(schedule, now, code)
        case TransientError():
            return after_transient(schedule, now, minimum, code, error.retry_after)
        case _:
            return after_transient(schedule, now, minimum, code)


def after_transient(
    schedule: WorkloadSchedule, now: datetime, minimum: timedelta, code: str, retry_after: timedelta | None = None
) -> WorkloadSchedule:
    """A transient failure: never before `retry_after`; ten in a row open the breaker, whose probes grow apart."""
    failures = schedule.failures + 1
    failed = replace(_failed(schedule, now, code), failures=failures)
    wait = max(minimum, min(retry_after or timedelta(), _LONGEST_RETRY_AFTER))
    if failures < FAILURES_TO_OPEN and schedule.breaker is None:
        return replace(failed, due=now + max(wait, _back_off(failures, retry_after)))
    openings = schedule.breaker.openings + 1 if schedule.breaker else 1
    probe_after = now + max(wait, min(_LONGEST_PROBE, _FIRST_PROBE * (1 << min(openings - 1, 8))))
    return replace(failed, due=probe_after, breaker=Breaker(code, _opened_on(schedule, now), probe_after, openings))


def after_mailbox_error(schedule: WorkloadSchedule, now: datetime, code: str) -> WorkloadSchedule:
    """An error that only a change of the mailbox repairs: off, and probed in an hour."""
    openings = schedule.breaker.openings + 1 if schedule.breaker else 1
    breaker = Breaker(code, _opened_on(schedule, now), now + PROBE_EVERY, openings)
    return replace(_failed(schedule, now, code), due=breaker.probe_after, breaker=breaker)


def after_profile_error(schedule: WorkloadSchedule, now: datetime, minimum: timedelta, code: str) -> WorkloadSchedule:
    """An error of the profile's credential: the profile's breaker holds the mailbox back, and lets it go at once."""
    return replace(_failed(schedule, now, code), due=now + minimum)


def profile_breaker(profile: StoredProfile, workload: Workload, now: datetime, code: str) -> Breaker:
    """The breaker that a refused credential of the profile opens, for an hour or until the credential changes."""
    former = breaker_of(profile, workload) if breaker_stops(profile, workload) else None
    openings, opened_on = (former.openings + 1, former.opened_on) if former else (1, now)
    return Breaker(code, opened_on, now + PROBE_EVERY, openings, credential_version(profile.record))


def opened_by(profile: StoredProfile, workload: Workload, now: datetime, code: str, *, probing: bool = False) -> Breaker | None:
    """The breaker that this failure opens; None where one of the same credential stands open already and nobody was sent to
    probe: of several mailboxes that fail together, the first one opens it."""
    if breaker_stops(profile, workload) and not at_probe(profile, workload, now) and not probing:
        return None
    return profile_breaker(profile, workload, now, code)


def after_refusal(schedule: WorkloadSchedule, now: datetime, reason: Ineligible) -> WorkloadSchedule:
    """A message slipped through to a mailbox that may not run. The run did not happen, so its status stays."""
    refused = replace(schedule, queued_until=None, last_error=reason.value)
    if reason in OWN_REASONS:
        return replace(refused, due=None)
    if reason is Ineligible.BREAKER_OPEN and schedule.breaker is not None:
        return replace(refused, due=schedule.breaker.probe_after, last_error=schedule.breaker.code)
    return replace(refused, due=now)


def _succeeded(schedule: WorkloadSchedule, now: datetime) -> WorkloadSchedule:
    return replace(
        schedule,
        queued_until=None,
        failures=0,
        breaker=None,
        status=WorkloadStatus.SUCCESS,
        last_run_on=now,
        last_error=None,
    )


def _failed(schedule: WorkloadSchedule, now: datetime, code: str) -> WorkloadSchedule:
    return replace(schedule, queued_until=None, status=WorkloadStatus.FAILURE, last_run_on=now, last_error=code)


def _back_off(failures: int, retry_after: timedelta | None) -> timedelta:
    """Where the server named a time, that time; else one minute, doubling up to 15."""
    if retry_after is not None:
        return timedelta()
    return min(LONGEST_POLL, _STEP * (1 << min(failures - 1, 8)))


def _opened_on(schedule: WorkloadSchedule, now: datetime) -> datetime:
    return schedule.breaker.opened_on if schedule.breaker else now
