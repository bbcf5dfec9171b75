"""No minute, wherever it begins, has more emails than the profile allows; and a mailbox does not wait for ever."""

from datetime import datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from shared.domain.ledger import LedgerHead
from shared.sync.pace import Pace, pace_of
from tests.builders import MONDAY

MINUTE = timedelta(minutes=1)


@given(
    per_minute=st.integers(1, 7),
    pauses=st.lists(st.floats(0, 30), min_size=1, max_size=60),
)
def test_every_minute_keeps_the_limit_over_any_pauses(per_minute: int, pauses: list[float]) -> None:
    pace, now = Pace(per_minute), MONDAY
    sent: list[datetime] = []
    for pause in pauses:
        now += timedelta(seconds=pause)
        if pace.room(now):
            pace, sent = pace.after_one(now), [*sent, now]
        mark = pace.mark()
        assert mark is not None
        pace = pace_of(LedgerHead(None, None, (mark,)), per_minute)
    for begin in sent:
        assert sum(begin <= each < begin + MINUTE for each in sent) <= per_minute


@given(per_minute=st.integers(1, 7), second=st.floats(0, 120))
def test_there_is_room_when_it_says_so_and_not_a_moment_before(per_minute: int, second: float) -> None:
    now = MONDAY + timedelta(seconds=second)
    pace = Pace(per_minute)
    for _ in range(per_minute):
        assert pace.room(now)
        pace = pace.after_one(now)
    assert not pace.room(now)
    then = pace.next_room(now)
    assert MINUTE <= then - now <= MINUTE + timedelta(seconds=5)
    assert pace.room(then)
    assert not pace.room(then - timedelta(microseconds=1))


def test_without_a_limit_nothing_is_counted_or_kept() -> None:
    pace = Pace(None)
    for _ in range(1000):
        pace = pace.after_one(MONDAY)
    assert pace.room(MONDAY)
    assert pace.mark() is None


def test_a_clock_that_is_set_back_does_not_stop_sending() -> None:
    pace = Pace(1).after_one(MONDAY + timedelta(days=1))
    assert pace.room(MONDAY)
