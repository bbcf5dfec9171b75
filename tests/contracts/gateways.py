"""A gateway that lets a test see, interrupt or end what is about to be asked of the Table service."""

from collections.abc import Callable, Sequence

from shared.stores.tables.gateway import Entity, Gateway, Operation, Query

type Asked = Operation | Query | tuple[str, str]
"""The first write of a transaction, what is searched for, or the keys of the row that is read."""


def quietly(_: Asked) -> None:
    """Nothing happens before the request."""


class WatchedGateway:
    """`before` is called with every request; what it raises ends the request before it is sent."""

    def __init__(self, inner: Gateway) -> None:
        self._inner = inner
        self.before: Callable[[Asked], object] = quietly

    @property
    def requests(self) -> int:
        return self._inner.requests

    def get(self, table: str, partition: str, row: str) -> Entity | None:
        self.before((partition, row))
        return self._inner.get(table, partition, row)

    def page(
        self, table: str, query: Query, limit: int | None = None, after: tuple[str, str] | None = None
    ) -> tuple[Sequence[Entity], tuple[str, str] | None]:
        self.before(query)
        return self._inner.page(table, query, limit, after)

    def write(self, table: str, operation: Operation) -> str:
        self.before(operation)
        return self._inner.write(table, operation)

    def transact(self, table: str, operations: Sequence[Operation]) -> Sequence[str]:
        self.before(operations[0])
        return self._inner.transact(table, operations)

    def create_table(self, table: str) -> None:
        self._inner.create_table(table)
