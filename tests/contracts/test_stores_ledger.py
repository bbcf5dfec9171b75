"""The contract of the ledger: the transaction that makes nothing get lost, and its fence."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from shared.domain.choices import Verdict, Workload
from shared.domain.email import ItemRef
from shared.domain.errors import LeaseLost
from shared.domain.ids import MailboxId, RunId
from shared.domain.ledger import LedgerCommit, LedgerHead, Mark, item_key
from shared.ports import LEDGER_COMMIT_ROWS, Stores
from tests.contracts.records import INCOMING, MINUTE, NOW, a_state, a_todo, an_id, an_item

ANNA = MailboxId(an_id("anna"))
BERT = MailboxId(an_id("bert"))


def commit(stores: Stores, etag: str | None, **parts: object) -> str:
    parts = {"state": a_state(), **parts}
    return stores.ledger.commit(ANNA, INCOMING, etag, LedgerCommit(**parts))  # type: ignore[arg-type]  # the caller names fields


def head(stores: Stores) -> LedgerHead:
    return stores.ledger.head(ANNA, INCOMING, NOW)


def test_a_ledger_begins_empty(stores: Stores) -> None:
    assert head(stores) == LedgerHead(None, None)
    assert list(stores.ledger.items(ANNA, INCOMING)) == []
    assert stores.ledger.get(ANNA, INCOMING, an_item().key) is None
    assert stores.ledger.find(ANNA, INCOMING, an_item().key.identity) == []


def test_a_commit_is_read_back_whole(stores: Stores) -> None:
    state = a_state(holder=RunId("message:1"), expires=NOW + MINUTE, takeovers=2, trying=an_item().key, page_open=True)
    marks = (Mark("inbox", "source", "watermark"), Mark("AAMk/other=", "source", None, caught_up=True))
    item = an_item(verdict=Verdict.QUARANTINED, attempts=5, error="item_unreadable", detail="no", received=None)
    etag = commit(stores, None, state=state, items=(item,), marks=marks, todos=(a_todo(),))
    assert head(stores) == LedgerHead(state, etag, tuple(sorted(marks, key=lambda mark: mark.folder)), (a_todo(),))
    assert list(stores.ledger.items(ANNA, INCOMING)) == [item]
    assert stores.ledger.get(ANNA, INCOMING, item.key) == item


def test_a_commit_replaces_what_it_names_and_leaves_the_rest(stores: Stores) -> None:
    marks = (Mark("inbox", "source", "one"), Mark("other", "source", "one"))
    etag = commit(stores, None, items=(an_item(1), an_item(2)), marks=marks, state=a_state(trying=an_item().key))
    commit(stores, etag, items=(an_item(2, attempts=7),), marks=(Mark("inbox", "source", "two"),), state=a_state("second"))
    found = head(stores)
    assert found.state == a_state("second")
    assert {mark.folder: mark.watermark for mark in found.marks} == {"inbox": "two", "other": "one"}
    assert {item.ref.id: item.attempts for item in stores.ledger.items(ANNA, INCOMING)} == {"AAMk1": 0, "AAMk2": 7}


def test_every_commit_changes_the_etag(stores: Stores) -> None:
    etags = [commit(stores, None)]
    for _ in range(3):
        etags.append(commit(stores, etags[-1]))
    assert len(set(etags)) == 4
    assert head(stores).etag == etags[-1]


def test_another_etag_is_a_lost_lease_and_nothing_is_written(stores: Stores) -> None:
    first = commit(stores, None, todos=(a_todo(),))
    second = commit(stores, first, state=a_state("second"))
    for stale in (first, None):
        with pytest.raises(LeaseLost):
            commit(stores, stale, items=(an_item(),), marks=(Mark("inbox", "source", "lost"),), done=(a_todo(),))
    assert head(stores) == LedgerHead(a_state("second"), second, (), (a_todo(),))
    assert list(stores.ledger.items(ANNA, INCOMING)) == []


def test_an_etag_without_a_state_is_a_lost_lease(stores: Stores) -> None:
    etag = commit(stores, None)
    with pytest.raises(LeaseLost):
        stores.ledger.commit(BERT, INCOMING, etag, LedgerCommit(a_state(), items=(an_item(),)))
    assert stores.ledger.head(BERT, INCOMING, NOW).state is None


def test_of_two_that_commit_one_wins(stores: Stores) -> None:
    etag = commit(stores, None)

    def attempt(nonce: str) -> str | None:
        try:
            commit(stores, etag, state=a_state(nonce), items=tuple(an_item(f"{nonce}{number}") for number in range(50)))
        except LeaseLost:
            return None
        return nonce

    with ThreadPoolExecutor(2) as threads:
        (winner,) = [each for each in threads.map(attempt, ["a", "b"]) if each]
    assert head(stores).state == a_state(winner)
    assert {item.ref.id[4] for item in stores.ledger.items(ANNA, INCOMING)} == {winner}


def test_ledgers_are_kept_apart(stores: Stores) -> None:
    commit(stores, None, items=(an_item(),))
    stores.ledger.commit(ANNA, Workload.ACT, None, LedgerCommit(a_state("act")))
    assert stores.ledger.head(ANNA, Workload.ACT, NOW).state == a_state("act")
    assert stores.ledger.head(BERT, INCOMING, NOW).state is None
    assert list(stores.ledger.items(ANNA, Workload.ACT)) == []


def test_only_todos_that_are_due_are_read_the_earliest_first(stores: Stores) -> None:
    todos = (
        a_todo("now", NOW),
        a_todo("later", NOW + 0.000001 * MINUTE),
        a_todo("before", NOW - 15 * MINUTE),
        a_todo("tomorrow", NOW + 1440 * MINUTE),
    )
    commit(stores, None, todos=todos)
    assert head(stores).todos == (todos[2], todos[0])
    assert len(stores.ledger.head(ANNA, INCOMING, NOW + 2 * 1440 * MINUTE).todos) == 4


def test_a_todo_that_is_done_is_gone_and_one_that_is_put_off_comes_later(stores: Stores) -> None:
    etag = commit(stores, None, todos=(a_todo("one"), a_todo("two")))
    etag = commit(stores, etag, done=(a_todo("one"), a_todo("two")), todos=(a_todo("two", NOW + MINUTE),))
    assert head(stores).todos == ()
    assert stores.ledger.head(ANNA, INCOMING, NOW + MINUTE).todos == (a_todo("two", NOW + MINUTE),)


def test_a_todo_may_be_done_twice(stores: Stores) -> None:
    etag = commit(stores, None, todos=(a_todo("one"), a_todo("two")))
    etag = commit(stores, etag, done=(a_todo("one"),))
    commit(stores, etag, items=(an_item(),), done=(a_todo("one"), a_todo("two"), a_todo("never"), a_todo("two")))
    assert head(stores).todos == ()
    assert list(stores.ledger.items(ANNA, INCOMING)) == [an_item()]


def test_a_todo_that_is_done_and_written_in_one_commit_stays(stores: Stores) -> None:
    etag = commit(stores, None, todos=(a_todo(),))
    commit(stores, etag, done=(a_todo(),), todos=(a_todo(),))
    assert head(stores).todos == (a_todo(),)


def test_a_commit_takes_all_the_rows_it_may_have(stores: Stores) -> None:
    items = tuple(an_item(number) for number in range(LEDGER_COMMIT_ROWS))
    commit(stores, None, items=items)
    assert len(list(stores.ledger.items(ANNA, INCOMING))) == LEDGER_COMMIT_ROWS


def test_a_commit_of_more_rows_is_refused(stores: Stores) -> None:
    with pytest.raises(ValueError, match="100 rows"):
        commit(stores, None, items=tuple(an_item(number) for number in range(LEDGER_COMMIT_ROWS)), todos=(a_todo(),))
    assert head(stores).state is None


def test_hostile_items_do_not_stop_the_commit_of_their_page(stores: Stores) -> None:
    hostile = "日\ud800" * 100_000
    items = tuple(an_item(number, message_id=hostile, detail=hostile) for number in range(LEDGER_COMMIT_ROWS))
    commit(stores, None, items=items)
    found = list(stores.ledger.items(ANNA, INCOMING))
    assert {item.message_id for item in found} == {"日\ufffd" * 500}
    assert {item.detail for item in found} == {"日\ufffd" * 500}


def test_items_are_found_by_their_identity(stores: Stores) -> None:
    moved = [item_key("same@fabrikam.example", ItemRef(place, "inbox")) for place in ("one", "two")]
    items = (*(an_item(key=key) for key in moved), an_item("other"))
    commit(stores, None, items=items)
    assert {item.key for item in stores.ledger.find(ANNA, INCOMING, moved[0].identity)} == set(moved)


def test_every_item_of_a_long_ledger_is_read(stores: Stores) -> None:
    etag = None
    for page in range(12):
        etag = commit(stores, etag, items=tuple(an_item(f"{page}-{number}") for number in range(LEDGER_COMMIT_ROWS)))
    assert len({item.key for item in stores.ledger.items(ANNA, INCOMING)}) == 12 * LEDGER_COMMIT_ROWS


@pytest.mark.parametrize("length", [30_000, 30_001, 500_000])
def test_watermarks_have_any_length(stores: Stores, length: int) -> None:
    first, second = (Mark("inbox", "source", letter * length) for letter in "ab")
    etag = commit(stores, None, marks=(first,))
    assert head(stores).marks == (first,)
    etag = commit(stores, etag, marks=(second,))
    assert head(stores).marks == (second,)
    etag = commit(stores, etag, marks=(second,))
    assert head(stores).marks == (second,)
    commit(stores, etag, marks=(Mark("inbox", "source", None),))
    assert head(stores).marks == (Mark("inbox", "source", None),)


def test_a_refused_commit_leaves_the_large_watermark_that_counts(stores: Stores) -> None:
    counts = Mark("inbox", "source", "a" * 40_000)
    etag = commit(stores, None, marks=(counts,))
    fresh = commit(stores, etag, state=a_state("second"))
    with pytest.raises(LeaseLost):
        commit(stores, etag, marks=(replace(counts, watermark="b" * 40_000),))
    assert head(stores) == LedgerHead(a_state("second"), fresh, (counts,), ())
