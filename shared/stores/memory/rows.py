"""What the stores in memory have in common: ETags that change on every write, and slices of sorted lists."""

from bisect import bisect_right
from collections.abc import Iterable
from itertools import count
from typing import NamedTuple

from shared.domain.errors import Changed
from shared.ports import Slice
from shared.stores.limits import checked_limit, continuation, position

_writes = count(1)


def next_etag() -> str:
    return f'W/"{next(_writes)}"'


class Row[T](NamedTuple):
    """A stored record and the ETag of its last write."""

    record: T
    etag: str


def row[T](record: T) -> Row[T]:
    return Row(record, next_etag())


def check_etag[T](found: Row[T] | None, etag: str, what: str) -> None:
    """Raises Changed."""
    if found is None or found.etag != etag:
        raise Changed(f"{what} was changed since it was read")


def slice_of[T](keyed: Iterable[tuple[tuple[str, ...], T]], after: str | None, limit: int) -> Slice[T]:
    """Up to `limit` of the items in the order of their keys, from after the continuation. Raises InvalidRecord."""
    checked_limit(limit)
    pairs = sorted(keyed, key=lambda pair: pair[0])
    keys = [key for key, _ in pairs]
    start = 0
    if after is not None:
        found = position(after)
        start = bisect_right(keys, found)
    end = start + limit
    more = continuation(*keys[end - 1]) if end < len(pairs) else None
    return Slice([item for _, item in pairs[start:end]], more)
