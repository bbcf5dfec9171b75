"""Deletes rows that are known by their keys, whatever they hold."""

from collections.abc import Iterable, Sequence
from contextlib import suppress

from shared.stores.limits import is_key
from shared.stores.parallel import Parallel
from shared.stores.tables.gateway import Operation, RowMissing, Verb, operation, transactions_of
from shared.stores.tables.table import Table


def delete_rows(table: Table, parallel: Parallel, keys: Iterable[tuple[str, str]]) -> None:
    """By partition and row key, in as few transactions as they fit in. Those that are gone already count as deleted."""
    known = (key for key in keys if all(map(is_key, key)))
    deletions = transactions_of(operation(Verb.DELETE, *key) for key in known)
    parallel.each(lambda cut: _delete(table, cut), deletions)


def _delete(table: Table, deletions: Sequence[Operation]) -> None:
    try:
        table.transact(deletions)
    except RowMissing:
        for each in deletions:
            with suppress(RowMissing):
                table.write(each)
