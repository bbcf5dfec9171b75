"""What an IMAP server answers, as plain values: responses of FETCH, LIST and SEARCH, and sets of UIDs.

Reads with imapclient's parser, one response at a time, so that one that is broken costs no other. Knows no connection.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import batched

from imapclient.datetime_util import parse_to_datetime
from imapclient.exceptions import ProtocolError
from imapclient.response_parser import parse_response

from shared.connectors.imap.wire import Untagged

SYSTEM_FLAGS = frozenset({b"\\seen", b"\\answered", b"\\flagged", b"\\deleted", b"\\draft", b"\\recent"})

LONGEST_SET = 4000
"""Bytes of a set of UIDs: servers take commands of 8000 (RFC 2683 section 3.2.1.5)."""

type Raw = Sequence[bytes | tuple[bytes, bytes]]


@dataclass(frozen=True, slots=True)
class Fetched:
    """What a server gave of one message; None where it was not asked for, or cannot be read."""

    uid: int
    flags: frozenset[bytes] | None = None
    """In lower case."""
    categories: tuple[str, ...] = ()
    """Keywords: flags that are no system flags, as they are written."""
    received: datetime | None = None
    size: int | None = None
    """RFC822.SIZE, which some servers estimate."""
    content: bytes | None = None
    """What was asked of its body."""
    origin: int | None = None
    """Where that begins, of a part that was asked for by its place (RFC 3501 section 7.4.2)."""
    number: int = 0
    """Sequence number."""

    @property
    def is_deleted(self) -> bool:
        return b"\\deleted" in (self.flags or ())

    @property
    def is_draft(self) -> bool:
        return b"\\draft" in (self.flags or ())


def fetched(untagged: Untagged) -> tuple[dict[int, Fetched], bool]:
    """Of every message that the server spoke of with its UID, and whether all of it could be read. What it says unasked about a
    message (a flag that changed meanwhile) is added to what it said when asked."""
    found: dict[int, Fetched] = {}
    is_whole = True
    for response in _responses(untagged.get("FETCH", ())):
        try:
            number, values = _attributes(response)
        except (ProtocolError, ValueError, TypeError, IndexError):
            is_whole = False
            continue
        uid = values.get(b"UID")
        if isinstance(uid, int):
            found[uid] = _with(found.get(uid) or Fetched(uid, number=number), values)
    return found, is_whole


def _attributes(response: Raw) -> tuple[int, dict[bytes, object]]:
    """With the sequence number. Raises ProtocolError, ValueError, TypeError, IndexError for what is no FETCH response."""
    number, attributes = parse_response(list(response))
    return int(number), {bytes(name).upper(): value for name, value in batched(attributes, 2, strict=True)}


def _with(former: Fetched, values: dict[bytes, object]) -> Fetched:
    flags = values.get(b"FLAGS")
    named = [flag for flag in flags if isinstance(flag, bytes)] if isinstance(flags, tuple) else None
    keywords = None if named is None else tuple(_text(flag) for flag in named if flag.lower() not in SYSTEM_FLAGS)
    received, size = values.get(b"INTERNALDATE"), values.get(b"RFC822.SIZE")
    name, content = next(((name, value) for name, value in values.items() if name.startswith(b"BODY[")), (b"", None))
    return Fetched(
        former.uid,
        former.flags if named is None else frozenset(flag.lower() for flag in named),
        former.categories if keywords is None else keywords,
        _time(received) if isinstance(received, bytes) else former.received,
        size if isinstance(size, int) else former.size,
        _content(content) if name else former.content,
        _origin(name) if name else former.origin,
        former.number,
    )


def _origin(name: bytes) -> int | None:
    place = name.rpartition(b"]")[2].strip(b"<>")
    return int(place) if place.isdigit() else None


def _content(value: object) -> bytes:
    """A server that has nothing more says NIL, or an empty string; a short text may come as a number."""
    if isinstance(value, bytes):
        return value
    return str(value).encode("ascii") if isinstance(value, int) else b""


def _time(value: bytes) -> datetime | None:
    try:
        moment: datetime = parse_to_datetime(value, normalise=False)
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError, TypeError):
        return None


def listed(untagged: Untagged) -> Iterator[tuple[frozenset[bytes], bytes, bytes]]:
    """Attributes (in lower case), delimiter (empty where names have no parts) and name of each folder of a LIST. What cannot be
    read is no folder."""
    for response in _responses(untagged.get("LIST", ())):
        try:
            attributes, delimiter, name, *_ = parse_response(list(response))
            names = frozenset(each.lower() for each in attributes if isinstance(each, bytes))
        except (ProtocolError, ValueError, TypeError):
            continue
        if name is not None:
            yield names, delimiter if isinstance(delimiter, bytes) else b"", _content(name)


def found_uids(untagged: Untagged) -> list[int]:
    """Of a SEARCH, ascending. What stands in brackets behind them (MODSEQ) is left out."""
    words = (word for line in untagged.get("SEARCH", ()) if isinstance(line, bytes) for word in line.partition(b"(")[0].split())
    return sorted({int(word) for word in words if word.isdigit()})


def number_in(untagged: Untagged, name: str) -> int | None:
    """The number behind a response or a response code, such as EXISTS or UIDNEXT."""
    said = untagged.get(name) or [b""]
    text = said[-1] if isinstance(said[-1], bytes) else b""
    return int(text) if text.isdigit() else None


def set_of(uids: Iterable[int]) -> bytes:
    """A sequence set (RFC 3501 section 9); runs are shortened."""
    return b",".join(_run(first, last) for first, last in _runs(uids))


def sets_of(uids: Iterable[int], longest: int = LONGEST_SET) -> Iterator[list[int]]:
    """The UIDs in parts whose sets are no longer than `longest` bytes."""
    part: list[int] = []
    length = 0
    for first, last in _runs(uids):
        run = len(_run(first, last)) + 1
        if part and length + run > longest:
            yield part
            part, length = [], 0
        part.extend(range(first, last + 1))
        length += run
    if part:
        yield part


def uids_in(sequence_set: str) -> tuple[int, ...]:
    """Of a set as `set_of` writes it. Raises ValueError."""
    uids: list[int] = []
    for run in filter(None, sequence_set.split(",")):
        first, _, last = run.partition(":")
        uids.extend(range(int(first), int(last or first) + 1))
    return tuple(uids)


def _runs(uids: Iterable[int]) -> Iterator[tuple[int, int]]:
    first = last = 0
    for uid in sorted(set(uids)):
        if first and uid == last + 1:
            last = uid
            continue
        if first:
            yield first, last
        first = last = uid
    if first:
        yield first, last


def _run(first: int, last: int) -> bytes:
    return b"%d" % first if first == last else b"%d:%d" % (first, last)


def _responses(raw: Raw) -> Iterator[Raw]:
    """imaplib splits one response at each literal; the last part of it is no literal."""
    parts: list[bytes | tuple[bytes, bytes]] = []
    for part in raw:
        parts.append(part)
        if not isinstance(part, tuple):
            yield parts
            parts = []


def _text(flag: bytes) -> str:
    return flag.decode("utf-8", "replace")
