"""What operators look at: alerts and runs."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime

from shared.domain.ids import MailboxId
from shared.domain.operations import Alert, Run
from shared.ports import Slice
from shared.stores.alerts import as_it_stands, raised_over
from shared.stores.entities import alert_id_key, alert_row, run_row, run_rows_before
from shared.stores.limits import acknowledging, checked_id, storable_alert, storable_run
from shared.stores.parallel import Parallel
from shared.stores.tables.gateway import Entity, Query, RowMissing, Verb, operation, rows_of
from shared.stores.tables.removing import removed
from shared.stores.tables.repeating import until_unchanged
from shared.stores.tables.table import Table, columns_of, record_of, slice_as


@dataclass(frozen=True, slots=True)
class _Means:
    """Which row an alert's id means."""

    about: str
    row: str


@dataclass(frozen=True, slots=True)
class _Acknowledgement:
    """The columns of an alert that its acknowledgement adds."""

    acknowledged_by: str
    acknowledged_on: datetime


class TableAlerts:
    """The id of an alert does not tell what it is about, so a row in another table does: written once, before the alert."""

    def __init__(self, table: Table, ids: Table, parallel: Parallel) -> None:
        self._table = table
        self._parallel = parallel
        self._ids = ids

    def put(self, alert: Alert) -> None:
        checked_id(alert.about, "about")
        checked_id(alert.code, "code")
        until_unchanged(lambda: self._put(storable_alert(alert)))

    def list(self, about: str | None = None, continuation: str | None = None, limit: int = 50) -> Slice[Alert]:
        query = Query() if about is None else rows_of(about)
        return slice_as(self._table.slice(query, continuation, limit), _alert)

    def remove_before(self, time: datetime) -> Iterator[int]:
        """The rows of ids stay: they are as true of an alert that is raised again."""
        return removed(self._table, self._parallel, Query(), lambda row: record_of(Alert, row).raised_on < time)

    def acknowledge(self, alert_id: str, by: str, at: datetime) -> Alert | None:
        id_row = self._ids.get(*alert_id_key(alert_id))
        if id_row is None:
            return None
        means = record_of(_Means, id_row)
        given = columns_of(_Acknowledgement(acknowledging(by), at))
        try:
            self._table.write(operation(Verb.MERGE, means.about, means.row, given))
        except RowMissing:
            return None
        found = self._table.get(means.about, means.row)
        return None if found is None else _alert(found)

    def _put(self, alert: Alert) -> None:
        """Merged, so that the time it was raised first and its acknowledgement stay: one cause may raise it for many
        mailboxes at once, and those must not wait for one another."""
        row = alert_row(alert)
        again = columns_of(replace(alert, first_raised_on=None, acknowledged_by=None, acknowledged_on=None))
        try:
            self._table.write(operation(Verb.MERGE, alert.about, row, again))
        except RowMissing:
            self._ids.write(operation(Verb.UPSERT, *alert_id_key(alert.id), columns_of(_Means(alert.about, row))))
            self._table.write(operation(Verb.INSERT, alert.about, row, columns_of(raised_over(alert, None))))


def _alert(row: Entity) -> Alert:
    return as_it_stands(record_of(Alert, row))


class TableRuns:
    def __init__(self, table: Table, parallel: Parallel) -> None:
        self._table = table
        self._parallel = parallel

    def put(self, run: Run) -> None:
        row = run_row(run.started_on, run.id)
        self._table.write(operation(Verb.UPSERT, checked_id(run.mailbox_id), row, columns_of(storable_run(run))))

    def list(self, mailbox_id: MailboxId, continuation: str | None = None, limit: int = 50) -> Slice[Run]:
        found = self._table.slice(rows_of(mailbox_id), continuation, limit)
        return slice_as(found, lambda row: record_of(Run, row))

    def remove_before(self, time: datetime) -> Iterator[int]:
        return removed(self._table, self._parallel, Query(first_row=run_rows_before(time)))
