"""A time limit over several calls, each of which has only one of its own."""

from collections.abc import Callable
from datetime import timedelta
from functools import partial
from queue import Empty, SimpleQueue
from threading import Thread
from typing import NoReturn

from shared.domain.errors import NoAnswer


def within[T](limit: timedelta, attempt: Callable[[], T]) -> T:
    """Gives `attempt` so much time and no more. A thread cannot be ended: one that is late ends by the limits of its own
    calls, and nobody waits for it. Raises NoAnswer, and what `attempt` raises."""
    outcome: SimpleQueue[Callable[[], T]] = SimpleQueue()

    def tell() -> None:
        try:
            value = attempt()
        except Exception as error:  # noqa: BLE001 # raised again by whoever waits
            outcome.put(partial(_raise, error))
        else:
            outcome.put(lambda: value)

    Thread(target=tell, name="within", daemon=True).start()
    try:
        given = outcome.get(timeout=limit.total_seconds())
    except Empty:
        raise NoAnswer(f"No answer within {limit.total_seconds():g} seconds.") from None
    return given()


def _raise(error: Exception) -> NoReturn:
    raise error
