"""Which records have an address now: the hints of the index, each confirmed against its record."""

from collections.abc import Collection, Mapping, Sequence

from shared.domain.choices import OwnerKind
from shared.domain.configuration import AddressMatch, Owner
from shared.domain.ids import OwnerId, normalised_address
from shared.domain.records import AddressBookRecord
from shared.stores.parallel import Parallel
from shared.stores.tables.address_book import TableAddressBook
from shared.stores.tables.hints import Hints
from shared.stores.tables.owners import TableOwners

type _Key = tuple[str, str]
"""Kind of an owner or type of a record, and its id."""

type _Confirmed = tuple[AddressMatch, Collection[str]]
"""A record, and the addresses that it has."""


class TableAddresses:
    def __init__(self, owners: TableOwners, book: TableAddressBook, hints: Hints, parallel: Parallel) -> None:
        self._owners = owners
        self._book = book
        self._hints = hints
        self._parallel = parallel

    def find(self, addresses: Collection[str]) -> Mapping[str, Sequence[AddressMatch]]:
        asked = sorted(set(addresses))
        hinted = dict(zip(asked, self._parallel.each(self._hinted, asked), strict=True))
        keys = sorted({key for found in hinted.values() for key in found})
        records = dict(zip(keys, self._parallel.each(self._record, keys), strict=True))
        return {address: _matches(address, [records[key] for key in found]) for address, found in hinted.items()}

    def _hinted(self, address: str) -> Sequence[_Key]:
        return [(hint.kind, hint.id) for hint in self._hints.of(address)]

    def _record(self, key: _Key) -> _Confirmed | None:
        kind, record_id = key
        if kind in tuple(OwnerKind):
            owner = self._owners.get(OwnerKind(kind), OwnerId(record_id))
            return None if owner is None else _owner(owner.record)
        record = self._book.get(kind, record_id)
        return None if record is None else _of_address_book(record.record)


def _owner(owner: Owner) -> _Confirmed:
    match = AddressMatch(owner.kind, owner.id, owner.name, owner.active, filtering_method=owner.filtering_method)
    return match, {normalised_address(owner.address)}


def _of_address_book(record: AddressBookRecord) -> _Confirmed:
    match = AddressMatch(record.type, record.id, record.name, record.active, owner_id=record.owner_id)
    return match, {normalised_address(each) for each in record.addresses}


def _matches(address: str, records: Sequence[_Confirmed | None]) -> Sequence[AddressMatch]:
    return [found[0] for found in records if found is not None and address in found[1]]
