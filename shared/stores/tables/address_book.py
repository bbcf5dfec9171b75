"""The address book: partitions by type and bucket, and beside it the index of addresses.

Every write of a record is guarded by the state that was read before, also where the caller does not care: what a record said
before decides which hints are removed.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from uuid import uuid4

from shared.domain.errors import AlreadyExists, Changed
from shared.domain.ids import normalised_address
from shared.domain.records import AddressBookRecord, StoredRecord
from shared.ports import Slice
from shared.stores.entities import record_key, record_partitions
from shared.stores.limits import checked_record
from shared.stores.parallel import Parallel
from shared.stores.tables.gateway import (
    Entity,
    Operation,
    Query,
    RowMissing,
    Verb,
    cut_transactions,
    operation,
)
from shared.stores.tables.hints import Hint, Hints
from shared.stores.tables.repeating import until_unchanged
from shared.stores.tables.table import Table, columns_of, record_of, slice_as

MARK = "announced"
"""Column of a record: the mark of the hints that were written for it."""


@dataclass(frozen=True, slots=True)
class _Before:
    """What stood there before a write."""

    row: Entity
    record: AddressBookRecord

    @property
    def mark(self) -> str:
        return str(self.row.columns[MARK])


class TableAddressBook:
    def __init__(self, records: Table, hints: Hints, parallel: Parallel) -> None:
        self._records = records
        self._hints = hints
        self._parallel = parallel

    def get(self, record_type: str, record_id: str) -> StoredRecord | None:
        found = self._before(record_type, record_id)
        return None if found is None else StoredRecord(found.record, found.row.etag)

    def list(self, record_type: str, continuation: str | None = None, limit: int = 100) -> Slice[StoredRecord]:
        query = Query(*record_partitions(record_type))
        return slice_as(self._records.slice(query, continuation, limit), _stored)

    def create(self, record: AddressBookRecord) -> StoredRecord:
        checked_record(record)
        if self._before(record.type, record.id) is not None:
            raise AlreadyExists(f"{record.type} {record.id}")
        try:
            return self._put_after(None, record)
        except AlreadyExists as error:
            raise AlreadyExists(f"{record.type} {record.id}") from error

    def put(self, record: AddressBookRecord, etag: str | None = None) -> StoredRecord:
        checked_record(record)
        if etag is None:
            return until_unchanged(lambda: self._put(record))
        try:
            return self._put(record, etag)
        except Changed as error:
            raise Changed(f"{record.type} {record.id} was changed since it was read") from error

    def put_many(self, records: Sequence[AddressBookRecord]) -> None:
        """Records that stand there as they are loaded are left alone, so that loading a file again costs little."""
        partitions = _by_partition(records)
        known = dict(zip(partitions, self._parallel.each(lambda each: self._known(*each), partitions.items()), strict=True))
        fresh = {name: _not_yet(rows, known[name]) for name, rows in partitions.items()}
        mark = uuid4().hex
        self._hints.write_many(pair for rows in fresh.values() for each in rows.values() for pair in _hints_of(each, mark))
        self._parallel.each(lambda name: self._put_partition(name, fresh[name], known[name], mark), fresh)

    def delete(self, record_type: str, record_id: str, etag: str) -> None:
        before = self._before(record_type, record_id)
        if before is None:
            return
        try:
            self._records.write(operation(Verb.DELETE, before.row.partition, before.row.row, etag=etag))
        except RowMissing:
            return
        except Changed as error:
            raise Changed(f"{record_type} {record_id} was changed since it was read") from error
        self._retire(before, ())

    def _put(self, record: AddressBookRecord, etag: str | None = None) -> StoredRecord:
        """Raises Changed, AlreadyExists when another one came in between."""
        before = self._before(record.type, record.id)
        if etag is not None and (before is None or before.row.etag != etag):
            raise Changed(f"{record.type} {record.id}")
        return self._put_after(before, record)

    def _put_after(self, before: _Before | None, record: AddressBookRecord) -> StoredRecord:
        """Raises Changed, AlreadyExists when another one came in between."""
        mark = uuid4().hex
        for address, hint in _hints_of(record, mark):
            self._hints.write(address, hint)
        fresh = self._records.write(_write(record, mark, before))
        if before is not None:
            self._retire(before, record.addresses)
        return StoredRecord(record, fresh)

    def _known(self, partition: str, records: Mapping[str, AddressBookRecord]) -> Mapping[str, _Before]:
        """What is there of these records; nothing, without a further look, if the first of them is not."""
        rows = list(records)
        return {} if self._records.get(partition, rows[0]) is None else self._those_of(partition, rows)

    def _put_partition(
        self, partition: str, records: Mapping[str, AddressBookRecord], before: Mapping[str, _Before], mark: str
    ) -> None:
        writes = [_write(record, mark, before.get(row)) for row, record in records.items()]
        for cut in cut_transactions([(each,) for each in writes]):
            batch = {each.row: records[each.row] for each in cut}
            try:
                self._records.transact(cut)
            except (AlreadyExists, Changed):
                self._put_over(partition, batch, mark)
                continue
            self._retire_many(batch, before)

    def _put_over(self, partition: str, records: Mapping[str, AddressBookRecord], mark: str) -> None:
        """Not all was as it seemed: a look at what is there now, and if that changes again, one by one. Who wrote meanwhile may
        have removed hints again, so they are written once more, after that look."""
        before = self._those_of(partition, list(records))
        fresh = _not_yet(records, before)
        for address, hint in (pair for row, each in fresh.items() if row in before for pair in _hints_of(each, mark)):
            self._hints.write(address, hint)
        try:
            for cut in cut_transactions([(_write(record, mark, before.get(row)),) for row, record in fresh.items()]):
                self._records.transact(cut)
        except (AlreadyExists, Changed):
            for record in fresh.values():
                self.put(record)
            return
        self._retire_many(fresh, before)

    def _retire_many(self, records: Mapping[str, AddressBookRecord], before: Mapping[str, _Before]) -> None:
        for row, record in records.items():
            if (stood := before.get(row)) is not None:
                self._retire(stood, record.addresses)

    def _those_of(self, partition: str, rows: Sequence[str]) -> Mapping[str, _Before]:
        found = self._records.those_of((partition, row) for row in rows)
        return {row: _standing(each) for (_, row), each in found.items()}

    def _before(self, record_type: str, record_id: str) -> _Before | None:
        found = self._records.get(*record_key(record_type, record_id))
        return None if found is None else _standing(found)

    def _retire(self, before: _Before, addresses: Iterable[str]) -> None:
        """The hints at addresses that the record had and has no more."""
        for address in _normalised(before.record.addresses) - _normalised(addresses):
            self._hints.retire(address, Hint(before.record.type, before.record.id, before.mark))


def _by_partition(records: Sequence[AddressBookRecord]) -> Mapping[str, Mapping[str, AddressBookRecord]]:
    """In the order of their keys; of one that stands there twice the last."""
    unique = {record_key(each.type, each.id): each for each in map(checked_record, records)}
    partitions: dict[str, dict[str, AddressBookRecord]] = {}
    for (partition, row), record in sorted(unique.items(), key=lambda each: each[0]):
        partitions.setdefault(partition, {})[row] = record
    return partitions


def _not_yet(records: Mapping[str, AddressBookRecord], known: Mapping[str, _Before]) -> Mapping[str, AddressBookRecord]:
    return {row: record for row, record in records.items() if (found := known.get(row)) is None or found.record != record}


def _standing(found: Entity) -> _Before:
    return _Before(found, record_of(AddressBookRecord, found))


def _write(record: AddressBookRecord, mark: str, before: _Before | None) -> Operation:
    key = record_key(record.type, record.id)
    columns = {**columns_of(record), MARK: mark}
    if before is None:
        return operation(Verb.INSERT, *key, columns)
    return operation(Verb.REPLACE, *key, columns, before.row.etag)


def _hints_of(record: AddressBookRecord, mark: str) -> Iterable[tuple[str, Hint]]:
    return [(address, Hint(record.type, record.id, mark)) for address in _normalised(record.addresses)]


def _normalised(addresses: Iterable[str]) -> set[str]:
    return {normalised_address(address) for address in addresses}


def _stored(found: Entity) -> StoredRecord:
    return StoredRecord(record_of(AddressBookRecord, found), found.etag)
