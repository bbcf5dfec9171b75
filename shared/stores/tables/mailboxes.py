"""Mailboxes: the configuration record, and beside it in the same partition the schedule that runs change.

The schedule row has three columns for each workload: `incoming_due` and `incoming_queued_until`, which the service compares,
and `incoming_state`, the rest as JSON. A merge cannot remove a column, so "never" is the last day that the service knows.
What autodiscover found stands in the same row, and whether there are folder-level tracking rules, so that a run reads it with
the rest.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from functools import partial
from itertools import batched, groupby

from shared.domain.choices import Workload
from shared.domain.configuration import Discovered, DueMailbox, Mailbox, Schedule, StoredMailbox, WorkloadSchedule
from shared.domain.errors import AlreadyExists, Busy, Changed, UnreadableRow
from shared.domain.ids import MailboxId, ProfileId
from shared.ports import Slice
from shared.stores.codec import codec_of, to_json
from shared.stores.entities import mailbox_partition, schedule_row, shard_name
from shared.stores.limits import checked_id
from shared.stores.tables.gateway import (
    NEVER,
    TRANSACTION_ROWS,
    Entity,
    Operation,
    Query,
    RowMissing,
    Value,
    Verb,
    operation,
    rows_of,
)
from shared.stores.tables.table import SCHEMA_VERSION, Table, columns_of, read_row, readable, record_of

_SCHEDULE = ":schedule"
_DISCOVERED = "discovered"
_HAS_RULES = "has_rules"
_ROUNDS = 8


class TableMailboxes:
    def __init__(self, table: Table) -> None:
        self._table = table

    def get(self, mailbox_id: MailboxId) -> StoredMailbox | None:
        schedule = schedule_row(mailbox_id)
        rows = self._table.rows(rows_of(mailbox_partition(mailbox_id), mailbox_id, schedule + "~"))
        found = {row.row: row for row in rows}
        return _stored(found[mailbox_id], found.get(schedule)) if mailbox_id in found else None

    def list(self, continuation: str | None = None, limit: int = 100) -> Slice[StoredMailbox]:
        found = self._table.slice(Query(), continuation, 2 * limit)
        rows = {row.row: row for row in found.items}
        records = [row for row in found.items if not row.row.endswith(_SCHEDULE)]
        return Slice([self._with_schedule(row, rows) for row in records], found.continuation)

    def create(self, mailbox: Mailbox, schedule: Schedule) -> StoredMailbox:
        partition = mailbox_partition(checked_id(mailbox.id))
        record = operation(Verb.INSERT, partition, mailbox.id, columns_of(mailbox))
        beside = operation(Verb.INSERT, partition, schedule_row(mailbox.id), _schedule_columns(schedule, mailbox.profile_id))
        try:
            etag, _ = self._table.transact([record, beside])
        except AlreadyExists as error:
            raise AlreadyExists(f"mailbox {mailbox.id}") from error
        return StoredMailbox(mailbox, etag, dict(schedule))

    def replace(self, mailbox: Mailbox, etag: str, schedule: Schedule) -> StoredMailbox:
        partition = mailbox_partition(checked_id(mailbox.id))
        record = operation(Verb.REPLACE, partition, mailbox.id, columns_of(mailbox), etag)
        beside = operation(Verb.MERGE, partition, schedule_row(mailbox.id), _schedule_columns(schedule, mailbox.profile_id))
        try:
            fresh, _ = self._table.transact([record, beside])
        except Changed as error:
            raise Changed(f"mailbox {mailbox.id} was changed since it was read") from error
        return _with(mailbox, fresh, self._table.get(partition, schedule_row(mailbox.id)))

    def delete(self, mailbox_id: MailboxId, etag: str) -> None:
        if self.get(mailbox_id) is None:
            return
        partition = mailbox_partition(mailbox_id)
        deletions = [
            operation(Verb.DELETE, partition, mailbox_id, etag=etag),
            operation(Verb.DELETE, partition, schedule_row(mailbox_id)),
        ]
        try:
            self._table.transact(deletions)
        except RowMissing:
            return  # somebody else deleted both
        except Changed as error:
            raise Changed(f"mailbox {mailbox_id} was changed since it was read") from error

    def set_discovered(self, mailbox_id: MailboxId, discovered: Discovered | None) -> None:
        """An empty text is none: a merge cannot remove a column."""
        text = "" if discovered is None else to_json(codec_of(Discovered).plain(discovered))
        self._merge_schedule(mailbox_id, {_DISCOVERED: text})

    def note_rules(self, mailbox_id: MailboxId) -> None:
        self._merge_schedule(mailbox_id, {_HAS_RULES: True})

    def reschedule(self, mailbox_id: MailboxId, workload: Workload, schedule: WorkloadSchedule) -> None:
        self._merge_schedule(mailbox_id, _workload_columns(workload, schedule))

    def make_due(self, mailbox_id: MailboxId, workload: Workload, at: datetime) -> None:
        partition, row, column = mailbox_partition(mailbox_id), schedule_row(mailbox_id), f"{workload}_due"
        for _ in range(_ROUNDS):
            found = self._table.get(partition, row)
            if found is None or _time_of(found, column) <= at:
                return
            with suppress(Changed):
                self._table.write(operation(Verb.MERGE, partition, row, {column: at}, found.etag))
                return
        raise Busy("the schedule of a mailbox was changed by others faster than it could be read")

    def _merge_schedule(self, mailbox_id: MailboxId, columns: Mapping[str, Value]) -> None:
        row = schedule_row(checked_id(mailbox_id))
        try:
            self._table.write(operation(Verb.MERGE, mailbox_partition(mailbox_id), row, columns))
        except Changed as error:
            raise Changed(f"mailbox {mailbox_id} is not there any more") from error

    def due(self, workload: Workload, now: datetime, first_shard: int, last_shard: int) -> Iterator[Sequence[DueMailbox]]:
        query = Query(shard_name(first_shard), shard_name(last_shard), due=(f"{workload}_due", now))
        unreadable: list[UnreadableRow] = []
        for _, rows in groupby(self._table.rows(query), key=lambda row: row.partition):
            found, errors = readable(rows, partial(_due, workload=workload))
            unreadable += errors
            # Azurite compares milliseconds only, so what it finds is looked at once more.
            if due := [each for each in found if each.due <= now]:
                yield due
        if unreadable:
            rows_left = (row.removesuffix(_SCHEDULE) for error in unreadable for row in error.rows)
            raise UnreadableRow(str(unreadable[0]), tuple(rows_left))

    def mark_queued(self, due: Sequence[DueMailbox], until: datetime) -> Sequence[DueMailbox]:
        unique = sorted({each.id: each for each in due}.values(), key=_shard)
        shards = [list(group) for _, group in groupby(unique, key=_shard)]
        batches = (list(batch) for shard in shards for batch in batched(shard, TRANSACTION_ROWS, strict=False))
        return [marked for batch in batches for marked in self._mark(batch, until)]

    def _mark(self, due: Sequence[DueMailbox], until: datetime) -> Sequence[DueMailbox]:
        """All in one transaction; if one of them was changed meanwhile, each for itself."""
        marks = [_mark(each, until) for each in due]
        try:
            self._table.transact(marks)
        except Changed:
            return [each for each, mark in zip(due, marks, strict=True) if self._marks(mark)]
        return due

    def _marks(self, mark: Operation) -> bool:
        try:
            self._table.write(mark)
        except Changed:
            return False
        return True

    def _with_schedule(self, record: Entity, rows: Mapping[str, Entity]) -> StoredMailbox:
        """A slice may end between a record and its schedule."""
        key = schedule_row(MailboxId(record.row))
        return _stored(record, rows.get(key) or self._table.get(record.partition, key))


def _stored(record: Entity, schedule: Entity | None) -> StoredMailbox:
    return _with(record_of(Mailbox, record), record.etag, schedule)


def _with(mailbox: Mailbox, etag: str, schedule: Entity | None) -> StoredMailbox:
    """What stands in the row beside it."""
    if schedule is None:
        return StoredMailbox(mailbox, etag)
    has_rules = read_row(schedule, lambda columns: bool(columns.get(_HAS_RULES)))
    return StoredMailbox(mailbox, etag, _schedule(schedule), read_row(schedule, _discovered), has_rules)


def _discovered(columns: Mapping[str, object]) -> Discovered | None:
    text = columns.get(_DISCOVERED)
    return codec_of(Discovered).from_plain(json.loads(str(text))) if text else None


def _shard(due: DueMailbox) -> str:
    return mailbox_partition(due.id)


def _mark(due: DueMailbox, until: datetime) -> Operation:
    columns: dict[str, Value] = {f"{due.workload}_due": until, f"{due.workload}_queued_until": until}
    return operation(Verb.MERGE, mailbox_partition(due.id), schedule_row(due.id), columns, due.etag)


def _schedule_columns(schedule: Schedule, profile_id: ProfileId | None) -> Mapping[str, Value]:
    columns: dict[str, Value] = {"v": SCHEMA_VERSION, "profile_id": profile_id or ""}
    for workload, of_workload in schedule.items():
        columns |= _workload_columns(workload, of_workload)
    return columns


def _workload_columns(workload: Workload, schedule: WorkloadSchedule) -> Mapping[str, Value]:
    rest = replace(schedule, due=None, queued_until=None)
    return {
        f"{workload}_due": schedule.due or NEVER,
        f"{workload}_queued_until": schedule.queued_until or NEVER,
        f"{workload}_state": to_json(codec_of(WorkloadSchedule).plain(rest)),
    }


def _schedule(row: Entity) -> dict[Workload, WorkloadSchedule]:
    return read_row(row, lambda columns: dict(_workloads(columns)))


def _workloads(columns: Mapping[str, object]) -> Iterable[tuple[Workload, WorkloadSchedule]]:
    for workload in Workload:
        if due := columns.get(f"{workload}_due"):
            rest = codec_of(WorkloadSchedule).from_plain(json.loads(str(columns.get(f"{workload}_state", "{}"))))
            queued_until = _time(columns.get(f"{workload}_queued_until", NEVER))
            yield workload, replace(rest, due=_time(due), queued_until=queued_until)


def _due(row: Entity, workload: Workload) -> DueMailbox:
    def read(columns: Mapping[str, object]) -> DueMailbox:
        due = datetime.fromisoformat(str(columns[f"{workload}_due"]))
        profile_id = columns.get("profile_id")
        return DueMailbox(
            id=MailboxId(row.row.removesuffix(_SCHEDULE)),
            profile_id=ProfileId(str(profile_id)) if profile_id else None,
            workload=workload,
            due=due,
            etag=row.etag,
        )

    return read_row(row, read)


def _time_of(row: Entity, column: str) -> datetime:
    return read_row(row, lambda columns: datetime.fromisoformat(str(columns.get(column, NEVER))))


def _time(value: object) -> datetime | None:
    time = datetime.fromisoformat(str(value))
    return None if time >= NEVER else time
