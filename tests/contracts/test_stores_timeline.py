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


def test_entries_are_taken_off_a_list(stores: Stores) -> None:
    entries = [an_entry(number, age=number * MINUTE) for number in range(230)]
    stores.timeline.put(entries)
    for _ in range(2):
        stores.timeline.remove([replace(each, subject="as it was then") for each in entries[::2]])
    assert listed(stores) == entries[1::2]
    stores.timeline.remove([])


def test_taking_off_what_is_not_there_changes_nothing(stores: Stores) -> None:
    stores.timeline.put([an_entry()])
    others = [an_entry("other"), an_entry(age=MICROSECOND), an_entry(whose="bert"), replace(an_entry(), list_of=ListOf.QUEUE)]
    stores.timeline.remove(others)
    assert listed(stores) == [an_entry()]


def test_an_email_that_is_about_something_else_now_moves_to_another_list(stores: Stores) -> None:
    before, now = (replace(an_entry(whose=whose), list_of=ListOf.REGARDING) for whose in ("account:a", "lead:b"))
    stores.timeline.put([before, replace(before, list_of=ListOf.QUEUE)])
    stores.timeline.put([now])
    stores.timeline.remove([before])
    assert listed(stores, "account:a", list_of=ListOf.REGARDING) == []
    assert listed(stores, "lead:b", list_of=ListOf.REGARDING) == [now]
    assert listed(stores, "account:a", list_of=ListOf.QUEUE) == [replace(before, list_of=ListOf.QUEUE)]


def test_a_list_shows_the_start_of_a_long_subject(stores: Stores) -> None:
    stores.timeline.put([an_entry(subject="x\ud800" * 40_000)])
    assert listed(stores) == [an_entry(subject="x\ufffd" * 500)]
