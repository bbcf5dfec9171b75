"""The Table service through azure-data-tables: the plain reference for `FastGateway`, and how tables are created."""

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from shared.domain.errors import SyncError, Unreachable
from shared.stores.account import Account
from shared.stores.tables.gateway import Entity, Operation, Query, RowMissing, Value, Verb
from shared.stores.tables.replies import TableMissing, raise_named

if TYPE_CHECKING:
    from azure.core.exceptions import AzureError
    from azure.data.tables import TableClient

_INT32 = 2**31
_CODE = re.compile(r'(?:ErrorCode:|"code": ?")(\w+)')


class SdkGateway:
    def __init__(self, account: Account) -> None:
        self._account = account
        self._clients: dict[str, TableClient] = {}
        self.requests = 0

    def create_table(self, table: str) -> None:
        from azure.core.exceptions import AzureError, ResourceExistsError

        self.requests += 1
        try:
            self._client(table).create_table()
        except ResourceExistsError:
            return
        except AzureError as error:
            raise _mapped(error) from error

    def get(self, table: str, partition: str, row: str) -> Entity | None:
        try:
            return self._calling(lambda: _entity(self._client(table).get_entity(partition, row)))
        except (RowMissing, TableMissing):
            return None

    def page(
        self, table: str, query: Query, limit: int | None = None, after: tuple[str, str] | None = None
    ) -> tuple[Sequence[Entity], tuple[str, str] | None]:
        token: Any = None if after is None else {"PartitionKey": after[0], "RowKey": after[1]}

        def read() -> tuple[Sequence[Entity], tuple[str, str] | None]:
            client = self._client(table)
            found = (
                client.query_entities(query.filter, results_per_page=limit)
                if query.filter
                else client.list_entities(results_per_page=limit)
            )
            by_page: Any = found.by_page(continuation_token=token)  # its continuation token is not in its type
            rows = [_entity(each) for each in next(by_page, ())]
            following = by_page.continuation_token
            return rows, (following["PartitionKey"], following["RowKey"]) if following else None

        try:
            return self._calling(read)
        except TableMissing:
            return [], None

    def write(self, table: str, operation: Operation) -> str:
        return self._creating(table, lambda: self._write(self._client(table), operation))

    def transact(self, table: str, operations: Sequence[Operation]) -> Sequence[str]:
        steps = [_step(each) for each in operations]
        replies = self._creating(table, lambda: self._client(table).submit_transaction(steps))
        return [str(reply.get("etag") or "") for reply in replies]

    def _write(self, client: "TableClient", operation: Operation) -> str:
        name, row, options = _step(operation)
        match name:
            case "create":
                return str(client.create_entity(row)["etag"])
            case "upsert":
                return str(client.upsert_entity(row, **options)["etag"])
            case "update":
                return str(client.update_entity(row, **options)["etag"])
        if client_lacks_row := self._lacks(client, operation):
            raise client_lacks_row
        client.delete_entity(row, **options)
        return ""

    def _lacks(self, client: "TableClient", operation: Operation) -> RowMissing | None:
        """The SDK takes the deletion of a row that is not there for success; the service does not."""
        from azure.core.exceptions import ResourceNotFoundError

        try:
            client.get_entity(operation.partition, operation.row)
        except ResourceNotFoundError:
            return RowMissing(f"no row {operation.row}")
        return None

    def _creating[T](self, table: str, write: Callable[[], T]) -> T:
        try:
            return self._calling(write)
        except TableMissing:
            self.create_table(table)
            return self._calling(write)

    def _calling[T](self, call: Callable[[], T]) -> T:
        from azure.core.exceptions import AzureError

        self.requests += 1
        try:
            return call()
        except AzureError as error:
            raise _mapped(error) from error

    def _client(self, table: str) -> "TableClient":
        if table not in self._clients:
            from azure.data.tables import TableClient

            self._clients[table] = TableClient(
                self._account.table_endpoint, table, credential=self._account.credential, retry_total=0
            )
        return self._clients[table]


def _step(operation: Operation) -> Any:  # noqa: ANN401 - the SDK's own union of tuples
    from azure.core import MatchConditions
    from azure.data.tables import UpdateMode

    row = {"PartitionKey": operation.partition, "RowKey": operation.row, **_typed(operation.columns)}
    matching: dict[str, object] = (
        {"etag": operation.etag, "match_condition": MatchConditions.IfNotModified} if operation.etag else {}
    )
    match operation.verb:
        case Verb.INSERT:
            return "create", row, {}
        case Verb.UPSERT:
            return "upsert", row, {"mode": UpdateMode.REPLACE}
        case Verb.REPLACE:
            return "update", row, {"mode": UpdateMode.REPLACE, **matching}
        case Verb.MERGE:
            return "update", row, {"mode": UpdateMode.MERGE, **matching}
        case Verb.DELETE:
            return "delete", row, matching


def _typed(columns: Mapping[str, Value]) -> dict[str, object]:
    from azure.data.tables import EdmType, EntityProperty

    def typed(value: Value) -> object:
        large = isinstance(value, int) and not -_INT32 <= value < _INT32
        return EntityProperty(value, EdmType.INT64) if large else value

    return {name: typed(value) for name, value in columns.items()}


def _entity(found: Any) -> Entity:  # noqa: ANN401 - a TableEntity, whose metadata is untyped
    columns = {name: _plain(value) for name, value in found.items()}
    return Entity(found["PartitionKey"], found["RowKey"], found.metadata.get("etag", ""), columns)


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, tuple):
        return value[0]
    return value


def _mapped(error: "AzureError") -> SyncError:
    status = getattr(error, "status_code", None)
    if status is None:
        return Unreachable(f"no reply from the Table service: {type(error).__name__}")
    message = str(getattr(error, "message", ""))
    try:
        raise_named(int(status), _code(error, message), message, error)
    except SyncError as mapped:
        return mapped


def _code(error: "AzureError", message: str) -> str:
    """Some calls of the SDK set the code, some leave it in the message or in the reply."""
    known = getattr(getattr(error, "error_code", None), "value", "")
    found = _CODE.search(message) or _CODE.search(_body(error))
    return str(known) or (found[1] if found else "")


def _body(error: "AzureError") -> str:
    response = getattr(error, "response", None)
    return "" if response is None else str(response.text())
