"""Which records have an address now: the hints of the index, each confirmed against its record."""

from collections.abc import Collection, Mapping, Sequence

from shared.domain.choices import OwnerKind
from shared.domain.configuration import AddressMatch, Owner, StoredOwner
from shared.domain.ids import OwnerId, normalised_address
from shared.domain.records import AddressBookRecord, RecordRef, StoredRecord, addresses_of, match_of
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
            address: [match_of(records[ref]) for ref in found if ref in records and _has(records[ref], address)]
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


def _has(record: Owner | AddressBookRecord, address: str) -> bool:
    return address in {normalised_address(each) for each in addresses_of(record)}
