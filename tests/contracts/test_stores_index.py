"""What others do, and where it stops, between the writes of a record and of the hints at its addresses."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import count

import pytest

from shared.domain.choices import OwnerKind
from shared.domain.errors import Unreachable
from shared.domain.ids import OwnerId
from shared.domain.records import AddressBookRecord
from shared.ports import Stores
from shared.stores.account import StorageConnection
from shared.stores.azure import azure_stores, fast_gateway
from shared.stores.entities import record_key
from shared.stores.tables.gateway import Entity, Gateway, Operation, Query
from shared.stores.tables.hints import IN_ONE_ROW
from tests.contracts.conftest import SECRETS_KEY
from tests.contracts.gateways import WatchedGateway
from tests.contracts.records import a_contact, an_id, an_owner


class Interrupted(WatchedGateway):
    """A gateway that makes a call once, before the next write to a table."""

    def __init__(self, gateway: Gateway) -> None:
        super().__init__(gateway)
        self._table = ""
        self._call: Callable[[], object] | None = None

    def before_writing(self, table: str, call: Callable[[], object]) -> None:
        self._table, self._call = table, call

    def write(self, table: str, operation: Operation) -> str:
        self._interrupt(table)
        return super().write(table, operation)

    def transact(self, table: str, operations: Sequence[Operation]) -> Sequence[str]:
        self._interrupt(table)
        return super().transact(table, operations)

    def _interrupt(self, table: str) -> None:
        if (call := self._call) is not None and table.endswith(self._table):
            self._call = None
            call()


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
        return gateway

    def meanwhile(self, call: Callable[[], object], before: str = "Records") -> None:
        """Before our next write to that table."""
        self.gateways[0].before_writing(before, call)

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
    scene.meanwhile(lambda: scene.others.address_book.put(a_contact("bob", "away@x.example")))
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


def test_a_load_at_known_addresses_costs_few_requests_more_than_one_at_new_addresses(scene: Scene) -> None:
    gateway, addresses = scene.gateways[0], [f"c{number}@x.example" for number in range(300)]
    before = gateway.requests
    scene.ours.address_book.put_many([a_contact(each, each) for each in addresses])
    new = gateway.requests - before
    scene.ours.address_book.put_many([a_contact(each, each, record_type="lead") for each in addresses])
    assert gateway.requests - before - new <= new + 20
    assert all(scene.names(each) == [each, each] for each in addresses[::50])


class SmallPages(Interrupted):
    """A gateway whose queries are answered with few rows at once."""

    rows = 3

    def page(
        self, table: str, query: Query, limit: int | None = None, after: tuple[str, str] | None = None
    ) -> tuple[Sequence[Entity], tuple[str, str] | None]:
        return super().page(table, query, min(limit or self.rows, self.rows), after)


@pytest.mark.parametrize("rows", [3, 60], ids=["by pages", "one by one"])
def test_known_addresses_are_found_however_far_apart_they_lie(
    scene: Scene, connection: StorageConnection, prefix: str, rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SmallPages, "rows", rows)
    scene.others.address_book.put_many([a_contact(f"c{number}", f"c{number}@x.example") for number in range(400)])
    ours = azure_stores(
        connection,
        secrets_key=SECRETS_KEY,
        prefix=prefix,
        gateway=lambda account: SmallPages(fast_gateway(account)),
    )
    addresses = [f"c{number}@x.example" for number in range(0, 400, 9)]
    ours.address_book.put_many([a_contact(each, each, record_type="lead") for each in addresses])
    assert [len(scene.names(each)) for each in addresses] == [2] * len(addresses)


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
    scene.ours.owners.create(an_owner("anna", "one@x.example"))
    anna = scene.ours.owners.get(OwnerKind.USER, OwnerId(an_id("anna")))
    assert anna is not None
    scene.ours.owners.delete(OwnerKind.USER, anna.record.id, anna.etag)
    before = gateway.requests
    assert scene.ours.addresses.find(["one@x.example"]) == {"one@x.example": []}
    assert gateway.requests == before + 1


# ---- several who have one address

SHARED = "info@x.example"
FIRST, OTHER = a_contact("first", SHARED), a_contact("other", SHARED)


def delete(stores: Stores, record: AddressBookRecord) -> None:
    stored = stores.address_book.get(record.type, record.id)
    assert stored is not None
    stores.address_book.delete(record.type, record.id, stored.etag)


ADDITIONS: list[Callable[[Stores], object]] = [
    lambda stores: stores.address_book.put(FIRST),
    lambda stores: stores.address_book.put_many([FIRST]),
    lambda stores: stores.owners.create(an_owner("first", SHARED)),
]


@pytest.mark.parametrize("add", ADDITIONS, ids=["put", "put_many", "owner"])
@pytest.mark.parametrize("known", [True, False], ids=["known", "new"])
def test_who_gets_an_address_while_another_one_gets_it_is_found_beside_it(
    scene: Scene, add: Callable[[Stores], object], known: bool
) -> None:
    if known:
        scene.others.address_book.put(a_contact("known", SHARED))
    scene.meanwhile(lambda: scene.others.address_book.put(OTHER), before="Addresses")
    add(scene.ours)
    assert sorted(scene.names(SHARED)) == ["first", *(["known"] if known else []), "other"]


@pytest.mark.parametrize("add", ADDITIONS, ids=["put", "put_many", "owner"])
def test_who_gets_an_address_while_others_get_it_again_and_again_is_found(
    scene: Scene, add: Callable[[Stores], object]
) -> None:
    others = [a_contact(f"other {number}", SHARED) for number in range(3)]

    def another() -> None:
        scene.others.address_book.put(others.pop())
        if others:
            scene.meanwhile(another, before="Addresses")

    scene.meanwhile(another, before="Addresses")
    add(scene.ours)
    assert sorted(scene.names(SHARED)) == ["first", "other 0", "other 1", "other 2"]


@pytest.mark.parametrize("add", ADDITIONS, ids=["put", "put_many", "owner"])
def test_who_gets_an_address_while_the_only_one_that_had_it_is_deleted_is_found(
    scene: Scene, add: Callable[[Stores], object]
) -> None:
    scene.others.address_book.put(OTHER)
    scene.meanwhile(lambda: delete(scene.others, OTHER), before="Addresses")
    add(scene.ours)
    assert scene.names(SHARED) == ["first"]


@pytest.mark.parametrize("add", ADDITIONS, ids=["put", "put_many", "owner"])
def test_who_gets_an_address_while_another_one_loses_it_is_found_and_the_hint_of_the_other_one_goes(
    scene: Scene, add: Callable[[Stores], object]
) -> None:
    scene.ours.address_book.put(OTHER)
    scene.meanwhile(lambda: add(scene.others), before="Addresses")
    delete(scene.ours, OTHER)
    assert scene.names(SHARED) == ["first"]
    before = scene.gateways[0].requests
    scene.ours.addresses.find([SHARED])
    assert scene.gateways[0].requests == before + 2  # the address, and the one record


def test_hints_beside_a_full_row_are_removed_too_and_looked_for_as_long_as_the_address_is_known(scene: Scene) -> None:
    gateway = scene.gateways[0]
    sharing = [a_contact(f"c{number}", SHARED) for number in range(IN_ONE_ROW + 2)]
    scene.ours.address_book.put_many(sharing[:IN_ONE_ROW])
    before = gateway.requests
    scene.ours.addresses.find([SHARED])
    assert gateway.requests == before + 1 + IN_ONE_ROW
    for each in sharing[IN_ONE_ROW:]:
        scene.ours.address_book.put(each)
    scene.ours.address_book.put(replace(sharing[0], name="renamed"))
    assert len(scene.names(SHARED)) == len(sharing)
    for each in sharing:
        delete(scene.ours, each)
    before = gateway.requests
    assert scene.ours.addresses.find([SHARED]) == {SHARED: []}
    assert gateway.requests == before + 2


def test_a_hint_beside_a_full_row_that_is_written_while_it_is_removed_stays(scene: Scene) -> None:
    scene.ours.address_book.put_many([a_contact(f"c{number}", SHARED) for number in range(IN_ONE_ROW)])
    scene.ours.address_book.put(FIRST)
    scene.meanwhile(lambda: scene.others.address_book.put(replace(FIRST, name="back")), before="Addresses")
    delete(scene.ours, FIRST)
    assert "back" in scene.names(SHARED)


def test_the_longest_hints_fit_in_the_row_of_their_address(stores: Stores) -> None:
    records = [a_contact(record_type="x" * 100, name=f"{number}") for number in range(IN_ONE_ROW + 1)]
    awkward = [replace(each, id=f'{number:03}"'.ljust(200, '"'), addresses=(SHARED,)) for number, each in enumerate(records)]
    stores.address_book.put_many(awkward)
    found = stores.addresses.find([SHARED])[SHARED]
    assert [match.id for match in found] == [each.id for each in awkward]
