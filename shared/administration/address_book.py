"""The address book: contacts, accounts, leads and records of any other type that have email addresses.

Mail is judged and related by these addresses; the store keeps their index in step with the records.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import replace

from shared.administration import rules
from shared.administration.auditing import Auditing, Trail
from shared.administration.failures import RecordNotFound
from shared.administration.writing import Put, check_etag, persistently
from shared.domain.audit import Caller, ChangeAction
from shared.domain.choices import OwnerKind
from shared.domain.configuration import AddressMatch
from shared.domain.errors import AlreadyExists, Changed, InvalidRecord
from shared.domain.ids import normalised_address
from shared.domain.ranges import RECORD_ADDRESSES, RECORD_NAME
from shared.domain.records import AddressBookRecord, StoredRecord
from shared.ports import Clock, Slice, Stores

TYPE_PATTERN = r"^[a-z][a-z0-9_]{0,63}$"
"""Types of records: the logical name of a table."""
RESERVED_TYPES = tuple(kind.value for kind in OwnerKind)

_TYPE = re.compile(TYPE_PATTERN.removesuffix("$") + r"\Z")


class AddressBookAdministration:
    def __init__(self, stores: Stores, clock: Clock) -> None:
        self._stores = stores
        self._auditing = Auditing(stores.audit, clock)

    def get(self, record_type: str, record_id: str) -> StoredRecord:
        """Raises RecordNotFound."""
        stored = self._stores.address_book.get(record_type, record_id)
        if stored is None:
            raise RecordNotFound(f"there is no {record_type} {record_id}")
        return stored

    def list(self, record_type: str, continuation: str | None = None, limit: int = 100) -> Slice[StoredRecord]:
        """Raises InvalidRecord where the continuation is none of this list."""
        return self._stores.address_book.list(record_type, continuation, limit)

    def having(self, address: str) -> Sequence[AddressMatch]:
        """The users, queues and records that have this address now. Raises InvalidRecord."""
        wanted = normalised_address(rules.email_address("address", address))
        return self._stores.addresses.find([wanted])[wanted]

    def put(self, record: AddressBookRecord, caller: Caller, etag: str | None = None) -> Put[StoredRecord]:
        """Creates or replaces; the same again changes nothing. With `etag` the record must exist in that state (NO_STATE: it
        must not exist). Raises InvalidRecord, Changed."""
        wanted = valid_record(record)
        trail = self._trail(caller, wanted.type, wanted.id)

        def attempt() -> Put[StoredRecord]:
            return self._write(self._stores.address_book.get(wanted.type, wanted.id), wanted, trail, etag)

        return persistently(attempt, etag)

    def change(
        self,
        record_type: str,
        record_id: str,
        edit: Callable[[AddressBookRecord], AddressBookRecord],
        caller: Caller,
        etag: str | None = None,
    ) -> StoredRecord:
        """The same again changes nothing. Raises RecordNotFound, InvalidRecord, Changed."""
        trail = self._trail(caller, record_type, record_id)

        def attempt() -> StoredRecord:
            stored = self.get(record_type, record_id)
            edited = replace(edit(stored.record), type=record_type, id=record_id)
            return self._write(stored, valid_record(edited), trail, etag).stored

        return persistently(attempt, etag)

    def delete(self, record_type: str, record_id: str, caller: Caller, etag: str | None = None) -> None:
        """Raises RecordNotFound, Changed."""
        trail = self._trail(caller, record_type, record_id)

        def attempt() -> None:
            stored = self.get(record_type, record_id)
            check_etag(stored.etag, etag)
            trail.note(ChangeAction.DELETED, stored.record, None, stored.etag)
            self._stores.address_book.delete(record_type, record_id, stored.etag)

        persistently(attempt, etag)

    def _trail(self, caller: Caller, record_type: str, record_id: str) -> Trail:
        return self._auditing.trail(caller, f"record:{record_type}:{record_id}")

    def _write(
        self, stored: StoredRecord | None, wanted: AddressBookRecord, trail: Trail, etag: str | None
    ) -> Put[StoredRecord]:
        """Raises Changed."""
        check_etag(None if stored is None else stored.etag, etag)
        if stored is None:
            return Put(self._create(wanted, trail), created=True)
        if stored.record == wanted:
            return Put(stored, created=False)
        trail.note(ChangeAction.CHANGED, stored.record, wanted, stored.etag)
        return Put(self._stores.address_book.put(wanted, stored.etag), created=False)

    def _create(self, wanted: AddressBookRecord, trail: Trail) -> StoredRecord:
        """Raises Changed."""
        trail.note(ChangeAction.CREATED, None, wanted)
        try:
            return self._stores.address_book.create(wanted)
        except AlreadyExists as error:
            raise Changed("the record was created by somebody else meanwhile") from error


def valid_record(record: AddressBookRecord) -> AddressBookRecord:
    """The record as it is stored. Raises InvalidRecord."""
    return AddressBookRecord(
        type=record_type("type", record.type),
        id=rules.identifier("id", record.id),
        name=rules.text("name", record.name, RECORD_NAME.high),
        addresses=_valid_addresses(record.addresses),
        owner_id=None if record.owner_id is None else rules.identifier("owner_id", record.owner_id),
        do_not_email=record.do_not_email,
        active=record.active,
    )


def record_type(field: str, value: str) -> str:
    if not _TYPE.match(value):
        raise InvalidRecord(
            field,
            f"{field} is no type of record",
            "Use 1 to 64 lower-case letters, digits and underscores, first a letter, such as contact.",
        )
    if value in RESERVED_TYPES:
        raise InvalidRecord(field, f"a {value} is no record of the address book", f"Use /api/{value}s, or another type.")
    return value


def _valid_addresses(addresses: Sequence[str]) -> tuple[str, ...]:
    """In the order given; the same one again, or written in other case, counts once."""
    if len(addresses) > RECORD_ADDRESSES.high:
        raise InvalidRecord("addresses", f"a record has at most {RECORD_ADDRESSES.high} addresses", "Leave the others out.")
    valid: dict[str, str] = {}
    for number, given in enumerate(addresses):
        address = rules.email_address(f"addresses/{number}", given)
        valid.setdefault(normalised_address(address), address)
    return tuple(valid.values())
