"""What emails are found by that In-Reply-To does not lead to, the latest first; and the conversations that were opted out.

Keys are kept as hashes only: a Message-ID of mail that is not stored does not stand here.
"""

from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace

from shared.domain.email import CorrelationEntry, CorrelationKind, OptOut
from shared.domain.errors import AlreadyExists
from shared.domain.ids import ActivityId
from shared.stores.entities import OPT_OUTS, after, correlation_key, correlation_row, opt_out_key
from shared.stores.limits import checked_id, checked_limit, storable_correlation, storable_opt_out
from shared.stores.parallel import Parallel
from shared.stores.tables.deleting import delete_rows
from shared.stores.tables.gateway import Operation, Query, Verb, operation, rows_of, transactions_of
from shared.stores.tables.table import Table, columns_of, record_of

_FEW = 2
"""So many conversations are asked for one by one. For more, all that were opted out are read at once: they are rare."""


class TableCorrelations:
    def __init__(self, table: Table, parallel: Parallel) -> None:
        self._table = table
        self._parallel = parallel

    def put(self, entries: Sequence[CorrelationEntry]) -> None:
        self._parallel.each(self._table.transact, transactions_of(map(_upsert, entries)))

    def find(self, kind: CorrelationKind, keys: Collection[str], limit: int = 50) -> Mapping[str, Sequence[CorrelationEntry]]:
        checked_limit(limit)
        asked = sorted(set(keys))
        return dict(zip(asked, self._parallel.each(lambda key: self._latest(kind, key, limit), asked), strict=True))

    def remove(self, entries: Sequence[CorrelationEntry]) -> None:
        delete_rows(self._table, self._parallel, map(_key, entries))

    def opt_out(self, opted_out: OptOut) -> None:
        key = opt_out_key(checked_id(opted_out.conversation, "conversation"))
        with suppress(AlreadyExists):
            self._table.write(operation(Verb.INSERT, *key, columns_of(storable_opt_out(opted_out))))

    def opt_in(self, conversation: ActivityId) -> None:
        delete_rows(self._table, self._parallel, [opt_out_key(conversation)])

    def opted_out(self, conversations: Collection[ActivityId]) -> Mapping[ActivityId, OptOut]:
        asked = sorted(set(conversations))
        if len(asked) > _FEW and (every := self._every_opt_out()) is not None:
            return {conversation: every[conversation] for conversation in asked if conversation in every}
        found = zip(asked, self._parallel.each(self._opted_out, asked), strict=True)
        return {conversation: each for conversation, each in found if each is not None}

    def _latest(self, kind: CorrelationKind, key: str, limit: int) -> Sequence[CorrelationEntry]:
        partition, prefix = correlation_key(kind, key)
        rows = self._table.slice(rows_of(partition, prefix, after(prefix)), None, limit).items
        return [replace(record_of(CorrelationEntry, row), key=key) for row in rows]

    def _every_opt_out(self) -> Mapping[ActivityId, OptOut] | None:
        """In one request; None where they are more than that gives."""
        page, following = self._table.gateway.page(self._table.name, Query(*OPT_OUTS))
        return {ActivityId(row.row): record_of(OptOut, row) for row in page} if following is None else None

    def _opted_out(self, conversation: ActivityId) -> OptOut | None:
        found = self._table.get(*opt_out_key(conversation))
        return None if found is None else record_of(OptOut, found)


def _upsert(entry: CorrelationEntry) -> Operation:
    checked_id(entry.activity_id, "activity_id")
    return operation(Verb.UPSERT, *_key(entry), columns_of(replace(storable_correlation(entry), key="")))


def _key(entry: CorrelationEntry) -> tuple[str, str]:
    partition, prefix = correlation_key(entry.kind, entry.key)
    return partition, correlation_row(prefix, entry.time, entry.activity_id)
