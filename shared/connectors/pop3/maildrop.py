"""A maildrop as UIDL and LIST tell it (RFC 1939 section 7): which message has which number in this session, and its size.

Replies are written by servers of every age: lines that say nothing are passed over. Knows no connection.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from shared.connectors.pop3.watermark import hash_of
from shared.domain.ids import short_hash

_LONGEST_ID = 200
"""Characters of an id (RFC 1939: 70). Longer ones are known by their hash."""


@dataclass(frozen=True)
class Maildrop:
    """The messages of one session. An id is the message's UIDL; several messages that have the same one are told apart by
    their order, with a space before it, which no UIDL has."""

    numbers: Mapping[str, int]
    """By id, in the order of the numbers."""
    last: str | None = None
    """UIDL of the message with the highest number."""
    repeated: frozenset[str] = frozenset()
    """UIDLs that several messages have."""

    @cached_property
    def hashes(self) -> Mapping[str, bytes]:
        """By id, in the order of the numbers."""
        return {item_id: hash_of(item_id) for item_id in self.numbers}

    def may_be_another(self, item_id: str) -> bool:
        """Whether what has this id now may not be the message that had it once."""
        return item_id in self.repeated or (" " in item_id and item_id in self.numbers)


def maildrop_of(uidl: bytes) -> Maildrop:
    """From the reply to UIDL."""
    by_number = {number: _id_of(rest) for number, rest in _numbered(uidl) if rest}
    if list(by_number) != sorted(by_number):
        by_number = dict(sorted(by_number.items()))
    last = next(reversed(by_number.values()), None)
    counted = Counter(by_number.values())
    if len(counted) == len(by_number):
        return Maildrop({item_id: number for number, item_id in by_number.items()}, last)
    repeated = frozenset(item_id for item_id, times in counted.items() if times > 1)
    seen: Counter[str] = Counter()
    numbers = {}
    for number, item_id in by_number.items():
        seen[item_id] += 1
        numbers[f"{item_id} {seen[item_id]}" if item_id in repeated else item_id] = number
    return Maildrop(numbers, last, repeated)


def sizes_of(listing: bytes) -> dict[int, int]:
    """Bytes by number, from the reply to LIST."""
    return {number: int(words[0]) for number, rest in _numbered(listing) if (words := rest.split()) and _is_number(words[0])}


def uidl_of(answer: bytes) -> str | None:
    """From the answer to UIDL with a number (`+OK 2 whqtswO00WBw418f9t5JxYwZ`); None where it says nothing."""
    return next((_id_of(rest) for _, rest in _numbered(answer.partition(b" ")[2]) if rest), None)


def totals_of(answer: bytes) -> tuple[int, int] | None:
    """Messages and bytes, from the answer to STAT; None where it says nothing."""
    words = answer.split()[1:3]
    return (int(words[0]), int(words[1])) if len(words) == 2 and all(map(_is_number, words)) else None


def _numbered(lines: bytes) -> Iterator[tuple[int, bytes]]:
    for line in lines.splitlines():
        number, _, rest = line.strip().partition(b" ")
        if _is_number(number):
            yield int(number), rest.strip()


def _is_number(word: bytes) -> bool:
    return word.isdigit() and len(word) < 16


def _id_of(uidl: bytes) -> str:
    """Of one that has several words the first: a UIDL has no spaces."""
    text = uidl.split(maxsplit=1)[0].decode("latin-1")
    return text if len(text) <= _LONGEST_ID else short_hash(text)
