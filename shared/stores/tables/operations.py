"""What operators look at: alerts and runs."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from shared.domain.ids import MailboxId
from shared.domain.operations import Alert, Run
from shared.ports import Slice
from shared.stores.alerts import raised
from shared.stores.entities import alert_id_key, alert_row, run_row, run_rows_before
from shared.stores.limits import acknowledging, checked_id, storable_alert, storable_run
from shared.stores.parallel import Parallel
from shared.stores.tables.gateway import Entity, Operation, Query, RowMissing, Verb, operation, rows_of
from shared.stores.tables.removing import each_page, removal, swept, write_unchanged
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
    is_open: bool = False
    """Raising it again sets this: a merge cannot remove who acknowledged it before."""


_OPEN = "is_open"


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
        for page in each_page(self._table, Query()):
            old = {(row.partition, row.row): row for row in page if record_of(Alert, row).raised_on < time}
            yield len(self._remove(old))

    def acknowledge(self, alert_id: str, by: str, at: datetime) -> Alert | None:
        id_row = self._ids.get(*alert_id_key(alert_id))
        if id_row is None:
            return None
        means = record_of(_Means, id_row)
        return until_unchanged(lambda: self._acknowledge(means, acknowledging(by), at))

    def _remove(self, old: Mapping[tuple[str, str], Entity]) -> Sequence[Operation]:
        """With the rows of their ids, as they were read before: one that was written since is that of an alert raised again.
        A crash in between leaves such a row too many, never one too few."""
        keys = [alert_id_key(record_of(Alert, row).id) for row in old.values()]
        ids = dict(zip(old, self._parallel.each(lambda key: self._ids.get(*key), keys), strict=True))
        gone = write_unchanged(self._table, self._parallel, [removal(row) for row in old.values()])
        id_rows = [found for each in gone if (found := ids[each.partition, each.row]) is not None]
        write_unchanged(self._ids, self._parallel, [removal(row) for row in id_rows])
        return gone

    def _acknowledge(self, means: _Means, by: str, at: datetime) -> Alert | None:
        """Guarded by the ETag, so that the alert returned is the one that was acknowledged, and never a later one."""
        found = self._table.get(means.about, means.row)
        if found is None:
            return None
        given = columns_of(_Acknowledgement(by, at))
        self._table.write(operation(Verb.MERGE, means.about, means.row, given, found.etag))
        return replace(_alert(found), acknowledged_by=by, acknowledged_on=at)

    def _put(self, alert: Alert) -> None:
        """Merged, so that the time it was raised first stays: one cause may raise it for many mailboxes at once, and those
        must not wait for one another."""
        row = alert_row(alert)
        again = columns_of(replace(raised(alert), first_raised_on=None))
        try:
            self._table.write(operation(Verb.MERGE, alert.about, row, {**again, _OPEN: True}))
        except RowMissing:
            self._ids.write(operation(Verb.UPSERT, *alert_id_key(alert.id), columns_of(_Means(alert.about, row))))
            self._table.write(operation(Verb.INSERT, alert.about, row, columns_of(raised(alert))))


def _alert(row: Entity) -> Alert:
    found = record_of(Alert, row)
    return replace(found, acknowledged_by=None, acknowledged_on=None) if row.columns.get(_OPEN) else found


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
        return swept(self._table, self._parallel, Query(first_row=run_rows_before(time)), time, removal)
