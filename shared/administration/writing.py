"""How configuration records are written: the secret first, then the record; and a lost race is repeated.

A caller who names an ETag edits the state that it has seen; anybody else wants the outcome, whatever the present state is.
"""

import hmac
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import NamedTuple

from shared.administration.rules import LONGEST_CERTIFICATE, LONGEST_SECRET
from shared.domain.configuration import Credentials, SecretRef
from shared.domain.errors import AlreadyExists, Busy, Changed, InvalidRecord
from shared.ports import Secrets

ATTEMPTS = 32

ANY_STATE = "*"
"""In place of an ETag: the record must exist, in whatever state."""
NO_STATE = ""
"""In place of an ETag: the record must not exist yet."""


type NewSecrets = Mapping[str, str | None]
"""Secrets by their pointer in the record, such as `credentials/secret`: a value sets one, None removes the present one. One
that is missing stays as it is: a caller cannot read it, so it cannot send it back either."""


class Put[T](NamedTuple):
    """What is stored after a record was put in place."""

    stored: T
    created: bool


def check_secrets(secrets: NewSecrets) -> None:
    """Raises InvalidRecord for what cannot be a secret, without repeating it."""
    for pointer, secret in secrets.items():
        longest = LONGEST_CERTIFICATE if pointer.endswith("/certificate") else LONGEST_SECRET
        if secret is not None and not 0 < len(secret) <= longest:
            raise InvalidRecord(pointer, f"{pointer} is empty or too long", f"Write 1 to {longest} characters.")
        if secret is not None and ("\x00" in secret or not _encodes(secret)):
            raise InvalidRecord(pointer, f"{pointer} cannot be stored as text", "Remove the characters that are no valid text.")


def has_secret(pointer: str, present: Credentials, secrets: NewSecrets) -> bool:
    """Whether the secret is there once `secrets` are settled."""
    return secrets[pointer] is not None if pointer in secrets else _reference(pointer, present) is not None


def settled(store: Secrets, name: str, path: str, present: Credentials, given: Credentials, secrets: NewSecrets) -> Credentials:
    """`given` with its references: new secrets are stored before a record names them, and what is not given stays at present.

    `path` is that of the credentials in the record, `name` the record's in the store. References in `given` count for nothing.
    """
    secret, certificate = (
        _settle(store, f"{name}{suffix}", _reference(f"{path}/{field}", present), f"{path}/{field}", secrets)
        for field, suffix in (("secret", ""), ("certificate", "-certificate"))
    )
    return replace(given, secret=secret, certificate=certificate)


def _settle(store: Secrets, name: str, present: SecretRef | None, pointer: str, secrets: NewSecrets) -> SecretRef | None:
    """The same value again keeps its version: nothing has changed."""
    if pointer not in secrets:
        return present
    secret = secrets[pointer]
    if secret is None or (present is not None and _is_stored(store, present, secret)):
        return None if secret is None else present
    return store.set(name, secret)


def _reference(pointer: str, credentials: Credentials) -> SecretRef | None:
    return credentials.certificate if pointer.endswith("/certificate") else credentials.secret


def persistently[T](attempt: Callable[[], T], etag: str | None) -> T:
    """Repeats `attempt`, which reads and writes, while others win the race. With an `etag` the caller decides: once.

    Raises Busy when others keep winning.
    """
    if etag is not None:
        return attempt()
    for _ in range(ATTEMPTS):
        try:
            return attempt()
        except (Changed, AlreadyExists):
            continue
    raise Busy("the record is being changed by others all the time")


def check_etag(present: str | None, etag: str | None) -> None:
    """`present` None: there is no record. Raises Changed where the caller has seen another state."""
    if present is None and etag not in (None, NO_STATE):
        raise Changed("the record does not exist (any more)")
    if present is not None and etag not in (None, ANY_STATE, present):
        raise Changed("the record was changed since it was read")


def _encodes(secret: str) -> bool:
    try:
        secret.encode()
    except UnicodeEncodeError:
        return False
    return True


def _is_stored(secrets: Secrets, present: SecretRef, secret: str) -> bool:
    try:
        return hmac.compare_digest(secrets.get(present).encode(), secret.encode())
    except KeyError:
        return False
