"""How far a maildrop was read: which of its messages were handed out, and what it looked like when none were left.

POP3 has no "changes after": what is new is what was not handed out. A message is remembered by eight bytes for as long as
it is there, so 50,000 messages are 533 KB of text. `looked` alone answers an idle poll.
"""

import base64
import binascii
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from hashlib import blake2b
from typing import Self

from shared.domain.errors import WatermarkExpired
from shared.domain.ids import short_hash

_VERSION = "pop3-1"
_BYTES = 8


@dataclass(frozen=True, slots=True)
class Looks:
    """A maildrop from outside. Two that look the same are the same to us, and are not listed again."""

    count: int
    octets: int
    last: str
    """Hash of the last message's id; empty where there is none."""


def looks_of(count: int, octets: int, last_uidl: str | None) -> Looks:
    return Looks(count, octets, hash_of(last_uidl).hex() if last_uidl is not None else "")


def hash_of(item_id: str) -> bytes:
    return blake2b(item_id.encode("utf-8", "surrogatepass"), digest_size=_BYTES).digest()


@dataclass(frozen=True)
class Watermark:
    """`packed` holds the hashes of what was handed out, one after the other. Text of it is opaque to everybody else."""

    source: str
    looked: Looks | None = None
    """When it was read to its end; None where it was not yet."""
    latest: int | None = None
    """When the latest message that was handed out was received, in seconds since 1970; None where no message says."""
    packed: bytes = b""

    @classmethod
    def of(cls, text: str | None, source: str) -> Self:
        """None: nothing was handed out. Raises WatermarkExpired for what no watermark of this maildrop is."""
        named = short_hash(source)
        if text is None:
            return cls(named)
        try:
            version, of, count, octets, last, latest, packed = text.split(":")
            hashes = base64.b64decode(packed, validate=True)
            looked = Looks(int(count), int(octets), last) if count else None
            received = int(latest) if latest else None
        except (ValueError, binascii.Error) as error:
            raise WatermarkExpired("The watermark is none of POP3.") from error
        if version != _VERSION or of != named or len(hashes) % _BYTES:
            raise WatermarkExpired("The watermark is of another version, or another maildrop.")
        return cls(named, looked, received, hashes)

    def after(self, handed_out: Collection[bytes], looked: Looks | None, received: Iterable[datetime | None]) -> Self:
        """`received`: of what is handed out now."""
        times = [int(each.timestamp()) for each in received if each is not None]
        latest = max([*times, *([] if self.latest is None else [self.latest])], default=None)
        return replace(self, looked=looked, latest=latest, packed=b"".join(sorted(handed_out)))

    def is_from_before(self, received: datetime | None) -> bool:
        """A message of that time came no later than those that were handed out."""
        return received is not None and self.latest is not None and received.timestamp() <= self.latest

    @cached_property
    def handed_out(self) -> frozenset[bytes]:
        packed = self.packed
        return frozenset(packed[at : at + _BYTES] for at in range(0, len(packed), _BYTES))

    def __str__(self) -> str:
        looked = f"{self.looked.count}:{self.looked.octets}:{self.looked.last}" if self.looked else "::"
        latest = "" if self.latest is None else self.latest
        return f"{_VERSION}:{self.source}:{looked}:{latest}:{base64.b64encode(self.packed).decode()}"
