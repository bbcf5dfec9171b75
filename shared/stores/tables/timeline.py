"""Timelines: whose list, newest first; a row carries what a list shows."""

from collections.abc import Sequence

from shared.domain.email import ListOf, TimelineEntry
from shared.ports import Slice
from shared.stores.entities import after, inverted_time, timeline_key
from shared.stores.limits import checked_id, storable_entry
from shared.stores.parallel import Parallel
from shared.stores.tables.gateway import Operation, Verb, cut_transactions, operation, rows_of
from shared.stores.tables.table import Table, columns_of, record_of, slice_as


class TableTimeline:
    def __init__(self, table: Table, parallel: Parallel) -> None:
        self._table = table
        self._parallel = parallel

    def put(self, entries: Sequence[TimelineEntry]) -> None:
        upserts = {(each.partition, each.row): each for each in map(_upsert, entries)}
        by_partition: dict[str, list[Sequence[Operation]]] = {}
        for each in upserts.values():
            by_partition.setdefault(each.partition, []).append((each,))
        self._parallel.each(self._table.transact, [cut for found in by_partition.values() for cut in cut_transactions(found)])

    def list(self, list_of: ListOf, whose: str, continuation: str | None = None, limit: int = 50) -> Slice[TimelineEntry]:
        partition, prefix = timeline_key(list_of, whose)
        found = self._table.slice(rows_of(partition, prefix, after(prefix)), continuation, limit)
        return slice_as(found, lambda row: record_of(TimelineEntry, row))


def _upsert(entry: TimelineEntry) -> Operation:
    partition, prefix = timeline_key(entry.list_of, entry.whose)
    row = f"{prefix}{inverted_time(entry.time)}:{checked_id(entry.activity_id)}"
    return operation(Verb.UPSERT, partition, row, columns_of(storable_entry(entry)))
