"""The header block of a message or part (RFC 5322 section 2.2): which fields stand there, raw. Knows no meaning of any.

Only the fields that somebody asks for are kept, so that a block without end costs little; a field whose form no standard
allows ends the block, as with other mail programs.
"""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence

from shared.connectors.mime.transfer import Buffer
from shared.connectors.mime.words import text_of

LARGEST_BLOCK = 256 * 1024
"""Bytes of a header block that are read; fields that follow are left out."""
MOST_OF_A_NAME = 100
"""Fields of one name that are kept."""

_FIELDS = re.compile(
    rb"(?:>?From [^\n]*+\n)?"  # an envelope line of mbox files
    rb"(?:[ \t][^\n]*+\n)*+"  # continuation lines of nothing
    rb"(?:[^\s:\x00][^\n:]*+:[^\n]*+(?:\n|\Z)"
    rb"(?:[ \t][^\n]*+(?:\n|\Z))*+)*+"  # continuation lines, empty ones too: some senders fold so
)
_BLANK_LINE = re.compile(rb"[ \t]*+\r?\n")
_FROM_FIELD = re.compile(r"From[ \t]*:")


class Fields:
    """The fields of one block, by lower-case name."""

    __slots__ = ("_values",)

    def __init__(self, values: Mapping[str, Sequence[str]]) -> None:
        self._values = values

    def raw(self, name: str) -> str | None:
        """The body of the first field of that name as it came: folds taken out, bytes beyond ASCII as surrogates."""
        values = self._values.get(name)
        return values[0] if values else None

    def all_raw(self, name: str) -> Sequence[str]:
        return self._values.get(name, ())

    def text(self, name: str) -> str | None:
        """The first field of that name as a reader sees it."""
        value = self.raw(name)
        return None if value is None else text_of(value)


def fields_at(buffer: Buffer, start: int, end: int, wanted: Collection[str]) -> tuple[Fields, int]:
    """Those of the `wanted` fields that the block at `start` has, and where the body begins."""
    match = _FIELDS.match(buffer, start, end)
    stop = match.end() if match else start
    blank = _BLANK_LINE.match(buffer, stop, end)
    return _wanted(buffer[start : min(stop, start + LARGEST_BLOCK)], wanted), blank.end() if blank else stop


def _wanted(block: bytes, wanted: Collection[str]) -> Fields:
    found: dict[str, list[str]] = {}
    for name, value in _split(block.decode("ascii", "surrogateescape")):
        if name in wanted:
            values = found.setdefault(name, [])
            if len(values) < MOST_OF_A_NAME:
                values.append(value)
    return Fields(found)


def _split(block: str) -> Iterator[tuple[str, str]]:
    name, lines = "", list[str]()
    for line in block.split("\n"):
        line = line.removesuffix("\r")
        if line[:1] in (" ", "\t"):
            if line.strip():
                lines.append(line)
            continue
        if name:
            yield name, "".join(lines)
        is_field = not line.startswith(("From ", ">From ")) or _FROM_FIELD.match(line)
        name, _, value = line.partition(":") if is_field else ("", "", "")
        name, lines = name.rstrip().lower(), [value.lstrip(" \t")]
    if name:
        yield name, "".join(lines)
