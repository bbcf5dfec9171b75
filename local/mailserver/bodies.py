"""Which parts of a message are its body, and which its attachments, as Exchange sees it (MS-OXCMAIL). Knows no protocol."""

import html
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property

from local.mailserver import mime
from local.mailserver.mime import Base64Stream, Part

_LARGE = 256 * 1024
"""Attachments of at least this many bytes of MIME are passed on piece by piece where possible."""

_HIDDEN = re.compile(r"<(script|style|head|title)\b.*?</\1\s*>|<!--.*?-->", re.IGNORECASE | re.DOTALL)
_BREAKS = re.compile(r"<(?:br|/p|/div|/tr|/h\d|/li)\b[^>]*>", re.IGNORECASE)
_TAGS = re.compile(r"<[^>]*>")
_FOR_PROGRAMS = ("message/delivery-status", "message/disposition-notification")
"""Parts of reports that become properties of the item, and are no attachments: only its MIME form has them."""
_SIGNED = b'Content-Type: multipart/signed; name="smime.p7m"\r\nContent-Disposition: attachment; filename="smime.p7m"\r\n\r\n'
_EXTENSIONS = {"text/plain": ".txt", "text/html": ".htm", "message/rfc822": ".eml", "text/calendar": ".ics"}


@dataclass(frozen=True)
class Attachment:
    """An attachment. `number` counts from 0 within its message."""

    number: int
    part: Part = field(repr=False)

    @property
    def message_part(self) -> Part | None:
        """The attached message, of an item attachment."""
        return self.part.parts[0] if self.is_message else None

    @property
    def is_message(self) -> bool:
        return self.part.content_type in ("message/rfc822", "message/global") and bool(self.part.parts)

    @cached_property
    def name(self) -> str:
        if self.part.filename:
            return self.part.filename
        if self.message_part is not None:
            return mime.field_text(self.message_part.fields, "Subject") or f"ATT{self.number + 1:05}"
        return f"ATT{self.number + 1:05}{_EXTENSIONS.get(self.part.content_type, '.dat')}"

    @property
    def content_type(self) -> str:
        return self.part.content_type

    @property
    def content_id(self) -> str | None:
        value = mime.field_text(self.part.fields, "Content-ID")
        return value.strip("<>") or None if value else None

    @property
    def content_location(self) -> str | None:
        return mime.field_text(self.part.fields, "Content-Location") or None

    @property
    def is_inline(self) -> bool:
        return self.part.disposition != "attachment" and self.content_id is not None

    @cached_property
    def encoded(self) -> Base64Stream | None:
        """The content as base64 that can be passed on unread; None where it has to be decoded (or is small)."""
        return self._as_it_is[0] if self._as_it_is else None

    @cached_property
    def _as_it_is(self) -> tuple[Base64Stream, int] | None:
        return mime.large_base64(self.part) if self.part.end - self.part.body >= _LARGE else None

    @cached_property
    def size(self) -> int:
        """Bytes of the content."""
        if self.message_part is not None:
            return self.message_part.end - self.message_part.start
        return self._as_it_is[1] if self._as_it_is else len(self.content())

    def content(self) -> bytes:
        return self.part.content()


@dataclass(frozen=True)
class Bodies:
    """What a message says, and what it carries."""

    html_part: Part | None
    text_part: Part | None
    calendar: Part | None
    attachments: tuple[Attachment, ...]

    @cached_property
    def html(self) -> str | None:
        return self.html_part.text() if self.html_part is not None else None

    @cached_property
    def text(self) -> str | None:
        return self.text_part.text() if self.text_part is not None else None

    def as_text(self) -> str:
        """The text, made of the HTML where there is no other."""
        if self.text is not None:
            return self.text
        return text_of(self.html) if self.html is not None else ""

    def as_html(self) -> str:
        if self.html is not None:
            return self.html
        return f"<html><body><pre>{html.escape(self.text or '', quote=False)}</pre></body></html>"


def text_of(markup: str) -> str:
    visible = _TAGS.sub("", _BREAKS.sub("\r\n", _HIDDEN.sub("", markup)))
    return html.unescape(visible).strip()


def bodies_of(root: Part) -> Bodies:
    if root.content_type == "multipart/signed":
        return replace(_bodies_of(root.parts[0]), attachments=(_signed_entity(root),))
    return _bodies_of(root)


def _signed_entity(root: Part) -> Attachment:
    """All that a clear-signed message has beside its body: one attachment with the whole entity ([MS-OXOSMIME] 2.1.3.1)."""
    content_type = str(root.fields.get("Content-Type", "")).encode("utf-8", "surrogateescape")
    entity = _SIGNED + b"Content-Type: " + content_type + b"\r\n\r\n" + root.buffer[root.body : root.end]
    return Attachment(0, mime.parse(entity, depth=mime.MAX_DEPTH))


def _bodies_of(root: Part) -> Bodies:
    chosen: dict[str, Part] = {}
    rest: list[Part] = []
    body_of: Part | None = None
    for part, alternatives in _leaves(root, None):
        kind = part.content_type
        slot = {"text/plain": "text", "text/html": "html", "text/calendar": "calendar"}.get(kind)
        is_form = alternatives is not None and alternatives is body_of
        if slot and part.disposition != "attachment" and _fits(slot, chosen, is_form):
            chosen[slot] = part
            body_of = body_of if slot == "calendar" else alternatives
        else:
            rest.append(part)
    if root.content_type == "multipart/report":
        rest = [part for part in rest if part.content_type not in _FOR_PROGRAMS]
    attachments = tuple(Attachment(*pair) for pair in enumerate(rest))
    return Bodies(chosen.get("html"), chosen.get("text"), chosen.get("calendar"), attachments)


def _fits(slot: str, chosen: dict[str, Part], is_form: bool) -> bool:
    """The first text is the body; another form of it counts only as its alternative, else it is an attachment."""
    if slot in chosen:
        return False
    return slot == "calendar" or is_form or not ({"text", "html"} & chosen.keys())


def _leaves(part: Part, alternatives: Part | None) -> Iterator[tuple[Part, Part | None]]:
    if not part.content_type.startswith("multipart/") or not part.parts:
        yield part, alternatives
        return
    for child in part.parts:
        yield from _leaves(child, alternatives or (part if part.content_type == "multipart/alternative" else None))
