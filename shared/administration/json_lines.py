"""JSON lines of the address book: a stream of bytes cut into lines, and a line read as a record.

Files come from anywhere: whatever a line holds, it is a valid record or an InvalidRecord. Memory holds a chunk and a line.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from shared.administration.address_book import valid_record
from shared.domain.errors import InvalidRecord
from shared.domain.records import AddressBookRecord

LONGEST_LINE = 16 * 1024
"""Bytes; a valid record with every character escaped is a third of it."""

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
"""Before a file; files that were put together have it before other lines too."""

_FIELDS = ("type", "id", "name", "addresses", "owner_id", "do_not_email", "active")
_LONGEST_NAME_SHOWN = 50


@dataclass(frozen=True, slots=True)
class Line:
    """One line, without what ended it."""

    text: bytes | None
    """None where it is longer than a line may be."""
    end: int
    """Bytes of the file up to and with this line."""

    @property
    def is_blank(self) -> bool:
        return self.text is not None and not self.text


def lines_of(chunks: Iterable[bytes], offset: int) -> Iterator[Line]:
    """The lines of a file from `offset` on, which is where a line begins. LF ends a line, so does CRLF."""
    waiting, cut_off = b"", 0
    for chunk in chunks:
        *whole, waiting = (waiting + chunk).split(b"\n")
        for text in whole:
            offset += cut_off + len(text) + 1
            yield Line(_readable(text, cut_off), offset)
            cut_off = 0
        if len(waiting) > LONGEST_LINE:
            cut_off, waiting = cut_off + len(waiting), b""
    if waiting or cut_off:
        yield Line(_readable(waiting, cut_off), offset + cut_off + len(waiting))


def _readable(text: bytes, cut_off: int) -> bytes | None:
    if cut_off or len(text) > LONGEST_LINE:
        return None
    return text.removeprefix(BYTE_ORDER_MARK).strip(b" \t\r")


def record_of(line: Line) -> AddressBookRecord:
    """Raises InvalidRecord; its texts never repeat values of the line."""
    fields = _object(line)
    return valid_record(
        AddressBookRecord(
            type=_text(fields, "type"),
            id=_text(fields, "id"),
            name=_text(fields, "name"),
            addresses=tuple(_addresses(fields)),
            owner_id=None if fields.get("owner_id") is None else _text(fields, "owner_id"),
            do_not_email=_switch(fields, "do_not_email", default=False),
            active=_switch(fields, "active", default=True),
        )
    )


def _object(line: Line) -> dict[str, object]:
    if line.text is None:
        raise InvalidRecord("", f"the line is longer than {LONGEST_LINE} bytes", "Write one record on each line.")
    try:
        fields = json.loads(line.text.decode())
    except UnicodeDecodeError as error:
        raise InvalidRecord("", "the line is not UTF-8", "Save the file as UTF-8.") from error
    except (ValueError, RecursionError) as error:
        raise InvalidRecord("", "the line is not JSON", "Write one JSON object on each line.") from error
    if not isinstance(fields, dict):
        raise InvalidRecord("", "the line is no JSON object", "Write one JSON object on each line.")
    if unknown := [name for name in fields if name not in _FIELDS]:
        raise InvalidRecord(
            _shown(unknown[0]), "a record has no such field", f"Remove it; the fields are {', '.join(_FIELDS)}."
        )
    return fields


def _text(fields: dict[str, object], name: str) -> str:
    value = fields.get(name)
    if value is None:
        raise InvalidRecord(name, f"{name} is missing", f"Add {name}.")
    if not isinstance(value, str):
        raise InvalidRecord(name, f"{name} is no text", "Write a text in quotes.")
    return value


def _addresses(fields: dict[str, object]) -> Iterator[str]:
    given = fields.get("addresses")
    if not isinstance(given, list | None):
        raise InvalidRecord("addresses", "addresses is no list", "Write a list of texts in square brackets.")
    for number, each in enumerate(given or ()):
        if not isinstance(each, str):
            raise InvalidRecord(f"addresses/{number}", "an address is no text", "Write a text in quotes.")
        yield each


def _switch(fields: dict[str, object], name: str, *, default: bool) -> bool:
    value = fields.get(name, default)
    if not isinstance(value, bool):
        raise InvalidRecord(name, f"{name} is neither true nor false", "Write true or false.")
    return value


def _shown(name: str) -> str:
    """The name of a field that a stranger chose, safe to show; as part of a JSON pointer."""
    visible = "".join(each if each.isprintable() else "?" for each in name[:_LONGEST_NAME_SHOWN])
    return visible.replace("~", "~0").replace("/", "~1")
