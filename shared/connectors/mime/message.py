"""Raw MIME as an `IncomingMessage`: what the other modules find, put together. Attachments are read when somebody asks."""

import mmap
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial

from shared.connectors.mime.addresses import addresses
from shared.connectors.mime.attachments import attachment, signed_entity
from shared.connectors.mime.bodies import Bodies, bodies_of
from shared.connectors.mime.classes import NOTE, item_class_of
from shared.connectors.mime.dates import OF_ARRIVAL, received_of_fields
from shared.connectors.mime.enclosed import enclosed_attachment, is_tnef, unpacked_part
from shared.connectors.mime.envelope import WANTED, described, priority_of
from shared.connectors.mime.fields import fields_at
from shared.connectors.mime.flowed import is_broken_within_words, unflowed
from shared.connectors.mime.structure import Part, Splitter
from shared.connectors.mime.tnef import Unpacked
from shared.connectors.mime.transfer import Buffer, pieces
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
    return _read(_Source(buffer, 0, len(buffer), ref, received, len(buffer) if size is None else size, categories))


@dataclass(frozen=True, slots=True)
class _Source:
    """Where a message stands, and what the server says of it."""

    buffer: Buffer
    start: int
    end: int
    ref: ItemRef
    received: datetime | None
    size: int
    categories: tuple[str, ...] = ()


def _read(source: _Source) -> IncomingMessage:
    root = Splitter(source.buffer).part(source.start, source.end, WANTED)
    bodies = bodies_of(root)
    item_class = item_class_of(root, bodies)
    envelope = described(root, source.ref, source.received, source.size, source.categories)
    content = _content(bodies, item_class, source.ref, envelope["received"])
    message = IncomingMessage(
        **envelope,
        item_class=item_class,
        priority=priority_of(root.fields),
        reply_to=addresses(root.fields.all_raw("reply-to")),
        body_html=content.html,
        body_text=content.text if content.html is None else None,
        attachments=(signed_entity(root),) if bodies.is_signed else content.attachments,
    )
    if is_report(item_class, message.headers.get("content-type", "")):
        return replace(message, report=delivery_report(pieces(source.buffer, source.start, source.end, "")))
    return message


def _read_attached(part: Part, ref: ItemRef, received: datetime) -> IncomingMessage:
    """The message that `part` is. It came when its own header says so, else with the one that it is attached to."""
    buffer, start, end = part.buffer, part.body, part.end
    if part.is_encoded:  # forbidden, and sent all the same
        buffer = part.content()
        start, end = 0, len(buffer)
    fields, _ = fields_at(buffer, start, end, OF_ARRIVAL)
    return _read(_Source(buffer, start, end, ref, received_of_fields(fields) or received, end - start))


@dataclass(frozen=True, slots=True)
class _Content:
    """Where there is HTML, the text is what the HTML says, as with Exchange."""

    html: str | None
    text: str
    attachments: tuple[IncomingAttachment, ...]


def _content(bodies: Bodies, item_class: str, ref: ItemRef, received: datetime) -> _Content:
    html = None if bodies.html is None else bodies.html.text()
    text = _text(bodies.text) if bodies.text is not None and html is None else ""
    attachments: list[IncomingAttachment] = []
    for part in _carried(bodies, item_class):
        enclosed = unpacked_part(part) if is_tnef(part) else None
        is_left_out = enclosed is not None and _says_more(enclosed, html, text)
        if enclosed is not None:
            html, text = html or enclosed.html, text or enclosed.text or ""
            attachments += [
                enclosed_attachment(each, number)
                for number, each in enumerate(enclosed.attachments, start=len(attachments) + 1)
            ]
        if enclosed is None or is_left_out:
            carried = attachment(part, len(attachments) + 1, received)
            reader = partial(_read_attached, part, ref, received) if carried.is_message else None
            attachments.append(replace(carried, message=reader) if reader else carried)
    return _Content(html, text, tuple(attachments))


def _carried(bodies: Bodies, item_class: str) -> tuple[Part, ...]:
    """The parts that become attachments: the calendar too where it makes no meeting of the message."""
    if bodies.calendar is not None and item_class == NOTE:
        return (*bodies.rest, bodies.calendar)
    return bodies.rest


def _says_more(enclosed: Unpacked, html: str | None, text: str) -> bool:
    """Whether a body of its own would be lost: one that is not unpacked, or beside the HTML of the message."""
    if html:
        return bool(enclosed.html) and enclosed.html != html
    return enclosed.has_rtf and not (enclosed.html or enclosed.text or text.strip())


def _text(part: Part) -> str:
    """The plain text as it came, but where its lines are broken within words (RFC 3676 section 4.1, DelSp)."""
    return unflowed(part.text()) if is_broken_within_words(part.parameters) else part.text()
