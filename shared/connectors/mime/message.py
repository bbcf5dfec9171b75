"""Raw MIME as an `IncomingMessage`: what the other modules find, put together. Attachments are read when somebody asks."""

import mmap
from dataclasses import replace
from datetime import datetime

from shared.connectors.mime.attachments import attachment, signed_entity
from shared.connectors.mime.bodies import Bodies, bodies_of
from shared.connectors.mime.classes import NOTE, item_class_of
from shared.connectors.mime.envelope import WANTED, described, priority_of
from shared.connectors.mime.flowed import is_broken_within_words, unflowed
from shared.connectors.mime.structure import Part, Splitter
from shared.connectors.mime.transfer import pieces
from shared.connectors.reports import delivery_report, is_report
from shared.domain.email import IncomingAttachment, IncomingMessage, ItemRef


def read_message(
    raw: bytes | memoryview | mmap.mmap,
    ref: ItemRef,
    *,
    received: datetime | None = None,
    size: int | None = None,
    categories: tuple[str, ...] = (),
) -> IncomingMessage:
    """The message; whatever its bytes are, they make one. Of a map nothing large is held, and it has to stay open for as long
    as attachments are read; of a memoryview a copy is.

    `received`: when the server got it, where it says so; else as `received_of`. `size`: in bytes, where the server counts
    otherwise.
    """
    buffer = bytes(raw) if isinstance(raw, memoryview) else raw
    root = Splitter(buffer).part(0, len(buffer), WANTED)
    bodies = bodies_of(root)
    envelope = described(root, ref, received, len(buffer) if size is None else size, categories)
    item_class = item_class_of(root, bodies)
    html = bodies.html
    message = IncomingMessage(
        **envelope,
        item_class=item_class,
        priority=priority_of(root.fields),
        body_html=html.text() if html is not None else None,
        body_text=_text(bodies.text) if html is None else None,
        attachments=_attachments(root, bodies, item_class, envelope["received"]),
    )
    if is_report(item_class, message.headers.get("content-type", "")):
        return replace(message, report=delivery_report(pieces(buffer, 0, len(buffer), "")))
    return message


def _text(part: Part | None) -> str:
    """The plain text as it came, but where its lines are broken within words (RFC 3676 section 4.1, DelSp)."""
    if part is None:
        return ""
    return unflowed(part.text()) if is_broken_within_words(part.parameters) else part.text()


def _attachments(root: Part, bodies: Bodies, item_class: str, received: datetime) -> tuple[IncomingAttachment, ...]:
    if bodies.is_signed:
        return (signed_entity(root),)
    rest = bodies.rest
    if bodies.calendar is not None and item_class == NOTE:  # no meeting: nothing else has what it says
        rest = (*rest, bodies.calendar)
    return tuple(attachment(part, number, received) for number, part in enumerate(rest, start=1))
