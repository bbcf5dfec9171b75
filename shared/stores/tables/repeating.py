"""Reading a row and writing it again while others write the same one: the loop around ETags."""

import random
import time
from collections.abc import Callable

from shared.domain.errors import AlreadyExists, Busy, Changed

_ATTEMPTS = 5
_LONGEST_PAUSE = 0.2
"""Seconds."""


def until_unchanged[T](attempt: Callable[[], T], attempts: int = _ATTEMPTS) -> T:
    """Calls `attempt`, which reads and writes, until nobody came in between. Raises Busy."""
    for repetition in range(attempts):
        try:
            return attempt()
        except (AlreadyExists, Changed):
            # Several that wait for one another must not start again together.
            time.sleep(random.uniform(0, min(_LONGEST_PAUSE, 0.005 * 2**repetition)))  # noqa: S311 - spreads, hides nothing
    raise Busy("the row is written by others again and again")
