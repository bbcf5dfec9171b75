"""Takes a MIME message apart by offsets: which bytes are headers, which bodies, what holds what. Knows no item, no protocol.

A server never refuses a message for its form, so everything here falls back instead of failing: a missing boundary makes a
text, broken base64 gives what can be decoded, an unknown charset is guessed. Only offsets are kept, so that a part of 100 MB
costs nothing until somebody asks for it. Follows RFC 5322, 2045 to 2047, 2183 and 2231.
"""

import base64
import binascii
import mmap
import quopri
import re
from collections.abc import Iterator
from dataclasses import dataclass
from email.errors import MessageError
from email.header import decode_header
from email.message import Message as HeaderFields
from email.policy import Compat32

type Buffer = bytes | mmap.mmap

MAX_DEPTH = 20
"""Parts nested deeper stay attachments: a message must not exhaust the stack."""
CHUNK = 3 * 256 * 1024
"""Bytes handled at once; a multiple of 3 for base64."""

_FIELDS = re.compile(
    rb"(?:>?From [^\n]*+\n)?"  # an envelope line of mbox files
    rb"(?:[ \t][^\n]*+\n)*+"  # continuation lines of nothing
    rb"(?:[^\s:\x00][^\n:]*+:[^\n]*+(?:\n|\Z)"
    rb"(?:[ \t][^\n]*+(?:\n|\Z))*+)*+"  # continuation lines, empty ones too: some senders fold so
)
_LF = ord("\n")
_DELIMITER_REST = re.compile(rb"(--)?[ \t]*+(?:\r?\n|\Z|\r\Z)")
_BLANK_LINE = re.compile(rb"[ \t]*+\r?\n")
_WHITE_SPACE = b" \t\r\n\v\f"
_NOT_BASE64 = bytes(sorted(set(range(256)) - set(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=")))
_ENCODED_WORDS_GAP = re.compile(r"(\?=)\s+(=\?)")
_FAILURES = (MessageError, ValueError, LookupError, TypeError, AttributeError)
"""What the standard library raises for header fields that no standard allows."""


class _AsTheyAre(Compat32):
    """Field bodies with bytes beyond ASCII as they came (surrogate escapes); the stock policy would replace them."""

    def header_fetch_parse(self, name: str, value: str) -> str:  # noqa: ARG002  # the policy interface
        return value


_POLICY = _AsTheyAre()


@dataclass(frozen=True, slots=True)
class Part:
    """One entity: header fields in [start, body), content in [body, end) of its buffer."""

    buffer: Buffer
    fields: HeaderFields
    start: int
    body: int
    end: int
    content_type: str
    parts: "tuple[Part, ...]" = ()

    @property
    def encoding(self) -> str:
        return str(self.fields.get("Content-Transfer-Encoding", "")).strip().lower()

    @property
    def disposition(self) -> str:
        return str(self.fields.get("Content-Disposition", "")).partition(";")[0].strip().lower()

    def parameter(self, name: str, header: str = "Content-Type") -> str | None:
        """A parameter of a header field, decoded; None where it is absent or hopeless."""
        try:
            value = self.fields.get_param(name, None, header)
        except _FAILURES:
            return None
        if value is None:
            return None
        if isinstance(value, tuple):
            charset, _, text = value
            return decoded_text(text.encode("latin-1", "replace"), charset)
        return unfolded(decoded_words(readable(value)))

    @property
    def filename(self) -> str | None:
        return self.parameter("filename", "Content-Disposition") or self.parameter("name")

    def content(self) -> bytes:
        """The decoded content."""
        return decoded_content(self.buffer[self.body : self.end], self.encoding)

    def text(self) -> str:
        return decoded_text(self.content(), self.parameter("charset"))


def parse(buffer: Buffer, start: int = 0, end: int | None = None, depth: int = 0, default_type: str = "text/plain") -> Part:
    """The entity in buffer[start:end]."""
    end = len(buffer) if end is None else end
    fields, body = _fields(buffer, start, end)
    content_type = _content_type(fields, default_type)
    if content_type.startswith("multipart/") and depth < MAX_DEPTH:
        parts = _parts(buffer, body, end, fields, content_type, depth)
        if not parts:
            return Part(buffer, fields, start, body, end, "text/plain")
        return Part(buffer, fields, start, body, end, content_type, parts)
    if content_type in ("message/rfc822", "message/global") and depth < MAX_DEPTH:
        return Part(buffer, fields, start, body, end, content_type, (_inner_message(buffer, fields, body, end, depth),))
    return Part(buffer, fields, start, body, end, content_type)


def _fields(buffer: Buffer, start: int, end: int) -> tuple[HeaderFields, int]:
    match = _FIELDS.match(buffer, start, end)
    stop = match.end() if match else start
    fields = HeaderFields(_POLICY)
    for name, value in _split_fields(buffer[start:stop]):
        fields.set_raw(name, value)
    blank = _BLANK_LINE.match(buffer, stop, end)
    return fields, blank.end() if blank else stop


def _split_fields(block: bytes) -> Iterator[tuple[str, str]]:
    name, lines = "", list[str]()
    for line in block.decode("ascii", "surrogateescape").split("\n"):
        line = line.removesuffix("\r")
        if line[:1] in (" ", "\t"):
            if line.strip():
                lines.append(line)
            continue
        if name:
            yield name, "".join(lines)
        name, _, value = line.partition(":") if not line.startswith(("From ", ">From ")) else ("", "", "")
        name, lines = name.rstrip(), [value.lstrip(" \t")]
    if name:
        yield name, "".join(lines)


def _content_type(fields: HeaderFields, default: str) -> str:
    if "Content-Type" not in fields:
        return default
    try:
        found = fields.get_content_type()
    except _FAILURES:
        return "text/plain"
    return found if found.isascii() else "text/plain"


def _parts(buffer: Buffer, body: int, end: int, fields: HeaderFields, content_type: str, depth: int) -> tuple[Part, ...]:
    try:
        boundary = fields.get_boundary()
    except _FAILURES:
        boundary = None
    if not boundary:
        return ()
    inner_default = "message/rfc822" if content_type == "multipart/digest" else "text/plain"
    parts: list[Part] = []
    opened: int | None = None
    for found, behind, is_last in _delimiters(buffer, b"--" + boundary.encode("utf-8", "surrogateescape"), body, end):
        if opened is not None:
            parts.append(parse(buffer, opened, _before_line_break(buffer, opened, found), depth + 1, inner_default))
        opened = None if is_last else behind
        if opened is None:
            break
    if opened is not None and opened < end:  # the closing delimiter is missing
        parts.append(parse(buffer, opened, end, depth + 1, inner_default))
    return tuple(parts)


def _delimiters(buffer: Buffer, delimiter: bytes, start: int, end: int) -> Iterator[tuple[int, int, bool]]:
    """Lines that begin with the delimiter and say no more: where they begin, what is behind them, and whether it is the last.

    Searched as bytes: a pattern for every boundary would cost more than the message.
    """
    at = buffer.find(delimiter, start, end)
    while at >= 0:
        rest = _DELIMITER_REST.match(buffer, at + len(delimiter), end) if at == 0 or buffer[at - 1] == _LF else None
        if rest is not None:
            yield at, rest.end(), rest.group(1) is not None
        at = buffer.find(delimiter, at + 1 if rest is None else rest.end(), end)


def _before_line_break(buffer: Buffer, start: int, position: int) -> int:
    if position > start and buffer[position - 1 : position] == b"\n":
        position -= 1
        if position > start and buffer[position - 1 : position] == b"\r":
            position -= 1
    return position


def _inner_message(buffer: Buffer, fields: HeaderFields, body: int, end: int, depth: int) -> Part:
    encoding = str(fields.get("Content-Transfer-Encoding", "")).strip().lower()
    if encoding in ("base64", "quoted-printable"):  # forbidden, and sent all the same
        return parse(decoded_content(buffer[body:end], encoding), depth=depth + 1)
    return parse(buffer, body, end, depth + 1)


def decoded_content(content: bytes, encoding: str) -> bytes:
    if encoding == "base64":
        return _decoded_base64(content)
    if encoding == "quoted-printable":
        return quopri.decodestring(content)
    if encoding in ("x-uuencode", "uuencode", "uue", "x-uue"):
        return _decoded_uu(content)
    return content


def _decoded_base64(content: bytes) -> bytes:
    clean = content.translate(None, _NOT_BASE64)
    first = clean.find(b"=")
    if first >= 0:  # what follows the padding was appended by somebody
        clean = clean[:first]
    usable = len(clean) - (1 if len(clean) % 4 == 1 else 0)
    return binascii.a2b_base64(clean[:usable] + b"=" * (-usable % 4))


def _decoded_uu(content: bytes) -> bytes:
    decoded = bytearray()
    for line in content.splitlines():
        if line.startswith(b"begin "):
            decoded.clear()
        elif line.strip() == b"end":
            break
        elif line:  # an empty one is no data, though binascii makes 32 zeros of it
            try:
                decoded += binascii.a2b_uu(line)
            except binascii.Error:
                continue
    return bytes(decoded)


def decoded_text(content: bytes, charset: str | None) -> str:
    """Text in its charset; where that is missing, unknown or wrong: UTF-8, else Windows-1252, as mail clients do."""
    if content.startswith(b"\xef\xbb\xbf"):
        content = content[3:]
    for candidate in (charset, "utf-8"):
        if not candidate:
            continue
        try:
            return content.decode(candidate.strip().strip("'\""))
        except (LookupError, ValueError):
            continue
    if charset:
        try:
            return content.decode(charset.strip(), "replace")
        except (LookupError, ValueError):
            pass
    return content.decode("cp1252", "replace")


def readable(value: str) -> str:
    """A raw field body as text: bytes beyond ASCII are UTF-8, else Windows-1252."""
    return value if value.isascii() else decoded_text(value.encode("utf-8", "surrogateescape"), None)


def unfolded(value: str) -> str:
    """One line of text: white space at folds is one space."""
    return value.replace("\t", " ").replace("\r", " ").replace("\n", " ").strip()


def decoded_words(value: str) -> str:
    """RFC 2047 encoded words decoded; what cannot be decoded stays as it is."""
    if "=?" not in value:
        return value
    value = _ENCODED_WORDS_GAP.sub(r"\1 \2", value)
    try:
        return "".join(
            chunk if isinstance(chunk, str) else decoded_text(chunk, charset if charset != "unknown-8bit" else None)
            for chunk, charset in decode_header(value)
        )
    except _FAILURES:
        return value


def field_text(fields: HeaderFields, name: str) -> str | None:
    """The first field of that name, unfolded and decoded; None where there is none."""
    value = fields.get(name)
    return None if value is None else unfolded(decoded_words(readable(str(value))))


@dataclass(frozen=True, slots=True)
class Base64Stream:
    """Content as base64 text of known length, made piece by piece: a large attachment is never held as a whole."""

    buffer: Buffer
    start: int
    end: int
    encoded: bool
    """The buffer holds base64 with line breaks already; else plain bytes."""
    length: int

    def __len__(self) -> int:
        return self.length

    def __iter__(self) -> Iterator[bytes]:
        for position in range(self.start, self.end, CHUNK):
            piece = self.buffer[position : min(position + CHUNK, self.end)]
            yield piece.translate(None, _WHITE_SPACE) if self.encoded else base64.b64encode(piece)


def base64_stream(buffer: Buffer, start: int, end: int) -> Base64Stream:
    """Plain bytes as base64."""
    return Base64Stream(buffer, start, end, False, (end - start + 2) // 3 * 4)


def large_base64(part: Part) -> tuple[Base64Stream, int] | None:
    """A part that is well-formed base64 already, to be passed on as it is, with its decoded size; None: decode it instead."""
    if part.encoding != "base64":
        return None
    length, padding = 0, b""
    for position in range(part.body, part.end, CHUNK):
        clean = part.buffer[position : min(position + CHUNK, part.end)].translate(None, _WHITE_SPACE)
        if padding.endswith(b"=") and clean.strip(b"="):
            return None
        if clean.rstrip(b"=").translate(None, _NOT_BASE64) != clean.rstrip(b"=") or b"=" in clean.rstrip(b"="):
            return None
        length += len(clean)
        padding = (padding + clean)[-3:]
    if length % 4 or padding == b"===":
        return None
    return Base64Stream(part.buffer, part.body, part.end, True, length), length // 4 * 3 - padding.count(b"=")
