from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, Event

import pytest

from shared.connectors.gate import Gate
from shared.domain.errors import AuthenticationFailed, Busy, Unreachable


class Seconds:
    """A clock that goes when it is told."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Seconds:
    return Seconds()


@pytest.fixture
def gate(clock: Seconds) -> Gate:
    return Gate(profile_wide=True, seconds=clock)


def succeed(gate: Gate) -> None:
    with gate.attempt(1):
        gate.passed()


def be_refused(gate: Gate) -> None:
    with pytest.raises(AuthenticationFailed, match="401"), gate.attempt(1):
        raise AuthenticationFailed("401")


def be_turned_away(gate: Gate) -> None:
    with pytest.raises(AuthenticationFailed, match="less than an hour") as raised, gate.attempt(1):
        pytest.fail("let through")
    assert raised.value.profile_wide


def test_after_a_refusal_nobody_gets_through_for_an_hour(gate: Gate, clock: Seconds) -> None:
    be_refused(gate)
    clock.now = 3599
    be_turned_away(gate)
    clock.now = 3601
    succeed(gate)


def test_the_hour_counts_from_the_refusal_not_from_those_turned_away(gate: Gate, clock: Seconds) -> None:
    be_refused(gate)
    clock.now = 3000
    be_turned_away(gate)
    clock.now = 3601
    succeed(gate)


def test_after_the_hour_a_second_refusal_closes_it_again(gate: Gate, clock: Seconds) -> None:
    be_refused(gate)
    clock.now = 3601
    be_refused(gate)
    clock.now = 7000
    be_turned_away(gate)


def test_other_failures_close_nothing(gate: Gate) -> None:
    with pytest.raises(Unreachable), gate.attempt(1):
        raise Unreachable("x")
    succeed(gate)


def test_the_first_attempts_go_one_at_a_time(gate: Gate) -> None:
    inside, most = 0, 0

    def attempt(_: int) -> None:
        nonlocal inside, most
        with gate.attempt(60):
            inside += 1
            most = max(most, inside)
            Event().wait(0.005)
            inside -= 1

    with ThreadPoolExecutor(6) as threads:
        list(threads.map(attempt, range(12)))
    assert most == 1


def test_an_accepted_credential_is_used_at_once_by_all(gate: Gate) -> None:
    succeed(gate)
    together = Barrier(4, timeout=30)

    def attempt(_: int) -> None:
        with gate.attempt(1):
            together.wait()

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(attempt, range(4)))


def test_who_waits_too_long_for_the_first_outcome_is_told_so(gate: Gate) -> None:
    entered, leave = Event(), Event()

    def first() -> None:
        with gate.attempt(1):
            entered.set()
            leave.wait(30)

    with ThreadPoolExecutor(1) as threads:
        running = threads.submit(first)
        entered.wait(30)
        with pytest.raises(Busy), gate.attempt(0.01):
            pytest.fail("let through")
        leave.set()
        running.result()


def test_those_waiting_for_a_refused_attempt_are_turned_away(gate: Gate) -> None:
    entered, leave = Event(), Event()

    def first() -> None:
        with gate.attempt(1):
            entered.set()
            leave.wait(30)
            raise AuthenticationFailed("401")

    def second() -> None:
        entered.wait(30)
        with gate.attempt(60):
            pytest.fail("let through")

    with ThreadPoolExecutor(2) as threads:
        outcomes = [threads.submit(first), threads.submit(second)]
        entered.wait(30)
        leave.set()
        assert all(isinstance(outcome.exception(60), AuthenticationFailed) for outcome in outcomes)
