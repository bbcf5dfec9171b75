"""Users and their mailboxes: one each, in step, however often and by however many at once they are put in place."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from shared.administration import Administration
from shared.administration.failures import RecordNotFound
from shared.domain.choices import Approval, OwnerKind
from shared.domain.configuration import OwnerRef
from shared.domain.errors import Changed, InvalidRecord, TransientError
from shared.domain.ids import OwnerId, ProfileId, mailbox_id_of
from shared.ports import Stores
from shared.stores.memory import memory_stores, snapshot
from tests.builders import SettableClock, an_owner
from tests.unit.administration.office import ADMIN, Office, a_user
from tests.unit.sync.faults import Fault, FaultyWorld
from tests.unit.sync.in_memory_mail import ProcessDied

ANNA = OwnerId("anna")


def test_creating_a_user_creates_its_mailbox_under_the_derived_id(office: Office) -> None:
    created = office.administration.users.put(a_user(name="Anna Berg"), ADMIN)

    mailbox = office.mailbox_of("anna").record
    assert created.created
    assert mailbox.id == mailbox_id_of(OwnerKind.USER, ANNA)
    assert (mailbox.name, mailbox.address, mailbox.owner) == (
        "Anna Berg",
        "anna@contoso.example",
        OwnerRef(OwnerKind.USER, ANNA),
    )
    assert (mailbox.approval, mailbox.profile_id) == (Approval.PENDING, None)
    assert office.incoming_of().due is None
    (match,) = office.stores.addresses.find(["anna@contoso.example"])["anna@contoso.example"]
    assert match.id == ANNA


def test_the_same_user_again_changes_nothing(office: Office) -> None:
    office.has_user()
    before = snapshot(office.stores)
    etag = office.administration.users.get(ANNA).etag

    again = office.administration.users.put(a_user(), ADMIN)

    assert not again.created
    assert again.stored.etag == etag
    assert snapshot(office.stores) == before


@pytest.mark.parametrize("fault", list(Fault))
def test_whatever_call_fails_the_same_request_again_completes_the_user(fault: Fault) -> None:
    at = 0
    while True:
        at += 1
        stores, world = memory_stores(), FaultyWorld(at=at, fault=fault)
        try:
            _create_anna(world.stores(stores))
        except (ProcessDied, TransientError):
            pass
        else:
            break
        _create_anna(stores)
        assert snapshot(stores) == _undisturbed(), f"{fault} at call {at}: {world.calls[-1]}"
    assert at > 5


@pytest.mark.parametrize("fault", list(Fault))
def test_whatever_call_fails_a_change_of_address_is_completed_by_the_same_request(fault: Fault) -> None:
    at = 0
    while True:
        at += 1
        office = Office()
        office.has_profile()
        office.has_mailbox_being_read()
        world = FaultyWorld(at=at, fault=fault)
        try:
            _rename_anna(world.stores(office.stores))
        except (ProcessDied, TransientError):
            pass
        else:
            break
        _rename_anna(office.stores)
        mailbox = office.mailbox_of("anna").record
        assert (mailbox.address, mailbox.approval) == ("anna.berg@contoso.example", Approval.PENDING)
        assert office.incoming_of().due is None
    assert at > 4


def _create_anna(stores: Stores) -> None:
    Administration(stores, SettableClock(), Office().rules).users.put(a_user(), ADMIN)


def _rename_anna(stores: Stores) -> None:
    Administration(stores, SettableClock(), Office().rules).users.put(a_user(address="anna.berg@contoso.example"), ADMIN)


def _undisturbed() -> object:
    stores = memory_stores()
    _create_anna(stores)
    return snapshot(stores)


def test_twenty_threads_that_create_the_same_user_make_one_user_and_one_mailbox(office: Office) -> None:
    together = Barrier(20)

    def create(number: int) -> bool:
        together.wait()
        return office.administration.users.put(a_user("anna", name=f"Anna {number}"), ADMIN).created

    with ThreadPoolExecutor(20) as threads:
        created = list(threads.map(create, range(20)))

    (user,) = office.administration.users.list().items
    (mailbox,) = office.stores.mailboxes.list().items
    assert created.count(True) == 1
    assert mailbox.record.id == mailbox_id_of(OwnerKind.USER, ANNA)
    assert mailbox.record.name == user.record.name


def test_threads_that_change_the_address_leave_user_and_mailbox_in_step(office: Office) -> None:
    office.has_user()
    together = Barrier(8)

    def change(number: int) -> None:
        together.wait()
        office.administration.users.put(a_user(address=f"anna{number}@contoso.example"), ADMIN)

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(change, range(8)))

    assert office.mailbox_of("anna").record.address == office.administration.users.get(ANNA).record.address


@pytest.mark.parametrize(
    "address",
    [
        "",
        "anna",
        "anna@",
        "@contoso.example",
        "anna@contoso",
        "anna@contoso..example",
        "an na@contoso.example",
        "anna@@contoso.example",
        "anna@contoso.example, bruno@contoso.example",
        "Anna <anna@contoso.example>",
        "anna@contoso.example\r\nBcc: x@y.example",
        ".anna@contoso.example",
        "anna@-contoso.example",
        "anna@127.0.0.1",
        "a" * 65 + "@contoso.example",
        "anna@" + "contoso." * 14 + "example",
    ],
)
def test_what_is_no_address_is_refused_and_nothing_is_stored(office: Office, address: str) -> None:
    empty = snapshot(office.stores)

    with pytest.raises(InvalidRecord) as refused:
        office.administration.users.put(a_user(address=address), ADMIN)

    assert refused.value.field == "address"
    assert snapshot(office.stores) == empty


@pytest.mark.parametrize("user_id", ["", " ", "a/b", "..", "a#b", "a\\b", "anna\n", "-anna", "ä", "a" * 65, "a\x00"])
def test_a_strange_id_is_refused_and_nothing_is_stored(office: Office, user_id: str) -> None:
    empty = snapshot(office.stores)

    with pytest.raises(InvalidRecord) as refused:
        office.administration.users.put(a_user(id=OwnerId(user_id)), ADMIN)

    assert refused.value.field == "id"
    assert snapshot(office.stores) == empty


def test_an_address_that_another_user_has_is_refused_naming_that_user(office: Office) -> None:
    office.has_user("anna")

    with pytest.raises(InvalidRecord, match="user anna") as refused:
        office.has_user("bruno", address="ANNA@contoso.example")

    assert refused.value.field == "address"
    assert [each.record.id for each in office.administration.users.list().items] == ["anna"]


def test_an_address_that_a_queue_has_is_refused_naming_that_queue(office: Office) -> None:
    office.stores.owners.create(an_owner("support", id=OwnerId("support"), kind=OwnerKind.QUEUE))

    with pytest.raises(InvalidRecord, match="queue support"):
        office.has_user("bruno", address="support@contoso.example")


def test_a_new_address_goes_to_the_mailbox_and_returns_it_to_pending(office: Office) -> None:
    office.has_profile()
    office.has_mailbox_being_read()

    office.has_user("anna", address="anna.berg@contoso.example")

    mailbox = office.mailbox_of("anna").record
    assert (mailbox.address, mailbox.approval) == ("anna.berg@contoso.example", Approval.PENDING)
    assert office.incoming_of().due is None
    assert not office.stores.addresses.find(["anna@contoso.example"])["anna@contoso.example"]


def test_the_same_address_in_other_letters_needs_no_new_approval(office: Office) -> None:
    office.has_profile()
    office.has_mailbox_being_read()

    office.has_user("anna", address="Anna@Contoso.example")

    assert office.mailbox_of("anna").record.approval is Approval.APPROVED


def test_deactivating_a_user_deactivates_its_mailbox(office: Office) -> None:
    office.has_profile()
    office.has_mailbox_being_read()

    office.has_user("anna", active=False)

    assert not office.mailbox_of("anna").record.active
    assert office.incoming_of().due is None


def test_activating_a_user_leaves_its_mailbox_to_its_own_switch(office: Office) -> None:
    office.has_user("anna", active=False)

    mailbox = office.has_user("anna", active=True)

    assert not mailbox.record.active
    assert office.changes(mailbox.record.id, active=True).record.active


def test_a_mailbox_keeps_its_configuration_when_its_user_is_renamed(office: Office) -> None:
    office.has_profile()
    office.has_mailbox_being_read()

    mailbox = office.has_user("anna", name="Anna Berg").record

    assert (mailbox.name, mailbox.profile_id, mailbox.approval) == ("Anna Berg", ProfileId("contoso"), Approval.APPROVED)


def test_an_edit_of_another_state_is_refused(office: Office) -> None:
    office.has_user()
    seen = office.administration.users.get(ANNA).etag
    office.has_user(name="Meanwhile")

    with pytest.raises(Changed):
        office.administration.users.put(a_user("anna", name="Late"), ADMIN, etag=seen)

    assert office.administration.users.get(ANNA).record.name == "Meanwhile"


def test_a_user_that_is_not_there_is_not_found(office: Office) -> None:
    with pytest.raises(RecordNotFound):
        office.administration.users.get(ANNA)
