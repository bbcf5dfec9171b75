"""NCRONTAB schedules."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local.host.crontab import parse_crontab

SUNDAY = datetime(2026, 11, 22, 23, 59, 30, 500_000, tzinfo=UTC)


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("0 * * * * *", datetime(2026, 11, 23, 0, 0, 0, tzinfo=UTC)),
        ("*/5 * * * * *", datetime(2026, 11, 22, 23, 59, 35, tzinfo=UTC)),
        ("31 59 23 * * *", datetime(2026, 11, 22, 23, 59, 31, tzinfo=UTC)),
        ("30 59 23 * * *", datetime(2026, 11, 23, 23, 59, 30, tzinfo=UTC)),
        ("*/10 * * * *", datetime(2026, 11, 23, 0, 0, 0, tzinfo=UTC)),
        ("0 30 9-17/4 * * mon-fri", datetime(2026, 11, 23, 9, 30, 0, tzinfo=UTC)),
        ("0 0 0 1 Jan,Jul *", datetime(2027, 1, 1, tzinfo=UTC)),
        ("0 0 0 13 * 5", datetime(2027, 8, 13, tzinfo=UTC)),  # day and weekday both
        ("0 0 0 29 2 *", datetime(2028, 2, 29, tzinfo=UTC)),
        ("15/20 * * * * *", datetime(2026, 11, 22, 23, 59, 35, tzinfo=UTC)),
    ],
)
def test_the_next_occurrence(expression: str, expected: datetime) -> None:
    assert parse_crontab(expression).next_after(SUNDAY) == expected


def test_an_occurrence_is_not_its_own_successor() -> None:
    minute = parse_crontab("0 * * * * *")
    noon = datetime(2026, 1, 1, 12, tzinfo=UTC)
    assert minute.next_after(noon) == noon + timedelta(minutes=1)


def test_times_of_other_zones_are_taken_as_the_moment_they_are() -> None:
    noon_in_berlin = datetime(2026, 1, 1, 12, tzinfo=timezone(timedelta(hours=1)))
    assert parse_crontab("0 0 * * * *").next_after(noon_in_berlin) == datetime(2026, 1, 1, 12, tzinfo=UTC)


@given(
    moment=st.integers(1_500_000_000, 2_200_000_000).map(lambda seconds: datetime.fromtimestamp(seconds, UTC)),
    fields=st.tuples(st.integers(0, 59), st.integers(0, 59), st.integers(0, 23), st.integers(1, 28), st.integers(1, 12)),
)
def test_a_yearly_occurrence_is_found_within_a_year(moment: datetime, fields: tuple[int, ...]) -> None:
    second, minute, hour, day, month = fields
    found = parse_crontab(f"{second} {minute} {hour} {day} {month} *").next_after(moment)
    assert (found.second, found.minute, found.hour, found.day, found.month) == fields
    assert moment < found <= moment + timedelta(days=366)


@pytest.mark.parametrize(
    "expression", ["", "* * *", "60 * * * * *", "* * * 0 * *", "* * * * 13 *", "*/0 * * * * *", "5-1 * * * * *", "x * * * * *"]
)
def test_what_is_no_schedule_is_refused(expression: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_crontab(expression)


def test_a_schedule_that_never_occurs_is_refused() -> None:
    with pytest.raises(ValueError, match="never"):
        parse_crontab("0 0 0 30 2 *").next_after(SUNDAY)
