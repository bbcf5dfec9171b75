"""Connections are admitted as the shared claim allows, and nobody waits for ever, whatever the store or the clock does."""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from threading import Event, Lock
from time import monotonic, sleep

import pytest

from shared.connectors.exchange.slots import NoShare, Share, Slots
from shared.domain.errors import Busy, TransientError
from shared.ports import ConnectionShares
from shared.stores.memory import memory_stores
from tests.builders import MONDAY

AT_ONCE = 0.2
"""Seconds; who waits longer does wait."""


@dataclass
class Clocks:
    """The time of day, and a clock that never goes back: both go when they are told."""

    now: datetime = MONDAY
    seconds: float = 1000.0

    def pass_by(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)
        self.seconds += seconds


@dataclass
class Observed:
    """A real store of shares; keeps what was asked, and can fail or stand still."""

    shares: ConnectionShares = field(default_factory=lambda: memory_stores().shares)
    asked: list[tuple[int, int]] = field(default_factory=list)
    """Connections wanted and in use."""
    fails: bool = False
    answers: Event = field(default_factory=Event)

    def __post_init__(self) -> None:
        self.answers.set()

    def claim(
        self, identity: str, worker: str, wanted: int, limit: int, now: datetime, until: datetime, in_use: int = 0
    ) -> int:
        self.asked.append((wanted, in_use))
        assert self.answers.wait(60)
        if self.fails:
            raise TransientError("The store does not answer.")
        return self.shares.claim(identity, worker, wanted, limit, now, until, in_use)


@pytest.fixture
def clocks() -> Clocks:
    return Clocks()


@pytest.fixture
def store() -> Iterator[Observed]:
    observed = Observed()
    yield observed
    observed.answers.set()


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(16) as pool:
        yield pool


def a_worker(store: Observed, clocks: Clocks, name: str = "one") -> Slots:
    return Slots(Share(store, "svc@contoso.example", name, lambda: clocks.now, lambda: clocks.seconds))


def taken(slots: Slots, count: int, limit: int = 4) -> ExitStack:
    """`count` calls under way, until the stack is closed."""
    stack = ExitStack()
    for _ in range(count):
        stack.enter_context(slots.one(limit, AT_ONCE))
    return stack


def taken_beside(threads: ThreadPoolExecutor, slots: Slots, limit: int, patience: float) -> "Future[None]":
    """A call of another thread, which ends as soon as it has begun."""

    def call() -> None:
        with slots.one(limit, patience):
            pass

    return threads.submit(call)


def until(fact: Callable[[], bool]) -> None:
    deadline = monotonic() + 30
    while not fact():
        assert monotonic() < deadline
        sleep(0.005)


# ---- without others


def test_no_more_calls_are_under_way_than_the_limit_allows(threads: ThreadPoolExecutor) -> None:
    slots, lock, now, most = Slots(), Lock(), 0, 0

    def call(_: int) -> None:
        nonlocal now, most
        with slots.one(3, 10):
            with lock:
                now += 1
                most = max(most, now)
            sleep(0.002)
            with lock:
                now -= 1

    list(threads.map(call, range(100)))
    assert most == 3


def test_who_waits_longer_than_its_patience_is_told_that_it_is_busy() -> None:
    slots = Slots()
    with taken(slots, 1, limit=1), pytest.raises(Busy), slots.one(1, 0.05):
        pytest.fail("let through")


def test_a_failed_call_frees_its_connection() -> None:
    slots = Slots()
    for _ in range(3):
        with pytest.raises(ValueError, match="x"), slots.one(1, AT_ONCE):
            raise ValueError("x")


# ---- claims


def test_one_claim_serves_a_minute_of_calls(store: Observed, clocks: Clocks) -> None:
    slots = a_worker(store, clocks)
    for _ in range(50):
        taken(slots, 1).close()
        clocks.pass_by(1)
    assert store.asked == [(1, 0)]
    clocks.pass_by(10)
    taken(slots, 1).close()
    assert store.asked == [(1, 0), (1, 0)]


def test_more_is_claimed_as_more_is_used_and_less_once_it_is_not(store: Observed, clocks: Clocks) -> None:
    slots = a_worker(store, clocks)
    taken(slots, 4).close()
    assert [wanted for wanted, _ in store.asked] == [1, 2, 4]
    for _ in range(3):
        clocks.pass_by(60)
        taken(slots, 1).close()
    assert store.asked[-1] == (1, 0)


def test_a_renewal_keeps_what_is_in_use_and_gives_up_what_others_wait_for(store: Observed, clocks: Clocks) -> None:
    one, two = a_worker(store, clocks, "one"), a_worker(store, clocks, "two")
    with taken(one, 3, limit=4):
        with pytest.raises(NoShare), two.one(4, AT_ONCE):
            pytest.fail("let through")
        clocks.pass_by(60)
        one.keep(4)
        assert store.asked[-1] == (3, 3)
        with taken(two, 1, limit=4), pytest.raises(Busy), one.one(4, AT_ONCE):
            pytest.fail("let through")


@pytest.mark.parametrize(("by_day", "by_seconds"), [(60.0, 60.0), (60.0, 0.0), (0.0, 60.0), (-3600.0, 1.0), (3600.0, 1.0)])
def test_a_claim_is_good_while_both_clocks_say_so(store: Observed, clocks: Clocks, by_day: float, by_seconds: float) -> None:
    """The time of day was set, or the machine slept."""
    slots = a_worker(store, clocks)
    taken(slots, 1).close()
    clocks.now += timedelta(seconds=by_day)
    clocks.seconds += by_seconds
    taken(slots, 1).close()
    assert len(store.asked) == 2


def test_where_others_have_them_all_nobody_waits_and_the_store_is_left_alone_for_a_while(
    store: Observed, clocks: Clocks
) -> None:
    one, two = a_worker(store, clocks, "one"), a_worker(store, clocks, "two")
    with taken(one, 4, limit=4):
        asked = len(store.asked)
        for _ in range(5):
            began = monotonic()
            with pytest.raises(NoShare) as raised, two.one(4, 30):
                pytest.fail("let through")
            assert monotonic() - began < 15, "it would wait for 30"
            assert raised.value.retry_after
        assert len(store.asked) == asked + 1
        clocks.pass_by(5)
        with pytest.raises(NoShare), two.one(4, 30):
            pytest.fail("let through")
        assert len(store.asked) == asked + 2


def test_what_a_dead_worker_had_comes_free_by_itself(store: Observed, clocks: Clocks) -> None:
    dead = a_worker(store, clocks, "dead")
    taken(dead, 4, limit=4)
    clocks.pass_by(160)
    taken(a_worker(store, clocks, "two"), 1, limit=4).close()


def test_a_call_that_outlasts_its_claim_keeps_its_connection(store: Observed, clocks: Clocks) -> None:
    """A stream of five minutes, which hears from the server within its timeout each time."""
    one, two = a_worker(store, clocks, "one"), a_worker(store, clocks, "two")
    with taken(one, 1, limit=1):
        for _ in range(5):
            clocks.pass_by(99)
            one.keep(1)
            with pytest.raises(NoShare), two.one(1, AT_ONCE):
                pytest.fail("let through")
    clocks.pass_by(160)
    taken(two, 1, limit=1).close()


def test_keeping_asks_the_store_no_more_than_once_a_minute(store: Observed, clocks: Clocks) -> None:
    slots = a_worker(store, clocks)
    with taken(slots, 1):
        for _ in range(60):
            clocks.pass_by(1)
            slots.keep(4)
    assert len(store.asked) == 2


# ---- the store fails


def test_a_renewal_that_fails_opens_nothing_and_is_not_repeated_by_everybody(store: Observed, clocks: Clocks) -> None:
    slots = a_worker(store, clocks)
    taken(slots, 1).close()
    clocks.pass_by(60)
    store.fails = True
    with pytest.raises(TransientError), slots.one(4, 30):
        pytest.fail("let through")
    for _ in range(5):
        with pytest.raises(Busy), slots.one(4, 30):
            pytest.fail("let through")
    assert len(store.asked) == 2
    store.fails = False
    clocks.pass_by(5)
    taken(slots, 1).close()


def test_more_that_cannot_be_asked_for_leaves_what_there_is(
    store: Observed, clocks: Clocks, threads: ThreadPoolExecutor
) -> None:
    slots = a_worker(store, clocks)
    with taken(slots, 1):
        store.fails = True
        waiting = taken_beside(threads, slots, 4, 10)
        until(lambda: len(store.asked) == 2)
    waiting.result(20)


def test_what_is_in_use_goes_on_where_the_store_fails(store: Observed, clocks: Clocks) -> None:
    slots = a_worker(store, clocks)
    with taken(slots, 1):
        clocks.pass_by(60)
        store.fails = True
        slots.keep(4)
        slots.keep(4)
    assert len(store.asked) == 2


def test_while_the_store_stands_still_others_wait_no_longer_than_their_patience_and_calls_end(
    store: Observed, clocks: Clocks, threads: ThreadPoolExecutor
) -> None:
    slots = a_worker(store, clocks)
    under_way = taken(slots, 1)
    store.answers.clear()
    asking = taken_beside(threads, slots, 4, 60)
    until(lambda: len(store.asked) == 2)
    with pytest.raises(Busy), slots.one(4, 0.05):
        pytest.fail("let through")
    ended = threads.submit(under_way.close)
    ended.result(20)
    assert not asking.done()
    store.answers.set()
    asking.result(20)


def test_those_that_wait_are_all_told_when_the_store_fails(
    store: Observed, clocks: Clocks, threads: ThreadPoolExecutor
) -> None:
    store.fails = True
    store.answers.clear()
    slots = a_worker(store, clocks)
    waiting = [taken_beside(threads, slots, 4, 30) for _ in range(8)]
    until(lambda: len(store.asked) == 1)
    store.answers.set()
    began = monotonic()
    assert all(isinstance(each.exception(20), TransientError) for each in waiting)
    assert monotonic() - began < 20, "each would wait for 30"
    assert len(store.asked) == 1


def test_who_waits_gets_what_another_worker_gives_up(store: Observed, clocks: Clocks, threads: ThreadPoolExecutor) -> None:
    """No call of its own ends to wake it: time alone makes it ask again."""
    one, two = a_worker(store, clocks, "one"), a_worker(store, clocks, "two")
    theirs, own = taken(one, 1, limit=2), taken(two, 1, limit=2)
    waiting = taken_beside(threads, two, 2, 10)
    until(lambda: len(store.asked) == 3)
    theirs.close()
    store.claim("svc@contoso.example", "one", 0, 2, clocks.now, clocks.now)
    clocks.pass_by(5)
    waiting.result(20)
    own.close()


# ---- many at once


def test_many_threads_of_several_workers_never_use_more_than_the_limit_and_all_come_to_an_end(
    store: Observed, clocks: Clocks, threads: ThreadPoolExecutor
) -> None:
    workers = [a_worker(store, clocks, name) for name in ("one", "two", "three")]
    lock, now, most, served = Lock(), 0, 0, 0

    def call(number: int) -> None:
        nonlocal now, most, served
        try:
            with workers[number % 3].one(5, 5):
                with lock:
                    now += 1
                    most, served = max(most, now), served + 1
                sleep(0.001)
                workers[number % 3].keep(5)
                with lock:
                    now -= 1
                    clocks.pass_by(0.3)
        except Busy:
            clocks.pass_by(0.1)

    began = monotonic()
    list(threads.map(call, range(600)))
    assert monotonic() - began < 30
    assert most <= 5
    assert served > 100
    assert all(worker._in_use == 0 for worker in workers)
