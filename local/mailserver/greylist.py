"""Who has tried to reach whom before: a server that greylists lets in those who try again."""

import threading


class Greylist:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._tried: set[tuple[str, str]] = set()

    def is_new(self, sender: str, recipient: str) -> bool:
        """Whether these two are met for the first time; they are known from then on."""
        pair = sender.lower(), recipient.lower()
        with self._lock:
            if pair in self._tried:
                return False
            self._tried.add(pair)
            return True

    def clear(self) -> None:
        with self._lock:
            self._tried.clear()
