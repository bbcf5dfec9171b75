"""What comes piece by piece, as one: in memory while it is small, else as a map of a temporary file."""

import mmap
import tempfile
from collections.abc import Iterable

IN_MEMORY = 1 << 20
"""Bytes; what is larger is mapped."""


def mapped(pieces: Iterable[bytes]) -> bytes | mmap.mmap:
    """A map lives as long as somebody holds it, and its file with it."""
    with tempfile.SpooledTemporaryFile(max_size=IN_MEMORY) as file:
        file.writelines(pieces)
        if file.tell() > IN_MEMORY:
            file.flush()
            return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        file.seek(0)
        return file.read()
