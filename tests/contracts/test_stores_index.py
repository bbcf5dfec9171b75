"""What others do, and where it stops, between the writes of a record and of the hints at its addresses."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import count

import pytest

from shared.domain.errors import Unreachable
from shared.domain.records import AddressBookRecord
from shared.ports import Stores
from shared.stores.account import StorageConnection
from shared.stores.azure import azure_stores, fast_gateway
from shared.stores.entities import record_key
from shared.stores.tables.gateway import Gateway, Operation
from tests.contracts.conftest import SECRETS_KEY
from tests.contracts.records import a_contact


class Interrupted:
    """A gateway that calls `before_records` once, before the next write to the table of records."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self.before_records: Callable[[], None] | None = None

    def write(self, table: str, operation: Operation) -> str:
        self._interrupt(table)
        return self._gateway.write(table, operation)

    def transact(self, table: str, operations: Sequence[Operation]) -> Sequence[str]:
        self._interrupt(table)
        return self._gateway.transact(table, operations)

    def _interrupt(self, table: str) -> None:
        if table.endswith("Records") and (call := self.before_records) is not None:
            self.before_records = None
            call()

    def __getattr__(self, name: str) -> object:
        return getattr(self._gateway, name)


class Scene:
    def __init__(self, connection: StorageConnection, prefix: str) -> None:
        self.gateways: list[Interrupted] = []
        self.others = azure_stores(connection, secrets_key=SECRETS_KEY, prefix=prefix)
        self.ours = azure_stores(
            connection,
            secrets_key=SECRETS_KEY,
            prefix=prefix,
            gateway=lambda account: self._kept(Interrupted(fast_gateway(account))),
        )

    def _kept(self, gateway: Interrupted) -> Gateway:
        self.gateways.append(gateway)
        return gateway  # type: ignore[return-value]  # __getattr__ gives the rest

    def meanwhile(self, call: Callable[[], None]) -> None:
        self.gateways[0].before_records = call

    def names(self, address: str) -> list[str]:
        return [match.name for match in self.others.addresses.find([address])[address]]


@pytest.fixture
def scene(connection: StorageConnection, prefix: str) -> Scene:
    return Scene(connection, prefix)


def a_neighbour() -> AddressBookRecord:
    """A record that comes before the one of the tests in the same partition: while it is not there, nothing seems to be."""
    partition, row = record_key("contact", a_contact().id)
    others = (a_contact(f"neighbour {number}") for number in count())
    return next(each for each in others if record_key("contact", each.id)[0] == partition and each.id < row)


WRITES: list[Callable[[Stores], object]] = [
    lambda stores: stores.address_book.put(a_contact()),
    lambda stores: stores.address_book.put_many([a_contact()]),
    lambda stores: stores.address_book.put_many([a_neighbour(), a_contact()]),
]


@pytest.mark.parametrize("write", WRITES, ids=["put", "put_many", "put_many unseen"])
def test_a_record_that_is_deleted_while_it_is_written_is_found_after_it_was_written(
    scene: Scene, write: Callable[[Stores], object]
) -> None:
    etag = scene.others.address_book.put(replace(a_contact(), name="Robert")).etag
    scene.meanwhile(lambda: scene.others.address_book.delete("contact", a_contact().id, etag))
    write(scene.ours)
    assert scene.others.address_book.get("contact", a_contact().id) is not None
    assert scene.names("bob@fabrikam.example") == ["bob"]


@pytest.mark.parametrize("write", WRITES, ids=["put", "put_many", "put_many unseen"])
def test_a_record_that_moves_away_while_it_is_written_is_found_where_it_ends(
    scene: Scene, write: Callable[[Stores], object]
) -> None:
    scene.others.address_book.put(replace(a_contact(), name="Robert"))
    scene.meanwhile(lambda: _ignore(scene.others.address_book.put(a_contact("bob", "away@x.example"))))
    write(scene.ours)
    assert scene.names("bob@fabrikam.example") == ["bob"]
    assert scene.names("away@x.example") == []


@pytest.mark.parametrize("write", WRITES, ids=["put", "put_many", "put_many unseen"])
def test_a_write_that_stops_before_the_record_leaves_nothing_that_is_believed(
    scene: Scene, write: Callable[[Stores], object]
) -> None:
    def stop() -> None:
        raise Unreachable("the network is gone")

    scene.others.address_book.put(a_contact("bob", "before@x.example"))
    scene.meanwhile(stop)
    with pytest.raises(Unreachable):
        write(scene.ours)
    assert scene.names("bob@fabrikam.example") == []
    assert scene.names("before@x.example") == ["bob"]
    write(scene.ours)
    assert scene.names("bob@fabrikam.example") == ["bob"]
    assert scene.names("before@x.example") == []


@pytest.mark.parametrize("others", [["x@x.example", "y@x.example"], ["y@x.example", "x@x.example", "y@x.example"]])
def test_a_record_that_others_write_twice_while_it_is_loaded_is_found_at_its_address(scene: Scene, others: list[str]) -> None:
    """The second one removes the hint at the address that the first one gave it, which is the one that is being loaded."""
    scene.others.address_book.put(a_contact("bob", "before@x.example"))

    def twice() -> None:
        for address in others:
            scene.others.address_book.put(a_contact("bob", address))

    scene.meanwhile(twice)
    scene.ours.address_book.put_many([a_contact("bob", "x@x.example")])
    assert scene.names("x@x.example") == ["bob"]
    assert scene.names("y@x.example") == []


def test_what_others_wrote_meanwhile_as_it_is_loaded_is_not_written_again(scene: Scene) -> None:
    etags: list[str] = []
    scene.meanwhile(lambda: etags.append(scene.others.address_book.put(a_contact("bob")).etag))
    scene.ours.address_book.put_many([a_contact("bob")])
    stored = scene.others.address_book.get("contact", a_contact("bob").id)
    assert stored is not None
    assert [stored.etag] == etags
    assert scene.names("bob@fabrikam.example") == ["bob"]


def test_what_is_loaded_again_as_it_is_costs_no_write(scene: Scene) -> None:
    records = [a_contact(f"c{number}") for number in range(50)]
    scene.ours.address_book.put_many(records)
    listed = scene.ours.address_book.list("contact").items
    before = scene.gateways[0].requests
    scene.ours.address_book.put_many(records)
    assert scene.gateways[0].requests <= before + 32
    assert scene.ours.address_book.list("contact").items == listed


def test_hints_of_deleted_records_are_removed(scene: Scene) -> None:
    gateway = scene.gateways[0]
    etag = scene.ours.address_book.put(a_contact("bob", "one@x.example", "two@x.example")).etag
    scene.ours.address_book.put_many([a_contact("bob", "one@x.example")])
    before = gateway.requests
    assert scene.ours.addresses.find(["two@x.example"]) == {"two@x.example": []}
    assert gateway.requests == before + 1  # no hint, so no record is asked for
    found = scene.ours.address_book.get("contact", a_contact().id)
    assert found is not None
    assert found.etag != etag
    scene.ours.address_book.delete("contact", a_contact().id, found.etag)
    before = gateway.requests
    assert scene.ours.addresses.find(["one@x.example"]) == {"one@x.example": []}
    assert gateway.requests == before + 1


def _ignore(_: object) -> None:
    return None
