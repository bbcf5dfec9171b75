"""Bodies that are files: they must be declared as what they are, and are taken as they come."""

from collections.abc import Iterator
from http import HTTPStatus
from typing import IO

from fastapi import HTTPException, Request

CHUNK = 1024 * 1024
"""Bytes of an upload that are held in memory at most, where it waits in a temporary file."""


def check_media_type(request: Request, media_type: str) -> None:
    """415 where the body is declared as something else, or is compressed."""
    declared = request.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    coding = request.headers.get("Content-Encoding", "identity").strip().lower()
    if declared != media_type or coding != "identity":
        raise HTTPException(HTTPStatus.UNSUPPORTED_MEDIA_TYPE)


def append(file: IO[bytes], chunk: bytes) -> None:
    """The layer below may hand over the whole body as one chunk: it is not copied once more."""
    with memoryview(chunk) as view:
        for piece in _pieces(view):
            file.write(piece)


def _pieces(view: memoryview) -> Iterator[memoryview]:
    return (view[start : start + CHUNK] for start in range(0, len(view), CHUNK))
