"""The contract of mailboxes and their schedules."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from shared.domain.choices import Workload, WorkloadStatus
from shared.domain.configuration import Breaker, DueMailbox, Schedule, StoredMailbox, WorkloadSchedule
from shared.domain.errors import AlreadyExists, Changed
from shared.domain.ids import MailboxId
from shared.ports import Stores
from shared.stores.entities import shard_number_of_mailbox
from shared.stores.tables.gateway import Operation
from tests.contracts.gateways import Asked, WatchedGateway, quietly
from tests.contracts.records import INCOMING, MINUTE, NOW, a_mailbox, an_id

OUTGOING = Workload.OUTGOING
DUE = WorkloadSchedule(due=NOW)
FAILING = WorkloadSchedule(
    due=NOW + MINUTE,
    queued_until=NOW,
    failures=3,
    idle_polls=4,
    breaker=Breaker("throttled", NOW, NOW + MINUTE),
    status=WorkloadStatus.FAILURE,
    last_run_on=NOW,
    last_error="throttled",
)


def due_now(stores: Stores, workload: Workload = INCOMING, first: int = 0, last: int = 255) -> list[DueMailbox]:
    return [each for group in stores.mailboxes.due(workload, NOW, first, last) for each in group]


def test_a_mailbox_reads_as_it_was_written_with_its_schedule(stores: Stores) -> None:
    created = stores.mailboxes.create(a_mailbox(), {INCOMING: FAILING, Workload.OUTGOING: WorkloadSchedule()})
    assert created == StoredMailbox(a_mailbox(), created.etag, {INCOMING: FAILING, Workload.OUTGOING: WorkloadSchedule()})
    assert stores.mailboxes.get(a_mailbox().id) == created
    assert stores.mailboxes.get(MailboxId(an_id("other"))) is None


def test_a_mailbox_is_created_once(stores: Stores) -> None:
    stores.mailboxes.create(a_mailbox(), {INCOMING: DUE})
    with pytest.raises(AlreadyExists):
        stores.mailboxes.create(a_mailbox(), {INCOMING: FAILING})
    found = stores.mailboxes.get(a_mailbox().id)
    assert found is not None
    assert found.schedule == {INCOMING: DUE}


def test_a_poll_never_changes_the_etag_of_the_record(stores: Stores) -> None:
    created = stores.mailboxes.create(a_mailbox(), {INCOMING: DUE, Workload.ACT: DUE})
    stores.mailboxes.reschedule(a_mailbox().id, INCOMING, FAILING)
    assert stores.mailboxes.get(a_mailbox().id) == replace(created, schedule={INCOMING: FAILING, Workload.ACT: DUE})
    stores.mailboxes.reschedule(a_mailbox().id, INCOMING, WorkloadSchedule())
    found = stores.mailboxes.get(a_mailbox().id)
    assert found is not None
    assert found.schedule[INCOMING] == WorkloadSchedule()


def test_replacing_a_mailbox_needs_its_etag_and_changes_only_the_workloads_named(stores: Stores) -> None:
    created = stores.mailboxes.create(a_mailbox(), {INCOMING: FAILING, Workload.ACT: DUE})
    changed = replace(a_mailbox(), active=False, profile_id=None)
    replaced = stores.mailboxes.replace(changed, created.etag, {INCOMING: WorkloadSchedule()})
    assert replaced.record == changed
    assert replaced.schedule == {INCOMING: WorkloadSchedule(), Workload.ACT: DUE}
    with pytest.raises(Changed):
        stores.mailboxes.replace(a_mailbox(), created.etag, {INCOMING: DUE})
    assert stores.mailboxes.get(a_mailbox().id) == replaced


def test_what_is_not_there_can_be_neither_replaced_nor_rescheduled(stores: Stores) -> None:
    etag = stores.mailboxes.create(a_mailbox("one"), {}).etag
    with pytest.raises(Changed):
        stores.mailboxes.replace(a_mailbox("two"), etag, {INCOMING: DUE})
    with pytest.raises(Changed):
        stores.mailboxes.reschedule(a_mailbox("two").id, INCOMING, DUE)
    assert stores.mailboxes.get(a_mailbox("two").id) is None


def test_mailboxes_are_listed_in_slices_each_with_its_schedule(stores: Stores) -> None:
    created = [stores.mailboxes.create(a_mailbox(number), {INCOMING: DUE}) for number in range(11)]
    found, at = list[StoredMailbox](), None
    while True:
        answer = stores.mailboxes.list(at, limit=3)
        assert len(answer.items) <= 3
        found += answer.items
        if (at := answer.continuation) is None:
            break
    assert sorted(found, key=lambda each: each.record.id) == sorted(created, key=lambda each: each.record.id)


def test_only_what_is_due_is_found(stores: Stores) -> None:
    stores.mailboxes.create(a_mailbox("due"), {INCOMING: DUE})
    stores.mailboxes.create(a_mailbox("overdue"), {INCOMING: WorkloadSchedule(due=NOW - 60 * MINUTE)})
    stores.mailboxes.create(a_mailbox("later"), {INCOMING: WorkloadSchedule(due=NOW + 0.000001 * MINUTE)})
    stores.mailboxes.create(a_mailbox("never"), {INCOMING: WorkloadSchedule(), Workload.OUTGOING: DUE})
    stores.mailboxes.create(a_mailbox("unscheduled"), {})
    found = due_now(stores)
    assert {each.id for each in found} == {a_mailbox("due").id, a_mailbox("overdue").id}
    assert {(each.workload, each.profile_id) for each in found} == {(INCOMING, a_mailbox().profile_id)}
    assert [each.id for each in due_now(stores, Workload.OUTGOING)] == [a_mailbox("never").id]
    assert due_now(stores, Workload.ACT) == []


def test_what_is_due_follows_the_profile_of_the_record(stores: Stores) -> None:
    created = stores.mailboxes.create(a_mailbox(), {INCOMING: DUE})
    stores.mailboxes.replace(replace(a_mailbox(), profile_id=None), created.etag, {INCOMING: DUE})
    assert [each.profile_id for each in due_now(stores)] == [None]


def test_due_mailboxes_come_in_groups_of_one_shard_in_order(stores: Stores) -> None:
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda number: stores.mailboxes.create(a_mailbox(number), {INCOMING: DUE}), range(40)))
    groups = list(stores.mailboxes.due(INCOMING, NOW, 0, 255))
    shards = [{shard_number_of_mailbox(each.id) for each in group} for group in groups]
    assert all(len(shard) == 1 for shard in shards)
    order = [shard.pop() for shard in shards]
    assert order == sorted(set(order))
    middle = due_now(stores, first=64, last=127)
    assert {each.id for each in middle} == {
        a_mailbox(number).id for number in range(40) if 64 <= shard_number_of_mailbox(a_mailbox(number).id) <= 127
    }


def test_a_mailbox_that_was_marked_is_due_again_when_its_message_was_lost(stores: Stores) -> None:
    created = stores.mailboxes.create(a_mailbox(), {INCOMING: replace(FAILING, due=NOW)})
    due = due_now(stores)
    assert stores.mailboxes.mark_queued(due, NOW + 5 * MINUTE) == due
    assert due_now(stores) == []
    found = stores.mailboxes.get(a_mailbox().id)
    assert found is not None
    assert found.schedule == {INCOMING: replace(FAILING, due=NOW + 5 * MINUTE, queued_until=NOW + 5 * MINUTE)}
    assert found.etag == created.etag
    again = [each for group in stores.mailboxes.due(INCOMING, NOW + 5 * MINUTE, 0, 255) for each in group]
    assert [each.id for each in again] == [a_mailbox().id]


def test_of_two_that_mark_one_wins(stores: Stores) -> None:
    stores.mailboxes.create(a_mailbox(), {INCOMING: DUE})
    due = due_now(stores)
    with ThreadPoolExecutor(2) as threads:
        marked = list(threads.map(lambda _: stores.mailboxes.mark_queued(due, NOW + MINUTE), range(2)))
    assert sorted(len(each) for each in marked) == [0, 1]


def test_what_was_rescheduled_meanwhile_is_not_marked_and_the_others_are(stores: Stores) -> None:
    shard: dict[int, list[int]] = {}
    for number in range(2000):
        shard.setdefault(shard_number_of_mailbox(a_mailbox(number).id), []).append(number)
    together = max(shard.values(), key=len)[:5]
    for number in together:
        stores.mailboxes.create(a_mailbox(number), {INCOMING: DUE})
    due = due_now(stores)
    stores.mailboxes.reschedule(a_mailbox(together[2]).id, INCOMING, WorkloadSchedule(due=NOW + 9 * MINUTE))
    marked = stores.mailboxes.mark_queued(due, NOW + MINUTE)
    assert {each.id for each in marked} == {a_mailbox(number).id for number in together if number != together[2]}
    found = stores.mailboxes.get(a_mailbox(together[2]).id)
    assert found is not None
    assert found.schedule[INCOMING].due == NOW + 9 * MINUTE


def test_mailboxes_of_several_shards_are_marked_too(stores: Stores) -> None:
    for number in range(9):
        stores.mailboxes.create(a_mailbox(number), {INCOMING: DUE})
    assert len(stores.mailboxes.mark_queued(due_now(stores), NOW + MINUTE)) == 9
    assert due_now(stores) == []


def test_marking_nothing_is_fine(stores: Stores) -> None:
    assert list(stores.mailboxes.mark_queued([], NOW)) == []


def schedule_of(stores: Stores) -> Schedule:
    found = stores.mailboxes.get(a_mailbox().id)
    assert found is not None
    return found.schedule


def test_a_workload_is_made_due_and_all_else_stays(stores: Stores) -> None:
    created = stores.mailboxes.create(a_mailbox(), {INCOMING: FAILING, OUTGOING: FAILING})
    stores.mailboxes.note_rules(a_mailbox().id)
    stores.mailboxes.make_due(a_mailbox().id, OUTGOING, NOW)
    schedule = {INCOMING: FAILING, OUTGOING: replace(FAILING, due=NOW)}
    assert stores.mailboxes.get(a_mailbox().id) == replace(created, schedule=schedule, has_rules=True)
    assert [each.id for each in due_now(stores, OUTGOING)] == [a_mailbox().id]
    assert due_now(stores) == []


def test_what_is_due_never_or_was_never_scheduled_can_be_made_due(stores: Stores) -> None:
    stores.mailboxes.create(a_mailbox(), {INCOMING: WorkloadSchedule()})
    for workload in (INCOMING, OUTGOING):
        stores.mailboxes.make_due(a_mailbox().id, workload, NOW)
    assert schedule_of(stores) == {INCOMING: WorkloadSchedule(due=NOW), OUTGOING: WorkloadSchedule(due=NOW)}
    (due,) = due_now(stores, OUTGOING)
    assert stores.mailboxes.mark_queued([due], NOW + MINUTE) == [due]
    assert schedule_of(stores)[OUTGOING] == WorkloadSchedule(due=NOW + MINUTE, queued_until=NOW + MINUTE)
    stores.mailboxes.reschedule(a_mailbox().id, OUTGOING, FAILING)
    assert schedule_of(stores)[OUTGOING] == FAILING


def test_a_mailbox_that_is_not_there_is_not_created_by_making_it_due(stores: Stores) -> None:
    stores.mailboxes.make_due(a_mailbox().id, OUTGOING, NOW)
    assert stores.mailboxes.get(a_mailbox().id) is None
    assert due_now(stores, OUTGOING) == []


def test_whoever_saw_it_due_before_does_not_mark_what_was_made_due_since(stores: Stores) -> None:
    stores.mailboxes.create(a_mailbox(), {OUTGOING: DUE})
    due = due_now(stores, OUTGOING)
    stores.mailboxes.make_due(a_mailbox().id, OUTGOING, NOW - MINUTE)
    assert list(stores.mailboxes.mark_queued(due, NOW + MINUTE)) == []


def test_what_is_due_before_stays_so(stores: Stores) -> None:
    stores.mailboxes.create(a_mailbox(), {OUTGOING: WorkloadSchedule(due=NOW)})
    stores.mailboxes.make_due(a_mailbox().id, OUTGOING, NOW + MINUTE)
    assert schedule_of(stores)[OUTGOING].due == NOW


def test_making_due_leaves_what_a_run_writes_meanwhile(on_watched: Stores, watched: WatchedGateway) -> None:
    later = replace(DUE, due=NOW + 3 * MINUTE)
    on_watched.mailboxes.create(a_mailbox(), {INCOMING: later, OUTGOING: later})

    def overtaken(asked: Asked) -> None:
        if not isinstance(asked, Operation):  # it reads first
            return
        watched.before = quietly
        on_watched.mailboxes.reschedule(a_mailbox().id, OUTGOING, FAILING)
        on_watched.mailboxes.reschedule(a_mailbox().id, INCOMING, FAILING)

    watched.before = overtaken
    on_watched.mailboxes.make_due(a_mailbox().id, OUTGOING, NOW)
    assert schedule_of(on_watched) == {INCOMING: FAILING, OUTGOING: replace(FAILING, due=NOW)}


def test_of_two_who_make_it_due_at_once_the_earlier_counts(on_watched: Stores, watched: WatchedGateway) -> None:
    on_watched.mailboxes.create(a_mailbox(), {OUTGOING: replace(DUE, due=NOW + 3 * MINUTE)})

    def overtaken(asked: Asked) -> None:
        if not isinstance(asked, Operation):
            return
        watched.before = quietly
        on_watched.mailboxes.make_due(a_mailbox().id, OUTGOING, NOW)

    watched.before = overtaken
    on_watched.mailboxes.make_due(a_mailbox().id, OUTGOING, NOW + MINUTE)
    assert schedule_of(on_watched)[OUTGOING].due == NOW
