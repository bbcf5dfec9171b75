"""Bulk loads: progress and rejected lines in one partition, so that one transaction writes both.

A load has a second row in the order of time, which only names it: the list reads these, newest first.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from shared.domain.errors import AlreadyExists, Changed
from shared.domain.records import BulkLoad, RejectedLine, StoredLoad
from shared.ports import Slice
from shared.stores.entities import LOADS, after, load_listed_row, load_row, rejected_prefix, rejected_row
from shared.stores.limits import checked_id, checked_rejected
from shared.stores.parallel import Parallel
from shared.stores.tables.gateway import Entity, RowMissing, Verb, operation, rows_of
from shared.stores.tables.removing import removed
from shared.stores.tables.table import Table, columns_of, record_of, slice_as


@dataclass(frozen=True, slots=True)
class _Listed:
    id: str


class TableBulkLoads:
    def __init__(self, table: Table, parallel: Parallel) -> None:
        self._table = table
        self._parallel = parallel

    def create(self, load: BulkLoad) -> StoredLoad:
        listed = load_listed_row(load.created_on, checked_id(load.id))
        inserts = [
            operation(Verb.INSERT, LOADS, load_row(load.id), columns_of(load)),
            operation(Verb.UPSERT, LOADS, listed, columns_of(_Listed(load.id))),
        ]
        try:
            etag, _ = self._table.transact(inserts)
        except AlreadyExists as error:
            raise AlreadyExists(f"bulk load {load.id}") from error
        return StoredLoad(load, etag)

    def get(self, load_id: str) -> StoredLoad | None:
        found = self._table.get(LOADS, load_row(load_id))
        return None if found is None else _stored(found)

    def list(self, continuation: str | None = None, limit: int = 50) -> Slice[StoredLoad]:
        found = self._table.slice(rows_of(LOADS, "time:", after("time:")), continuation, limit)
        loads = self._parallel.each(self.get, [record_of(_Listed, row).id for row in found.items])
        return Slice([load for load in loads if load is not None], found.continuation)

    def commit(self, load: BulkLoad, etag: str, rejected: Sequence[RejectedLine]) -> StoredLoad:
        lines = {rejected_row(load.id, line): line for line in checked_rejected(rejected)}
        writes = [
            operation(Verb.REPLACE, LOADS, load_row(checked_id(load.id)), columns_of(load), etag),
            *(operation(Verb.UPSERT, LOADS, row, columns_of(line)) for row, line in lines.items()),
        ]
        try:
            fresh = self._table.transact(writes)[0]
        except Changed as error:
            raise _changed(load.id) from error
        return StoredLoad(load, fresh)

    def rejected(self, load_id: str, continuation: str | None = None, limit: int = 100) -> Slice[RejectedLine]:
        prefix = rejected_prefix(load_id)
        found = self._table.slice(rows_of(LOADS, prefix, after(prefix)), continuation, limit)
        return slice_as(found, lambda row: record_of(RejectedLine, row))

    def delete(self, load_id: str, etag: str) -> None:
        """The load itself goes last, so that a repetition after a crash finds what is left."""
        found = self.get(load_id)
        if found is None:
            return
        _check_unchanged(found, etag)
        prefix = rejected_prefix(load_id)
        for _ in removed(self._table, self._parallel, rows_of(LOADS, prefix, after(prefix))):
            pass
        deletions = [
            operation(Verb.DELETE, LOADS, load_row(load_id), etag=etag),
            operation(Verb.DELETE, LOADS, load_listed_row(found.record.created_on, load_id)),
        ]
        try:
            self._table.transact(deletions)
        except RowMissing:
            return  # somebody else deleted both
        except Changed as error:
            raise _changed(load_id) from error


def _check_unchanged(found: StoredLoad, etag: str) -> None:
    if found.etag != etag:
        raise _changed(found.record.id)


def _changed(load_id: str) -> Changed:
    return Changed(f"bulk load {load_id} was changed since it was read")


def _stored(found: Entity) -> StoredLoad:
    return StoredLoad(record_of(BulkLoad, found), found.etag)
