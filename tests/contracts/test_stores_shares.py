"""The contract of shares of connections, and how they are divided."""

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

from hypothesis import given
from hypothesis import strategies as st

from shared.ports import Stores
from shared.stores.sharing import Claims, claimed
from tests.contracts.records import MINUTE, NOW, an_id


def claim(stores: Stores, worker: str, wanted: int = 10, at: datetime = NOW, limit: int = 10, who: str = "app@tenant") -> int:
    return stores.shares.claim(who, worker, wanted, limit, at, at + 2 * MINUTE)


def test_the_first_worker_gets_what_it_wants_up_to_the_limit(stores: Stores) -> None:
    assert claim(stores, "one", wanted=4) == 4
    assert claim(stores, "one", wanted=40) == 10
    assert claim(stores, "one", wanted=40, who="another identity") == 10


def test_a_second_worker_gets_its_share_when_the_first_renews(stores: Stores) -> None:
    assert claim(stores, "one") == 10
    assert claim(stores, "two") == 0
    assert claim(stores, "one", at=NOW + MINUTE) == 5
    assert claim(stores, "two", at=NOW + MINUTE) == 5
    assert claim(stores, "one", at=NOW + MINUTE) == 5


def test_connections_that_are_in_use_are_not_taken_away(stores: Stores) -> None:
    assert claim(stores, "one") == 10
    assert claim(stores, "two") == 0
    assert stores.shares.claim("app@tenant", "one", 10, 10, NOW, NOW + MINUTE, in_use=8) == 8
    assert claim(stores, "two") == 2


def test_a_share_that_nobody_else_wants_is_not_cut(stores: Stores) -> None:
    assert claim(stores, "one", wanted=1) == 1
    assert claim(stores, "two") == 9
    assert claim(stores, "two", at=NOW + MINUTE) == 9


def test_a_claim_ends_with_its_time_or_when_it_is_given_back(stores: Stores) -> None:
    assert claim(stores, "one") == 10
    assert claim(stores, "two", at=NOW + MINUTE) == 0
    assert claim(stores, "two", at=NOW + 2 * MINUTE) == 10
    assert claim(stores, "two", wanted=0, at=NOW + 2 * MINUTE) == 0
    assert claim(stores, "three", at=NOW + 2 * MINUTE) == 10


def test_a_lower_limit_holds_from_the_next_claim_on(stores: Stores) -> None:
    assert claim(stores, "one") == 10
    assert claim(stores, "two", limit=4) == 0
    assert claim(stores, "one", limit=4) == 2
    assert claim(stores, "two", limit=4) == 2


def test_workers_that_start_at_once_share_the_limit_and_never_exceed_it(stores: Stores) -> None:
    workers = [f"worker {number}" for number in range(6)]
    with ThreadPoolExecutor(6) as pool:
        first = list(pool.map(lambda worker: claim(stores, worker), workers))
        assert sum(first) <= 10
        list(pool.map(lambda worker: claim(stores, worker), workers))
        third = list(pool.map(lambda worker: claim(stores, worker), workers))
    assert sum(third) == 10
    assert min(third) >= 1


def test_more_workers_than_a_row_has_room_for_go_without_and_stop_nobody(stores: Stores) -> None:
    workers = [an_id(number) for number in range(320)]
    first = [claim(stores, worker, wanted=1, limit=300) for worker in workers]
    assert (sum(first), first[0], first[-1]) == (250, 1, 0)
    assert claim(stores, workers[0], wanted=1, limit=300) == 1
    assert claim(stores, workers[0], wanted=0, limit=300) == 0
    assert claim(stores, workers[-1], wanted=1, limit=300) == 1


def test_those_that_only_wish_make_room_for_the_next(stores: Stores) -> None:
    assert claim(stores, "holder", wanted=10) == 10
    for number in range(260):
        assert claim(stores, f"waiting {number}") == 0
    assert claim(stores, "holder", at=NOW + MINUTE) < 10


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 12), st.integers(0, 9), st.integers(0, 3)), max_size=40))
def test_no_order_of_claims_gives_more_than_the_limit(steps: list[tuple[int, int, int, int]]) -> None:
    claims: Claims = {}
    now = NOW
    for worker, wanted, lasts, passes in steps:
        now += passes * MINUTE
        claims, given_now = claimed(claims, str(worker), wanted, 10, now, now + lasts * MINUTE)
        assert 0 <= given_now <= wanted
        assert sum(each.given for each in claims.values() if each.until > now) <= 10


@given(st.dictionaries(st.text(max_size=3), st.integers(1, 15), min_size=1, max_size=8), st.integers(1, 20))
def test_after_two_renewals_all_is_given_and_nobody_has_less_than_it_wants_while_another_has_two_more(
    wishes: dict[str, int], limit: int
) -> None:
    claims: Claims = {}
    shares: dict[str, int] = {}
    for _ in range(3):
        for worker, wanted in wishes.items():
            claims, shares[worker] = claimed(claims, worker, wanted, limit, NOW, NOW + MINUTE)
    assert sum(shares.values()) == min(limit, sum(wishes.values()))
    most = max(shares.values())
    for worker, share in shares.items():
        assert share == wishes[worker] or share >= most - 1
