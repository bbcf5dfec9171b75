"""FETCH: what is asked of messages and how each of them shows it (RFC 3501 section 6.4.5, MODSEQ of RFC 7162)."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from local.mailserver import mime
from local.mailserver.contents import Item
from local.mailserver.imap.envelope import envelope
from local.mailserver.imap.flags import flags_of
from local.mailserver.imap.reading import Parser
from local.mailserver.imap.replies import Bad
from local.mailserver.imap.structure import structure
from local.mailserver.mime import Buffer
from local.mailserver.octets import header_end, octets

_MACROS = {
    "ALL": ("FLAGS", "INTERNALDATE", "RFC822.SIZE", "ENVELOPE"),
    "FAST": ("FLAGS", "INTERNALDATE", "RFC822.SIZE"),
    "FULL": ("FLAGS", "INTERNALDATE", "RFC822.SIZE", "ENVELOPE", "BODY"),
}
_SECTION_OF = {"RFC822": "", "RFC822.HEADER": "HEADER", "RFC822.TEXT": "TEXT"}
_NAME = re.compile(rb"[A-Z0-9.]+", re.IGNORECASE)
_PART = re.compile(rb"[1-9]\d{0,5}(?:\.[1-9]\d{0,5}){0,40}")
_FIELD = re.compile(rb"([^\s:]+)[ \t]*:[^\n]*\n(?:[ \t]+[^\n]*\n)*")


@dataclass(frozen=True, slots=True)
class Section:
    """Of a message: which bytes of which part of it."""

    label: str
    """As the reply names it."""
    part: tuple[int, ...] = ()
    text: str = ""
    """Empty for all of it, HEADER, HEADER.FIELDS, HEADER.FIELDS.NOT, TEXT, MIME."""
    fields: frozenset[str] = frozenset()
    """Names of header fields in lower case."""
    partial: tuple[int, int] | None = None
    """First byte, and how many."""

    @property
    def is_of_header(self) -> bool:
        return not self.part and self.text.startswith("HEADER")

    def content(self, item: Item) -> Buffer:
        found = self._all_of(octets(item.message))
        if self.partial is None:
            return found
        first, count = self.partial
        return found[first : first + count]

    def _all_of(self, content: Buffer) -> Buffer:
        if not self.part:
            return self._within(content, header_end(content))
        entity = mime.parse(content)
        for number in self.part:
            inner = entity.parts[0] if entity.content_type.startswith("message/") and entity.parts else entity
            if inner.parts and inner.content_type.startswith("multipart/"):
                if number > len(inner.parts):
                    return b""
                entity = inner.parts[number - 1]
            elif number == 1:
                entity = inner
            else:
                return b""
        if self.text == "MIME":
            return entity.buffer[entity.start : entity.body]
        if not self.text:
            return entity.buffer[entity.body : entity.end]
        message = entity.parts[0] if entity.parts else entity
        return self._within(message.buffer[message.start : message.end], message.body - message.start)

    def _within(self, content: Buffer, body: int) -> Buffer:
        if not self.text:
            return content
        if self.text == "TEXT":
            return content[body:]
        if self.text == "HEADER":
            return content[:body]
        wanted = self.text == "HEADER.FIELDS"
        chosen = [
            field[0]
            for field in _FIELD.finditer(content[:body])
            if (field[1].decode("latin-1").lower() in self.fields) is wanted
        ]
        return b"".join(chosen) + b"\r\n"


@dataclass(frozen=True, slots=True)
class Attribute:
    """One thing that is asked of each message."""

    name: str
    section: Section | None = None
    peek: bool = True

    @property
    def marks_as_read(self) -> bool:
        return not self.peek

    @property
    def needs_content(self) -> bool:
        return self.section is not None and not self.section.is_of_header

    def show(self, item: Item, out: list[Buffer | memoryview]) -> None:
        if self.section is None:
            out.append(_VALUES[self.name](item))
            return
        content = self.section.content(item)
        out.append(f"{self.section.label} {{{len(content)}}}\r\n".encode())
        out.append(content)


def line(number: int, item: Item, attributes: Sequence[Attribute], out: list[Buffer | memoryview]) -> None:
    """What a message shows of itself, as an untagged reply."""
    out.append(f"* {number} FETCH (".encode())
    for position, attribute in enumerate(attributes):
        if position:
            out.append(b" ")
        attribute.show(item, out)
    out.append(b")\r\n")


def read_attributes(parser: Parser) -> list[Attribute]:
    """Raises Bad."""
    if parser.next != b"(":
        for macro, names in _MACROS.items():
            if parser.tries(macro.encode()):
                return [Attribute(name) for name in names]
    return parser.one_or_several(lambda: _attribute(parser))


def _attribute(parser: Parser) -> Attribute:
    name = parser.matched(_NAME, "an attribute").upper()
    if name in ("BODY", "BODY.PEEK") and parser.next == b"[":
        return Attribute("BODY", _section(parser), peek=name == "BODY.PEEK")
    if name in _SECTION_OF:
        return Attribute(name, Section(name, text=_SECTION_OF[name]), peek=name == "RFC822.HEADER")
    if name not in _VALUES:
        raise Bad(f"{name} is not served.")
    return Attribute(name)


def _section(parser: Parser) -> Section:
    parser.expect(b"[")
    part: tuple[int, ...] = ()
    numbers = parser.maybe(_PART)
    if numbers is not None:
        part = tuple(map(int, numbers.split(".")))
        if parser.next != b"]":
            parser.expect(b".")
    text = "" if parser.next == b"]" else parser.matched(_NAME, "a section").upper()
    if text not in ("", "HEADER", "TEXT", "HEADER.FIELDS", "HEADER.FIELDS.NOT", *(["MIME"] if part else [])):
        raise Bad("That section is not served.")
    fields: list[str] = []
    if text.startswith("HEADER.FIELDS"):
        parser.space()
        fields = parser.several(lambda: parser.astring().decode("ascii", "replace"))
    parser.expect(b"]")
    partial = _partial(parser)
    path = ".".join(filter(None, [numbers or "", text])) + (f" ({' '.join(fields)})" if fields else "")
    label = f"BODY[{path}]" + (f"<{partial[0]}>" if partial else "")
    return Section(label, part, text, frozenset(field.lower() for field in fields), partial)


def _partial(parser: Parser) -> tuple[int, int] | None:
    if not parser.tries(b"<"):
        return None
    first = parser.number()
    parser.expect(b".")
    count = parser.number()
    parser.expect(b">")
    if not count:
        raise Bad("A partial fetch is of one byte at least.")
    return first, count


def date_time(time: datetime) -> str:
    """In whole seconds and UTC."""
    utc = time.astimezone(UTC)
    return f"{utc.day:2d}-{_MONTHS[utc.month - 1]}-{utc.year:04d} {utc:%H:%M:%S} +0000"


_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")

_VALUES: dict[str, Callable[[Item], bytes]] = {
    "BODY": lambda item: b"BODY " + structure(item.message),
    "BODYSTRUCTURE": lambda item: b"BODYSTRUCTURE " + structure(item.message),
    "ENVELOPE": lambda item: b"ENVELOPE " + envelope(item.message),
    "FLAGS": lambda item: f"FLAGS ({' '.join(flags_of(item))})".encode(),
    "INTERNALDATE": lambda item: f'INTERNALDATE "{date_time(item.received)}"'.encode(),
    "MODSEQ": lambda item: f"MODSEQ ({item.version})".encode(),
    "RFC822.SIZE": lambda item: f"RFC822.SIZE {len(octets(item.message))}".encode(),
    "UID": lambda item: f"UID {item.uid}".encode(),
}
