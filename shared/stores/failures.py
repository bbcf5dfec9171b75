"""What the errors of the Azure SDKs mean to a caller. The Table service has its own mapping, beside its gateways."""

from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from shared.domain.errors import Busy, InvalidRecord, SyncError, Throttled, Unreachable

if TYPE_CHECKING:
    from azure.core.exceptions import AzureError


PATIENCE: Mapping[str, Any] = {
    "connection_timeout": 5,
    "read_timeout": 60,
    "retry_total": 3,
    "initial_backoff": 0.3,
    "increment_base": 2,
}
"""How the SDKs of queues and blobs repeat, in seconds. Left alone they wait for more than a minute, longer than a lease allows
for; what they repeat here is the same when it is done twice."""


_PASSING = frozenset({"InvalidBlockList", "ConditionNotMet"})
"""Two wrote the same blob at once, and the other one was done first; or a blob was replaced or removed while it was read."""


class StorageRefused(SyncError):
    """The storage account does not let us in."""

    code = "storage_refused"
    remedy = (
        "Check the key of the storage account, or the roles of the identity: Storage Table, Queue and Blob Data Contributor."
    )


def mapped(error: "AzureError", service: str) -> SyncError:
    """The error to raise `from` it."""
    status = getattr(error, "status_code", None)
    if status is None:
        return Unreachable(f"no reply from the {service} service: {type(error).__name__}")
    what = f"the {service} service answered {status} {getattr(error, 'error_code', '') or ''}".rstrip()
    if status in (401, 403):
        return StorageRefused(what)
    if status in (429, 503):
        return Throttled(what, _retry_after(error))
    if getattr(error, "error_code", None) in _PASSING:
        return Busy(what)
    if status in range(400, 500) and status not in (404, 408, 409):
        return InvalidRecord("name", what, "Use a name and a content that the storage account accepts.")
    return Busy(what)


def _retry_after(error: "AzureError") -> timedelta | None:
    response = getattr(error, "response", None)
    text = "" if response is None else str(response.headers.get("Retry-After", ""))
    return timedelta(seconds=int(text)) if text.isdecimal() else None
