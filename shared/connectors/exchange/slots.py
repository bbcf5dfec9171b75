"""How many connections of an identity may be in use at once: as many as its profile allows, over all worker processes.

The worker claims a share for about a minute at a time: as much as it has use for, and more when that grows. Idle polls
of thousands of mailboxes so cost one claim a minute together. What is in use is claimed anew for as long as it goes on.

Nobody holds the lock while the store is asked, one thread at a time asks it, and whoever waits looks again every second.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from threading import Condition
from time import monotonic

from shared.domain.errors import Busy, TransientError
from shared.ports import Clock, ConnectionShares

CLAIMED_FOR = timedelta(minutes=1)
"""Connections are opened under a claim for so long, then it is renewed."""
LONGEST_CALL = timedelta(seconds=100)
"""What is in use when a claim is due to be renewed is counted for so much longer: a server may keep silent for so long (a
profile's timeout), and as soon as it says something `Slots.keep` renews."""
ASKED_AGAIN_AFTER = timedelta(seconds=5)
"""Where others have them all, or the store did not answer."""
TRIED_AGAIN_AFTER = timedelta(seconds=15)
"""A run that gets no connection."""
LOOKED_AGAIN_AFTER = 1.0
"""Seconds. Who waits is told when a connection comes free; time alone makes a claim due, and tells nobody."""


class NoShare(Busy):
    """Other worker processes use every connection that this identity may have."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What to ask the store for."""

    wanted: int
    limit: int
    in_use: int
    at: datetime
    began: float
    renews: bool
    """Nothing may be opened before it is granted; else it is about more than there is."""


@dataclass(slots=True)
class Share:
    """What this worker may use of an identity's connections. Not thread-safe: `Slots` is.

    Two clocks: the workers compare claims by the time of day, which may be set; `seconds` never goes back, but may stand
    still while the machine sleeps. A claim is good only while both say so."""

    shares: ConnectionShares
    identity: str
    worker: str
    clock: Clock
    seconds: Callable[[], float] = monotonic
    _given: int = 0
    _peak: int = 0
    _claimed: Wish | None = None
    """What `_given` was given for."""
    _exhausted_at: float | None = None
    _unanswered_at: float | None = None

    def allowed(self, limit: int) -> int | None:
        """How many may be in use; None where that has to be asked before anything is opened."""
        return min(self._given, limit) if self._is_good() else None

    def wish(self, in_use: int, more: int, limit: int) -> Wish | None:
        """What to ask for, where `more` than are in use are needed. None where there is no need, or it was asked just now."""
        needed = in_use + more
        self._peak = max(self._peak, needed)
        if self.has_no_answer():
            return None
        if not self._is_good():
            return Wish(min(limit, self._peak), limit, in_use, self.clock(), self.seconds(), renews=True)
        if self._given < needed <= limit and not self._is_recent(self._exhausted_at):
            wanted = min(limit, max(needed, 2 * self._given))
            return Wish(wanted, limit, in_use, self.clock(), self.seconds(), renews=False)
        return None

    def claim(self, wish: Wish) -> int:
        """Asks the store, and remembers nothing. Raises TransientError."""
        until = wish.at + CLAIMED_FOR + LONGEST_CALL
        return self.shares.claim(self.identity, self.worker, wish.wanted, wish.limit, wish.at, until, wish.in_use)

    def answered(self, wish: Wish, given: int) -> None:
        if wish.renews:
            self._peak = wish.in_use
        self._given, self._claimed, self._unanswered_at = given, wish, None
        self._exhausted_at = self.seconds() if given <= wish.in_use else None

    def unanswered(self) -> None:
        self._unanswered_at = self.seconds()

    def has_no_answer(self) -> bool:
        """The store failed just now: it is not asked again by everybody who waits, one after the other."""
        return self._is_recent(self._unanswered_at)

    def _is_good(self) -> bool:
        claimed = self._claimed
        if claimed is None:
            return False
        passed = timedelta(seconds=self.seconds() - claimed.began)
        return timedelta() <= self.clock() - claimed.at < CLAIMED_FOR and passed < CLAIMED_FOR

    def _is_recent(self, moment: float | None) -> bool:
        return moment is not None and self.seconds() - moment < ASKED_AGAIN_AFTER.total_seconds()


@dataclass(slots=True)
class Slots:
    """Admits calls while there is a connection for them. Thread-safe."""

    share: Share | None = None
    """None: nobody else uses the identity."""
    _in_use: int = 0
    _asking: bool = False
    _changed: Condition = field(default_factory=Condition)

    @contextmanager
    def one(self, limit: int, patience: float) -> Iterator[None]:
        """Around one call. Raises NoShare, Busy after `patience` seconds in which none came free, and what the store raises."""
        self._take(limit, patience)
        try:
            yield
        finally:
            with self._changed:
                self._in_use -= 1
                self._changed.notify_all()

    def keep(self, limit: int) -> None:
        """What is in use stays claimed: to be called while a call goes on, which does so without an answer too."""
        with self._changed:
            wish = self._next_wish(0, limit)
        if wish is not None:
            with suppress(TransientError):
                self._ask(wish)

    def _take(self, limit: int, patience: float) -> None:
        deadline = monotonic() + patience
        while (wish := self._admitted(limit, deadline)) is not None:
            self._ask(wish)

    def _admitted(self, limit: int, deadline: float) -> Wish | None:
        """None once there is a connection; what to ask for, where that comes first. Raises Busy."""
        with self._changed:
            while not self._has_room(limit):
                wish = self._next_wish(1, limit)
                if wish is not None:
                    return wish
                self._wait(limit, deadline)
            self._in_use += 1
            return None

    def _has_room(self, limit: int) -> bool:
        allowed = limit if self.share is None else self.share.allowed(limit)
        return allowed is not None and self._in_use < allowed

    def _next_wish(self, more: int, limit: int) -> Wish | None:
        """Whoever gets one has to ask."""
        if self.share is None or self._asking:
            return None
        wish = self.share.wish(self._in_use, more, limit)
        self._asking = wish is not None
        return wish

    def _wait(self, limit: int, deadline: float) -> None:
        if self.share is not None and not self._asking:
            match self.share.allowed(limit):
                case 0:
                    raise NoShare("Other workers use every connection of this identity.", TRIED_AGAIN_AFTER)
                case None:
                    raise Busy("How many connections this identity may have cannot be asked now.", ASKED_AGAIN_AFTER)
        left = deadline - monotonic()
        if left <= 0:
            raise Busy("Every connection of this identity is in use.")
        self._changed.wait(min(left, LOOKED_AGAIN_AFTER))

    def _ask(self, wish: Wish) -> None:
        """Raises TransientError where nothing may be opened without an answer; without more, there is what there was."""
        share, given = self.share, None
        if share is None:
            return
        try:
            given = share.claim(wish)
        except TransientError:
            if wish.renews:
                raise
        finally:
            with self._changed:
                self._asking = False
                if given is None:
                    share.unanswered()
                else:
                    share.answered(wish, given)
                self._changed.notify_all()
