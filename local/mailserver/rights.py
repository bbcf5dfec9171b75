"""Who may send as whom: in his own name always, in another's where that mailbox granted it. Knows no protocol."""

import threading
from collections.abc import Collection
from enum import StrEnum


class Right(StrEnum):
    SEND_AS = "send_as"
    """The message is the mailbox's; nobody sees who wrote it."""
    SEND_ON_BEHALF = "send_on_behalf"
    """The message is the mailbox's, and says who sent it (Sender of RFC 5322)."""


class Rights:
    """What has been granted, by addresses or names of accounts."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._granted: dict[tuple[str, str], Right] = {}

    def grant(self, mailbox: str, to: str, right: Right | str = Right.SEND_AS) -> None:
        with self._lock:
            self._granted[mailbox.lower(), to.lower()] = Right(right)

    def revoke(self, mailbox: str, to: str) -> None:
        with self._lock:
            self._granted.pop((mailbox.lower(), to.lower()), None)

    def of(self, who: Collection[str], mailbox: str) -> Right | None:
        """What somebody of these names may do in the name of a mailbox; its owner may send as himself."""
        named = {name.lower() for name in who}
        if mailbox.lower() in named:
            return Right.SEND_AS
        found = {self._granted.get((mailbox.lower(), name)) for name in named}
        return next((right for right in Right if right in found), None)

    def clear(self) -> None:
        with self._lock:
            self._granted.clear()
