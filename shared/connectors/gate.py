"""A wrong password is tried once, not once per mailbox: the door that every request of one credential goes through.

Until a credential has been accepted once in this process, one request at a time is let through. After it was refused
nobody gets through for an hour; a changed secret has a gate of its own, which whoever keeps the gates sees to.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from threading import Lock
from time import monotonic

from shared.domain.errors import AuthenticationFailed, Busy

CLOSED_FOR = timedelta(hours=1)


class RefusedBefore(AuthenticationFailed):
    """Nobody was asked: the server would refuse these credentials again."""


class Gate:
    """Thread-safe. `seconds` is a clock that never goes back."""

    def __init__(self, *, profile_wide: bool, seconds: Callable[[], float] = monotonic) -> None:
        self._profile_wide = profile_wide
        self._seconds = seconds
        self._turn = Lock()
        self._accepted = False
        self._refused_at: float | None = None

    @contextmanager
    def attempt(self, patience: float) -> Iterator[None]:
        """Around one request. Raises AuthenticationFailed where it would be refused again, Busy after `patience` seconds
        of waiting for the first one's outcome."""
        self._check()
        alone = self._wait_for_turn(patience)
        try:
            self._check()
            yield
        except AuthenticationFailed:
            self._accepted, self._refused_at = False, self._refused_at or self._seconds()
            raise
        finally:
            if alone:
                self._turn.release()

    def passed(self) -> None:
        """The server accepted the credential. Called within `attempt`."""
        self._accepted, self._refused_at = True, None

    def _wait_for_turn(self, patience: float) -> bool:
        """Whether this attempt goes alone: nobody was accepted yet."""
        if self._has_been_accepted():
            return False
        if not self._turn.acquire(timeout=patience):
            raise Busy("The first sign-in with these credentials is still under way.")
        still_unknown = not self._has_been_accepted()
        if not still_unknown:
            self._turn.release()
        return still_unknown

    def _has_been_accepted(self) -> bool:
        return self._accepted

    def _check(self) -> None:
        if self._refused_at is None:
            return
        if self._seconds() - self._refused_at < CLOSED_FOR.total_seconds():
            raise RefusedBefore(
                "These credentials were refused less than an hour ago, and have not changed since.",
                profile_wide=self._profile_wide,
            )
        self._refused_at = None
