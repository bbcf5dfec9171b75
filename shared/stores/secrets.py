"""Secrets of one machine: encrypted rows, with the key from the settings. A deployment keeps them in Key Vault instead.

Each version is a row of its own and never changes; name and version are bound to what is encrypted, so rows cannot be swapped.
"""

import base64
import binascii
import os
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import uuid4

from shared.domain.configuration import SecretRef
from shared.domain.errors import SyncError
from shared.stores.entities import secret_partition
from shared.stores.limits import checked_secret
from shared.stores.tables.gateway import Verb, operation
from shared.stores.tables.table import Table, columns_of, record_of

_KEY_BYTES = 32
_NONCE_BYTES = 12


class WrongSecretsKey(SyncError):
    """The setting SIDESYNC_SECRETS_KEY is not the key that the secrets were written with."""

    code = "wrong_secrets_key"
    remedy = (
        "Set SIDESYNC_SECRETS_KEY to the key that was in use when the secrets were saved"
        " (32 bytes in URL-safe base64), or save the credentials again."
    )


@dataclass(frozen=True, slots=True)
class _Encrypted:
    name: str
    nonce: str
    text: str
    set_on: datetime | None = None


class LocalSecrets:
    """Raises WrongSecretsKey if `key` is none: 32 bytes in URL-safe base64."""

    def __init__(self, table: Table, key: str) -> None:
        self._table = table
        self._key = _key_bytes(key)

    def get(self, ref: SecretRef) -> str:
        found = self._table.get(secret_partition(ref.name), ref.version)
        if found is None:
            raise KeyError(ref.name)
        return self._decrypted(ref, record_of(_Encrypted, found))

    def set(self, name: str, value: str) -> SecretRef:
        ref = SecretRef(name, uuid4().hex)
        encrypted = self._encrypted(ref, checked_secret(name, value))
        self._table.write(operation(Verb.INSERT, secret_partition(name), ref.version, columns_of(encrypted)))
        return ref

    def set_on(self, ref: SecretRef) -> datetime | None:
        found = self._table.get(secret_partition(ref.name), ref.version)
        return None if found is None else record_of(_Encrypted, found).set_on

    def _encrypted(self, ref: SecretRef, value: str) -> _Encrypted:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        nonce = os.urandom(_NONCE_BYTES)
        text = AESGCM(self._key).encrypt(nonce, value.encode(), _bound_to(ref))
        return _Encrypted(ref.name, base64.b64encode(nonce).decode(), base64.b64encode(text).decode(), datetime.now(UTC))

    def _decrypted(self, ref: SecretRef, encrypted: _Encrypted) -> str:
        from cryptography.exceptions import InvalidTag
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        nonce, text = base64.b64decode(encrypted.nonce), base64.b64decode(encrypted.text)
        try:
            return AESGCM(self._key).decrypt(nonce, text, _bound_to(ref)).decode()
        except InvalidTag as error:
            raise WrongSecretsKey(
                f"the secret {ref.name!r} cannot be decrypted: SIDESYNC_SECRETS_KEY is not the key it was saved with"
            ) from error


def _bound_to(ref: SecretRef) -> bytes:
    return f"{ref.name}:{ref.version}".encode()


def _key_bytes(key: str) -> bytes:
    try:
        found = base64.b64decode(key.encode(), altchars=b"-_", validate=True)
    except (binascii.Error, UnicodeEncodeError):
        found = b""
    if len(found) != _KEY_BYTES:
        raise WrongSecretsKey(f"SIDESYNC_SECRETS_KEY is not a key: it must be {_KEY_BYTES} bytes in URL-safe base64")
    return found
