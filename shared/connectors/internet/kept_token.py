"""An access token that is kept until it is about to expire, whoever issues it."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from datetime import timedelta
from threading import Lock

from shared.connectors.internet.issuers import Answer
from shared.connectors.tokens import held

_EARLY = timedelta(minutes=5)
"""A token is replaced so long before it expires, or when a tenth of its life is left."""


class KeptToken(ABC):
    """`sign_in.Tokens`. Thread-safe: of several threads that need another token one asks for it."""

    def __init__(self, seconds: Callable[[], float]) -> None:
        """`seconds`: a clock that never goes back."""
        self._seconds = seconds
        self._lock = Lock()
        self._token: str | None = None
        self._until = 0.0

    def token(self) -> str:
        """Raises AuthenticationFailed, TransientError."""
        with held(self._lock):
            if self._token is None or self._seconds() >= self._until:
                self._token = None
                asked = self._seconds()
                answer = self._asked_anew()
                self._token = answer.access_token
                self._until = asked + (answer.life - min(_EARLY, answer.life / 10)).total_seconds()
            return self._token

    def forget(self) -> None:
        with held(self._lock):
            self._token = None

    @abstractmethod
    def _asked_anew(self) -> Answer:
        """What the issuer gives now. Raises AuthenticationFailed, TransientError."""
