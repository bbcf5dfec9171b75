"""Drafts that nobody will send and that may be there all the same: their keys, kept in a mark of the ledger until a run has
removed them for certain.

A server that could not be asked to remove them is one cause. The other is one that still carries out a request which its
caller gave up, or died over: so a key is looked for again when no request can last any longer. A key is good for the server and
mailbox where its draft was made.
"""

import json
from collections.abc import Collection
from datetime import UTC, datetime, timedelta

from shared.domain.ledger import LedgerHead, Mark
from shared.ports import Clock
from shared.sync.lease import Lease

_FOLDER = "left-drafts"
_LONGEST_REQUEST = timedelta(minutes=30)
"""No server carries out a request for so long, whatever became of the connection."""
_LONGEST_SEARCH = timedelta(days=7)
"""A mailbox that could not be asked for so long is not asked any more."""
_MOST = 300
"""The latest: whatever leaves more of them is no accident."""

type _Noted = dict[str, tuple[str, datetime]]
"""By key: the source, and since when."""


class LeftDrafts:
    """Those of the runs before and of this one. Not thread-safe."""

    def __init__(self, lease: Lease, head: LedgerHead, clock: Clock) -> None:
        self._lease = lease
        self._clock = clock
        self._noted = _noted_in(head, clock())
        self._is_kept = bool(self._noted)
        """The ledger has some."""

    def keys(self, source: str) -> Collection[str]:
        return [key for key, (made_at, _) in self._noted.items() if made_at == source]

    def note(self, keys: Collection[str], source: str) -> None:
        """Raises LeaseLost, TransientError."""
        if new := [key for key in keys if key not in self._noted]:
            now = self._clock()
            latest = [*self._noted.items(), *((key, (source, now)) for key in new)][-_MOST:]
            self._noted, self._is_kept = dict(latest), True
            self._lease.note(Mark(_FOLDER, "", self._written()))

    def removed(self, keys: Collection[str]) -> None:
        """The server has none with these keys now; where none can turn up any more they go with the next write."""
        now = self._clock()
        for key in keys:
            if key in self._noted and _is_over(self._noted[key][1], now):
                del self._noted[key]

    def mark(self) -> Mark | None:
        """To be kept for the next run; None where the ledger has none and needs none."""
        return Mark(_FOLDER, "", self._written()) if self._is_kept else None

    def _written(self) -> str:
        """By source: nearly always there is but one."""
        by_source: dict[str, dict[str, int]] = {}
        for key, (source, since) in self._noted.items():
            by_source.setdefault(source, {})[key] = int(since.timestamp())
        return json.dumps(by_source, separators=(",", ":"))


def have_to_go(head: LedgerHead, now: datetime) -> bool:
    """Some are to be looked for, though there may be nothing else to do."""
    return any(_is_over(since, now) for _, since in _noted_in(head, now).values())


def _is_over(since: datetime, now: datetime) -> bool:
    return now >= since + _LONGEST_REQUEST


def _noted_in(head: LedgerHead, now: datetime) -> _Noted:
    kept = next((mark.watermark for mark in head.marks if mark.folder == _FOLDER), None)
    since_when = [(key, source, since) for source, each in json.loads(kept or "{}").items() for key, since in each.items()]
    noted = {key: (source, datetime.fromtimestamp(since, UTC)) for key, source, since in since_when}
    return {key: (source, since) for key, (source, since) in noted.items() if now < since + _LONGEST_SEARCH}
