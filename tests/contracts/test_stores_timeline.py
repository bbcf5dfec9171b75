"""The contract of timelines."""

from dataclasses import replace
from datetime import timedelta

from shared.domain.email import ListOf, TimelineEntry
from shared.ports import Stores
from tests.contracts.records import MINUTE, an_entry

MICROSECOND = timedelta(microseconds=1)


def listed(stores: Stores, whose: str = "anna", limit: int = 50, list_of: ListOf = ListOf.MAILBOX) -> list[TimelineEntry]:
    found, at = list[TimelineEntry](), None
    while True:
        answer = stores.timeline.list(list_of, whose, at, limit)
        assert len(answer.items) <= limit
        found += answer.items
        if (at := answer.continuation) is None:
            return found


def test_a_list_has_the_newest_first(stores: Stores) -> None:
    entries = [an_entry(number, age=number * MICROSECOND) for number in range(5)]
    stores.timeline.put([entries[3], entries[0], entries[4], entries[2], entries[1]])
    assert listed(stores) == entries


def test_a_long_list_comes_in_slices(stores: Stores) -> None:
    entries = [an_entry(number, age=number * MINUTE) for number in range(230)]
    stores.timeline.put(entries)
    assert listed(stores, limit=60) == entries
    assert listed(stores, limit=230) == entries


def test_putting_again_changes_nothing(stores: Stores) -> None:
    stores.timeline.put([an_entry()])
    stores.timeline.put([an_entry(), an_entry(), an_entry(subject="the last one counts")])
    assert listed(stores) == [an_entry(subject="the last one counts")]
    stores.timeline.put([])


def test_lists_are_kept_apart(stores: Stores) -> None:
    odd = "it's/an#odd?address\\@ü.example"
    stores.timeline.put([an_entry(), an_entry(whose=odd), replace(an_entry(whose=odd), list_of=ListOf.PARTY)])
    assert listed(stores) == [an_entry()]
    assert listed(stores, odd) == [an_entry(whose=odd)]
    assert listed(stores, odd, list_of=ListOf.PARTY) == [replace(an_entry(whose=odd), list_of=ListOf.PARTY)]
    assert listed(stores, list_of=ListOf.QUEUE) == []


def test_a_list_shows_the_start_of_a_long_subject(stores: Stores) -> None:
    stores.timeline.put([an_entry(subject="x\ud800" * 40_000)])
    assert listed(stores) == [an_entry(subject="x\ufffd" * 500)]
