"""The contract of bulk loads and the lines they rejected."""

from dataclasses import replace

import pytest

from shared.domain.errors import AlreadyExists, Changed, InvalidRecord
from shared.domain.records import LoadState, RejectedLine
from shared.ports import Stores
from shared.stores.account import StorageConnection, account_of
from shared.stores.azure import fast_gateway
from shared.stores.tables.gateway import Query
from tests.contracts.records import MINUTE, NOW, a_load


def rejected(line: int, field: str = "name") -> RejectedLine:
    return RejectedLine(line, field, f"line {line} has no {field}", "Write one.")


def test_a_load_reads_as_it_was_written(stores: Stores) -> None:
    created = stores.bulk_loads.create(a_load())
    assert created.record == a_load()
    assert stores.bulk_loads.get(a_load().id) == created
    assert stores.bulk_loads.get("another") is None
    assert stores.bulk_loads.get("a/b") is None
    assert list(stores.bulk_loads.rejected(a_load().id).items) == []


def test_a_load_is_created_once(stores: Stores) -> None:
    first = stores.bulk_loads.create(a_load())
    with pytest.raises(AlreadyExists):
        stores.bulk_loads.create(a_load(age=MINUTE))
    assert list(stores.bulk_loads.list().items) == [first]
    with pytest.raises(InvalidRecord):
        stores.bulk_loads.create(replace(a_load(), id="a/b"))


def test_progress_and_rejected_lines_are_written_together_or_not_at_all(stores: Stores) -> None:
    first = stores.bulk_loads.create(a_load())
    running = replace(a_load(), state=LoadState.RUNNING, lines=3, rejected=2, offset=5_000_000_000, held_until=NOW, attempts=2)
    second = stores.bulk_loads.commit(running, first.etag, [rejected(3), rejected(1)])
    with pytest.raises(Changed):
        stores.bulk_loads.commit(replace(running, lines=9), first.etag, [rejected(9)])
    assert stores.bulk_loads.get(a_load().id) == second
    assert list(stores.bulk_loads.rejected(a_load().id).items) == [rejected(1), rejected(3)]
    done = replace(running, state=LoadState.COMPLETED, finished_on=NOW + MINUTE, error="none")
    assert stores.bulk_loads.commit(done, second.etag, []).record == done


def test_a_load_that_is_not_there_makes_no_progress(stores: Stores) -> None:
    with pytest.raises(Changed):
        stores.bulk_loads.commit(a_load(), "etag", [rejected(1)])
    assert list(stores.bulk_loads.rejected(a_load().id).items) == []


def test_a_commit_takes_ninety_nine_rejected_lines_of_any_length(stores: Stores) -> None:
    first = stores.bulk_loads.create(a_load())
    long = RejectedLine(7, "f" * 5_000, "d" * 50_000 + "\ud800", "r" * 5_000)
    second = stores.bulk_loads.commit(a_load(), first.etag, [*map(rejected, range(100, 198)), long])
    with pytest.raises(ValueError, match="100 rejected lines"):
        stores.bulk_loads.commit(a_load(), second.etag, list(map(rejected, range(100))))
    found = stores.bulk_loads.rejected(a_load().id).items
    assert len(found) == 99
    assert (len(found[0].field), len(found[0].detail), len(found[0].remedy)) == (1_000, 1_000, 1_000)


def test_a_line_is_rejected_once_for_each_field_however_often_it_is_read(stores: Stores) -> None:
    stored = stores.bulk_loads.create(a_load())
    for _ in range(2):
        stored = stores.bulk_loads.commit(a_load(), stored.etag, [rejected(2), rejected(2, "type"), rejected(2)])
    assert len(stores.bulk_loads.rejected(a_load().id).items) == 2


def test_loads_and_rejected_lines_are_listed_in_slices(stores: Stores) -> None:
    loads = [stores.bulk_loads.create(a_load(number, age=number * MINUTE)) for number in (2, 0, 1)]
    first = stores.bulk_loads.list(limit=2)
    rest = stores.bulk_loads.list(first.continuation, limit=2)
    assert [*first.items, *rest.items] == [loads[1], loads[2], loads[0]]
    stores.bulk_loads.commit(loads[0].record, loads[0].etag, [rejected(line) for line in (10, 9, 100)])
    part = stores.bulk_loads.rejected(loads[0].record.id, limit=2)
    assert [each.line for each in part.items] == [9, 10]
    assert [each.line for each in stores.bulk_loads.rejected(loads[0].record.id, part.continuation).items] == [100]
    assert list(stores.bulk_loads.rejected(loads[1].record.id).items) == []


def test_nothing_is_left_of_a_load_that_was_deleted(stores: Stores) -> None:
    load, other = (stores.bulk_loads.create(a_load(number)) for number in (1, 2))
    other = stores.bulk_loads.commit(other.record, other.etag, [rejected(1)])
    for first in (0, 90, 180):
        load = stores.bulk_loads.commit(load.record, load.etag, [rejected(first + line) for line in range(90)])
    stores.bulk_loads.delete(load.record.id, load.etag)
    assert stores.bulk_loads.get(load.record.id) is None
    assert list(stores.bulk_loads.rejected(load.record.id).items) == []
    assert list(stores.bulk_loads.list().items) == [other]
    assert list(stores.bulk_loads.rejected(other.record.id).items) == [rejected(1)]
    stores.bulk_loads.delete(load.record.id, load.etag)
    with pytest.raises(Changed):
        stores.bulk_loads.commit(load.record, load.etag, [rejected(1)])


def test_a_load_that_was_changed_is_not_deleted(stores: Stores) -> None:
    first = stores.bulk_loads.create(a_load())
    second = stores.bulk_loads.commit(replace(a_load(), lines=1), first.etag, [rejected(1)])
    with pytest.raises(Changed):
        stores.bulk_loads.delete(a_load().id, first.etag)
    assert list(stores.bulk_loads.list().items) == [second]
    assert list(stores.bulk_loads.rejected(a_load().id).items) == [rejected(1)]


def test_the_row_that_lists_a_load_goes_with_it(on_azurite: Stores, connection: StorageConnection, prefix: str) -> None:
    stored = on_azurite.bulk_loads.create(a_load())
    stored = on_azurite.bulk_loads.commit(stored.record, stored.etag, [rejected(1)])
    on_azurite.bulk_loads.delete(a_load().id, stored.etag)
    rows, _ = fast_gateway(account_of(connection)).page(f"{prefix}Loads", Query())
    assert list(rows) == []
