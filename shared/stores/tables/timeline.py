"""Timelines: whose list, newest first; a row carries what a list shows."""

from collections.abc import Sequence

from shared.domain.email import ListOf, TimelineEntry
from shared.ports import Slice
from shared.stores.entities import after, timeline_key, timeline_row
from shared.stores.limits import checked_id, storable_entry
from shared.stores.parallel import Parallel
from shared.stores.tables.deleting import delete_rows
from shared.stores.tables.gateway import Operation, Verb, operation, rows_of, transactions_of
from shared.stores.tables.table import Table, columns_of, record_of, slice_as


class TableTimeline:
    def __init__(self, table: Table, parallel: Parallel) -> None:
        self._table = table
        self._parallel = parallel

    def put(self, entries: Sequence[TimelineEntry]) -> None:
        self._parallel.each(self._table.transact, transactions_of(map(_upsert, entries)))

    def remove(self, entries: Sequence[TimelineEntry]) -> None:
        delete_rows(self._table, self._parallel, map(_key, entries))

    def list(self, list_of: ListOf, whose: str, continuation: str | None = None, limit: int = 50) -> Slice[TimelineEntry]:
        partition, prefix = timeline_key(list_of, whose)
        found = self._table.slice(rows_of(partition, prefix, after(prefix)), continuation, limit)
        return slice_as(found, lambda row: record_of(TimelineEntry, row))


def _upsert(entry: TimelineEntry) -> Operation:
    checked_id(entry.activity_id)
    return operation(Verb.UPSERT, *_key(entry), columns_of(storable_entry(entry)))


def _key(entry: TimelineEntry) -> tuple[str, str]:
    partition, prefix = timeline_key(entry.list_of, entry.whose)
    return partition, timeline_row(prefix, entry.time, entry.activity_id)
