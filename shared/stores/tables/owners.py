"""Owners (users and queues), and the hints at their addresses.

What is removed was read before the record that no longer has the address was written: if the owner got its old address back
meanwhile, the hint was written again and stays.
"""

from uuid import uuid4

from shared.domain.choices import OwnerKind
from shared.domain.configuration import Owner, StoredOwner
from shared.domain.errors import AlreadyExists, Changed
from shared.domain.ids import OwnerId, normalised_address
from shared.ports import Slice
from shared.stores.entities import after, owner_key
from shared.stores.limits import checked_id
from shared.stores.tables.gateway import Entity, Query, RowMissing, Verb, operation
from shared.stores.tables.hints import Hint, Hints
from shared.stores.tables.table import Table, columns_of, record_of, slice_as


class TableOwners:
    def __init__(self, owners: Table, hints: Hints) -> None:
        self._owners = owners
        self._hints = hints

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
        self._retire(outdated, before.record)
        return StoredOwner(owner, fresh)

    def delete(self, kind: OwnerKind, owner_id: OwnerId, etag: str) -> None:
        before = self.get(kind, owner_id)
        if before is None:
            return
        outdated = self._hint_of(before.record)
        try:
            self._owners.write(operation(Verb.DELETE, *owner_key(kind, owner_id), etag=etag))
        except RowMissing:
            return
        except Changed as error:
            raise Changed(f"{kind} {owner_id} was changed since it was read") from error
        self._retire(outdated, before.record)

    def _hint_at(self, owner: Owner) -> None:
        self._hints.write(owner.address, Hint(owner.kind, owner.id, uuid4().hex))

    def _hint_of(self, owner: Owner) -> Hint | None:
        return next((hint for hint in self._hints.of(owner.address) if hint.key == (owner.kind, owner.id)), None)

    def _retire(self, outdated: Hint | None, before: Owner) -> None:
        if outdated is not None:
            self._hints.retire(before.address, outdated)


def _moved(before: Owner, now: Owner) -> bool:
    return normalised_address(before.address) != normalised_address(now.address)


def _stored(found: Entity) -> StoredOwner:
    return StoredOwner(record_of(Owner, found), found.etag)
