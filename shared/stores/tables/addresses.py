"""Which records have an address now: the hints of the index, each confirmed against its record."""

from collections.abc import Collection, Mapping, Sequence

from shared.domain.choices import OwnerKind
from shared.domain.configuration import AddressMatch, Owner, StoredOwner
from shared.domain.ids import OwnerId, normalised_address
from shared.domain.records import AddressBookRecord, RecordRef, StoredRecord
from shared.stores.parallel import Parallel
from shared.stores.tables.address_book import TableAddressBook
from shared.stores.tables.hints import Hints
from shared.stores.tables.owners import TableOwners


class TableAddresses:
    def __init__(self, owners: TableOwners, book: TableAddressBook, hints: Hints, parallel: Parallel) -> None:
        self._owners = owners
        self._book = book
        self._hints = hints
        self._parallel = parallel

    def find(self, addresses: Collection[str]) -> Mapping[str, Sequence[AddressMatch]]:
        asked = sorted(set(addresses))
        hinted = dict(zip(asked, self._parallel.each(self._hinted, asked), strict=True))
        records = self.records({ref for found in hinted.values() for ref in found})
        return {
            address: [_match(records[ref]) for ref in found if ref in records and _has(records[ref], address)]
            for address, found in hinted.items()
        }

    def records(self, named: Collection[RecordRef]) -> Mapping[RecordRef, Owner | AddressBookRecord]:
        asked = list(named)
        found = zip(asked, self._parallel.each(self._record, asked), strict=True)
        return {ref: stored.record for ref, stored in found if stored is not None}

    def _hinted(self, address: str) -> Sequence[RecordRef]:
        return [RecordRef(hint.kind, hint.id) for hint in self._hints.of(address)]

    def _record(self, ref: RecordRef) -> StoredOwner | StoredRecord | None:
        if ref.type in tuple(OwnerKind):
            return self._owners.get(OwnerKind(ref.type), OwnerId(ref.id))
        return self._book.get(ref.type, ref.id)


def _match(record: Owner | AddressBookRecord) -> AddressMatch:
    if isinstance(record, Owner):
        return AddressMatch(record.kind, record.id, record.name, record.active, filtering_method=record.filtering_method)
    return AddressMatch(
        record.type, record.id, record.name, record.active, owner_id=record.owner_id, do_not_email=record.do_not_email
    )


def _has(record: Owner | AddressBookRecord, address: str) -> bool:
    addresses = (record.address,) if isinstance(record, Owner) else record.addresses
    return address in {normalised_address(each) for each in addresses}
