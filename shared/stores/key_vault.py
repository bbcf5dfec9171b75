"""Secrets in Azure Key Vault. A version never changes, so a rotated secret is read at once: its reference names a new version.

What was read is kept for a few minutes, so that a run does not ask for it again with every sign-in, and so that a version
that was disabled stops working soon.
"""

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from threading import Lock
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from shared.domain.configuration import SecretRef
from shared.domain.errors import Busy, InvalidRecord, SyncError, Throttled, Unreachable
from shared.domain.ids import short_hash
from shared.stores.limits import checked_secret

if TYPE_CHECKING:
    from azure.core.exceptions import AzureError
    from azure.keyvault.secrets import SecretClient

KEPT = timedelta(minutes=5)
_KEPT_AT_MOST = 1_000

_PLAIN_NAME = re.compile(r"[a-z0-9-]{1,127}")
_LONGEST_START = 90


class VaultRefused(SyncError):
    """Key Vault does not let us do this."""

    code = "key_vault_refused"
    remedy = (
        "Give the function app's identity the role Key Vault Secrets Officer on the vault, and check the vault's firewall and"
        " the setting SIDESYNC_KEY_VAULT_URL. A secret that was deleted in the vault must be recovered or purged there."
    )


@dataclass(frozen=True, slots=True)
class _Kept:
    value: str
    set_on: datetime | None
    until: float


class KeyVaultSecrets:
    """`client_id` is that of a user-assigned identity, None the system-assigned one. `open_client` and `seconds` take the place
    of the vault's client and of the clock. Raises VaultRefused for a URL without TLS; connects with the first call."""

    def __init__(
        self,
        url: str,
        client_id: str | None = None,
        open_client: "Callable[[], SecretClient] | None" = None,
        seconds: Callable[[], float] = time.monotonic,
    ) -> None:
        checked = _checked(url)
        self._open = open_client or (lambda: _client(checked, client_id))
        self._seconds = seconds
        self._lock = Lock()
        self._kept: dict[SecretRef, _Kept] = {}

    def get(self, ref: SecretRef) -> str:
        found = self._find(ref)
        if found is None:
            raise KeyError(ref.name)
        return found.value

    def set(self, name: str, value: str) -> SecretRef:
        from azure.core.exceptions import AzureError

        try:
            stored = self._client.set_secret(vault_name(name), checked_secret(name, value))
        except (AzureError, ValueError) as error:
            raise _mapped(error) from error
        return SecretRef(name, str(stored.properties.version))

    def set_on(self, ref: SecretRef) -> datetime | None:
        found = self._find(ref)
        return None if found is None else found.set_on

    def _find(self, ref: SecretRef) -> _Kept | None:
        with self._lock:
            kept = self._kept.get(ref)
        if kept is not None and kept.until > self._seconds():
            return kept
        read = self._read(ref)
        with self._lock:
            self._kept.pop(ref, None)
            if read is not None:
                while len(self._kept) >= _KEPT_AT_MOST:
                    del self._kept[next(iter(self._kept))]
                self._kept[ref] = read
        return read

    def _read(self, ref: SecretRef) -> _Kept | None:
        from azure.core.exceptions import AzureError, ResourceNotFoundError

        if not _PLAIN_NAME.fullmatch(ref.version):
            return None
        try:
            found = self._client.get_secret(vault_name(ref.name), ref.version)
        except ResourceNotFoundError:
            return None
        except (AzureError, ValueError) as error:
            raise _mapped(error) from error
        return _Kept(found.value or "", found.properties.created_on, self._seconds() + KEPT.total_seconds())

    @cached_property
    def _client(self) -> "SecretClient":
        return self._open()


def vault_name(name: str) -> str:
    """The name in the vault, which knows letters, digits and hyphens only and does not tell cases apart."""
    if _PLAIN_NAME.fullmatch(name):
        return name
    start = re.sub("[^a-z0-9]+", "-", name.lower())[:_LONGEST_START].strip("-")
    return f"{start or 'secret'}-{short_hash(name)}"


def _checked(url: str) -> str:
    try:
        parts = urlsplit(url)
        if parts.scheme == "https" and parts.hostname and parts.username is None:
            return url
    except ValueError:
        pass
    raise VaultRefused("the setting SIDESYNC_KEY_VAULT_URL is not the URL of a Key Vault (https://name.vault.azure.net)")


def _client(url: str, client_id: str | None) -> "SecretClient":
    from azure.identity import ManagedIdentityCredential
    from azure.keyvault.secrets import SecretClient

    return SecretClient(
        url, ManagedIdentityCredential(client_id=client_id), connection_timeout=5, read_timeout=30, retry_total=3
    )


def _mapped(error: "AzureError | ValueError") -> SyncError:
    """The error to raise `from` it. What Key Vault says in words is left out: it may name what was sent."""
    from azure.core.exceptions import ClientAuthenticationError

    if isinstance(error, ValueError):
        return VaultRefused("what answers at the URL of the vault is no Key Vault, or the URL is none")

    status = getattr(error, "status_code", None)
    if status is None:
        if isinstance(error, ClientAuthenticationError):
            return VaultRefused("the function app's identity gets no token for Key Vault")
        return Unreachable(f"no reply from Key Vault: {type(error).__name__}")
    what = f"Key Vault answered {status} {_code(error)}".rstrip()
    if status == 429:
        return Throttled(what, _retry_after(error))
    if status in (401, 403, 409):
        return VaultRefused(what)
    if 400 <= status < 500:
        return InvalidRecord("secret", what, "Use a secret that Key Vault accepts.")
    return Busy(what)


def _code(error: "AzureError") -> str:
    found = getattr(error, "error", None)
    inner = getattr(found, "innererror", None)
    code = inner.get("code") if isinstance(inner, dict) else None
    return str(code or getattr(found, "code", None) or "")


def _retry_after(error: "AzureError") -> timedelta | None:
    response = getattr(error, "response", None)
    text = "" if response is None else str(response.headers.get("Retry-After", ""))
    return timedelta(seconds=int(text)) if text.isdecimal() else None
