"""Which message an item is: UIDVALIDITY and UID of its folder, as text; and what is remembered of the messages listed last."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import islice

from shared.connectors.imap.watermark import LARGEST_UID
from shared.domain.email import Envelope, ItemRef
from shared.domain.errors import ItemUnreadable
from shared.ports import PAGE_ITEMS

type Census = tuple[int, int, int]
"""UIDVALIDITY, UIDNEXT and EXISTS of a folder: while all stay the same, nothing came and nothing went."""

MOST_REMEMBERED = 8 * PAGE_ITEMS
MOST_KEPT = 8 << 20
"""Bytes of the headers that the envelopes kept were read from."""


@dataclass(frozen=True, slots=True)
class Place:
    """A message within its folder."""

    uid_validity: int
    uid: int


def ref_of(folder_id: str, uid_validity: int, uid: int) -> ItemRef:
    return ItemRef(f"{uid_validity}:{uid}", folder_id)


def place_of(ref: ItemRef) -> Place:
    """Raises ItemUnreadable where it is no id of a message."""
    uid_validity, _, uid = ref.id.partition(":")
    if not (_is_number(uid_validity) and _is_number(uid)):
        raise ItemUnreadable("The id is none of an IMAP message.")
    return Place(int(uid_validity), int(uid))


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= len(str(LARGEST_UID)) and 0 < int(text) <= LARGEST_UID


@dataclass(slots=True)
class Remembered:
    """What listings told of messages that are likely to be read next; the oldest is forgotten first."""

    _sizes: dict[ItemRef, int] = field(default_factory=dict)
    _envelopes: dict[ItemRef, tuple[Envelope, int, Census]] = field(default_factory=dict)
    _kept: int = 0

    def note_size(self, ref: ItemRef, size: int) -> None:
        self._sizes[ref] = size
        _forget_oldest(self._sizes, MOST_REMEMBERED)

    def size(self, ref: ItemRef) -> int | None:
        return self._sizes.get(ref)

    def keep(self, envelope: Envelope, weight: int, census: Census) -> None:
        """`weight`: bytes that it was read from. `census`: of its folder at that time."""
        self._forget(envelope.ref)
        self._envelopes[envelope.ref] = (envelope, weight, census)
        self._kept += weight
        while self._kept > MOST_KEPT or len(self._envelopes) > MOST_REMEMBERED:
            self._forget(next(iter(self._envelopes)))

    def take(self, ref: ItemRef, census: Census) -> Envelope | None:
        """The envelope, where nothing can have happened to the message since. It is not kept any longer."""
        envelope, then = self._forget(ref)
        return envelope if then == census else None

    def _forget(self, ref: ItemRef) -> tuple[Envelope | None, Census | None]:
        envelope, weight, census = self._envelopes.pop(ref, (None, 0, None))
        self._kept -= weight
        return envelope, census


def _forget_oldest(kept: dict[ItemRef, int], most: int) -> None:
    for oldest in list(islice(kept, max(0, len(kept) - most))):
        del kept[oldest]


def uids_of(refs: Sequence[ItemRef], uid_validity: int) -> dict[int, ItemRef]:
    """By UID, those of `refs` that are of the folder as it is now. Raises ItemUnreadable."""
    places = ((place_of(ref), ref) for ref in refs)
    return {place.uid: ref for place, ref in places if place.uid_validity == uid_validity}
