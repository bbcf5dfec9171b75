"""The contract of the outbox: what waits to be sent, high priority first, then by due time."""

from dataclasses import replace
from datetime import timedelta, timezone

import pytest

from shared.domain.choices import Priority
from shared.domain.delivery import OutboxEntry
from shared.domain.errors import InvalidRecord
from shared.domain.ids import ActivityId, MailboxId
from shared.ports import OUTBOX_AT_ONCE, Stores
from tests.contracts.gateways import WatchedGateway
from tests.contracts.records import MINUTE, NOW, an_id, waiting

ANNA = MailboxId(an_id("anna"))
MICROSECOND = timedelta(microseconds=1)
HIGH, LOW = Priority.HIGH, Priority.LOW


def listed(stores: Stores, mailbox: MailboxId = ANNA, limit: int = 50) -> list[OutboxEntry]:
    found, at = list[OutboxEntry](), None
    while True:
        answer = stores.outbox.list(mailbox, at, limit)
        assert len(answer.items) <= limit
        found += answer.items
        if (at := answer.continuation) is None:
            return found


def test_an_empty_outbox_has_nothing_due(stores: Stores) -> None:
    assert list(stores.outbox.due(ANNA, NOW).entries) == []
    assert stores.outbox.next_due(ANNA) is None
    assert listed(stores) == []
    stores.outbox.put([])
    stores.outbox.remove([])


def test_what_is_due_comes_by_priority_and_then_by_time(stores: Stores) -> None:
    order = [
        waiting("high, late", due=-MINUTE, priority=HIGH),
        waiting("high", priority=HIGH),
        waiting("oldest", due=-60 * MINUTE),
        waiting("old", due=-MICROSECOND),
        waiting("low, oldest of all", due=-100 * MINUTE, priority=LOW),
    ]
    stores.outbox.put([order[3], order[0], order[4], order[2], order[1]])
    assert list(stores.outbox.due(ANNA, NOW).entries) == order
    assert listed(stores) == order


def test_what_is_due_later_waits_to_the_microsecond(stores: Stores) -> None:
    stores.outbox.put([waiting("now"), waiting("later", due=MICROSECOND), waiting("high", due=MINUTE, priority=HIGH)])
    assert [each.activity_id for each in stores.outbox.due(ANNA, NOW).entries] == [an_id("now")]
    assert len(stores.outbox.due(ANNA, NOW + MICROSECOND).entries) == 2
    assert len(stores.outbox.due(ANNA, NOW + MINUTE).entries) == 3
    assert list(stores.outbox.due(ANNA, NOW - MICROSECOND).entries) == []


def test_a_time_counts_in_whatever_zone_it_is_told(stores: Stores) -> None:
    in_zone = replace(waiting(), due=NOW.astimezone(timezone(timedelta(hours=5))))
    stores.outbox.put([in_zone])
    assert list(stores.outbox.due(ANNA, NOW - MICROSECOND).entries) == []
    assert list(stores.outbox.due(ANNA, NOW.astimezone(timezone(timedelta(hours=-7)))).entries) == [waiting()]
    stores.outbox.remove([waiting()])
    assert listed(stores) == []


def test_of_each_priority_as_many_are_given_as_asked_for(stores: Stores) -> None:
    high = [waiting(f"high {number}", due=number * MICROSECOND, priority=HIGH) for number in range(5)]
    normal = [waiting(number, due=number * MICROSECOND) for number in range(OUTBOX_AT_ONCE + 30)]
    stores.outbox.put(normal + high)
    assert list(stores.outbox.due(ANNA, NOW + MINUTE, 3).entries) == [*high[:3], *normal[:3]]
    assert list(stores.outbox.due(ANNA, NOW + MINUTE).entries) == [*high, *normal[:OUTBOX_AT_ONCE]]
    with pytest.raises(InvalidRecord):
        stores.outbox.due(ANNA, NOW, 0)


@pytest.mark.parametrize("first", list(Priority))
def test_the_first_of_all_is_told_whatever_its_priority(stores: Stores, first: Priority) -> None:
    for priority in Priority:
        stores.outbox.put([waiting(priority, due=MINUTE if priority is first else 2 * MINUTE, priority=priority)])
    assert stores.outbox.next_due(ANNA) == NOW + MINUTE
    stores.outbox.put([waiting("long ago", due=-500_000 * MINUTE, priority=first)])
    assert stores.outbox.next_due(ANNA) == NOW - 500_000 * MINUTE


def test_putting_an_entry_again_replaces_it(stores: Stores) -> None:
    again = replace(waiting(), announced_on=NOW + MINUTE)
    stores.outbox.put([waiting(), waiting("other")])
    stores.outbox.put([waiting(), again])
    assert {each.announced_on for each in listed(stores) if each.activity_id == again.activity_id} == {NOW + MINUTE}
    assert len(listed(stores)) == 2


def test_another_submission_of_an_email_has_an_entry_of_its_own_though_it_is_due_at_the_same_time(stores: Stores) -> None:
    again = replace(waiting(), submission="sent again")
    stores.outbox.put([waiting(), again])
    stores.outbox.remove([waiting()])
    assert listed(stores) == [again]


def test_an_email_that_is_put_off_stands_there_twice_until_the_earlier_entry_is_removed(stores: Stores) -> None:
    later = waiting(due=MINUTE)
    stores.outbox.put([waiting()])
    stores.outbox.put([later])
    assert listed(stores) == [waiting(), later]
    for _ in range(2):
        stores.outbox.remove([waiting()])
    assert listed(stores) == [later]


def test_entries_are_removed_by_mailbox_priority_time_email_and_submission(stores: Stores) -> None:
    stores.outbox.put([waiting()])
    stores.outbox.remove(
        [waiting("other"), waiting(priority=HIGH), waiting(due=MICROSECOND), waiting(mailbox="bert"), waiting("nobody")]
    )
    assert listed(stores) == [waiting()]
    stores.outbox.remove([replace(waiting(), submission="another"), replace(waiting(), submission="a/b")])
    assert listed(stores) == [waiting()]
    stores.outbox.remove([replace(waiting(), announced_on=NOW - MINUTE)])
    assert listed(stores) == []


def test_many_entries_are_put_and_removed_at_once(stores: Stores) -> None:
    entries = [waiting(number, due=number * MINUTE) for number in range(230)]
    stores.outbox.put(entries)
    stores.outbox.remove(entries[::2])
    stores.outbox.remove(entries[:20])
    assert listed(stores) == entries[21::2]


def test_a_long_outbox_comes_in_slices(stores: Stores) -> None:
    high = [waiting(f"high {number}", due=number * MINUTE, priority=HIGH) for number in range(70)]
    normal = [waiting(number, due=number * MINUTE) for number in range(70)]
    stores.outbox.put(normal + high)
    assert listed(stores, limit=60) == high + normal
    with pytest.raises(InvalidRecord):
        stores.outbox.list(ANNA, "no continuation")


def test_every_mailbox_has_an_outbox_of_its_own(stores: Stores) -> None:
    stores.outbox.put([waiting(), waiting(mailbox="bert", due=MINUTE), waiting("other", mailbox="bert", due=2 * MINUTE)])
    bert = MailboxId(an_id("bert"))
    assert list(stores.outbox.due(ANNA, NOW + MINUTE).entries) == [waiting()]
    assert stores.outbox.next_due(bert) == NOW + MINUTE
    assert len(listed(stores, bert)) == 2


@pytest.mark.parametrize("field", ["mailbox_id", "activity_id", "submission"])
def test_an_id_that_cannot_be_a_key_is_refused(stores: Stores, field: str) -> None:
    with pytest.raises(InvalidRecord) as caught:
        stores.outbox.put([waiting(), replace(waiting(), **{field: ActivityId("a/b")})])  # type: ignore[arg-type]  # a text
    assert caught.value.field == field
    assert listed(stores) == []
    stores.outbox.remove([replace(waiting(), mailbox_id=MailboxId("a/b"))])
    assert stores.outbox.next_due(MailboxId("a/b")) is None
    assert list(stores.outbox.due(MailboxId("a/b"), NOW).entries) == []


@pytest.mark.parametrize("entries", [0, 500])
def test_a_look_costs_one_request_per_priority(on_watched: Stores, watched: WatchedGateway, entries: int) -> None:
    on_watched.outbox.put([waiting(number) for number in range(entries)])
    for look in (lambda: on_watched.outbox.due(ANNA, NOW), lambda: on_watched.outbox.next_due(ANNA)):
        before = watched.requests
        look()
        assert watched.requests - before == len(Priority)
