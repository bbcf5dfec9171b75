"""Content transfer encodings (RFC 2045 section 6), undone whole or piece by piece. Never fails: what is broken gives what can
be had of it. Linear in the length of the input; pieces are held, never the whole of an attachment.
"""

import binascii
import mmap
import quopri
from collections.abc import Iterator
from contextlib import suppress

import pybase64

type Buffer = bytes | mmap.mmap

CHUNK = 3 * 256 * 1024
"""Bytes handled at once."""

_BASE64 = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=")
_NOT_BASE64 = bytes(code for code in range(256) if code not in _BASE64)
_UUENCODED = frozenset({"x-uuencode", "uuencode", "uue", "x-uue"})
ENCODINGS = frozenset({"base64", "quoted-printable"}) | _UUENCODED
"""Those that change the content; all others, unknown ones among them, say that it is as it is."""


def decoded_base64(content: bytes) -> bytes:
    """Up to the padding; what follows that was appended by somebody."""
    return b"".join(_base64_pieces(iter((content,))))


def decoded(buffer: Buffer, start: int, end: int, encoding: str) -> bytes:
    """The content of buffer[start:end]."""
    return b"".join(pieces(buffer, start, end, encoding))


def pieces(buffer: Buffer, start: int, end: int, encoding: str) -> Iterator[bytes]:
    """The content of buffer[start:end], in pieces."""
    if encoding == "base64":
        return _base64_pieces(_slices(buffer, start, end))
    if encoding == "quoted-printable":
        return (quopri.decodestring(lines) for lines in _whole_lines(buffer, start, end))
    if encoding in _UUENCODED:
        return _decoded_uu(_whole_lines(buffer, start, end))
    return _slices(buffer, start, end)


def size_of(buffer: Buffer, start: int, end: int, encoding: str) -> int:
    """Bytes of the content, without holding it."""
    if encoding == "base64":
        return _base64_size(_slices(buffer, start, end))
    if encoding == "quoted-printable" or encoding in _UUENCODED:
        return sum(map(len, pieces(buffer, start, end, encoding)))
    return end - start


def _slices(buffer: Buffer, start: int, end: int) -> Iterator[bytes]:
    for position in range(start, end, CHUNK):
        yield buffer[position : min(position + CHUNK, end)]


def _whole_lines(buffer: Buffer, start: int, end: int) -> Iterator[bytes]:
    """Pieces that end where a line does; a line longer than a piece is cut, but not within an escape of quoted-printable."""
    while start < end:
        stop = min(start + CHUNK, end)
        if stop < end:
            line_end = buffer.rfind(b"\n", start, stop) + 1
            escape = buffer.rfind(b"=", stop - 2, stop)
            stop = line_end or (escape if escape >= 0 else stop)
        yield buffer[start:stop]
        start = stop


def _base64_pieces(encoded: Iterator[bytes]) -> Iterator[bytes]:
    rest = b""
    for each in encoded:
        clean = rest + each.translate(None, _NOT_BASE64)
        padding = clean.find(b"=")
        if padding >= 0:
            rest = clean[:padding]
            break
        whole = len(clean) - len(clean) % 4
        rest = clean[whole:]
        if whole:
            yield pybase64.b64decode(clean[:whole], validate=True)
    usable = len(rest) - (len(rest) % 4 == 1)
    if usable:
        yield pybase64.b64decode(rest[:usable] + b"=" * (-usable % 4), validate=True)


def _base64_size(encoded: Iterator[bytes]) -> int:
    digits = 0
    for each in encoded:
        clean = each.translate(None, _NOT_BASE64)
        padding = clean.find(b"=")
        digits += len(clean) if padding < 0 else padding
        if padding >= 0:
            break
    return digits // 4 * 3 + max(0, digits % 4 - 1)


def _decoded_uu(encoded: Iterator[bytes]) -> Iterator[bytes]:
    """What stands between `begin` and `end`, or all where neither does; lines that are no data are left out."""
    for lines in encoded:
        decoded = bytearray()
        for line in lines.splitlines():
            if line.startswith(b"begin "):
                decoded.clear()
            elif line.strip() == b"end":
                yield bytes(decoded)
                return
            elif line:
                with suppress(binascii.Error):
                    decoded += binascii.a2b_uu(line)
        yield bytes(decoded)
