"""One table: its gateway and name, rows from records and back, and slices of its lists.

Every row carries the schema version it was written with; a row of a later version is refused, never guessed at.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from shared.domain.errors import InvalidRecord, UnreadableRow
from shared.ports import Slice
from shared.stores.codec import Column, codec_of
from shared.stores.limits import checked_limit, is_key, position
from shared.stores.limits import continuation as continuation_at
from shared.stores.tables.gateway import Entity, Gateway, Operation, Query, RowChanged, pages, rows_of

SCHEMA_VERSION = 1
_VERSION_COLUMN = "v"
_PAGE_ROWS = 1_000
_WORTH_A_ROW = 50
"""Rows that are read beside one that is wanted, at most; where there are more, each is read for itself."""
_ETAG = re.compile(r"""W/"datetime'[0-9A-Za-z%.:+-]+'\"""")

type Key = tuple[str, str]
"""The partition and the row."""


class Table:
    def __init__(self, gateway: Gateway, name: str) -> None:
        self.gateway = gateway
        self.name = name

    def get(self, partition: str, row: str) -> Entity | None:
        """What cannot be a key names nothing."""
        return self.gateway.get(self.name, partition, row) if is_key(partition) and is_key(row) else None

    def pages(self, query: Query) -> Iterator[Sequence[Entity]]:
        return pages(self.gateway, self.name, query) if query.can_match else iter(())

    def rows(self, query: Query) -> Iterator[Entity]:
        for page in self.pages(query):
            yield from page

    def those_of(self, keys: Iterable[Key]) -> Mapping[Key, Entity]:
        """Those of `keys` that are there: by pages where they lie close together, else one by one."""
        found: dict[Key, Entity] = {}
        wanted, following = sorted(keys), None
        asked, query = set(wanted), _around(wanted)
        while wanted:
            page, following = self.gateway.page(self.name, query, after=following)
            found |= {key: row for row in page if (key := _key_of(row)) in asked}
            if following is None:
                break
            rest = [key for key in wanted if not page or key > _key_of(page[-1])]
            if (len(wanted) - len(rest)) * _WORTH_A_ROW < len(page):
                return found | {key: each for key in rest if (each := self.get(*key)) is not None}
            wanted = rest
        return found

    def write(self, operation: Operation) -> str:
        _check_etag(operation)
        return self.gateway.write(self.name, operation)

    def transact(self, operations: Sequence[Operation]) -> Sequence[str]:
        for each in operations:
            _check_etag(each)
        return self.gateway.transact(self.name, operations)

    def slice(self, query: Query, continuation: str | None, limit: int) -> Slice[Entity]:
        """Up to `limit` rows; fewer only at the end. Raises InvalidRecord for a continuation that is none."""
        checked_limit(limit)
        after = None if continuation is None else _position(continuation)
        if not query.can_match:
            return Slice([])
        found: list[Entity] = []
        while True:
            try:
                page, after = self.gateway.page(self.name, query, min(_PAGE_ROWS, limit - len(found)), after)
            except InvalidRecord as error:
                raise InvalidRecord(
                    "continuation", "the store refuses this continuation", "Start the list from its beginning."
                ) from error
            found += page
            if after is None or len(found) >= limit:
                return Slice(found, None if after is None else continuation_at(*after))


def slice_as[T](found: Slice[Entity], read: Callable[[Entity], T]) -> Slice[T]:
    return Slice([read(each) for each in found.items], found.continuation)


def columns_of(record: object) -> dict[str, Column]:
    """The columns of a record, its schema version among them."""
    return {_VERSION_COLUMN: SCHEMA_VERSION, **codec_of(type(record)).columns(record)}


def record_of[T](record: type[T], entity: Entity) -> T:
    """Raises UnreadableRow."""
    return read_row(entity, codec_of(record).from_columns)


def read_row[T](entity: Entity, read: Callable[[Mapping[str, object]], T]) -> T:
    """Raises UnreadableRow."""
    version = entity.columns.get(_VERSION_COLUMN, SCHEMA_VERSION)
    if is_later(entity):
        what = f"Row {entity.row} has the schema {version}, this version knows {SCHEMA_VERSION}."
        raise UnreadableRow(what, (entity.row,))
    try:
        return read(entity.columns)
    except (ValueError, KeyError, TypeError) as error:
        raise UnreadableRow(f"Row {entity.row} of partition {entity.partition} cannot be read.", (entity.row,)) from error


def is_later(entity: Entity) -> bool:
    """A later version of Sidesync wrote it."""
    version = entity.columns.get(_VERSION_COLUMN, SCHEMA_VERSION)
    return not isinstance(version, int) or version > SCHEMA_VERSION


def readable[T](rows: Iterable[Entity], read: Callable[[Entity], T]) -> tuple[list[T], list[UnreadableRow]]:
    """What is read of the rows, and why some cannot be: they keep nobody from reading the others."""
    found, unreadable = list[T](), list[UnreadableRow]()
    for row in rows:
        try:
            found.append(read(row))
        except UnreadableRow as error:
            unreadable.append(error)
    return found, unreadable


def _key_of(entity: Entity) -> Key:
    return entity.partition, entity.row


def _around(keys: Sequence[Key]) -> Query:
    """The rows from the first to the last of `keys`, which are sorted; of several partitions, all rows."""
    partitions, rows = zip(*keys, strict=True) if keys else (("",), ("",))
    if partitions[0] == partitions[-1]:
        return rows_of(partitions[0], rows[0], rows[-1] + "!")
    return Query(partitions[0], partitions[-1])


def _check_etag(operation: Operation) -> None:
    """What is no ETag of the service matches nothing: the service would refuse the request, or take `*` for anything."""
    if operation.etag is not None and not _ETAG.fullmatch(operation.etag):
        raise RowChanged("the ETag given is none of the Table service's")


def _position(text: str) -> tuple[str, str]:
    parts = position(text)
    if len(parts) != 2:
        raise InvalidRecord("continuation", "not a continuation of this list", "Start the list from its beginning.")
    return parts[0], parts[1]
