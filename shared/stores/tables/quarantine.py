"""Quarantined items: in the order of time, found by their key, and by the version that gave them up."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from shared.domain.errors import Changed
from shared.domain.ids import MailboxId
from shared.domain.ledger import ItemKey
from shared.domain.operations import QuarantinedItem
from shared.ports import Slice
from shared.stores.entities import VERSIONS, after, quarantine_listed_row, quarantine_row, version_prefix, version_row
from shared.stores.limits import checked_id, storable_quarantined
from shared.stores.parallel import Parallel
from shared.stores.tables.gateway import Entity, Query, Verb, operation, rows_of
from shared.stores.tables.repeating import until_unchanged
from shared.stores.tables.table import Table, columns_of, record_of, slice_as


@dataclass(frozen=True, slots=True)
class _Listed:
    """Under which time an item is listed: what is needed to list it under another one."""

    quarantined_on: datetime


@dataclass(frozen=True, slots=True)
class _GaveUp:
    """A mailbox that may have items which this version gave up."""

    version: str
    mailbox_id: MailboxId


class TableQuarantine:
    """Two rows per item: one in the order of time with the record, and one that tells where that is.

    A hint tells which versions gave up items of which mailboxes. It is written after the item, and removed by the ETag with
    which it was read before no such item was found: so an item whose `put` returned always has its hint.
    """

    def __init__(self, table: Table, parallel: Parallel) -> None:
        self._table = table
        self._parallel = parallel

    def put(self, item: QuarantinedItem) -> None:
        checked_id(item.mailbox_id)
        until_unchanged(lambda: self._put(storable_quarantined(item)))
        hint = columns_of(_GaveUp(item.version, item.mailbox_id))
        self._table.write(operation(Verb.UPSERT, VERSIONS, version_row(item.version, item.mailbox_id), hint))

    def get(self, mailbox_id: MailboxId, key: ItemKey) -> QuarantinedItem | None:
        return until_unchanged(lambda: self._get(mailbox_id, key))

    def remove(self, mailbox_id: MailboxId, key: ItemKey) -> None:
        until_unchanged(lambda: self._remove(mailbox_id, key))

    def mailboxes_of_other_versions(self, version: str) -> Iterator[Sequence[MailboxId]]:
        own = version_prefix(version)
        told: set[MailboxId] = set()
        for query in (rows_of(VERSIONS, before=own), rows_of(VERSIONS, first=after(own))):
            for page in self._table.pages(query):
                confirmed = self._parallel.each(self._confirmed, page)
                fresh = [each for each in dict.fromkeys(confirmed) if each is not None and each not in told]
                told.update(fresh)
                if fresh:
                    yield fresh

    def list(self, mailbox_id: MailboxId, continuation: str | None = None, limit: int = 50) -> Slice[QuarantinedItem]:
        found = self._table.slice(rows_of(mailbox_id, "time:", "time;"), continuation, limit)
        return slice_as(found, lambda row: record_of(QuarantinedItem, row))

    def _get(self, mailbox_id: MailboxId, key: ItemKey) -> QuarantinedItem | None:
        """Raises Changed when it was listed under another time meanwhile."""
        pointer = self._table.get(mailbox_id, quarantine_row(key))
        if pointer is None:
            return None
        found = self._table.get(mailbox_id, _listed_row(pointer, key))
        if found is None:
            raise Changed(f"quarantined item {key}")
        return record_of(QuarantinedItem, found)

    def _remove(self, mailbox_id: MailboxId, key: ItemKey) -> None:
        """Raises Changed when somebody else put or removed it meanwhile."""
        pointer = self._table.get(mailbox_id, quarantine_row(key))
        if pointer is not None:
            of_pointer = operation(Verb.DELETE, mailbox_id, pointer.row, etag=pointer.etag)
            self._table.transact([of_pointer, operation(Verb.DELETE, mailbox_id, _listed_row(pointer, key))])

    def _confirmed(self, hint: Entity) -> MailboxId | None:
        """The mailbox, if it has such an item; else the hint goes."""
        gave_up = record_of(_GaveUp, hint)
        query = Query(gave_up.mailbox_id, gave_up.mailbox_id, "time:", "time;", equal=("version", gave_up.version))
        if self._table.slice(query, None, 1).items:
            return gave_up.mailbox_id
        with suppress(Changed):
            self._table.write(operation(Verb.DELETE, hint.partition, hint.row, etag=hint.etag))
        return None

    def _put(self, item: QuarantinedItem) -> None:
        pointer = self._table.get(item.mailbox_id, quarantine_row(item.key))
        listed = columns_of(_Listed(item.quarantined_on))
        row = quarantine_listed_row(item.quarantined_on, item.key)
        writes = [operation(Verb.UPSERT, item.mailbox_id, row, columns_of(item))]
        if pointer is None:
            writes.append(operation(Verb.INSERT, item.mailbox_id, quarantine_row(item.key), listed))
        else:
            writes.append(operation(Verb.REPLACE, item.mailbox_id, pointer.row, listed, pointer.etag))
            before = _listed_row(pointer, item.key)
            writes += [operation(Verb.DELETE, item.mailbox_id, before)] if before != row else []
        self._table.transact(writes)


def _listed_row(pointer: Entity, key: ItemKey) -> str:
    return quarantine_listed_row(record_of(_Listed, pointer).quarantined_on, key)
