"""Where the bytes of a reply go: into memory while they are few, else into a temporary file that is mapped."""

import mmap
import tempfile
from typing import BinaryIO

from shared.connectors.pop3.errors import ReplyTooLong

IN_MEMORY = 4 << 20
"""Bytes of a reply that are held in memory at most."""

type Content = bytes | mmap.mmap


class Sink:
    """Takes pieces, and gives them as one."""

    def __init__(self, most: int, *, kept: int | None = None, in_memory: int = IN_MEMORY) -> None:
        """What is longer than `most` bytes raises ReplyTooLong; what is beyond `kept` is let go."""
        self._most = most
        self._kept = most if kept is None else kept
        self._in_memory = in_memory
        self._pieces: list[bytes] = []
        self._file: BinaryIO | None = None
        self._size = 0

    def write(self, piece: bytes) -> None:
        """Raises ReplyTooLong."""
        left = self._kept - self._size
        self._size += len(piece)
        if self._size > self._most:
            raise ReplyTooLong
        if left > 0:
            self._pieces.append(piece[:left])
            if min(self._size, self._kept) > self._in_memory:
                self._spill()

    def content(self) -> Content:
        """All of it. A mapping lives as long as somebody holds it, and its file with it."""
        if self._file is None:
            return b"".join(self._pieces)
        self._file.flush()
        return mmap.mmap(self._file.fileno(), 0, access=mmap.ACCESS_READ)

    def close(self) -> None:
        """What `content` gave stays."""
        if self._file is not None:
            self._file.close()

    def _spill(self) -> None:
        if self._file is None:
            self._file = tempfile.TemporaryFile()  # noqa: SIM115 (closed by `close`)
        self._file.writelines(self._pieces)
        self._pieces = []


def let_go(content: Content) -> None:
    """Of a mapping the pages that were read leave memory; they come back from the file when they are read again."""
    if isinstance(content, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
        content.madvise(mmap.MADV_DONTNEED)
