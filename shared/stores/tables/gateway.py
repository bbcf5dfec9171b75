"""What the table stores need of the Table service, and the rules that every row must keep before it is sent.

Two gateways implement it: `FastGateway`, which builds requests itself, and `SdkGateway`, the plain reference. Both raise
RowExists, RowChanged and RowMissing for what the service says about rows, and TransientError for everything that may pass.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from typing import Protocol

from shared.domain.errors import AlreadyExists, Changed, InvalidRecord
from shared.stores.limits import is_key, units

type Value = str | int | bool | datetime

TRANSACTION_ROWS = 100
TRANSACTION_BYTES = 3_500 * 1024
"""Of encoded rows; the service takes 4 MiB of request."""

_ROW_BYTES = 1024 * 1024
_COLUMNS = 252
_COLUMN_UNITS = 32 * 1024
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,254}")
NEVER = datetime(9999, 12, 31, tzinfo=UTC)
"""The last day that the service knows: a merge cannot remove a column, and this time never comes."""
_EARLIEST = datetime(1601, 1, 1, tzinfo=UTC)
_INT32 = 2**31
_INT64 = 2**63
_OPERATION_OVERHEAD = 600
"""Bytes of headers around one row of a transaction, without its keys."""


class _Indexed:
    """Something that the service said about one row: `index` is that row's place in the transaction, where it told."""

    index: int | None = None


class RowExists(AlreadyExists, _Indexed):
    pass


class RowChanged(Changed, _Indexed):
    pass


class RowMissing(Changed, _Indexed):
    """The row is not there (any more)."""


class Verb(Enum):
    """What is done to a row. REPLACE, MERGE and DELETE need the row to be there."""

    INSERT = "insert"
    UPSERT = "upsert"
    """Inserts, or replaces what is there."""
    REPLACE = "replace"
    MERGE = "merge"
    """Sets the columns given and leaves the others; it cannot remove a column."""
    DELETE = "delete"


@dataclass(frozen=True, slots=True)
class Entity:
    """A stored row. A column reads as text, number or Boolean; a time as its ISO text; a large number as text."""

    partition: str
    row: str
    etag: str
    columns: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Operation:
    """One write. `body` is the row as the service takes it; `etag` None means whatever is there."""

    verb: Verb
    partition: str
    row: str
    columns: Mapping[str, Value]
    body: bytes
    etag: str | None = None

    @property
    def size(self) -> int:
        """Bytes that it takes in a transaction."""
        return len(self.body) + 3 * (len(self.partition) + len(self.row)) + _OPERATION_OVERHEAD

    @property
    def is_repeatable(self) -> bool:
        """Done twice it does the same, and says so: a lost reply may be answered by sending it again."""
        return self.verb in (Verb.UPSERT, Verb.MERGE) and self.etag is None


def operation(
    verb: Verb, partition: str, row: str, columns: Mapping[str, Value] | None = None, etag: str | None = None
) -> Operation:
    """A checked and encoded write. Raises InvalidRecord naming the column that breaks a limit of the Table service."""
    own = columns or {}
    _check_key("PartitionKey", partition)
    _check_key("RowKey", row)
    _check_columns(partition, row, own)
    return Operation(verb, partition, row, own, _encoded(partition, row, own), etag)


@dataclass(frozen=True, slots=True)
class Query:
    """Which rows are meant: ranges from `first` up to but not including `before`, and what is due. None is no bound."""

    first_partition: str | None = None
    last_partition: str | None = None
    first_row: str | None = None
    before_row: str | None = None
    due: tuple[str, datetime] | None = None
    """Column and time: rows in which that column's time has come."""
    equal: tuple[str, str] | None = None
    """Column and text: rows in which that column is this text. The service reads the whole range to find them."""

    @property
    def can_match(self) -> bool:
        """What cannot be a key names nothing: no need to ask, and no way to."""
        bounds = (self.first_partition, self.last_partition, self.first_row, self.before_row)
        return all(is_key(bound) for bound in bounds if bound is not None)

    @property
    def filter(self) -> str:
        """As OData. Values are quoted here and nowhere else."""
        if self.first_partition is not None and self.first_partition == self.last_partition:
            terms = [f"PartitionKey eq {_quoted(self.first_partition)}"]
        else:
            terms = [*_term("PartitionKey ge", self.first_partition), *_term("PartitionKey le", self.last_partition)]
        terms += [*_term("RowKey ge", self.first_row), *_term("RowKey lt", self.before_row)]
        if self.due is not None:
            terms.append(f"{self.due[0]} le datetime'{wire_time(self.due[1])}'")
        if self.equal is not None:
            terms.append(f"{self.equal[0]} eq {_quoted(self.equal[1])}")
        return " and ".join(terms)


def rows_of(partition: str, first: str | None = None, before: str | None = None) -> Query:
    return Query(partition, partition, first, before)


class Gateway(Protocol):
    """The Table service. A table that is missing reads as empty and is created by the first write."""

    @property
    def requests(self) -> int:
        """Requests sent so far."""
        ...

    def get(self, table: str, partition: str, row: str) -> Entity | None: ...

    def page(
        self, table: str, query: Query, limit: int | None = None, after: tuple[str, str] | None = None
    ) -> tuple[Sequence[Entity], tuple[str, str] | None]:
        """One request: rows in order of their keys, and where the next page starts. It may be empty and yet have a next."""
        ...

    def write(self, table: str, operation: Operation) -> str:
        """Returns the new ETag, empty after a deletion. Raises RowExists, RowChanged, RowMissing."""
        ...

    def transact(self, table: str, operations: Sequence[Operation]) -> Sequence[str]:
        """All or nothing, in one partition, one operation per row; returns the new ETags. Raises as `write`."""
        ...

    def create_table(self, table: str) -> None:
        """One that is there already is success."""
        ...


def pages(gateway: Gateway, table: str, query: Query) -> Iterator[Sequence[Entity]]:
    """All pages of a query, one request each."""
    after: tuple[str, str] | None = None
    while True:
        found, after = gateway.page(table, query, after=after)
        if found:
            yield found
        if after is None:
            return


def cut_transactions(groups: Sequence[Sequence[Operation]]) -> list[list[Operation]]:
    """Transactions of at most 100 rows and 3.5 MiB; what stands in one group stays in one transaction."""
    cut: list[list[Operation]] = []
    size = 0
    for group in groups:
        added = sum(each.size for each in group)
        if not cut or len(cut[-1]) + len(group) > TRANSACTION_ROWS or size + added > TRANSACTION_BYTES:
            cut.append([])
            size = 0
        cut[-1] += group
        size += added
    return cut


def transactions_of(writes: Iterable[Operation]) -> list[list[Operation]]:
    """Writes that do not depend on one another, by partition; of those to one row the last counts."""
    by_partition: dict[str, dict[str, Sequence[Operation]]] = {}
    for each in writes:
        by_partition.setdefault(each.partition, {})[each.row] = (each,)
    return [cut for rows in by_partition.values() for cut in cut_transactions(list(rows.values()))]


def grouped_transactions(groups: Iterable[Sequence[Operation]]) -> list[list[Operation]]:
    """Groups of writes, each of one partition, by partition; what stands in one group stays in one transaction."""
    by_partition: dict[str, list[Sequence[Operation]]] = {}
    for group in groups:
        by_partition.setdefault(group[0].partition, []).append(group)
    return [cut for found in by_partition.values() for cut in cut_transactions(found)]


def wire_time(time: datetime) -> str:
    return time.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def _encoded(partition: str, row: str, columns: Mapping[str, Value]) -> bytes:
    found: dict[str, object] = {"PartitionKey": partition, "RowKey": row}
    for name, value in columns.items():
        if isinstance(value, datetime):
            found[f"{name}@odata.type"] = "Edm.DateTime"
            found[name] = wire_time(value)
        elif isinstance(value, int) and not -_INT32 <= value < _INT32:
            found[f"{name}@odata.type"] = "Edm.Int64"
            found[name] = str(value)
        else:
            found[name] = value
    text = json.dumps(found, separators=(",", ":"), ensure_ascii=False)
    # Azurite splits transactions at what JavaScript takes for a line break.
    return text.replace("\u2028", "\\u2028").replace("\u2029", "\\u2029").encode()


def _check_key(name: str, key: str) -> None:
    if not is_key(key):
        raise InvalidRecord(
            name, f"not a key of the Table service: {key[:80]!r}", "Use ids without / \\ # ? and control characters."
        )


def _check_columns(partition: str, row: str, columns: Mapping[str, Value]) -> None:
    if len(columns) > _COLUMNS:
        raise InvalidRecord("record", f"{len(columns)} columns, at most {_COLUMNS} fit in a row", "Store less in one record.")
    total = 4 + 2 * (len(partition) + len(row))
    for name, value in columns.items():
        total += 8 + 2 * len(name) + _column_bytes(name, value)
    if total > _ROW_BYTES:
        raise InvalidRecord("record", f"{total} bytes, at most {_ROW_BYTES} fit in a row", "Store less in one record.")


def _column_bytes(name: str, value: Value) -> int:
    if not _NAME.fullmatch(name):
        raise InvalidRecord(
            name, f"not a column name of the Table service: {name[:80]!r}", "Use letters, digits and underscores."
        )
    if isinstance(value, str):
        length = units(value)
        if length > _COLUMN_UNITS:
            raise InvalidRecord(name, f"{name} has {length} characters, at most {_COLUMN_UNITS} fit", "Use a shorter text.")
        return 4 + 2 * length
    if isinstance(value, datetime) and value < _EARLIEST:
        raise InvalidRecord(name, f"{name} is before the year 1601", "Use a later time.")
    if isinstance(value, int) and not -_INT64 <= value < _INT64:
        raise InvalidRecord(name, f"{name} is too large a number", "Use a smaller number.")
    return 8


def _term(comparison: str, value: str | None) -> list[str]:
    return [] if value is None else [f"{comparison} {_quoted(value)}"]


def _quoted(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
