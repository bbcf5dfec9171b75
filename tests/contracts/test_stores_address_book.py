"""The contract of the address book: records, what finds them, and loading many."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace

import pytest

from shared.domain.choices import IncomingFilteringMethod, OwnerKind
from shared.domain.configuration import AddressMatch, Owner
from shared.domain.errors import AlreadyExists, Changed, InvalidRecord
from shared.domain.records import AddressBookRecord, RecordRef
from shared.ports import Slice, Stores
from tests.contracts.records import a_contact, an_id, an_owner


def everything[T](part: Callable[[str | None], Slice[T]]) -> list[T]:
    found, at = list[T](), None
    while True:
        answer = part(at)
        found += answer.items
        if (at := answer.continuation) is None:
            return found


def names(stores: Stores, address: str) -> list[str]:
    return [match.name for match in stores.addresses.find([address])[address]]


def test_a_record_reads_as_it_was_written(stores: Stores) -> None:
    written = stores.address_book.put(a_contact())
    assert written.record == a_contact()
    assert stores.address_book.get("contact", a_contact().id) == written
    assert stores.address_book.get("account", a_contact().id) is None


def test_a_record_is_replaced_whoever_wrote_it_or_only_as_it_was_read(stores: Stores) -> None:
    first = stores.address_book.put(a_contact())
    second = stores.address_book.put(replace(a_contact(), name="Bob"), first.etag)
    with pytest.raises(Changed):
        stores.address_book.put(a_contact(), first.etag)
    assert stores.address_book.get("contact", a_contact().id) == second
    third = stores.address_book.put(replace(a_contact(), name="Robert", owner_id=None, active=False))
    assert len({first.etag, second.etag, third.etag}) == 3
    assert stores.address_book.get("contact", a_contact().id) == third


def test_a_record_is_created_once(stores: Stores) -> None:
    created = stores.address_book.create(a_contact())
    with pytest.raises(AlreadyExists):
        stores.address_book.create(replace(a_contact(), name="Another"))
    assert stores.address_book.get("contact", a_contact().id) == created
    assert names(stores, created.record.addresses[0].lower()) == [created.record.name]


def test_a_record_that_is_not_there_has_no_state_to_match(stores: Stores) -> None:
    etag = stores.address_book.put(a_contact()).etag
    with pytest.raises(Changed):
        stores.address_book.put(a_contact("carl"), etag)
    assert names(stores, "carl@fabrikam.example") == []


def test_addresses_find_records_and_owners_alike(stores: Stores) -> None:
    """With what is needed of each: the filter of an owner, the owner of a record, and whether it is not to be written to."""
    sales = an_owner("sales", "Shared@Fabrikam.example", OwnerKind.QUEUE)
    stores.owners.create(replace(sales, filtering_method=IncomingFilteringMethod.ALL))
    stores.address_book.put(a_contact("bob", " SHARED@fabrikam.example", "bob@home.example"))
    lead = replace(a_contact("lead", "shared@fabrikam.example", record_type="lead"), active=False, do_not_email=True)
    stores.address_book.put(lead)
    found = stores.addresses.find(["shared@fabrikam.example", "bob@home.example", "nobody@x.example"])
    bob = AddressMatch("contact", an_id("bob"), "bob", owner_id=an_id("anna"))
    assert found == {
        "shared@fabrikam.example": [
            bob,
            AddressMatch("lead", an_id("lead"), "lead", active=False, owner_id=an_id("anna"), do_not_email=True),
            AddressMatch("queue", an_id("sales"), "sales", filtering_method=IncomingFilteringMethod.ALL),
        ],
        "bob@home.example": [bob],
        "nobody@x.example": [],
    }
    assert [match.is_own for match in found["shared@fabrikam.example"]] == [False, False, True]


def test_users_queues_and_records_are_read_together_by_their_names(stores: Stores) -> None:
    anna, bob = an_owner("anna"), a_contact("bob")
    stores.owners.create(anna)
    stores.address_book.put(bob)
    stores.address_book.put(a_contact("carol"))
    refs = RecordRef("user", anna.id), RecordRef("contact", bob.id)
    others = (
        RecordRef("queue", anna.id),
        RecordRef("contact", an_id("nobody")),
        RecordRef("lead", bob.id),
        RecordRef("a/b", "#"),
    )

    assert stores.addresses.records({*refs, *others}) == dict(zip(refs, (anna, bob), strict=True))
    assert stores.addresses.records(()) == {}


def test_a_record_is_found_at_the_addresses_that_it_has_now(stores: Stores) -> None:
    stores.address_book.put(a_contact("bob", "one@x.example", "two@x.example"))
    stores.address_book.put(a_contact("bob", "two@x.example", "three@x.example", "Three@x.example"))
    assert [names(stores, f"{each}@x.example") for each in ("one", "two", "three")] == [[], ["bob"], ["bob"]]
    stores.address_book.put(a_contact("bob", "one@x.example"))
    assert [names(stores, f"{each}@x.example") for each in ("one", "two", "three")] == [["bob"], [], []]


def test_a_deleted_record_is_not_found_and_may_come_back(stores: Stores) -> None:
    first = stores.address_book.put(a_contact())
    second = stores.address_book.put(a_contact())
    with pytest.raises(Changed):
        stores.address_book.delete("contact", a_contact().id, first.etag)
    stores.address_book.delete("contact", a_contact().id, second.etag)
    stores.address_book.delete("contact", a_contact().id, second.etag)
    assert stores.address_book.get("contact", a_contact().id) is None
    assert names(stores, "bob@fabrikam.example") == []
    stores.address_book.put(a_contact())
    assert names(stores, "bob@fabrikam.example") == ["bob"]


def test_records_are_listed_by_type_in_slices(stores: Stores) -> None:
    contacts = [a_contact(f"contact {number}") for number in range(23)]
    stores.address_book.put_many(contacts)
    for other in ("contact2", "contact_x", "lead"):
        stores.address_book.put(a_contact(record_type=other))
    listed = everything(lambda at: stores.address_book.list("contact", at, limit=5))
    assert sorted(each.record.id for each in listed) == sorted(each.id for each in contacts)
    assert [each.record.type for each in stores.address_book.list("lead").items] == ["lead"]
    assert list(stores.address_book.list("account").items) == []


@pytest.mark.parametrize("record_type", ["", "Contact", "a b", "a/b", "a:b", "user", "queue", "1st", "x" * 101, "ü"])
def test_a_type_is_a_name_of_a_table_and_neither_user_nor_queue(stores: Stores, record_type: str) -> None:
    for write in (stores.address_book.put, lambda record: stores.address_book.put_many([a_contact(), record])):
        with pytest.raises(InvalidRecord) as caught:
            write(a_contact(record_type=record_type))
        assert caught.value.field == "type"
    assert list(stores.address_book.list(record_type).items) == []
    assert stores.address_book.get(record_type, "x") is None
    assert list(stores.address_book.list("contact").items) == []
    stores.address_book.delete(record_type, "x", "etag")


@pytest.mark.parametrize(
    ("record", "field"),
    [
        (replace(a_contact(), id="a/b"), "id"),
        (replace(a_contact(), name="x" * 1_001), "name"),
        (replace(a_contact(), name="\ud800"), "name"),
        (replace(a_contact(), addresses=("fine@x.example", "\udfff@x.example")), "addresses/1"),
        (replace(a_contact(), owner_id=""), "owner_id"),
    ],
)
def test_what_cannot_be_stored_is_refused_by_its_field(stores: Stores, record: AddressBookRecord, field: str) -> None:
    with pytest.raises(InvalidRecord) as caught:
        stores.address_book.put(record)
    assert caught.value.field == field


def test_many_are_loaded_with_their_addresses(stores: Stores) -> None:
    records = [a_contact(f"c{number}", f"c{number}@x.example", f"c{number}@y.example") for number in range(230)]
    stores.address_book.put_many(records)
    listed = everything(lambda at: stores.address_book.list("contact", at))
    assert {each.record.id: each.record for each in listed} == {each.id: each for each in records}
    found = stores.addresses.find([address for each in records[::23] for address in each.addresses])
    assert [len(matches) for matches in found.values()] == [1] * 20


def test_of_one_that_is_loaded_twice_the_last_counts(stores: Stores) -> None:
    stores.address_book.put_many([a_contact("bob", "one@x.example"), a_contact("bob", "two@x.example")])
    assert [names(stores, f"{each}@x.example") for each in ("one", "two")] == [[], ["bob"]]
    stores.address_book.put_many([])


def test_loading_again_replaces_what_changed_and_adds_what_is_new(stores: Stores) -> None:
    stores.address_book.put_many([a_contact(f"c{number}") for number in range(130)])
    changed = [a_contact(f"c{number}", f"moved{number}@x.example") for number in range(0, 130, 10)]
    added = [a_contact(f"d{number}") for number in range(100)]
    stores.address_book.put_many([*changed, *added])
    assert len(everything(lambda at: stores.address_book.list("contact", at))) == 230
    assert names(stores, "c10@fabrikam.example") == []
    assert names(stores, "moved10@x.example") == ["c10"]
    assert names(stores, "c11@fabrikam.example") == ["c11"]
    assert names(stores, "d99@fabrikam.example") == ["d99"]


def test_an_address_that_many_records_have_finds_each_that_has_it_now(stores: Stores) -> None:
    """More than the index keeps in one row; written at once and one by one, removed and given back in any order."""
    stores.owners.create(an_owner("reception", "info@x.example"))
    sharing = {f"c{number:03}": a_contact(f"c{number:03}", "info@x.example") for number in range(130)}
    everybody = [*sharing, "reception"]

    def found() -> list[str]:
        return sorted(names(stores, "info@x.example"))

    stores.address_book.put_many(list(sharing.values())[:120])
    for name in everybody[120:130]:
        stores.address_book.put(sharing[name])
    assert found() == everybody

    for name in everybody[:130:3]:
        stores.address_book.put(a_contact(name, "away@x.example"))
    assert found() == [name for name in everybody if name not in everybody[:130:3]]
    assert names(stores, "away@x.example") == sorted(everybody[:130:3], key=an_id)

    stores.address_book.put_many([replace(each, active=False) for each in sharing.values()])
    assert found() == everybody
    assert names(stores, "away@x.example") == []
    for each in sharing.values():
        stored = stores.address_book.get("contact", each.id)
        assert stored is not None
        stores.address_book.delete("contact", each.id, stored.etag)
    assert found() == ["reception"]


def test_several_who_get_one_address_at_once_are_all_found(stores: Stores) -> None:
    sharing = [a_contact(f"c{number}", "info@x.example") for number in range(24)]
    owners = [an_owner(f"o{number}", "info@x.example") for number in range(4)]
    loaded = [a_contact(f"d{number}", "info@x.example") for number in range(40)]
    with ThreadPoolExecutor(6) as pool:
        writing: list[Future[object]] = [pool.submit(stores.address_book.put, each) for each in sharing]
        writing.append(pool.submit(stores.address_book.put_many, loaded))
        writing += [pool.submit(stores.owners.create, each) for each in owners]
        for done in writing:
            done.result()
    everybody: list[AddressBookRecord | Owner] = [*sharing, *owners, *loaded]
    assert sorted(names(stores, "info@x.example")) == sorted(each.name for each in everybody)


def test_several_that_write_the_same_records_leave_each_findable_where_it_is(stores: Stores) -> None:
    def write(turn: int) -> None:
        records = [a_contact(f"c{number}", f"c{number}-{turn}@x.example") for number in range(6)]
        if turn % 2:
            stores.address_book.put_many(records)
        else:
            for record in records:
                stores.address_book.put(record)

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(write, range(3)))
    for number in range(6):
        stored = stores.address_book.get("contact", an_id(f"c{number}"))
        assert stored is not None
        found = [names(stores, f"c{number}-{turn}@x.example") for turn in range(3)]
        assert [bool(each) for each in found] == [
            stored.record.addresses == (f"c{number}-{turn}@x.example",) for turn in range(3)
        ]
