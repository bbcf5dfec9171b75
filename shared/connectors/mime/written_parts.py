"""Parts of a message as they are written (RFC 2045, 2046, 2183, 2231): text, attachments piece by piece, attached messages.

Everything goes in 7 bits but for attached messages, which must not be encoded (RFC 2046 section 5.2.1): one whose form a server
does not take goes as octets, with its name.
"""

import binascii
import re
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from email.utils import quote
from itertools import batched, chain
from urllib.parse import quote as percent_encoded

import pybase64

from shared.connectors.mime.parameters import value_and_parameters
from shared.connectors.mime.words import visible
from shared.connectors.mime.written_fields import LINE, is_written_id, one_line
from shared.domain.errors import AttachmentLost
from shared.domain.outgoing import OutgoingAttachment

BOUNDARY_BEGIN = b"=_"
"""Neither base64 nor quoted-printable has it."""

_BLOCK = 57 * 4096
"""Bytes that become whole lines of base64."""
_LONGEST_LINE = 998
"""Bytes of a line, without its end (RFC 5322 section 2.1.1)."""
_LINES_AT_ONCE = 1000
_LONGEST_NAME = 255
_LONGEST_PIECE = 60
"""Characters of a name that stand in one line."""
_MOST_LINES_LIKE_BOUNDARIES = 1000
_TYPE = re.compile(r"[a-z0-9!#$&^_.+-]{1,60}/[a-z0-9!#$&^_.+-]{1,100}")
_TOKEN = re.compile(r"[A-Za-z0-9_.:+-]{1,40}")
_OCTETS = "application/octet-stream"
_MESSAGE = "message/rfc822"


@dataclass(frozen=True, slots=True)
class Part:
    """One part without parts."""

    head: bytes
    """Its header fields, each with its line end."""
    pieces: Callable[[], Iterator[bytes]]
    like_boundaries: Collection[bytes] = ()
    """Lines of it that may be taken for a boundary."""
    is_eight_bit: bool = False


def text_part(text: str, subtype: str) -> Part:
    """In UTF-8; as it is where its lines are short and plain, else encoded by what is shorter."""
    lines = visible(text).replace("\r\n", "\n").replace("\r", "\n")
    body = lines.replace("\n", "\r\n").encode("utf-8")
    body += b"" if body.endswith(b"\r\n") or not body else b"\r\n"
    encoding, written = _encoded(body)
    head = f"Content-Type: text/{subtype}; charset=utf-8\r\nContent-Transfer-Encoding: {encoding}\r\n"
    found = [line for line in written.split(b"\r\n") if line.startswith(b"--")] if encoding == "7bit" else []
    return Part(head.encode("ascii"), lambda: iter((written,)), frozenset(found))


def _encoded(body: bytes) -> tuple[str, bytes]:
    if body.isascii():
        if max(map(len, body.split(b"\r\n"))) <= LINE:
            return "7bit", body
    elif len(body.translate(None, bytes(range(128)))) * 6 > len(body):
        return "base64", _lines_of(body)
    return "quoted-printable", binascii.b2a_qp(body)


def attachment_part(attachment: OutgoingAttachment, *, is_inline: bool, eight_bit: bool) -> Part:
    """`eight_bit`: the server takes 8 bits. Its pieces are asked for when it is written, but for those of a message. Raises
    AttachmentLost, TransientError."""
    value, parameters = value_and_parameters(attachment.content_type)
    content_type = value if _TYPE.fullmatch(value) and not value.startswith("multipart/") else _OCTETS
    if content_type == _MESSAGE and (written := _message_part(attachment, eight_bit=eight_bit)) is not None:
        return written
    if content_type.startswith("message/"):
        content_type = _OCTETS
    charset = parameters.get("charset", "")
    if content_type.startswith("text/") and _TOKEN.fullmatch(charset):
        content_type += f"; charset={charset}"
    return Part(
        _head(attachment, content_type, "base64", is_inline=is_inline),
        lambda: map(_lines_of, _blocks(_stored_pieces(attachment))),
    )


def has_written_id(attachment: OutgoingAttachment) -> bool:
    """Whether HTML can name it."""
    return attachment.content_id is not None and is_written_id(attachment.content_id)


def _head(attachment: OutgoingAttachment, content_type: str, encoding: str, *, is_inline: bool) -> bytes:
    fields = f"Content-Type: {content_type}\r\nContent-Transfer-Encoding: {encoding}\r\n"
    if has_written_id(attachment):
        fields += f"Content-ID: <{attachment.content_id}>\r\n"
    name = one_line(attachment.name)[:_LONGEST_NAME].strip() or "attachment"
    return (fields + _disposition("inline" if is_inline else "attachment", name)).encode("ascii")


def _disposition(kind: str, name: str) -> str:
    """Not by the standard library: it decodes a name that looks like an encoded word, and writes the line breaks in it."""
    plain = f'Content-Disposition: {kind}; filename="{quote(name)}"'
    if name.isascii() and "=?" not in name and len(plain) <= LINE:
        return f"{plain}\r\n"
    pieces = list(_encoded_pieces(name))
    numbered = [f"filename*{number}*={piece}" for number, piece in enumerate(pieces)]
    parameters = numbered if len(pieces) > 1 else [f"filename*={pieces[0]}"]
    return ";\r\n ".join((f"Content-Disposition: {kind}", *parameters)) + "\r\n"


def _encoded_pieces(name: str) -> Iterator[str]:
    """RFC 2231, no character in two of them."""
    piece = "utf-8''"
    for each in name:
        encoded = percent_encoded(each, safe="")
        if len(piece) + len(encoded) > _LONGEST_PIECE:
            yield piece
            piece = ""
        piece += encoded
    yield piece


def _stored_pieces(attachment: OutgoingAttachment) -> Iterator[bytes]:
    try:
        yield from attachment.chunks()
    except KeyError as error:
        raise AttachmentLost("The content of an attachment is not in the store any more.") from error


def _blocks(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """The same bytes, in blocks that become whole lines."""
    held = b""
    for piece in pieces:
        held += piece
        at = 0
        while len(held) - at >= _BLOCK:
            yield held[at : at + _BLOCK]
            at += _BLOCK
        held = held[at:]
    if held:
        yield held


def _lines_of(block: bytes) -> bytes:
    return pybase64.encodebytes(block).replace(b"\n", b"\r\n")


# ---- attached messages


def _message_part(attachment: OutgoingAttachment, *, eight_bit: bool) -> Part | None:
    """None where it cannot go as a message: it has lines that mail must not have, or 8 bits that the server does not take.
    It is read twice: what it is has to be known before its header."""
    found: set[bytes] = set()
    is_ascii = True
    for line in _lines(_stored_pieces(attachment)):
        is_ascii = is_ascii and line.isascii()
        is_legal = len(line) <= _LONGEST_LINE and b"\r" not in line and b"\0" not in line and (is_ascii or eight_bit)
        if line.startswith(b"--" + BOUNDARY_BEGIN):
            found.add(line)
        if not is_legal or len(found) > _MOST_LINES_LIKE_BOUNDARIES:
            return None
    head = _head(attachment, _MESSAGE, "7bit" if is_ascii else "8bit", is_inline=False)
    return Part(head, lambda: _with_line_ends(_lines(_stored_pieces(attachment))), found, not is_ascii)


def _with_line_ends(lines: Iterator[bytes]) -> Iterator[bytes]:
    for some in batched(lines, _LINES_AT_ONCE, strict=False):
        yield b"\r\n".join((*some, b""))


def _lines(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Without their ends. One that is too long may come in parts, the first of which is too long."""
    rest = b""
    for piece in pieces:
        *lines, rest = (rest + piece).split(b"\n")
        yield from (line.removesuffix(b"\r") for line in lines)
        if len(rest) > _LONGEST_LINE + 1:
            yield rest
            rest = b""
    if rest:
        yield rest.removesuffix(b"\r")


def lines_like_boundaries(parts: Sequence[Part]) -> frozenset[bytes]:
    return frozenset(chain.from_iterable(part.like_boundaries for part in parts))
