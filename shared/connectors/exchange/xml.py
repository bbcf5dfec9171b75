"""Replies as XML: parsed whole, or streamed for the one element whose base64 text may be larger than memory should be.

Strict on purpose: a parser that recovers would take a reply that was cut short for a whole one. Exchange does write
characters that XML forbids (a NUL in a subject, half a surrogate pair), so those are removed and the rest tried again.
"""

import re
from base64 import b64decode
from collections.abc import Collection, Iterable, Iterator
from xml.parsers import expat

from lxml import etree
from lxml.etree import _Element

from shared.domain.errors import NoMailServer, Unreachable

_FORBIDDEN = bytes(code for code in range(32) if code not in b"\t\n\r")
_REFERENCE = re.compile(rb"&#(?:x([0-9A-Fa-f]{1,8})|([0-9]{1,9}));")
_PARTIAL_REFERENCE = re.compile(rb"&[^;\s]{0,12}\Z")
_FORBIDDEN_IN_TEXT = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_ENVELOPE = b"Envelope"
_HEAD = 1 << 18
"""Bytes kept of a streamed reply that may turn out to be an error message."""


class MalformedReply(Unreachable):
    """The reply is not XML, or not XML of this protocol."""


class NoEws(MalformedReply, NoMailServer):
    """The reply is nothing that EWS ever sends, such as a page to sign in on."""


def parsed(reply: bytes) -> _Element:
    """The root of a whole reply. Raises MalformedReply."""
    try:
        root = etree.fromstring(reply, _parser())
    except etree.XMLSyntaxError:
        try:
            root = etree.fromstring(without_forbidden(reply), _parser())
        except etree.XMLSyntaxError as error:
            if _ENVELOPE not in reply[:_HEAD]:
                raise NoEws("What answers at this location is no EWS.") from error
            raise MalformedReply("The reply is not XML, or is cut short.") from error
    if root.getroottree().docinfo.internalDTD is not None:
        raise MalformedReply("The reply carries a document type, which SOAP forbids.")
    return root


def _parser() -> etree.XMLParser:
    return etree.XMLParser(resolve_entities=False, no_network=True, huge_tree=True, remove_comments=True, remove_pis=True)


def writable(text: str) -> str:
    """Text without the characters that no XML can carry. An id or watermark that has any is then refused by the server."""
    return _FORBIDDEN_IN_TEXT.sub("", text)


def without_forbidden(data: bytes) -> bytes:
    """Without the characters that XML 1.0 forbids, raw or as references. `data` is UTF-8."""
    return _REFERENCE.sub(_allowed_reference, data.translate(None, _FORBIDDEN))


def _allowed_reference(match: re.Match[bytes]) -> bytes:
    code = int(match[1], 16) if match[1] else int(match[2])
    allowed = code in (9, 10, 13) or 0x20 <= code <= 0xD7FF or 0xE000 <= code <= 0xFFFD or 0x10000 <= code <= 0x10FFFF
    return match[0] if allowed else b""


class ContentAbsent(Exception):
    """The streamed reply has no such element; `reply` is its beginning, whole if it is an error message."""

    def __init__(self, reply: bytes) -> None:
        super().__init__("the reply has no content element")
        self.reply = reply


def content(chunks: Iterable[bytes], elements: Collection[str]) -> Iterator[bytes]:
    """The decoded base64 text of the first element that has one of these names (`{namespace}local`).

    Memory is bounded by the size of a chunk. Raises ContentAbsent, MalformedReply; ValueError where it is not base64."""
    reader = _ContentReader(elements)
    head = bytearray()
    carried = b""
    for chunk in chunks:
        if not reader.found and len(head) < _HEAD:
            head += chunk
        carried, whole = _cut(carried + chunk)
        yield from reader.feed(whole)
    yield from reader.feed(carried, final=True)
    if not reader.found:
        raise ContentAbsent(bytes(head))


def _cut(data: bytes) -> tuple[bytes, bytes]:
    """A character reference that the chunk ends in the middle of is carried over to the next."""
    match = _PARTIAL_REFERENCE.search(data, max(0, len(data) - 14))
    return (data[match.start() :], data[: match.start()]) if match else (b"", data)


class _ContentReader:
    def __init__(self, elements: Collection[str]) -> None:
        self.found = False
        self._elements = frozenset(name.lstrip("{").replace("}", " ") for name in elements)
        self._inside = False
        self._text: list[str] = []
        self._rest = b""
        self._parser = expat.ParserCreate(namespace_separator=" ")
        self._parser.buffer_text = True
        self._parser.buffer_size = 1 << 16
        self._parser.StartDoctypeDeclHandler = self._refuse
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end

    def feed(self, data: bytes, *, final: bool = False) -> Iterator[bytes]:
        try:
            self._parser.Parse(without_forbidden(data), final)
        except expat.ExpatError as error:
            raise MalformedReply("The reply is not XML, or is cut short.") from error
        if self._text:
            joined = self._rest + b"".join("".join(self._text).encode("ascii").split())
            self._text.clear()
            whole = len(joined) - len(joined) % 4 if self._inside else len(joined)
            self._rest = joined[whole:]
            if whole:
                yield b64decode(joined[:whole])

    def _start(self, name: str, _: object) -> None:
        if not self.found and name in self._elements:
            self.found = self._inside = True
            self._parser.CharacterDataHandler = self._text.append

    def _end(self, name: str) -> None:
        if self._inside and name in self._elements:
            self._inside = False
            self._parser.CharacterDataHandler = None

    def _refuse(self, *_: object) -> None:
        raise MalformedReply("The reply carries a document type, which SOAP forbids.")
