"""When a workload runs next: properties that hold after any history of runs."""

from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain import scheduling
from shared.domain.choices import WorkloadStatus
from shared.domain.configuration import Breaker, WorkloadSchedule
from shared.domain.eligibility import Ineligible
from tests.builders import MONDAY

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)

EVENTS = ["busy", "idle", "transient", "throttled", "mailbox", "profile", "continued", "refused"]
HISTORIES = st.lists(st.sampled_from(EVENTS), min_size=1, max_size=40)
MINIMA = st.integers(0, 1440).map(lambda minutes: timedelta(minutes=minutes))


def after(schedule: WorkloadSchedule, event: str, minimum: timedelta) -> WorkloadSchedule:
    match event:
        case "busy":
            return scheduling.after_busy(schedule, MONDAY, minimum)
        case "idle":
            return scheduling.after_idle(schedule, MONDAY, minimum)
        case "transient":
            return scheduling.after_transient(schedule, MONDAY, minimum, "unreachable")
        case "throttled":
            return scheduling.after_transient(schedule, MONDAY, minimum, "throttled", 10 * MINUTE)
        case "mailbox":
            return scheduling.after_mailbox_error(schedule, MONDAY, "access_denied")
        case "profile":
            return scheduling.after_profile_error(schedule, MONDAY, minimum, "authentication_failed")
        case "continued":
            return scheduling.continued(schedule, MONDAY, 15 * MINUTE)
        case _:
            return scheduling.after_refusal(schedule, MONDAY, Ineligible.PROFILE_BREAKER_OPEN)


def replayed(history: list[str], minimum: timedelta) -> WorkloadSchedule:
    schedule = WorkloadSchedule(due=MONDAY)
    for event in history:
        schedule = after(schedule, event, minimum)
    return schedule


@given(HISTORIES, MINIMA)
def test_a_mailbox_is_always_due_again_never_in_the_past_and_within_a_day(history: list[str], minimum: timedelta) -> None:
    schedule = replayed(history, minimum)
    assert schedule.due is not None
    assert MONDAY <= schedule.due <= MONDAY + timedelta(days=1)


@given(HISTORIES, MINIMA)
def test_no_server_is_asked_more_often_than_its_profile_allows(history: list[str], minimum: timedelta) -> None:
    last = history[-1]
    if last in ("busy", "idle", "transient", "throttled", "profile"):
        due = replayed(history, minimum).due
        assert due is not None
        assert due - MONDAY >= minimum


@given(HISTORIES, MINIMA)
def test_status_and_last_error_tell_how_the_last_run_ended(history: list[str], minimum: timedelta) -> None:
    schedule = replayed(history, minimum)
    match history[-1]:
        case "busy" | "idle" | "continued":
            assert (schedule.status, schedule.last_error, schedule.breaker) == (WorkloadStatus.SUCCESS, None, None)
            assert schedule.failures == 0
        case "refused":
            assert schedule.last_error is not None
        case _:
            assert schedule.status is WorkloadStatus.FAILURE
            assert schedule.last_error is not None


@given(HISTORIES, MINIMA)
def test_an_open_breaker_is_due_at_its_probe(history: list[str], minimum: timedelta) -> None:
    schedule = replayed(history, minimum)
    if schedule.breaker is not None and history[-1] in ("transient", "throttled", "mailbox"):
        assert schedule.due == schedule.breaker.probe_after


@given(st.integers(0, 10_000), MINIMA)
def test_idle_polls_grow_apart_from_the_minimum_to_a_quarter_of_an_hour(idle_polls: int, minimum: timedelta) -> None:
    interval = scheduling.idle_interval(idle_polls, minimum)
    assert minimum <= interval <= max(minimum, 15 * MINUTE)
    assert interval <= scheduling.idle_interval(idle_polls + 1, minimum)


def test_an_idle_mailbox_ends_at_a_quarter_of_an_hour_and_a_busy_one_at_the_minimum() -> None:
    schedule = replayed(["idle"] * 30, MINUTE)
    assert schedule.due == MONDAY + 15 * MINUTE
    assert scheduling.after_busy(schedule, MONDAY, MINUTE).due == MONDAY + MINUTE


@given(st.integers(0, 10**7).map(lambda seconds: timedelta(seconds=seconds)))
def test_a_server_that_names_a_time_is_never_asked_before_it(retry_after: timedelta) -> None:
    due = scheduling.after_transient(WorkloadSchedule(), MONDAY, MINUTE, "throttled", retry_after).due
    assert due is not None
    assert due - MONDAY >= min(retry_after, timedelta(hours=24))


def test_ten_failures_in_a_row_open_the_breaker_and_a_success_between_them_does_not() -> None:
    assert replayed(["transient"] * 9, MINUTE).breaker is None
    assert replayed(["transient"] * 10, MINUTE).breaker is not None
    assert replayed(["transient"] * 9 + ["idle"] + ["transient"] * 9, MINUTE).breaker is None


def test_probes_of_an_open_breaker_grow_apart_up_to_four_hours() -> None:
    schedule = replayed(["transient"] * 10, MINUTE)
    intervals = []
    for _ in range(8):
        assert schedule.breaker is not None
        intervals.append(schedule.breaker.probe_after - MONDAY)
        schedule = after(schedule, "transient", MINUTE)
    assert intervals[:5] == [15 * MINUTE, 30 * MINUTE, HOUR, 2 * HOUR, 4 * HOUR]
    assert set(intervals[5:]) == {4 * HOUR}


@pytest.mark.parametrize("reason", sorted(scheduling.OWN_REASONS))
def test_a_refusal_by_the_mailboxs_own_record_ends_its_schedule(reason: Ineligible) -> None:
    refused = scheduling.after_refusal(WorkloadSchedule(due=MONDAY, queued_until=MONDAY), MONDAY, reason)
    assert (refused.due, refused.queued_until, refused.status) == (None, None, WorkloadStatus.NOT_RUN)


def test_a_refusal_by_the_breaker_waits_for_its_probe_and_keeps_the_error() -> None:
    breaker = Breaker("access_denied", MONDAY, MONDAY + HOUR)
    schedule = WorkloadSchedule(due=MONDAY, breaker=breaker, status=WorkloadStatus.FAILURE, last_error="access_denied")
    refused = scheduling.after_refusal(schedule, MONDAY, Ineligible.BREAKER_OPEN)
    assert (refused.due, refused.last_error, refused.status) == (MONDAY + HOUR, "access_denied", WorkloadStatus.FAILURE)


def test_work_that_waits_for_a_time_brings_the_due_time_forward_and_never_back() -> None:
    schedule = WorkloadSchedule(due=MONDAY + HOUR)
    assert scheduling.not_after(schedule, MONDAY + MINUTE).due == MONDAY + MINUTE
    assert scheduling.not_after(schedule, MONDAY + 2 * HOUR).due == MONDAY + HOUR
    assert scheduling.not_after(schedule, None).due == MONDAY + HOUR


@pytest.mark.parametrize(
    ("waits_for", "not_before", "expected"),
    [
        (None, None, timedelta(hours=24)),
        (MONDAY + timedelta(hours=3), None, timedelta(hours=3)),
        (MONDAY + timedelta(days=9), None, timedelta(hours=24)),
        (MONDAY - timedelta(hours=3), None, timedelta(minutes=1)),
        (MONDAY, MONDAY + timedelta(seconds=64), timedelta(seconds=64)),
        (MONDAY + timedelta(hours=3), MONDAY + timedelta(seconds=64), timedelta(hours=3)),
    ],
)
def test_a_mailbox_that_sends_is_due_when_the_first_email_that_is_left_is(
    waits_for: datetime | None, not_before: datetime | None, expected: timedelta
) -> None:
    schedule = WorkloadSchedule(due=MONDAY, queued_until=MONDAY, failures=3)
    following = scheduling.after_sending(schedule, MONDAY, waits_for, not_before)
    assert following.due == MONDAY + expected
    assert (following.queued_until, following.failures) == (None, 0)
