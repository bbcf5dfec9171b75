"""The index of addresses. It only hints: this record may have that address.

A hint is written before the record that it announces, and believed only when the record confirms it. It is removed after a
record no longer has the address, and only if it announces nothing later than what that record said: the mark that a writer
leaves in its hints and in its record tells that. So a crash leaves a hint too many, never one too few.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from shared.domain.errors import Changed, TransientError
from shared.stores.entities import address_key, address_row, after
from shared.stores.parallel import Parallel
from shared.stores.tables.gateway import Entity, Operation, Verb, cut_transactions, operation, rows_of
from shared.stores.tables.table import Table, columns_of, record_of

MARK = "announced"
"""Column of a record: the mark of the hints that were written for it."""


@dataclass(frozen=True, slots=True)
class Hint:
    """The record of this type (or owner of this kind) and id may have the address that the key is the hash of."""

    kind: str
    id: str
    announced: str | None = None


class Hints:
    def __init__(self, table: Table, parallel: Parallel) -> None:
        self._table = table
        self._parallel = parallel

    def of(self, address: str) -> Sequence[Hint]:
        partition, prefix = address_key(address)
        return [record_of(Hint, found) for found in self._table.rows(rows_of(partition, prefix, after(prefix)))]

    def find(self, address: str, kind: str, record_id: str) -> Entity | None:
        return self._table.get(*address_row(address, kind, record_id))

    def write(self, address: str, hint: Hint) -> None:
        self._table.write(_upsert(address, hint))

    def write_many(self, hints: Iterable[tuple[str, Hint]]) -> None:
        """In transactions, several at once. Not from within a task of `Parallel`."""
        partitions: dict[str, dict[str, Operation]] = {}
        for address, hint in hints:
            upsert = _upsert(address, hint)
            partitions.setdefault(upsert.partition, {})[upsert.row] = upsert
        cuts = [cut for rows in partitions.values() for cut in cut_transactions([(each,) for each in rows.values()])]
        self._parallel.each(self._table.transact, cuts)

    def remove(self, hint: Entity | None) -> None:
        """By its ETag: one that was written again meanwhile announces something, and stays."""
        if hint is None:
            return
        try:
            self._table.write(operation(Verb.DELETE, hint.partition, hint.row, etag=hint.etag))
        except (Changed, TransientError):
            return  # a hint too many is not believed

    def retire(self, address: str, kind: str, record_id: str, mark: object) -> None:
        """Removes the hint, if the record that was written with `mark` is the last that it announced."""
        found = self.find(address, kind, record_id)
        if found is not None and found.columns.get(MARK) == mark:
            self.remove(found)


def _upsert(address: str, hint: Hint) -> Operation:
    return operation(Verb.UPSERT, *address_row(address, hint.kind, hint.id), columns_of(hint))
