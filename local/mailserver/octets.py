"""A message as POP3 and IMAP count and send it: its bytes, every line ended by CRLF.

What was delivered so is sent byte for byte as it came (RFC 1939 section 11, RFC 3501 section 4.3).
"""

import re

from local.mailserver.message import Message
from local.mailserver.mime import Buffer

_MENDED, _AS_IT_IS = "octets", "octets_as_they_are"
"""Keys of what was found out about a message."""
_BARE_LF = re.compile(rb"(?<!\r)\n")


def octets(message: Message) -> Buffer:
    if _MENDED in message.renderings:
        return message.renderings[_MENDED]
    whole = message.start == 0 and message.end == len(message.raw)
    raw: Buffer = message.raw if whole else message.raw[message.start : message.end]
    if _AS_IT_IS in message.renderings:
        return raw
    if _has_bare_lf(raw):
        return message.renderings.setdefault(_MENDED, _BARE_LF.sub(b"\r\n", raw))
    message.renderings[_AS_IT_IS] = b""
    return raw


def _has_bare_lf(raw: Buffer) -> bool:
    if isinstance(raw, bytes):
        return raw.count(b"\n") != raw.count(b"\r\n")
    return _BARE_LF.search(raw) is not None


def header_end(content: Buffer) -> int:
    """Where the body begins: behind the first empty line."""
    if content[:2] == b"\r\n":
        return 2
    found = content.find(b"\r\n\r\n")
    return len(content) if found < 0 else found + 4


def first_lines(content: Buffer, lines: int) -> bytes:
    """The header, the empty line, and so many lines of the body (TOP)."""
    end = header_end(content)
    for _ in range(lines):
        found = content.find(b"\n", end)
        if found < 0:
            return content[:]
        end = found + 1
    return content[:end]


def dot_stuffed(content: Buffer) -> bytes:
    """As the body of a reply of several lines, with the line that ends it (RFC 1939 section 3)."""
    stuffed = content[:].replace(b"\n.", b"\n..")
    if stuffed.startswith(b"."):
        stuffed = b"." + stuffed
    return stuffed + (b".\r\n" if not stuffed or stuffed.endswith(b"\r\n") else b"\r\n.\r\n")
