"""The audit: a partition for each day, the latest first.

An entry has two rows: one in the order of time with the entry, and one that says it is there, whatever time a repetition has.
"""

from collections.abc import Iterator
from datetime import datetime

from shared.domain.audit import AuditEntry
from shared.domain.errors import AlreadyExists
from shared.ports import Slice
from shared.stores.entities import after, audit_listed_row, audit_partition, audit_partitions_before, audit_row
from shared.stores.limits import audited_record, checked_id, storable_entry_of_audit
from shared.stores.parallel import Parallel
from shared.stores.tables.gateway import Query, Verb, operation
from shared.stores.tables.removing import removed
from shared.stores.tables.table import Table, columns_of, record_of, slice_as


class TableAudit:
    def __init__(self, table: Table, parallel: Parallel) -> None:
        self._table = table
        self._parallel = parallel

    def put(self, entry: AuditEntry) -> None:
        day = audit_partition(entry.changed_on)
        listed = audit_listed_row(entry.changed_on, checked_id(entry.id))
        inserts = [
            operation(Verb.INSERT, day, audit_row(entry.id)),
            operation(Verb.INSERT, day, listed, columns_of(storable_entry_of_audit(entry))),
        ]
        try:
            self._table.transact(inserts)
        except AlreadyExists:
            return  # a repetition: the first entry stands

    def list(self, record: str | None = None, continuation: str | None = None, limit: int = 50) -> Slice[AuditEntry]:
        of_record = None if record is None else ("record", audited_record(record))
        query = Query(first_row="time:", before_row=after("time:"), equal=of_record)
        return slice_as(self._table.slice(query, continuation, limit), lambda row: record_of(AuditEntry, row))

    def remove_before(self, time: datetime) -> Iterator[int]:
        return removed(self._table, self._parallel, Query(first_partition=audit_partitions_before(time)))
