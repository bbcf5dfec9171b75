"""How many emails a mailbox may send in a minute, over all its runs: counted in parts of a minute, so that no minute, wherever
it begins, has more of them. Pure; the runs keep it in a mark of their ledger.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from shared.domain.ledger import LedgerHead, Mark

_FOLDER = "pace"
_PART = 5
"""Seconds that are counted together."""
_MINUTE = 60


@dataclass(frozen=True, slots=True)
class Pace:
    """What was sent lately."""

    per_minute: int | None
    """None: as many as the server takes."""
    sent: Mapping[int, int] = field(default_factory=dict)
    """Emails by the part of time in which they were sent, numbered from the epoch."""

    def room(self, now: datetime) -> bool:
        """One more may be sent now."""
        return self.per_minute is None or sum(self._lately(now).values()) < self.per_minute

    def after_one(self, now: datetime) -> "Pace":
        """One more was sent."""
        if self.per_minute is None:
            return self
        lately, part = self._lately(now), _part_of(now)
        return Pace(self.per_minute, {**lately, part: lately.get(part, 0) + 1})

    def next_room(self, now: datetime) -> datetime:
        """When one more may be sent: when the earliest part that counts is a minute old."""
        if self.room(now) or not (lately := self._lately(now)):
            return now
        return datetime.fromtimestamp((min(lately) + 1) * _PART + _MINUTE, UTC)

    def mark(self) -> Mark | None:
        """To be kept for the next run; None where nothing is counted."""
        if self.per_minute is None:
            return None
        return Mark(_FOLDER, "", json.dumps({str(part): count for part, count in self.sent.items()}))

    def _lately(self, now: datetime) -> dict[int, int]:
        """Parts of which some may be within the last minute. What lies ahead was counted before the clock was set back."""
        part = _part_of(now)
        return {each: count for each, count in self.sent.items() if part - _MINUTE // _PART <= each <= part}


def pace_of(head: LedgerHead, per_minute: int | None) -> Pace:
    """What the runs before sent, as they left it in the ledger."""
    kept = next((mark.watermark for mark in head.marks if mark.folder == _FOLDER), None)
    if per_minute is None or kept is None:
        return Pace(per_minute)
    return Pace(per_minute, {int(part): int(count) for part, count in json.loads(kept).items()})


def _part_of(now: datetime) -> int:
    return int(now.timestamp()) // _PART
