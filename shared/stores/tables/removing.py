"""Removes rows: those that are too old, a page at a time, and those that are named."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress

from shared.domain.errors import Changed
from shared.stores.limits import is_key
from shared.stores.parallel import Parallel
from shared.stores.tables.gateway import Entity, Operation, Query, Verb, operation, transactions_of
from shared.stores.tables.table import Table


def removed(table: Table, parallel: Parallel, query: Query, is_old: Callable[[Entity], bool] | None = None) -> Iterator[int]:
    """How many rows of each page were old, once they are gone; 0 too, so that whoever reads can stop at any page. A row that
    is written meanwhile stays: it is not that old any more."""
    after: tuple[str, str] | None = None
    while True:
        page, after = table.gateway.page(table.name, query, after=after)
        old = [row for row in page if is_old is None or is_old(row)]
        _remove(table, parallel, old)
        yield len(old)
        if after is None:
            return


def delete_rows(table: Table, parallel: Parallel, keys: Iterable[tuple[str, str]]) -> None:
    """Deletes rows by partition and row key, whatever they hold. Those that are gone already count as deleted."""
    known = (key for key in keys if all(map(is_key, key)))
    _delete_all(table, parallel, [operation(Verb.DELETE, *key) for key in known])


def _remove(table: Table, parallel: Parallel, rows: Sequence[Entity]) -> None:
    _delete_all(table, parallel, [operation(Verb.DELETE, row.partition, row.row, etag=row.etag) for row in rows])


def _delete_all(table: Table, parallel: Parallel, deletions: Sequence[Operation]) -> None:
    parallel.each(lambda cut: _delete(table, cut), transactions_of(deletions))


def _delete(table: Table, deletions: Sequence[Operation]) -> None:
    try:
        table.transact(deletions)
    except Changed:
        for deletion in deletions:
            with suppress(Changed):
                table.write(deletion)
