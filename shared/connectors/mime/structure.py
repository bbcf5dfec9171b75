"""Which bytes of a message are headers, which bodies, and what holds what (RFC 2046 section 5.1). Only offsets are kept, so
that an attachment of 100 MB costs nothing until somebody reads it.

Falls back instead of failing: a multipart without its boundary is text, one that is not closed ends where the message does,
what is nested too deep or has too many parts stays the one part that it is. Time is linear in the size of the message.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from shared.connectors.mime.fields import Fields, fields_at
from shared.connectors.mime.parameters import value_and_parameters
from shared.connectors.mime.transfer import ENCODINGS, Buffer, decoded, pieces, size_of
from shared.connectors.mime.words import decoded_text, visible

MOST_DEPTH = 20
MOST_PARTS = 1000
"""Parts of one message that are told apart; what follows in the same multipart stays one part."""
MOST_LINES = 50_000
"""Lines of one message that begin as a boundary does and are looked at."""

OF_A_PART = frozenset({"content-type", "content-transfer-encoding", "content-disposition", "content-id"})
"""Fields that matter of a part."""

_AFTER_BOUNDARY = re.compile(rb"(--)?[ \t]*+(?:\r?\n|\r?\Z)")


@dataclass(frozen=True, slots=True)
class Part:
    """One entity: header fields from `start`, content in [body, end) of its buffer."""

    buffer: Buffer
    fields: Fields
    start: int
    body: int
    end: int
    content_type: str
    parameters: Mapping[str, str]
    """Of Content-Type."""
    parts: "tuple[Part, ...]" = ()

    @property
    def encoding(self) -> str:
        """Of the content; comments and parameters, which no standard knows there, do not count."""
        words = re.split(r"[;(\s]", (self.fields.raw("content-transfer-encoding") or "").strip().lower(), maxsplit=1)
        return words[0]

    @property
    def is_encoded(self) -> bool:
        """Its content differs from its bytes."""
        return self.encoding in ENCODINGS

    def disposition(self) -> tuple[str, Mapping[str, str]]:
        return value_and_parameters(self.fields.raw("content-disposition") or "")

    @property
    def filename(self) -> str:
        """Empty where there is none."""
        return self.disposition()[1].get("filename") or self.parameters.get("name", "")

    def head(self) -> bytes:
        """The first piece of the content."""
        return next(self.pieces(), b"")

    def content(self) -> bytes:
        return decoded(self.buffer, self.body, self.end, self.encoding)

    def pieces(self) -> Iterator[bytes]:
        return pieces(self.buffer, self.body, self.end, self.encoding)

    def size(self) -> int:
        """Bytes of the content."""
        return size_of(self.buffer, self.body, self.end, self.encoding)

    def text(self) -> str:
        return visible(decoded_text(self.content(), self.parameters.get("charset")))


class Splitter:
    """Takes one message apart; counts what it has cost so far."""

    def __init__(self, buffer: Buffer) -> None:
        self._buffer = buffer
        self._parts = MOST_PARTS
        self._lines = MOST_LINES

    def part(
        self,
        start: int,
        end: int,
        wanted: frozenset[str] = OF_A_PART,
        depth: int = 0,
        default_type: str = "text/plain",
    ) -> Part:
        """The entity in [start, end)."""
        fields, body = fields_at(self._buffer, start, end, wanted)
        content_type, parameters = _content_type(fields, default_type)
        parts: tuple[Part, ...] = ()
        if content_type.startswith("multipart/") and depth < MOST_DEPTH:
            parts = self._within(body, end, parameters.get("boundary", ""), content_type, depth)
            content_type = content_type if parts else "text/plain"
        return Part(self._buffer, fields, start, body, end, content_type, parameters, parts)

    def _within(self, body: int, end: int, boundary: str, content_type: str, depth: int) -> tuple[Part, ...]:
        default_type = "message/rfc822" if content_type == "multipart/digest" else "text/plain"
        return tuple(
            self.part(start, stop, depth=depth + 1, default_type=default_type)
            for start, stop in self._extents(body, end, boundary)
        )

    def _extents(self, body: int, end: int, boundary: str) -> Iterator[tuple[int, int]]:
        """Where the parts of a multipart begin and end."""
        opened: int | None = None
        for line, after, is_last in self._delimiters(body, end, boundary):
            if opened is not None:
                yield opened, self._before_line_break(opened, line)
            opened = None if is_last else after
            if is_last:
                break
        if opened is not None and opened < end:  # the closing delimiter is missing
            yield opened, end

    def _delimiters(self, body: int, end: int, boundary: str) -> Iterator[tuple[int, int, bool]]:
        """Delimiter lines: where each starts, where what follows it does, and whether it closes."""
        if not boundary:
            return
        wanted = b"--" + boundary.rstrip().encode("ascii", "surrogateescape")
        line = self._buffer.find(wanted, body, end)
        while line >= 0 and self._lines and self._parts:
            self._lines -= 1
            if line == body or self._buffer[line - 1 : line] == b"\n":
                after = _AFTER_BOUNDARY.match(self._buffer, line + len(wanted), end)
                if after:
                    self._parts -= 1
                    yield line, after.end(), after[1] is not None
            line = self._buffer.find(wanted, line + len(wanted), end)

    def _before_line_break(self, start: int, position: int) -> int:
        if position > start and self._buffer[position - 1 : position] == b"\n":
            position -= 1
            if position > start and self._buffer[position - 1 : position] == b"\r":
                position -= 1
        return position


def _content_type(fields: Fields, default: str) -> tuple[str, Mapping[str, str]]:
    raw = fields.raw("content-type")
    if raw is None:
        return default, {}
    found, parameters = value_and_parameters(raw)
    found = visible(found)
    return (found if found.isascii() and found.count("/") == 1 else "text/plain"), parameters
