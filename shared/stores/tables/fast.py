"""The Table service without the SDK: builds the bytes of transactions itself, over one set of connections.

The SDK spends more time on building a transaction than the service on executing it. The requests are those of the Table
service's REST reference (Insert Entity, Merge Entity, Performing entity group transactions, Query Entities).
"""

import time
from collections.abc import Callable, Sequence
from urllib.parse import quote

from shared.domain.errors import TransientError
from shared.stores.account import Account
from shared.stores.tables.gateway import Entity, Operation, Query, RowMissing, Verb
from shared.stores.tables.replies import TableMissing, entities, entity, etags, raise_error
from shared.stores.tables.transport import Reply, Send, Transport

_JSON = "application/json;odata=minimalmetadata"
_BATCH = "batch_sidesync"
_CHANGESET = "changeset_sidesync"
"""Boundaries can be fixed: rows are JSON without line breaks, so nothing in them starts a line."""

_METHODS = {
    Verb.INSERT: "POST",
    Verb.UPSERT: "PUT",
    Verb.REPLACE: "PUT",
    Verb.MERGE: "PATCH",
    Verb.DELETE: "DELETE",
}
_READ_HEADERS = {"Accept": _JSON}
_PREFIX = f"--{_BATCH}\r\nContent-Type: multipart/mixed; boundary={_CHANGESET}\r\n\r\n".encode()
_SUFFIX = f"--{_CHANGESET}--\r\n\r\n--{_BATCH}--\r\n".encode()
_PART = f"--{_CHANGESET}\r\nContent-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n\r\n"


class FastGateway:
    """`create_table` is asked for a table that a write misses. `send` and `sleep` take the place of network and clock."""

    def __init__(
        self,
        account: Account,
        create_table: Callable[[str], None],
        send: Send | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._transport = Transport(account, send, sleep)
        self.create_table = create_table

    @property
    def requests(self) -> int:
        return self._transport.requests

    def get(self, table: str, partition: str, row: str) -> Entity | None:
        try:
            return entity(self._transport.request("GET", f"/{_address(table, partition, row)}", _READ_HEADERS))
        except (RowMissing, TableMissing):
            return None

    def page(
        self, table: str, query: Query, limit: int | None = None, after: tuple[str, str] | None = None
    ) -> tuple[Sequence[Entity], tuple[str, str] | None]:
        options = {"$filter": query.filter, "$top": "" if limit is None else str(limit)}
        if after is not None:
            options |= {"NextPartitionKey": after[0], "NextRowKey": after[1]}
        text = "&".join(f"{name}={quote(value, safe='')}" for name, value in options.items() if value)
        reply = self._transport.request("GET", f"/{table}()?{text}", _READ_HEADERS)
        try:
            return entities(reply), _next(reply)
        except TableMissing:
            return [], None

    def write(self, table: str, operation: Operation) -> str:
        return self._creating(table, lambda: self._write(table, operation))

    def transact(self, table: str, operations: Sequence[Operation]) -> Sequence[str]:
        if len(operations) == 1:
            return [self.write(table, operations[0])]
        return self._creating(table, lambda: self._transact(table, operations))

    def _write(self, table: str, operation: Operation) -> str:
        method = _METHODS[operation.verb]
        reply = self._transport.request(
            method,
            f"/{_resource(table, operation)}",
            _write_headers(operation),
            operation.body if operation.verb is not Verb.DELETE else None,
            repeatable=operation.is_repeatable,
        )
        raise_error(reply.status, reply.body)
        return reply.headers.get("ETag", "")

    def _transact(self, table: str, operations: Sequence[Operation]) -> Sequence[str]:
        reply = self._transport.request(
            "POST",
            "/$batch",
            {"Content-Type": f"multipart/mixed; boundary={_BATCH}", "Accept": _JSON, "MaxDataServiceVersion": "3.0;NetFx"},
            encoded_transaction(f"{self._transport.endpoint}/{table}", table, operations),
            repeatable=all(each.is_repeatable for each in operations),
        )
        return etags(reply, len(operations))

    def _creating[T](self, table: str, write: Callable[[], T]) -> T:
        """A table that is missing is created, and the write repeated: nothing of it was executed."""
        try:
            return write()
        except TableMissing:
            self.create_table(table)
        try:
            return write()
        except TableMissing as error:
            raise TransientError(f"the table {table} was created and cannot be written yet") from error


def encoded_transaction(table_url: str, table: str, operations: Sequence[Operation]) -> bytes:
    """The multipart body of an entity group transaction: one changeset, one part per row."""
    base = table_url.removesuffix(table)
    parts = [_PREFIX]
    for each in operations:
        headers = "".join(f"{name}: {value}\r\n" for name, value in _write_headers(each).items())
        parts.append(f"{_PART}{_METHODS[each.verb]} {base}{_resource(table, each)} HTTP/1.1\r\n{headers}\r\n".encode())
        if each.verb is not Verb.DELETE:
            parts.append(each.body)
        parts.append(b"\r\n")
    parts.append(_SUFFIX)
    return b"".join(parts)


def _write_headers(operation: Operation) -> dict[str, str]:
    headers = {"Accept": _JSON, "DataServiceVersion": "3.0"}
    if operation.verb is not Verb.DELETE:
        headers["Content-Type"] = "application/json"
    if operation.verb is Verb.INSERT:
        headers["Prefer"] = "return-no-content"
    if operation.verb in (Verb.REPLACE, Verb.MERGE, Verb.DELETE):
        headers["If-Match"] = operation.etag or "*"
    return headers


def _resource(table: str, operation: Operation) -> str:
    return table if operation.verb is Verb.INSERT else _address(table, operation.partition, operation.row)


def _address(table: str, partition: str, row: str) -> str:
    return f"{table}(PartitionKey='{_escaped(partition)}',RowKey='{_escaped(row)}')"


def _escaped(key: str) -> str:
    return quote(key.replace("'", "''"), safe="'")


def _next(reply: Reply) -> tuple[str, str] | None:
    partition = reply.headers.get("x-ms-continuation-NextPartitionKey")
    return None if partition is None else (partition, reply.headers.get("x-ms-continuation-NextRowKey", ""))
