"""How many items one GetItem asks for. Pure: sizes and outcomes come in, a number comes out.

A server answers a batch within a minute or not at all, and checks the caller's budget after each item, so the right size
is what it answers quickly; it is learnt per identity and endpoint.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from shared.domain.email import ItemRef

SMALLEST, START, LARGEST = 10, 25, 100
LARGEST_BYTES = 16 << 20
"""Sum of the sizes that the server listed; an item of unknown size goes alone."""

FAST_SECONDS = 5.0
SLOW_SECONDS = 20.0


@dataclass(slots=True)
class BatchSize:
    """The size of the next batch. Shared by threads: a lost update costs nothing."""

    size: int = START

    def answered(self, seconds: float, items: int) -> None:
        """A batch of `items` was answered; a full and fast one makes the next one larger, a slow one smaller."""
        if seconds > SLOW_SECONDS:
            self.shrink()
        elif seconds < FAST_SECONDS and items >= self.size:
            self.size = min(LARGEST, self.size * 2)

    def shrink(self) -> None:
        """The server was too slow, throttled, or stopped in the middle."""
        self.size = max(SMALLEST, self.size // 2)

    def isolate(self) -> None:
        """An item may be what makes the server fail: one at a time until it is found."""
        self.size = 1


def next_batch(refs: Sequence[ItemRef], sizes: Mapping[str, int], size: int) -> Sequence[ItemRef]:
    """The first refs that make up a batch; at least one."""
    total = 0
    for count, ref in enumerate(refs[:size]):
        total += sizes.get(ref.id, LARGEST_BYTES)
        if total > LARGEST_BYTES and count:
            return refs[:count]
    return refs[:size]
