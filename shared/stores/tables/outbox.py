"""The outbox: one partition per mailbox, high priority first, then by due time, so that a run reads only what it is to send."""

from collections.abc import Sequence
from datetime import datetime

from shared.domain.choices import Priority
from shared.domain.delivery import OutboxEntry
from shared.domain.errors import UnreadableRow
from shared.domain.ids import MailboxId
from shared.ports import OUTBOX_AT_ONCE, DueEntries, Slice
from shared.stores.entities import after, due_of_outbox_row, outbox_due, outbox_prefix, outbox_row
from shared.stores.limits import checked_limit, checked_outbox
from shared.stores.parallel import Parallel
from shared.stores.tables.deleting import delete_rows
from shared.stores.tables.gateway import Entity, Operation, Query, Verb, operation, rows_of, transactions_of
from shared.stores.tables.table import Table, columns_of, readable, record_of

_PRIORITIES = sorted(Priority, reverse=True)


class TableOutbox:
    def __init__(self, table: Table, parallel: Parallel) -> None:
        self._table = table
        self._parallel = parallel

    def put(self, entries: Sequence[OutboxEntry]) -> None:
        self._parallel.each(self._table.transact, transactions_of(map(_upsert, entries)))

    def remove(self, entries: Sequence[OutboxEntry]) -> None:
        delete_rows(self._table, self._parallel, [(entry.mailbox_id, outbox_row(entry)) for entry in entries])

    def due(self, mailbox_id: MailboxId, now: datetime, limit: int = OUTBOX_AT_ONCE) -> DueEntries:
        checked_limit(limit)
        queries = [rows_of(mailbox_id, outbox_prefix(each), outbox_due(each, now)) for each in _PRIORITIES]
        found = self._parallel.each(lambda query: self._readable(query, limit), queries)
        return DueEntries(
            [entry for each in found for entry in each.entries], [error for each in found for error in each.unreadable]
        )

    def next_due(self, mailbox_id: MailboxId) -> datetime | None:
        prefixes = [outbox_prefix(each) for each in _PRIORITIES]
        queries = [rows_of(mailbox_id, prefix, after(prefix)) for prefix in prefixes]
        found = self._parallel.each(lambda query: self._table.slice(query, None, 1).items, queries)
        return min((due_of_outbox_row(row.row) for rows in found for row in rows), default=None)

    def list(self, mailbox_id: MailboxId, continuation: str | None = None, limit: int = 50) -> Slice[OutboxEntry]:
        found = self._table.slice(rows_of(mailbox_id), continuation, limit)
        return Slice(readable(found.items, _entry)[0], found.continuation)

    def _readable(self, query: Query, limit: int) -> DueEntries:
        """The first ones: what cannot be read takes no place."""
        entries, unreadable = list[OutboxEntry](), list[UnreadableRow]()
        part = self._table.slice(query, None, limit)
        while True:
            found, errors = readable(part.items, _entry)
            entries += found
            unreadable += errors
            if part.continuation is None or len(entries) >= limit:
                return DueEntries(entries[:limit], unreadable)
            part = self._table.slice(query, part.continuation, OUTBOX_AT_ONCE)


def _upsert(entry: OutboxEntry) -> Operation:
    checked_outbox(entry)
    return operation(Verb.UPSERT, entry.mailbox_id, outbox_row(entry), columns_of(entry))


def _entry(row: Entity) -> OutboxEntry:
    return record_of(OutboxEntry, row)
