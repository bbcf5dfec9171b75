"""A mailbox on disk as local delivery agents leave it (https://cr.yp.to/proto/maildir.html)."""

import os
import time
from collections.abc import Callable
from datetime import datetime
from email.utils import format_datetime
from itertools import count
from pathlib import Path

_addresses = count(1)


def an_unused_address() -> str:
    """One that no other mailbox has, on any server: several may serve the same folder."""
    return f"mailbox{next(_addresses)}@contoso.example"


class Maildir:
    _numbers = count(1)

    def __init__(self, username: str, path: Path, own: Callable[[Path], None]) -> None:
        """`own` gives to the server what the tester makes for it."""
        self.username = username
        self.path = path
        self._own = own

    def create(self) -> None:
        for folder in (self.path, *(self.path / part for part in ("tmp", "new", "cur"))):
            folder.mkdir(parents=True, exist_ok=True)
        for folder in (self.path.parent, self.path, *self.path.iterdir()):
            self._own(folder)

    def deliver(self, raw: bytes, received: datetime, *, stamped: bool = True) -> None:
        """`stamped`: with a Received field of that time on top, as transport leaves it."""
        name = f"{int(received.timestamp())}.M{next(self._numbers):09}P{os.getpid()}.tests"
        arriving = self.path / "tmp" / name
        arriving.write_bytes(_trace(received) + raw if stamped else raw)
        os.utime(arriving, (received.timestamp(), received.timestamp()))
        self._own(arriving)
        arriving.rename(self.path / "new" / name)

    def messages(self) -> list[bytes]:
        """What lies there, as it lies there."""
        return [file.read_bytes() for part in ("new", "cur") for file in sorted((self.path / part).iterdir())]

    def arrived(self, count: int, within: float = 60.0) -> list[bytes]:
        """`messages`, as soon as there are so many: delivery takes its time. Raises AssertionError after `within` seconds."""
        deadline = time.monotonic() + within
        while len(found := self.messages()) < count:
            assert time.monotonic() < deadline, f"{len(found)} of {count} messages arrived"
            time.sleep(0.02)
        return found

    def flags(self) -> list[str]:
        """Flags of each message, in Maildir's letters; `S` is seen."""
        files = [*(self.path / "new").iterdir(), *(self.path / "cur").iterdir()]
        return [file.name.partition(":2,")[2] for file in sorted(files)]


def _trace(received: datetime) -> bytes:
    return f"Received: from sender by mail.contoso.example with LMTP; {format_datetime(received)}\r\n".encode()
