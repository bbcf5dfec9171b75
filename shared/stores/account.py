"""Where the storage account is and who signs requests to it: a connection string, or an account name and a managed identity."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from shared.domain.errors import SyncError

if TYPE_CHECKING:
    from azure.core.credentials import AzureNamedKeyCredential, TokenCredential

_EMULATOR = {
    "AccountName": "devstoreaccount1",
    # The well-known key of every emulator; it protects nothing.
    "AccountKey": "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==",
    "BlobEndpoint": "http://127.0.0.1:10000/devstoreaccount1",
    "QueueEndpoint": "http://127.0.0.1:10001/devstoreaccount1",
    "TableEndpoint": "http://127.0.0.1:10002/devstoreaccount1",
}


class InvalidConnection(SyncError):
    """The connection to the storage account cannot be understood; the message says what it lacks, never its key."""

    code = "invalid_connection"
    remedy = "Copy the connection string of the storage account again, or write UseDevelopmentStorage=true for Azurite."


@dataclass(frozen=True, slots=True)
class StorageConnection:
    """A connection string, or the name of an account that is reached as a managed identity."""

    connection_string: str | None = field(default=None, repr=False)
    account_name: str | None = None
    client_id: str | None = None
    """Of a user-assigned identity; None is the system-assigned one."""


@dataclass(frozen=True)
class Account:
    """A storage account: its endpoints without a final slash, and its key or the identity that has access."""

    name: str
    key: str | None = field(repr=False)
    table_endpoint: str
    queue_endpoint: str
    blob_endpoint: str
    client_id: str | None = None

    @cached_property
    def credential(self) -> "AzureNamedKeyCredential | TokenCredential":
        """What the SDKs sign with."""
        if self.key is not None:
            from azure.core.credentials import AzureNamedKeyCredential

            return AzureNamedKeyCredential(self.name, self.key)
        from azure.identity import ManagedIdentityCredential

        return ManagedIdentityCredential(client_id=self.client_id)


def account_of(connection: StorageConnection) -> Account:
    """Raises InvalidConnection."""
    if connection.connection_string:
        return _from_parts(_parts(connection.connection_string))
    if connection.account_name:
        parts = {"AccountName": connection.account_name}
        return _from_parts(parts, client_id=connection.client_id, with_key=False)
    raise InvalidConnection("neither a connection string nor an account name is given")


def _parts(connection_string: str) -> Mapping[str, str]:
    pairs = [part.partition("=") for part in connection_string.split(";") if part.strip()]
    parts = {name.strip(): value.strip() for name, _, value in pairs}
    return _EMULATOR if parts.get("UseDevelopmentStorage", "").lower() == "true" else parts


def _from_parts(parts: Mapping[str, str], client_id: str | None = None, *, with_key: bool = True) -> Account:
    missing = [name for name in ("AccountName", *(("AccountKey",) if with_key else ())) if not parts.get(name)]
    if missing:
        raise InvalidConnection(f"the connection string has no {' and no '.join(missing)}")
    if with_key and not _is_base64(parts["AccountKey"]):
        raise InvalidConnection("the connection string has an AccountKey that is not base64")
    return Account(
        name=parts["AccountName"],
        key=parts.get("AccountKey"),
        table_endpoint=_endpoint(parts, "table"),
        queue_endpoint=_endpoint(parts, "queue"),
        blob_endpoint=_endpoint(parts, "blob"),
        client_id=client_id,
    )


def _is_base64(text: str) -> bool:
    try:
        return bool(base64.b64decode(text))
    except ValueError:
        return False


def _is_url(text: str) -> bool:
    try:
        parts = urlsplit(text)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _endpoint(parts: Mapping[str, str], service: str) -> str:
    if given := parts.get(f"{service.title()}Endpoint"):
        if not _is_url(given):
            raise InvalidConnection(f"the connection string has a {service.title()}Endpoint that is no URL")
        return given.rstrip("/")
    scheme = parts.get("DefaultEndpointsProtocol", "https")
    return f"{scheme}://{parts['AccountName']}.{service}.{parts.get('EndpointSuffix', 'core.windows.net')}"
