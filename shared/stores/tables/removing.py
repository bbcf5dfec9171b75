"""Removes rows that are too old, a page at a time. A row that is written meanwhile stays: it is not that old any more."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress

from shared.domain.errors import Changed
from shared.stores.parallel import Parallel
from shared.stores.tables.gateway import Entity, Operation, Query, Verb, cut_transactions, operation
from shared.stores.tables.table import Table


def removed(table: Table, parallel: Parallel, query: Query, is_old: Callable[[Entity], bool] | None = None) -> Iterator[int]:
    """How many rows of each page were old, once they are gone; 0 too, so that whoever reads can stop at any page."""
    after: tuple[str, str] | None = None
    while True:
        page, after = table.gateway.page(table.name, query, after=after)
        old = [row for row in page if is_old is None or is_old(row)]
        _remove(table, parallel, old)
        yield len(old)
        if after is None:
            return


def _remove(table: Table, parallel: Parallel, rows: Sequence[Entity]) -> None:
    by_partition: dict[str, list[Sequence[Operation]]] = {}
    for row in rows:
        deletion = operation(Verb.DELETE, row.partition, row.row, etag=row.etag)
        by_partition.setdefault(row.partition, []).append((deletion,))
    transactions = [cut for found in by_partition.values() for cut in cut_transactions(found)]
    parallel.each(lambda deletions: _delete(table, deletions), transactions)


def _delete(table: Table, deletions: Sequence[Operation]) -> None:
    try:
        table.transact(deletions)
    except Changed:
        for deletion in deletions:
            with suppress(Changed):
                table.write(deletion)
