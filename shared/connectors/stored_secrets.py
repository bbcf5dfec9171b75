"""The secrets that records name, wherever they are kept."""

from datetime import datetime
from threading import Lock

from shared.domain.configuration import SecretRef
from shared.domain.errors import AuthenticationFailed
from shared.ports import Secrets

MOST_REMEMBERED = 10_000
"""Beyond so many the one asked for longest ago is read again."""


def stored_secret(ref: SecretRef | None, secrets: Secrets, *, profile_wide: bool) -> str:
    """Raises AuthenticationFailed where it is not there; `profile_wide` says whose it is."""
    if ref is None:
        raise AuthenticationFailed("The credentials have no secret.", profile_wide=profile_wide)
    try:
        return secrets.get(ref)
    except KeyError as error:
        raise AuthenticationFailed("The secret of the credentials is not stored.", profile_wide=profile_wide) from error


class RememberedSecrets:
    """`ports.Secrets` that reads each version once in the life of the worker: it never says anything else. Thread-safe."""

    def __init__(self, secrets: Secrets) -> None:
        self._secrets = secrets
        self._lock = Lock()
        self._known: dict[SecretRef, str] = {}

    def get(self, ref: SecretRef) -> str:
        with self._lock:
            value = self._known.pop(ref, None)
        value = self._secrets.get(ref) if value is None else value
        with self._lock:
            self._known[ref] = value
            if len(self._known) > MOST_REMEMBERED:
                del self._known[next(iter(self._known))]
        return value

    def set(self, name: str, value: str) -> SecretRef:
        return self._secrets.set(name, value)

    def set_on(self, ref: SecretRef) -> datetime | None:
        return self._secrets.set_on(ref)
