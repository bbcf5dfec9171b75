"""The address book, what finds addresses in it, and its bulk loads in memory."""

from collections.abc import Collection, Mapping, Sequence
from threading import RLock

from shared.domain.choices import OwnerKind
from shared.domain.configuration import AddressMatch, Owner, StoredOwner
from shared.domain.errors import AlreadyExists
from shared.domain.ids import OwnerId, normalised_address
from shared.domain.records import AddressBookRecord, BulkLoad, RecordRef, RejectedLine, StoredLoad, StoredRecord, match_of
from shared.ports import Slice
from shared.stores.codec import Plain, codec_of
from shared.stores.entities import inverted_time, rejected_row
from shared.stores.limits import checked_id, checked_record, checked_rejected
from shared.stores.memory.configuration import MemoryOwners
from shared.stores.memory.rows import Row, check_etag, row, slice_of

type _Key = tuple[str, str]


class MemoryAddressBook:
    def __init__(self) -> None:
        self._lock = RLock()
        self._rows: dict[_Key, Row[AddressBookRecord]] = {}
        self._having: dict[str, set[_Key]] = {}

    def get(self, record_type: str, record_id: str) -> StoredRecord | None:
        with self._lock:
            found = self._rows.get((record_type, record_id))
            return None if found is None else StoredRecord(found.record, found.etag)

    def list(self, record_type: str, continuation: str | None = None, limit: int = 100) -> Slice[StoredRecord]:
        with self._lock:
            ours = [
                ((record_id,), StoredRecord(found.record, found.etag))
                for (of_type, record_id), found in self._rows.items()
                if of_type == record_type
            ]
        return slice_of(ours, continuation, limit)

    def create(self, record: AddressBookRecord) -> StoredRecord:
        key = (checked_record(record).type, record.id)
        with self._lock:
            if key in self._rows:
                raise AlreadyExists(f"{record.type} {record.id}")
            return self._put(record)

    def put(self, record: AddressBookRecord, etag: str | None = None) -> StoredRecord:
        key = (checked_record(record).type, record.id)
        with self._lock:
            if etag is not None:
                check_etag(self._rows.get(key), etag, f"{record.type} {record.id}")
            return self._put(record)

    def put_many(self, records: Sequence[AddressBookRecord]) -> None:
        for record in records:
            checked_record(record)
        with self._lock:
            for record in records:
                self._put(record)

    def delete(self, record_type: str, record_id: str, etag: str) -> None:
        with self._lock:
            if (record_type, record_id) in self._rows:
                check_etag(self._rows[record_type, record_id], etag, f"{record_type} {record_id}")
                self._forget(self._rows.pop((record_type, record_id)).record)

    def having(self, address: str) -> Sequence[AddressMatch]:
        with self._lock:
            records = [self._rows[key].record for key in sorted(self._having.get(address, ()))]
        return [match_of(record) for record in records]

    def _put(self, record: AddressBookRecord) -> StoredRecord:
        key = (record.type, record.id)
        if before := self._rows.get(key):
            self._forget(before.record)
        for address in record.addresses:
            self._having.setdefault(normalised_address(address), set()).add(key)
        found = self._rows[key] = row(record)
        return StoredRecord(found.record, found.etag)

    def _forget(self, record: AddressBookRecord) -> None:
        for address in record.addresses:
            self._having[normalised_address(address)].discard((record.type, record.id))

    def snapshot(self) -> dict[str, Plain]:
        with self._lock:
            return {":".join(key): codec_of(AddressBookRecord).plain(found.record) for key, found in self._rows.items()}


class MemoryAddresses:
    def __init__(self, owners: MemoryOwners, book: MemoryAddressBook) -> None:
        self._owners = owners
        self._book = book

    def find(self, addresses: Collection[str]) -> Mapping[str, Sequence[AddressMatch]]:
        return {address: self._matches(address) for address in addresses}

    def records(self, named: Collection[RecordRef]) -> Mapping[RecordRef, Owner | AddressBookRecord]:
        found = {ref: self._record(ref) for ref in named}
        return {ref: stored.record for ref, stored in found.items() if stored is not None}

    def _record(self, ref: RecordRef) -> StoredOwner | StoredRecord | None:
        if ref.type in tuple(OwnerKind):
            return self._owners.get(OwnerKind(ref.type), OwnerId(ref.id))
        return self._book.get(ref.type, ref.id)

    def _matches(self, address: str) -> Sequence[AddressMatch]:
        found = [*self._owners.having(address), *self._book.having(address)]
        return sorted(found, key=lambda match: (match.kind, match.id))


class MemoryBulkLoads:
    def __init__(self) -> None:
        self._lock = RLock()
        self._rows: dict[str, Row[BulkLoad]] = {}
        self._rejected: dict[str, dict[str, RejectedLine]] = {}

    def create(self, load: BulkLoad) -> StoredLoad:
        with self._lock:
            if checked_id(load.id) in self._rows:
                raise AlreadyExists(f"bulk load {load.id}")
            return self._put(load)

    def get(self, load_id: str) -> StoredLoad | None:
        with self._lock:
            found = self._rows.get(load_id)
            return None if found is None else StoredLoad(found.record, found.etag)

    def list(self, continuation: str | None = None, limit: int = 50) -> Slice[StoredLoad]:
        with self._lock:
            loads = [
                ((inverted_time(found.record.created_on), load_id), StoredLoad(found.record, found.etag))
                for load_id, found in self._rows.items()
            ]
        return slice_of(loads, continuation, limit)

    def commit(self, load: BulkLoad, etag: str, rejected: Sequence[RejectedLine]) -> StoredLoad:
        lines = checked_rejected(rejected)
        with self._lock:
            check_etag(self._rows.get(load.id), etag, f"bulk load {load.id}")
            self._rejected.setdefault(load.id, {}).update({rejected_row(load.id, line): line for line in lines})
            return self._put(load)

    def rejected(self, load_id: str, continuation: str | None = None, limit: int = 100) -> Slice[RejectedLine]:
        with self._lock:
            lines = [((key,), line) for key, line in self._rejected.get(load_id, {}).items()]
        return slice_of(lines, continuation, limit)

    def delete(self, load_id: str, etag: str) -> None:
        with self._lock:
            if load_id in self._rows:
                check_etag(self._rows[load_id], etag, f"bulk load {load_id}")
                self._rejected.pop(load_id, None)
                del self._rows[load_id]

    def _put(self, load: BulkLoad) -> StoredLoad:
        found = self._rows[load.id] = row(load)
        return StoredLoad(found.record, found.etag)

    def snapshot(self) -> dict[str, Plain]:
        with self._lock:
            return {
                load_id: {
                    "record": codec_of(BulkLoad).plain(found.record),
                    "rejected": [
                        codec_of(RejectedLine).plain(line) for _, line in sorted(self._rejected.get(load_id, {}).items())
                    ],
                }
                for load_id, found in self._rows.items()
            }
