"""Owners, and the address book beside them.

The address book only hints at owners: a hint is written before the record it announces, removed after the record that no
longer has the address, and believed only when the record confirms it. So a crash in between leaves a hint too many, never
one too few.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from shared.domain.choices import OwnerKind
from shared.domain.configuration import AddressMatch, Owner, StoredOwner
from shared.domain.errors import AlreadyExists, Changed, TransientError
from shared.domain.ids import OwnerId, normalised_address
from shared.ports import Slice
from shared.stores.entities import address_key, address_row, after, owner_key
from shared.stores.limits import checked_id
from shared.stores.parallel import Parallel
from shared.stores.tables.gateway import Entity, Query, Verb, operation, rows_of
from shared.stores.tables.table import Table, columns_of, record_of, slice_as


@dataclass(frozen=True, slots=True)
class _Hint:
    """This owner may have the address that the key is the hash of."""

    kind: OwnerKind
    id: OwnerId


class TableOwners:
    def __init__(self, owners: Table, addresses: Table) -> None:
        self._owners = owners
        self._addresses = addresses

    def get(self, kind: OwnerKind, owner_id: OwnerId) -> StoredOwner | None:
        found = self._owners.get(*owner_key(kind, owner_id))
        return None if found is None else _stored(found)

    def list(self, kind: OwnerKind, continuation: str | None = None, limit: int = 100) -> Slice[StoredOwner]:
        prefix = f"{kind}:"
        return slice_as(self._owners.slice(Query(first_row=prefix, before_row=after(prefix)), continuation, limit), _stored)

    def create(self, owner: Owner) -> StoredOwner:
        insert = operation(Verb.INSERT, *owner_key(owner.kind, checked_id(owner.id)), columns_of(owner))
        if self.get(owner.kind, owner.id) is not None:
            raise AlreadyExists(f"{owner.kind} {owner.id}")
        self._hint_at(owner)
        try:
            return StoredOwner(owner, self._owners.write(insert))
        except AlreadyExists as error:
            raise AlreadyExists(f"{owner.kind} {owner.id}") from error

    def replace(self, owner: Owner, etag: str) -> StoredOwner:
        before = self.get(owner.kind, owner.id)
        if before is None or before.etag != etag:
            raise Changed(f"{owner.kind} {owner.id} was changed since it was read")
        outdated = self._hint_of(before.record) if _moved(before.record, owner) else None
        self._hint_at(owner)
        try:
            fresh = self._owners.write(operation(Verb.REPLACE, *owner_key(owner.kind, owner.id), columns_of(owner), etag))
        except Changed as error:
            raise Changed(f"{owner.kind} {owner.id} was changed since it was read") from error
        self._remove(outdated)
        return StoredOwner(owner, fresh)

    def _hint_at(self, owner: Owner) -> None:
        key = address_row(owner.address, owner.kind, owner.id)
        self._addresses.write(operation(Verb.UPSERT, *key, columns_of(_Hint(owner.kind, owner.id))))

    def _hint_of(self, owner: Owner) -> Entity | None:
        return self._addresses.get(*address_row(owner.address, owner.kind, owner.id))

    def _remove(self, hint: Entity | None) -> None:
        """By its ETag: if the owner got its old address back meanwhile, the hint was written again and stays."""
        if hint is None:
            return
        try:
            self._addresses.write(operation(Verb.DELETE, hint.partition, hint.row, etag=hint.etag))
        except (Changed, TransientError):
            return  # a hint too many is not believed


class TableAddresses:
    def __init__(self, owners: TableOwners, addresses: Table, parallel: Parallel) -> None:
        self._owners = owners
        self._addresses = addresses
        self._parallel = parallel

    def find(self, addresses: Collection[str]) -> Mapping[str, Sequence[AddressMatch]]:
        asked = sorted(set(addresses))
        hints = dict(zip(asked, self._parallel.each(self._hints, asked), strict=True))
        hinted = sorted({hint for found in hints.values() for hint in found})
        records = dict(zip(hinted, self._parallel.each(lambda hint: self._owners.get(*hint), hinted), strict=True))
        return {address: _matches(address, [records[hint] for hint in found]) for address, found in hints.items()}

    def _hints(self, address: str) -> Sequence[tuple[OwnerKind, OwnerId]]:
        partition, prefix = address_key(address)
        rows = self._addresses.rows(rows_of(partition, prefix, after(prefix)))
        return [(hint.kind, hint.id) for hint in (record_of(_Hint, found) for found in rows)]


def _matches(address: str, owners: Sequence[StoredOwner | None]) -> Sequence[AddressMatch]:
    return [
        AddressMatch(owner.record.kind, owner.record.id, owner.record.name, owner.record.active)
        for owner in owners
        if owner is not None and normalised_address(owner.record.address) == address
    ]


def _moved(before: Owner, now: Owner) -> bool:
    return normalised_address(before.address) != normalised_address(now.address)


def _stored(found: Entity) -> StoredOwner:
    return StoredOwner(record_of(Owner, found), found.etag)
