"""How configuration records are written: the secret first, then the record; and a lost race is repeated.

A caller who names an ETag edits the state that it has seen; anybody else wants the outcome, whatever the present state is.
"""

import hmac
from collections.abc import Callable
from enum import Enum
from typing import NamedTuple

from shared.administration.rules import LONGEST_SECRET
from shared.domain.configuration import SecretRef
from shared.domain.errors import AlreadyExists, Busy, Changed, InvalidRecord
from shared.ports import Secrets

ATTEMPTS = 32

ANY_STATE = "*"
"""In place of an ETag: the record must exist, in whatever state."""
NO_STATE = ""
"""In place of an ETag: the record must not exist yet."""


class Keep(Enum):
    """The secret stays as it is: a caller cannot read it, so it cannot send it back either."""

    SECRET = "secret"  # noqa: S105 - names the choice, is no password


type NewSecret = str | Keep | None
"""A secret to set, None to remove the present one, or `Keep.SECRET`."""


class Put[T](NamedTuple):
    """What is stored after a record was put in place."""

    stored: T
    created: bool


def check_secret(field: str, secret: NewSecret) -> None:
    if isinstance(secret, str) and not 0 < len(secret) <= LONGEST_SECRET:
        raise InvalidRecord(field, f"{field} is empty or too long", f"Write 1 to {LONGEST_SECRET} characters.")
    if isinstance(secret, str) and ("\x00" in secret or not _encodes(secret)):
        raise InvalidRecord(field, f"{field} cannot be stored as text", "Remove the characters that are no valid text.")


def settle(secrets: Secrets, name: str, present: SecretRef | None, secret: NewSecret) -> SecretRef | None:
    """Stores a new secret before the record names it. The same value again keeps its version: nothing has changed."""
    if isinstance(secret, Keep):
        return present
    if secret is None:
        return None
    if present is not None and _is_stored(secrets, present, secret):
        return present
    return secrets.set(name, secret)


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


def check_etag(present: str, etag: str | None) -> None:
    """Raises Changed where the caller has seen another state."""
    if etag not in (None, ANY_STATE, present):
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
