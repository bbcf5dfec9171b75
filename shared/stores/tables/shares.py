"""Shares of connections: one row for each identity, which holds the claims of all workers and is guarded by its ETag."""

from dataclasses import dataclass, field
from datetime import datetime

from shared.stores.entities import share_key
from shared.stores.sharing import Claims, claimed
from shared.stores.tables.gateway import Verb, operation
from shared.stores.tables.repeating import until_unchanged
from shared.stores.tables.table import Table, columns_of, record_of

_ATTEMPTS = 25
"""Many workers may start at once."""


@dataclass(frozen=True, slots=True)
class _Shares:
    claims: Claims = field(default_factory=dict)


class TableShares:
    def __init__(self, table: Table) -> None:
        self._table = table

    def claim(
        self, identity: str, worker: str, wanted: int, limit: int, now: datetime, until: datetime, in_use: int = 0
    ) -> int:
        return until_unchanged(lambda: self._claim(identity, worker, wanted, limit, now, until, in_use), _ATTEMPTS)

    def _claim(self, identity: str, worker: str, wanted: int, limit: int, now: datetime, until: datetime, in_use: int) -> int:
        key = share_key(identity)
        found = self._table.get(*key)
        before = {} if found is None else record_of(_Shares, found).claims
        claims, given = claimed(before, worker, wanted, limit, now, until, in_use)
        columns = columns_of(_Shares(claims))
        if found is None:
            self._table.write(operation(Verb.INSERT, *key, columns))
        else:
            self._table.write(operation(Verb.REPLACE, *key, columns, found.etag))
        return given
