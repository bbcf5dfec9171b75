"""Attached messages of a server that gives their MIME form piece by piece."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime
from functools import partial

from shared.connectors.mapped import mapped
from shared.connectors.mime.envelope import received_of
from shared.connectors.mime.message import read_message
from shared.domain.email import IncomingAttachment, IncomingMessage, ItemRef


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
    raw = mapped(chunks())
    return read_message(raw, ref, received=received_of(raw) or received)
