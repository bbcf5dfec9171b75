"""Reads what the Table service answers: rows, ETags of a transaction, and the errors it names. Every error is mapped here."""

import json
import re
from collections.abc import Mapping, Sequence
from typing import NoReturn

from shared.domain.errors import Busy, InvalidRecord, SyncError, Unreachable
from shared.stores.failures import StorageRefused
from shared.stores.tables.gateway import Entity, RowChanged, RowExists, RowMissing
from shared.stores.tables.transport import Reply

_STATUS = re.compile(rb"^HTTP/1\.1 (\d{3})", re.MULTILINE)
_ETAG = re.compile(rb"^etag: *(.+?)\r?$", re.MULTILINE | re.IGNORECASE)
_INDEX = re.compile(r"^(\d+):")

_ROW_ERRORS: Mapping[str, type[RowExists | RowChanged | RowMissing]] = {
    "EntityAlreadyExists": RowExists,
    "UpdateConditionNotSatisfied": RowChanged,
    "ConditionNotMet": RowChanged,
    "ResourceNotFound": RowMissing,
    "EntityDoesNotExist": RowMissing,
}
_ROW_STATUS: Mapping[int, type[RowExists | RowChanged | RowMissing]] = {409: RowExists, 412: RowChanged, 404: RowMissing}


class TableMissing(SyncError):
    """The table does not exist yet."""


def entities(reply: Reply) -> Sequence[Entity]:
    raise_error(reply.status, reply.body)
    return [_entity(row) for row in _json(reply.body).get("value", [])]  # type: ignore[attr-defined]  # its shape is OData's


def entity(reply: Reply) -> Entity:
    raise_error(reply.status, reply.body)
    return _entity(_json(reply.body))


def etags(reply: Reply, expected: int) -> Sequence[str]:
    """The new ETag of every row of a transaction, empty for deletions. Raises what the service says of one that failed."""
    raise_error(reply.status, reply.body)
    starts = [match.start() for match in _STATUS.finditer(reply.body)]
    parts = [reply.body[start:end] for start, end in zip(starts, [*starts[1:], len(reply.body)], strict=True)]
    for part in parts:
        status = int(part[9:12])
        raise_error(status, part[part.find(b"{") :] if status >= 400 else b"")
    if len(parts) != expected:
        raise Unreachable(f"the Table service answered {len(parts)} of {expected} operations")
    return [found[1].decode() if (found := _ETAG.search(part)) else "" for part in parts]


def raise_error(status: int, body: bytes) -> None:
    """Returns if it is none."""
    if status >= 400:
        code, message = _error(body)
        raise_named(status, code, message)


def raise_named(status: int, code: str, message: str, cause: Exception | None = None) -> NoReturn:
    """The error that the service means by its status and code."""
    if code == "TableNotFound":
        raise TableMissing(message) from cause
    if code in ("TableBeingDeleted", "TableBeingCreated"):
        raise Busy(f"the Table service answered {code}") from cause
    if kind := _ROW_ERRORS.get(code) or _ROW_STATUS.get(status):
        error = kind(f"the Table service answered {status} {code}")
        found = _INDEX.match(message)
        error.index = int(found[1]) if found else None
        raise error from cause
    if status in (401, 403):
        raise StorageRefused(f"the Table service answered {status} {code}") from cause
    if 400 <= status < 500:
        raise InvalidRecord(
            "record", f"the Table service answered {status} {code}", "Report this: a limit is not checked."
        ) from cause
    raise Busy(f"the Table service answered {status} {code}") from cause


def _error(body: bytes) -> tuple[str, str]:
    try:
        found = json.JSONDecoder().raw_decode(body.decode("utf-8", "replace"))[0]["odata.error"]
        return str(found["code"]), str(found["message"]["value"])
    except (ValueError, KeyError, TypeError):
        return "", ""


def _json(body: bytes) -> dict[str, object]:
    try:
        found = json.loads(body)
    except ValueError as error:
        raise Unreachable("the Table service answered something that is not JSON") from error
    if not isinstance(found, dict):
        raise Unreachable("the Table service answered something that is not an object")
    return found


def _entity(row: object) -> Entity:
    if not isinstance(row, dict):
        raise Unreachable("the Table service answered a row that is none")
    return Entity(row["PartitionKey"], row["RowKey"], row.get("odata.etag", ""), row)
