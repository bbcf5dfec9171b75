"""Attached messages of a server that gives their MIME form piece by piece."""

import mmap
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from datetime import datetime
from functools import partial

from shared.connectors.mime.envelope import received_of
from shared.connectors.mime.message import read_message
from shared.domain.email import IncomingAttachment, IncomingMessage, ItemRef

_IN_MEMORY = 4 << 20
"""Bytes; a larger message is mapped from a temporary file."""


def with_readable(message: IncomingMessage) -> IncomingMessage:
    """The message, whose attached messages can be read."""
    if not any(each.is_message for each in message.attachments):
        return message
    return replace(message, attachments=tuple(_readable(each, message) for each in message.attachments))


def _readable(attachment: IncomingAttachment, carrier: IncomingMessage) -> IncomingAttachment:
    reader = partial(_read, attachment.chunks, carrier.ref, carrier.received)
    return replace(attachment, message=reader) if attachment.is_message else attachment


def _read(chunks: Callable[[], Iterator[bytes]], ref: ItemRef, received: datetime) -> IncomingMessage:
    """It came when its own header says so, else with the one that it is attached to."""
    raw = _held(chunks())
    return read_message(raw, ref, received=received_of(raw) or received)


def _held(pieces: Iterable[bytes]) -> bytes | mmap.mmap:
    """A mapping lives as long as somebody holds it, and its file with it."""
    with tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY) as file:
        file.writelines(pieces)
        if file.tell() > _IN_MEMORY:
            file.flush()
            return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        file.seek(0)
        return file.read()
