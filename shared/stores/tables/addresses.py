"""Which records have an address now: the hints of the index, each confirmed against its record."""

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

from shared.domain.choices import OwnerKind
from shared.domain.configuration import AddressMatch
from shared.domain.ids import OwnerId, normalised_address
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
            return None if owner is None else _confirmed(kind, owner.record, [owner.record.address])
        record = self._book.get(kind, record_id)
        return None if record is None else _confirmed(kind, record.record, record.record.addresses)


class _Named(Protocol):
    @property
    def id(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def active(self) -> bool: ...


def _confirmed(kind: str, record: _Named, addresses: Collection[str]) -> _Confirmed:
    return AddressMatch(kind, record.id, record.name, record.active), {normalised_address(each) for each in addresses}


def _matches(address: str, records: Sequence[_Confirmed | None]) -> Sequence[AddressMatch]:
    return [found[0] for found in records if found is not None and address in found[1]]
