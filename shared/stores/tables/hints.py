"""The index of addresses. It only hints: this record may have that address.

A hint is written before the record that it announces, and believed only when the record confirms it. It is removed after a
record no longer has the address, and only if it announces nothing later than what that record said: its mark, which every
writing makes anew, tells that. So a crash leaves a hint too many, never one too few.

The hints of an address stand in one row, so that looking it up is one point read. A row has room for a few dozen; of an
address that more records have, the further hints are rows of their own behind it. The row says so before the first of them is
written, never forgets it, and takes no new hint from then on: a hint stands in one place.
"""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import batched

from shared.domain.errors import AlreadyExists, Changed, TransientError
from shared.stores.entities import address_key, after, further_hint_row, further_hints
from shared.stores.parallel import Parallel
from shared.stores.tables.gateway import Entity, Operation, Verb, cut_transactions, operation, rows_of
from shared.stores.tables.repeating import until_unchanged
from shared.stores.tables.table import Table, columns_of, record_of

IN_ONE_ROW = 50
"""Hints: with the longest types and ids, escaped as JSON, they fit in one column."""

_LOOKED_AT_ONCE = 16
"""Partitions: all the further ones of a load take one round of the threads or two."""

_ATTEMPTS = 20
"""More than where two meet: colleagues who share an address may all be written at once."""


@dataclass(frozen=True, slots=True)
class Hint:
    """The record of this type (or owner of this kind) and id may have the address that the key is the hash of."""

    kind: str
    id: str
    announced: str

    @property
    def key(self) -> tuple[str, str]:
        return self.kind, self.id


@dataclass(frozen=True, slots=True)
class _Hinted:
    """The row of an address."""

    hints: tuple[Hint, ...] = ()
    overflows: bool = False

    def adding(self, fresh: Iterable[Hint]) -> tuple["_Hinted", Sequence[Hint]]:
        """The row with these hints, and those of them that it has no room for."""
        standing = {each.key: each for each in self.hints}
        further: dict[tuple[str, str], Hint] = {}
        for hint in fresh:
            has_room = not self.overflows and len(standing) < IN_ONE_ROW
            place = standing if hint.key in standing or has_room else further
            place[hint.key] = hint
        return _Hinted(tuple(standing.values()), self.overflows or bool(further)), list(further.values())

    def without(self, hint: Hint) -> "_Hinted":
        return _Hinted(tuple(each for each in self.hints if each != hint), self.overflows)


type _ByRow = Mapping[str, Sequence[Hint]]


class Hints:
    def __init__(self, table: Table, parallel: Parallel) -> None:
        self._table = table
        self._parallel = parallel

    def of(self, address: str) -> Sequence[Hint]:
        """In the order of their types and ids."""
        partition, row = address_key(address)
        if (found := self._table.get(partition, row)) is None:
            return []
        hinted = record_of(_Hinted, found)
        hints = {each.key: each for each in hinted.hints}
        if hinted.overflows:
            prefix = further_hints(row)
            further = self._table.rows(rows_of(partition, prefix, after(prefix)))
            hints |= {hint.key: hint for hint in (record_of(Hint, each) for each in further)}
        return [hints[key] for key in sorted(hints)]

    def write(self, address: str, hint: Hint) -> None:
        partition, row = address_key(address)
        self._write(partition, row, [hint])

    def write_many(self, hints: Iterable[tuple[str, Hint]]) -> None:
        """In transactions, several at once. Not from within a task of `Parallel`.

        Most addresses that are loaded are new. Where some of the first partition are not, the others are looked at before they
        are written, several partitions at once, instead of being refused one after another.
        """
        partitions: dict[str, dict[str, list[Hint]]] = {}
        for address, hint in hints:
            partition, row = address_key(address)
            partitions.setdefault(partition, {}).setdefault(row, []).append(hint)
        ordered = sorted(partitions.items())
        first, others = ordered[:1], ordered[1:]
        if all(self._write_new(*each) for each in first):
            self._parallel.each(lambda each: self._write_new(*each), others)
        else:
            self._parallel.each(self._write_over, batched(others, _LOOKED_AT_ONCE, strict=False))

    def retire(self, address: str, hint: Hint) -> None:
        """Removes the hint, unless it was written again since: that announces something."""
        with suppress(TransientError):  # a hint too many is not believed
            until_unchanged(lambda: self._retire(*address_key(address), hint), _ATTEMPTS)

    def _write(self, partition: str, row: str, hints: Sequence[Hint]) -> None:
        def attempt() -> None:
            found = self._table.get(partition, row)
            self._add(partition, {row: hints}, {} if found is None else {row: found})

        until_unchanged(attempt, _ATTEMPTS)

    def _write_new(self, partition: str, hints: _ByRow) -> bool:
        """Whether all were; else they are written over."""
        try:
            self._add(partition, hints, {})
        except AlreadyExists:
            self._write_over([(partition, hints)])
            return False
        return True

    def _write_over(self, partitions: Sequence[tuple[str, _ByRow]]) -> None:
        """By a look at all of them; where that changes meanwhile, one by one."""
        standing = self._table.those_of((partition, row) for partition, hints in partitions for row in hints)
        for partition, hints in partitions:
            try:
                self._add(partition, hints, {row: standing[partition, row] for row in hints if (partition, row) in standing})
            except (AlreadyExists, Changed):
                for row, each in hints.items():
                    self._write(partition, row, each)

    def _add(self, partition: str, hints: _ByRow, standing: Mapping[str, Entity]) -> None:
        """Raises AlreadyExists, Changed where a row is not as it stood; a part may be written then. The rows of addresses
        come first: a reader looks behind them only where they say so."""
        rows, further = list[Operation](), list[Operation]()
        for row, fresh in hints.items():
            found = standing.get(row)
            before = _Hinted() if found is None else record_of(_Hinted, found)
            hinted, rest = before.adding(fresh)
            rows += [_written(partition, row, hinted, found)] if hinted != before else []
            further += [_further(partition, row, each) for each in rest]
        for cut in cut_transactions([(each,) for each in rows]) + cut_transactions([(each,) for each in further]):
            self._table.transact(cut)

    def _retire(self, partition: str, row: str, hint: Hint) -> None:
        """Raises Changed."""
        if (found := self._table.get(partition, row)) is None:
            return
        hinted = record_of(_Hinted, found)
        left = hinted.without(hint)
        if left != hinted:
            self._table.write(_written(partition, row, left, found))
        elif hinted.overflows:
            self._retire_further(partition, further_hint_row(row, hint.kind, hint.id), hint)

    def _retire_further(self, partition: str, row: str, hint: Hint) -> None:
        found = self._table.get(partition, row)
        if found is not None and record_of(Hint, found) == hint:
            self._table.write(operation(Verb.DELETE, partition, row, etag=found.etag))


def _written(partition: str, row: str, hinted: _Hinted, found: Entity | None) -> Operation:
    if found is None:
        return operation(Verb.INSERT, partition, row, columns_of(hinted))
    if hinted == _Hinted():
        return operation(Verb.DELETE, partition, row, etag=found.etag)
    # All columns are given: merging them replaces the row, and costs the emulator a fraction of what replacing does.
    return operation(Verb.MERGE, partition, row, columns_of(hinted), found.etag)


def _further(partition: str, row: str, hint: Hint) -> Operation:
    return operation(Verb.UPSERT, partition, further_hint_row(row, hint.kind, hint.id), columns_of(hint))
