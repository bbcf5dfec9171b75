"""Removes what is too old, a page at a time. A row that is written meanwhile stays as it is: it is not that old any more.

A table with partitions for each mailbox is walked in ranges of mailboxes, several at once. Each day begins with another range,
so that none is always the last when the time is never enough for all.
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime

from shared.domain.errors import Changed
from shared.stores.parallel import THREADS, Parallel
from shared.stores.tables.gateway import Entity, Operation, Query, Verb, cut_transactions, operation
from shared.stores.tables.table import Table

_RANGES = 64
_STRIDE = 39
"""Ranges from one day's first to the next one's: by the golden section, so that the days before have begun far from it."""


def removal(row: Entity) -> Operation:
    return operation(Verb.DELETE, row.partition, row.row, etag=row.etag)


def removed(table: Table, parallel: Parallel, query: Query) -> Iterator[int]:
    """How many rows each page had, once they are gone; 0 too, so that whoever reads can stop at any page."""
    for page in each_page(table, query):
        write_unchanged(table, parallel, [removal(row) for row in page])
        yield len(page)


def each_page(table: Table, query: Query) -> Iterator[Sequence[Entity]]:
    """Empty ones too."""
    after: tuple[str, str] | None = None
    while True:
        page, after = table.gateway.page(table.name, query, after=after)
        yield page
        if after is None:
            return


def write_unchanged(table: Table, parallel: Parallel, writes: Sequence[Operation]) -> Sequence[Operation]:
    """Those of the writes (each with an ETag) whose row nobody has written since; the others are left out."""
    found = parallel.each(lambda cut: _written(table, cut), _transactions(writes))
    return [write for cut in found for write in cut]


@dataclass(frozen=True, slots=True)
class _Place:
    """How far a range has been read."""

    query: Query
    after: tuple[str, str] | None = None


def swept(
    table: Table, parallel: Parallel, query: Query, day: datetime, change: Callable[[Entity], Operation | None]
) -> Iterator[int]:
    """How many rows were changed each time that a page of some ranges was. `query` bounds no partitions; `change` says what is
    to be done to a row, with its ETag, or None."""

    def sweep(place: _Place) -> tuple[int, _Place | None]:
        page, after = table.gateway.page(table.name, place.query, after=place.after)
        writes = [write for row in page if (write := change(row)) is not None]
        count = sum(len(_written(table, cut)) for cut in _transactions(writes))
        return count, None if after is None else _Place(place.query, after)

    waiting = deque(_Place(each) for each in _ranges(query, day))
    while waiting:
        taken = [waiting.popleft() for _ in range(min(THREADS, len(waiting)))]
        results = parallel.each(sweep, taken)
        waiting.extendleft(place for _, place in results if place is not None)
        yield sum(count for count, _ in results)


def _ranges(query: Query, day: datetime) -> Sequence[Query]:
    """What mailboxes' ids begin with divides them evenly: nearly all are UUIDs."""
    bounds = [f"{number * 256 // _RANGES:02x}" for number in range(1, _RANGES)]
    ranges = [
        replace(query, first_partition=first, last_partition=last)
        for first, last in zip([None, *bounds], [*bounds, None], strict=True)
    ]
    first = day.toordinal() * _STRIDE % _RANGES
    return [*ranges[first:], *ranges[:first]]


def _transactions(writes: Sequence[Operation]) -> Sequence[Sequence[Operation]]:
    by_partition: dict[str, list[Sequence[Operation]]] = {}
    for write in writes:
        by_partition.setdefault(write.partition, []).append((write,))
    return [cut for found in by_partition.values() for cut in cut_transactions(found)]


def _written(table: Table, writes: Sequence[Operation]) -> Sequence[Operation]:
    try:
        table.transact(writes)
    except Changed:
        return [write for write in writes if _is_written(table, write)]
    return writes


def _is_written(table: Table, write: Operation) -> bool:
    with suppress(Changed):
        table.write(write)
        return True
    return False
