"""Raw MIME as an `IncomingMessage`: what the other modules find, put together. Attachments are read when somebody asks."""

import mmap
from dataclasses import dataclass, replace
from datetime import datetime

from shared.connectors.mime.attachments import attachment, signed_entity
from shared.connectors.mime.bodies import Bodies, bodies_of
from shared.connectors.mime.classes import NOTE, item_class_of
from shared.connectors.mime.enclosed import enclosed_attachment, is_tnef, unpacked_part
from shared.connectors.mime.envelope import WANTED, described, priority_of
from shared.connectors.mime.flowed import is_broken_within_words, unflowed
from shared.connectors.mime.structure import Part, Splitter
from shared.connectors.mime.tnef import Unpacked
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
    item_class = item_class_of(root, bodies)
    envelope = described(root, ref, received, len(buffer) if size is None else size, categories)
    content = _content(bodies, item_class, envelope["received"])
    message = IncomingMessage(
        **envelope,
        item_class=item_class,
        priority=priority_of(root.fields),
        body_html=content.html,
        body_text=content.text if content.html is None else None,
        attachments=(signed_entity(root),) if bodies.is_signed else content.attachments,
    )
    if is_report(item_class, message.headers.get("content-type", "")):
        return replace(message, report=delivery_report(pieces(buffer, 0, len(buffer), "")))
    return message


@dataclass(frozen=True, slots=True)
class _Content:
    """Where there is HTML, the text is what the HTML says, as with Exchange."""

    html: str | None
    text: str
    attachments: tuple[IncomingAttachment, ...]


def _content(bodies: Bodies, item_class: str, received: datetime) -> _Content:
    html = None if bodies.html is None else bodies.html.text()
    text = _text(bodies.text) if bodies.text is not None and html is None else ""
    attachments: list[IncomingAttachment] = []
    for part in _carried(bodies, item_class):
        enclosed = unpacked_part(part) if is_tnef(part) else None
        if enclosed is not None:
            html, text = enclosed.html or html, text or enclosed.text or ""
            attachments += [
                enclosed_attachment(each, number)
                for number, each in enumerate(enclosed.attachments, start=len(attachments) + 1)
            ]
        if enclosed is None or _says_more(enclosed, html, text):
            attachments.append(attachment(part, len(attachments) + 1, received))
    return _Content(html, text, tuple(attachments))


def _carried(bodies: Bodies, item_class: str) -> tuple[Part, ...]:
    """The parts that become attachments: the calendar too where it makes no meeting of the message."""
    if bodies.calendar is not None and item_class == NOTE:
        return (*bodies.rest, bodies.calendar)
    return bodies.rest


def _says_more(enclosed: Unpacked, html: str | None, text: str) -> bool:
    """Whether its only body is one that is not unpacked."""
    return enclosed.has_rtf and not html and not text.strip()


def _text(part: Part) -> str:
    """The plain text as it came, but where its lines are broken within words (RFC 3676 section 4.1, DelSp)."""
    return unflowed(part.text()) if is_broken_within_words(part.parameters) else part.text()
