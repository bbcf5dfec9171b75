"""An `OutgoingMessage` as the octets of a message (RFC 5322, 2045 to 2049): the same message gives the same octets.

A large attachment is never in memory as a whole: what is composed stands in a temporary file. Knows no protocol: what the
server can take comes in as arguments. Nothing that stands in a field makes another field, and nobody's Bcc is told to anybody.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from email.utils import format_datetime
from itertools import count
from tempfile import SpooledTemporaryFile
from types import TracebackType
from typing import Self

from shared.connectors.mime.written_addresses import needs_utf8, written_address
from shared.connectors.mime.written_fields import (
    addresses_field,
    ids_field,
    index_field,
    text_field,
    written_message_id,
)
from shared.connectors.mime.written_parts import (
    BOUNDARY_BEGIN,
    Part,
    attachment_part,
    has_written_id,
    lines_like_boundaries,
    text_part,
)
from shared.domain.choices import Priority
from shared.domain.email import Address
from shared.domain.errors import DeliveryPostponed, DeliveryRefused
from shared.domain.outgoing import OutgoingMessage

IN_MEMORY = 1 << 20
"""Bytes; what is larger is a temporary file."""
_CHUNK = 1 << 17
_PRIORITIES = {
    Priority.HIGH: "Importance: high\r\nX-Priority: 1\r\nPriority: urgent\r\n",
    Priority.LOW: "Importance: low\r\nX-Priority: 5\r\nPriority: non-urgent\r\n",
}
"""[MS-OXCMAIL] 2.1.3.2.9; X-Priority and Priority (RFC 2156) for older programs."""


@dataclass(frozen=True, slots=True)
class Composed:
    """Octets of a message, with CRLF, and a line end as the last. A context manager: they are gone when it ends."""

    octets: "SpooledTemporaryFile[bytes]"
    size: int
    message_id: str
    """As it stands there, without angle brackets."""
    is_eight_bit: bool
    """It needs 8BITMIME (RFC 6152)."""

    def chunks(self) -> Iterator[bytes]:
        """May be called again, when the one before has ended or is given up."""
        self.octets.seek(0)
        while chunk := self.octets.read(_CHUNK):
            yield chunk

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.octets.close()


def compose(message: OutgoingMessage, *, utf8: bool = False, eight_bit: bool = False) -> Composed:
    """`utf8`: the server takes addresses beyond ASCII (SMTPUTF8); `eight_bit`: it takes 8 bits (8BITMIME).

    Raises DeliveryRefused where no header can carry the sender, DeliveryPostponed where there is no room for a message of this
    size, AttachmentLost, TransientError where an attachment cannot be read."""
    parts = _Parts(message, eight_bit=eight_bit)
    head = _head(message, utf8=utf8).encode("utf-8")
    octets = SpooledTemporaryFile[bytes](max_size=IN_MEMORY)
    try:
        octets.write(head)
        for piece in parts.pieces():
            octets.write(piece)
        size = octets.tell()
    except BaseException as error:
        octets.close()
        if isinstance(error, OSError):
            # Only a large email needs the disk: it waits, the others go on.
            raise DeliveryPostponed("There is no room here to put together an email of this size.") from error
        raise
    is_eight_bit = not head.isascii() or any(part.is_eight_bit for part in parts.leaves)
    return Composed(octets, size, written_message_id(message.message_id), is_eight_bit)


# ---- the header


def _head(message: OutgoingMessage, *, utf8: bool) -> str:
    for writer in (message.from_, message.sender):
        if writer is not None and written_address(writer.address, utf8=utf8) is None:
            status = "5.6.7" if needs_utf8(writer.address) else "5.1.7"
            raise DeliveryRefused("The server cannot be given the address of the sender.", status_code=status)
    to = addresses_field("To", message.to, utf8=utf8) if message.to else ""
    return "".join(
        (
            addresses_field("From", (message.from_,), utf8=utf8),
            _one("Sender", message.sender, utf8=utf8),
            to if message.to or message.cc else "To: undisclosed-recipients:;\r\n",
            addresses_field("Cc", message.cc, utf8=utf8) if message.cc else "",
            text_field("Subject", message.subject),
            f"Date: {format_datetime(message.date)}\r\n",
            ids_field("Message-ID", (written_message_id(message.message_id),)),
            ids_field("In-Reply-To", () if message.in_reply_to is None else (message.in_reply_to,)),
            ids_field("References", message.references),
            index_field("Thread-Index", message.conversation_index or ""),
            _PRIORITIES.get(message.priority, ""),
            _one("Disposition-Notification-To", message.from_ if message.read_receipt else None, utf8=utf8),
            "MIME-Version: 1.0\r\n",
        )
    )


def _one(name: str, address: Address | None, *, utf8: bool) -> str:
    return "" if address is None else addresses_field(name, (address,), utf8=utf8)


# ---- the parts


class _Parts:
    """mixed(alternative(text, related(html, pictures)), attachments), each where there is something for it."""

    def __init__(self, message: OutgoingMessage, *, eight_bit: bool) -> None:
        html = message.body_html
        is_text = bool(message.body_text.strip()) or html is None
        self._texts = [text_part(message.body_text, "plain")] if is_text else []
        self._html = None if html is None else text_part(html, "html")
        self._pictures: list[Part] = []
        self._attachments: list[Part] = []
        for each in message.attachments:
            is_inline = each.is_inline and html is not None and has_written_id(each)
            part = attachment_part(each, is_inline=is_inline, eight_bit=eight_bit)
            (self._pictures if is_inline else self._attachments).append(part)
        self.leaves = [*self._texts, *([self._html] if self._html else []), *self._pictures, *self._attachments]
        self._key = _key(message.message_id, lines_like_boundaries(self.leaves))

    def pieces(self) -> Iterator[bytes]:
        return self._several("mixed", [self._body(), *map(_alone, self._attachments)])

    def _body(self) -> Iterator[bytes]:
        texts = [_alone(text) for text in self._texts]
        if self._html is None:
            return texts[0]
        html = self._several("related", [_alone(self._html), *map(_alone, self._pictures)], '; type="text/html"')
        return self._several("alternative", [*texts, html])

    def _several(self, subtype: str, parts: Sequence[Iterator[bytes]], parameters: str = "") -> Iterator[bytes]:
        """The only one is itself."""
        if len(parts) == 1:
            return parts[0]
        boundary = BOUNDARY_BEGIN + subtype.encode("ascii") + b"_" + self._key
        return _multipart(f"multipart/{subtype}{parameters}", boundary, parts)


def _alone(part: Part) -> Iterator[bytes]:
    yield part.head + b"\r\n"
    yield from part.pieces()


def _multipart(content_type: str, boundary: bytes, parts: Sequence[Iterator[bytes]]) -> Iterator[bytes]:
    yield f'Content-Type: {content_type};\r\n boundary="{boundary.decode("ascii")}"\r\n'.encode("ascii")
    for part in parts:
        yield b"\r\n--" + boundary + b"\r\n"
        yield from part
    yield b"\r\n--" + boundary + b"--\r\n"


def _key(message_id: str, taken: frozenset[bytes]) -> bytes:
    """What the boundaries of this message have in common; no line that stands in it has it."""
    for attempt in count():
        key = hashlib.sha256(f"{attempt}:{message_id}".encode("utf-8", "surrogatepass")).hexdigest()[:24].encode("ascii")
        if not any(key in line for line in taken):
            return key
    raise AssertionError("There is always another key.")
