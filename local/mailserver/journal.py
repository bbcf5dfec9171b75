"""What was asked of the server: every request with its operation, mailbox and outcome, for tests and for counting."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Asked:
    """One request. `operation` is the protocol's own name for it; `code` the protocol's word for the outcome.

    `status`: of HTTP or SMTP; where a protocol has none, 1 is granted and -1 refused. 0: the connection was broken instead.
    """

    head: str
    operation: str
    mailbox: str | None
    status: int
    code: str
    username: str | None = None
    parameters: str = ""
    """Of MAIL and RCPT, as they were sent."""


class Journal:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._asked: list[Asked] = []

    def record(self, asked: Asked) -> None:
        with self._lock:
            self._asked.append(asked)

    def of(self, operation: str | None = None, mailbox: str | None = None, head: str | None = None) -> list[Asked]:
        """The requests of an operation, of a mailbox, of a protocol head; all that are not given count."""
        with self._lock:
            return [
                asked
                for asked in self._asked
                if operation in (None, asked.operation)
                and head in (None, asked.head)
                and (mailbox is None or (asked.mailbox is not None and asked.mailbox.lower() == mailbox.lower()))
            ]

    def count(self, operation: str | None = None, mailbox: str | None = None, head: str | None = None) -> int:
        return len(self.of(operation, mailbox, head))

    def clear(self) -> None:
        with self._lock:
            self._asked.clear()

    def __iter__(self) -> Iterator[Asked]:
        return iter(self.of())

    def __len__(self) -> int:
        return self.count()
