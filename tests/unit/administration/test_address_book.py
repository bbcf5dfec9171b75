"""Single records of the address book, and who has an address."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from shared.administration.address_book import AddressBookAdministration
from shared.administration.failures import RecordNotFound
from shared.administration.writing import ANY_STATE, NO_STATE
from shared.domain.audit import Caller, ChangeAction
from shared.domain.errors import Changed, InvalidRecord
from shared.domain.records import AddressBookRecord
from shared.ports import Stores
from shared.stores.memory import memory_stores, snapshot
from tests.builders import SettableClock

ANNA = Caller("anna@contoso.example")
KIM = AddressBookRecord("contact", "kim", "Kim Abercrombie", ("Kim@Fabrikam.example", "k@home.example"), owner_id="anna")


class Book:
    def __init__(self) -> None:
        self.stores: Stores = memory_stores()
        self.administration = AddressBookAdministration(self.stores, SettableClock())

    def having(self, address: str) -> list[str]:
        return [f"{match.kind} {match.id}" for match in self.administration.having(address)]

    def audited(self) -> list[tuple[ChangeAction, str, dict[str, str]]]:
        entries = self.stores.audit.list().items
        return [(each.action, each.record, {change.field: change.new for change in each.changes}) for each in entries]


@pytest.fixture
def book() -> Book:
    return Book()


def test_a_record_is_created_then_left_alone_by_the_same_request(book: Book) -> None:
    created = book.administration.put(KIM, ANNA)
    again = book.administration.put(KIM, ANNA)

    assert (created.created, again.created) == (True, False)
    assert created.stored == again.stored == book.administration.get("contact", "kim")
    assert len(book.audited()) == 1


def test_any_type_of_record_is_found_by_each_of_its_addresses_however_written(book: Book) -> None:
    book.administration.put(KIM, ANNA)
    book.administration.put(AddressBookRecord("cr_booking", "7", "A booking", ("K@home.example",)), ANNA)

    assert book.having("kim@fabrikam.example") == ["contact kim"]
    assert book.having("K@HOME.example") == ["contact kim", "cr_booking 7"]
    assert book.having("nobody@fabrikam.example") == []


def test_an_address_that_a_record_gave_up_finds_it_no_more(book: Book) -> None:
    book.administration.put(KIM, ANNA)
    book.administration.change("contact", "kim", lambda record: replace(record, addresses=("new@fabrikam.example",)), ANNA)

    assert book.having("kim@fabrikam.example") == []
    assert book.having("new@fabrikam.example") == ["contact kim"]
    book.administration.delete("contact", "kim", ANNA)
    assert book.having("new@fabrikam.example") == []


def test_a_change_keeps_type_and_id_and_the_same_change_again_changes_nothing(book: Book) -> None:
    book.administration.put(KIM, ANNA)
    first = book.administration.change("contact", "kim", lambda record: replace(record, id="other", name=" Kim A "), ANNA)
    again = book.administration.change("contact", "kim", lambda record: replace(record, name="Kim A"), ANNA)

    assert first == again
    assert first.record == replace(KIM, name="Kim A")


def test_every_change_is_audited_with_who_and_what(book: Book) -> None:
    book.administration.put(KIM, ANNA)
    book.administration.put(replace(KIM, name="Kim", active=False), ANNA)
    book.administration.delete("contact", "kim", ANNA)

    audited = {action: changes for action, record, changes in book.audited() if record == "record:contact:kim"}
    assert audited[ChangeAction.CREATED]["addresses"] == '["Kim@Fabrikam.example", "k@home.example"]'
    assert audited[ChangeAction.CHANGED] == {"name": '"Kim"', "active": "false"}
    assert audited[ChangeAction.DELETED]["name"] == "null"
    assert {entry.caller for entry in book.stores.audit.list().items} == {ANNA.name}


def test_a_record_that_is_not_to_be_written_to_stays_so(book: Book) -> None:
    book.administration.put(replace(KIM, do_not_email=True), ANNA)
    changed = book.administration.change("contact", "kim", lambda record: replace(record, name="Kim"), ANNA)

    assert changed.record.do_not_email
    audited = {action: changes for action, _, changes in book.audited()}
    assert audited[ChangeAction.CHANGED] == {"name": '"Kim"'}


def test_an_etag_holds_against_a_lost_update(book: Book) -> None:
    seen = book.administration.put(KIM, ANNA).stored.etag
    now = book.administration.put(replace(KIM, name="Kim"), ANNA, seen).stored.etag

    for change in (
        lambda: book.administration.put(KIM, ANNA, seen),
        lambda: book.administration.change("contact", "kim", lambda record: replace(record, name="Late"), ANNA, seen),
        lambda: book.administration.delete("contact", "kim", ANNA, seen),
        lambda: book.administration.put(KIM, ANNA, NO_STATE),
        lambda: book.administration.put(replace(KIM, id="ben"), ANNA, ANY_STATE),
        lambda: book.administration.put(replace(KIM, id="ben"), ANNA, seen),
    ):
        with pytest.raises(Changed):
            change()
    assert book.administration.get("contact", "kim").record.name == "Kim"
    assert book.administration.put(replace(KIM, id="cara"), ANNA, NO_STATE).created
    book.administration.delete("contact", "kim", ANNA, now)


def _created(book: Book, record: AddressBookRecord, state: str | None) -> bool:
    try:
        return book.administration.put(record, ANNA, state).created
    except Changed:
        return False


def test_of_many_who_create_a_record_at_once_one_does(book: Book) -> None:
    with ThreadPoolExecutor(20) as callers:
        for record_id, state in (("kim", None), ("ben", NO_STATE)):
            wanted = replace(KIM, id=record_id)
            created = list(callers.map(_created, [book] * 20, [wanted] * 20, [state] * 20))
            assert sorted(created) == [False] * 19 + [True]


@pytest.mark.parametrize(
    "ask",
    [
        lambda book: book.administration.get("contact", "kim"),
        lambda book: book.administration.change("contact", "kim", lambda record: record, ANNA),
        lambda book: book.administration.delete("contact", "kim", ANNA),
    ],
)
def test_what_is_not_there_is_not_found(book: Book, ask: Callable[[Book], object]) -> None:
    book.administration.put(replace(KIM, type="lead"), ANNA)
    with pytest.raises(RecordNotFound):
        ask(book)


@pytest.mark.parametrize(
    ("field", "wrong"),
    [
        ("type", replace(KIM, type="user")),
        ("type", replace(KIM, type="queue")),
        ("type", replace(KIM, type="Contact")),
        ("type", replace(KIM, type="")),
        ("type", replace(KIM, type="a" * 65)),
        ("type", replace(KIM, type="1st")),
        ("type", replace(KIM, type="contact\n")),
        ("type", replace(KIM, type="contäct")),
        ("id", replace(KIM, id="a/b")),
        ("id", replace(KIM, id="")),
        ("name", replace(KIM, name=" ")),
        ("name", replace(KIM, name="a" * 161)),
        ("name", replace(KIM, name="a\ud800b")),
        ("addresses", replace(KIM, addresses=tuple(f"a{number}@b.example" for number in range(4)))),
        ("addresses/1", replace(KIM, addresses=("a@b.example", "Anna <a@b.example>"))),
        ("owner_id", replace(KIM, owner_id="")),
    ],
)
def test_what_breaks_a_rule_is_refused_by_field(book: Book, field: str, wrong: AddressBookRecord) -> None:
    with pytest.raises(InvalidRecord) as refused:
        book.administration.put(wrong, ANNA)
    assert refused.value.field == field
    assert snapshot(book.stores)["audit"] == {}


def test_the_same_address_written_twice_counts_once(book: Book) -> None:
    twice = replace(KIM, addresses=("a@b.example", " B@b.example", "A@B.example"))
    assert book.administration.put(twice, ANNA).stored.record.addresses == ("a@b.example", "B@b.example")


def test_a_list_shows_one_type_part_by_part(book: Book) -> None:
    for number in range(5):
        book.administration.put(replace(KIM, id=f"c{number}"), ANNA)
    book.administration.put(replace(KIM, type="account"), ANNA)

    first = book.administration.list("contact", limit=3)
    rest = book.administration.list("contact", first.continuation, limit=3)

    assert sorted(stored.record.id for stored in (*first.items, *rest.items)) == ["c0", "c1", "c2", "c3", "c4"]
    assert rest.continuation is None
