"""How far a maildrop was read: which of its messages were handed out, and what it looked like when none were left.

POP3 has no "changes after": what is new is what was not handed out. A message is remembered by eight bytes for as long as
it is there, so 50,000 messages are 533 KB of text. `looked` alone answers an idle poll.
"""

import base64
import binascii
from collections.abc import Collection
from dataclasses import dataclass, replace
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
    packed: bytes = b""

    @classmethod
    def of(cls, text: str | None, source: str) -> Self:
        """None: nothing was handed out. Raises WatermarkExpired for what no watermark of this maildrop is."""
        named = short_hash(source)
        if text is None:
            return cls(named)
        try:
            version, of, count, octets, last, packed = text.split(":")
            hashes = base64.b64decode(packed, validate=True)
            looked = Looks(int(count), int(octets), last) if count else None
        except (ValueError, binascii.Error) as error:
            raise WatermarkExpired("The watermark is none of POP3.") from error
        if version != _VERSION or of != named or len(hashes) % _BYTES:
            raise WatermarkExpired("The watermark is of another version, or another maildrop.")
        return cls(named, looked, hashes)

    def after(self, handed_out: Collection[bytes], looked: Looks | None) -> Self:
        return replace(self, looked=looked, packed=b"".join(sorted(handed_out)))

    @cached_property
    def handed_out(self) -> frozenset[bytes]:
        packed = self.packed
        return frozenset(packed[at : at + _BYTES] for at in range(0, len(packed), _BYTES))

    def __str__(self) -> str:
        looked = f"{self.looked.count}:{self.looked.octets}:{self.looked.last}" if self.looked else "::"
        return f"{_VERSION}:{self.source}:{looked}:{base64.b64encode(self.packed).decode()}"
