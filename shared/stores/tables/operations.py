"""What operators look at: quarantined items, alerts, runs."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

from shared.domain.errors import AlreadyExists, Busy, Changed
from shared.domain.ids import MailboxId
from shared.domain.operations import Alert, QuarantinedItem, Run
from shared.ports import Slice
from shared.stores.entities import alert_row, quarantine_listed_row, quarantine_row, run_row
from shared.stores.limits import checked_id, storable_alert, storable_quarantined, storable_run
from shared.stores.tables.gateway import Query, RowMissing, Verb, operation, rows_of
from shared.stores.tables.table import Table, columns_of, record_of, slice_as

_ATTEMPTS = 5


@dataclass(frozen=True, slots=True)
class _Listed:
    """Under which time an item is listed: what is needed to list it under another one."""

    quarantined_on: datetime


class TableQuarantine:
    """Two rows per item: one in the order of time with the record, and one that tells where that is."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def put(self, item: QuarantinedItem) -> None:
        checked_id(item.mailbox_id)
        _until_unchanged(lambda: self._put(storable_quarantined(item)))

    def list(self, mailbox_id: MailboxId, continuation: str | None = None, limit: int = 50) -> Slice[QuarantinedItem]:
        found = self._table.slice(rows_of(mailbox_id, "time:", "time;"), continuation, limit)
        return slice_as(found, lambda row: record_of(QuarantinedItem, row))

    def _put(self, item: QuarantinedItem) -> None:
        pointer = self._table.get(item.mailbox_id, quarantine_row(item.key))
        listed = columns_of(_Listed(item.quarantined_on))
        row = quarantine_listed_row(item.quarantined_on, item.key)
        writes = [operation(Verb.UPSERT, item.mailbox_id, row, columns_of(item))]
        if pointer is None:
            writes.append(operation(Verb.INSERT, item.mailbox_id, quarantine_row(item.key), listed))
        else:
            writes.append(operation(Verb.REPLACE, item.mailbox_id, pointer.row, listed, pointer.etag))
            before = quarantine_listed_row(record_of(_Listed, pointer).quarantined_on, item.key)
            writes += [operation(Verb.DELETE, item.mailbox_id, before)] if before != row else []
        self._table.transact(writes)


class TableAlerts:
    def __init__(self, table: Table) -> None:
        self._table = table

    def put(self, alert: Alert) -> None:
        checked_id(alert.about, "about")
        checked_id(alert.code, "code")
        _until_unchanged(lambda: self._put(storable_alert(alert)))

    def list(self, about: str | None = None, continuation: str | None = None, limit: int = 50) -> Slice[Alert]:
        query = Query() if about is None else rows_of(about)
        return slice_as(self._table.slice(query, continuation, limit), lambda row: record_of(Alert, row))

    def _put(self, alert: Alert) -> None:
        """Merged, so that the time it was raised first stays: one cause may raise it for many mailboxes at once, and those
        must not wait for one another."""
        again = columns_of(replace(alert, first_raised_on=None))
        first = columns_of(replace(alert, first_raised_on=alert.first_raised_on or alert.raised_on))
        try:
            self._table.write(operation(Verb.MERGE, alert.about, alert_row(alert), again))
        except RowMissing:
            self._table.write(operation(Verb.INSERT, alert.about, alert_row(alert), first))


class TableRuns:
    def __init__(self, table: Table) -> None:
        self._table = table

    def put(self, run: Run) -> None:
        row = run_row(run.started_on, run.id)
        self._table.write(operation(Verb.UPSERT, checked_id(run.mailbox_id), row, columns_of(storable_run(run))))

    def list(self, mailbox_id: MailboxId, continuation: str | None = None, limit: int = 50) -> Slice[Run]:
        found = self._table.slice(rows_of(mailbox_id), continuation, limit)
        return slice_as(found, lambda row: record_of(Run, row))


def _until_unchanged(put: Callable[[], object]) -> None:
    """Reads and writes again while others write the same row. Raises Busy."""
    for _ in range(_ATTEMPTS):
        try:
            put()
        except (AlreadyExists, Changed):
            continue
        return
    raise Busy("the row is written by others again and again")
