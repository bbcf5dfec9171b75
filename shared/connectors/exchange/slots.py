"""How many connections of an identity may be in use at once: as many as its profile allows, over all worker processes.

The worker claims a share for about a minute at a time: as much as it has use for, and more when that grows. Idle polls
of thousands of mailboxes so cost one claim a minute together.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from threading import Condition
from time import monotonic

from shared.domain.errors import Busy
from shared.ports import Clock, ConnectionShares

CLAIMED_FOR = timedelta(minutes=1)
"""Connections are opened under a claim for so long, then it is renewed."""
LONGEST_CALL = timedelta(seconds=100)
"""What is in use when a claim ends is counted for so much longer: a call may take so long (a profile's timeout)."""
ASKED_AGAIN_AFTER = timedelta(seconds=5)
"""Where others have them all."""
TRIED_AGAIN_AFTER = timedelta(seconds=15)
"""A run that gets no connection."""


class NoShare(Busy):
    """Other worker processes use every connection that this identity may have."""


@dataclass(slots=True)
class Share:
    """What this worker may use of an identity's connections. Not thread-safe: `Slots` is."""

    shares: ConnectionShares
    identity: str
    worker: str
    clock: Clock
    _given: int = 0
    _peak: int = 0
    _renewed_at: datetime | None = None
    _asked_again_at: datetime | None = None
    _limit: int = 0

    def allowed(self, in_use: int, limit: int) -> int:
        """How many may be in use, where one more than `in_use` is wanted. Raises TransientError."""
        now = self.clock()
        self._peak = max(self._peak, in_use + 1)
        if self._renewed_at is None or now >= self._renewed_at or limit != self._limit:
            self._claim(in_use, min(limit, self._peak), limit, now)
            self._peak = in_use + 1
        elif self._given <= in_use < limit and (self._asked_again_at is None or now >= self._asked_again_at):
            self._claim(in_use, min(limit, max(in_use + 1, 2 * self._given)), limit, now)
        return min(self._given, limit)

    def _claim(self, in_use: int, wanted: int, limit: int, now: datetime) -> None:
        until = now + CLAIMED_FOR + LONGEST_CALL
        self._given = self.shares.claim(self.identity, self.worker, wanted, limit, now, until, in_use)
        self._limit, self._renewed_at = limit, now + CLAIMED_FOR
        self._asked_again_at = now + ASKED_AGAIN_AFTER if self._given <= in_use else None


@dataclass(slots=True)
class Slots:
    """Admits calls while there is a connection for them. Thread-safe."""

    share: Share | None = None
    """None: nobody else uses the identity."""
    _in_use: int = 0
    _changed: Condition = field(default_factory=Condition)

    @contextmanager
    def one(self, limit: int, patience: float) -> Iterator[None]:
        """Around one call. Raises NoShare, and Busy after `patience` seconds in which none came free."""
        self._take(limit, patience)
        try:
            yield
        finally:
            with self._changed:
                self._in_use -= 1
                self._changed.notify()

    def _take(self, limit: int, patience: float) -> None:
        deadline = monotonic() + patience
        with self._changed:
            while True:
                allowed = limit if self.share is None else self.share.allowed(self._in_use, limit)
                if self._in_use < allowed:
                    self._in_use += 1
                    return
                if allowed == 0:
                    raise NoShare("Other workers use every connection of this identity.", TRIED_AGAIN_AFTER)
                if (left := deadline - monotonic()) <= 0:
                    raise Busy("Every connection of this identity is in use.")
                self._changed.wait(left)
