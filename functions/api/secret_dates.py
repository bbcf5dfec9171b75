"""When secrets were set. A version of a secret never changes, so each is asked for once and remembered."""

from collections import OrderedDict
from collections.abc import Callable
from datetime import datetime
from threading import Lock

from shared.domain.configuration import SecretRef

REMEMBERED = 10_000


class SecretDates:
    def __init__(self, ask: Callable[[SecretRef], datetime | None]) -> None:
        self._ask = ask
        self._known: OrderedDict[SecretRef, datetime] = OrderedDict()
        self._lock = Lock()

    def __call__(self, ref: SecretRef) -> datetime | None:
        with self._lock:
            if ref in self._known:
                self._known.move_to_end(ref)
                return self._known[ref]
        found = self._ask(ref)
        if found is None:
            return None
        with self._lock:
            self._known[ref] = found
            if len(self._known) > REMEMBERED:
                self._known.popitem(last=False)
        return found
