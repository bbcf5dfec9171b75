"""Owners and their mailboxes: one each, in step, however often and by however many at once they are put in place."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from shared.administration.failures import RecordNotFound
from shared.domain.choices import Approval, IncomingFilteringMethod, OwnerKind, QueueView, Workload
from shared.domain.configuration import OwnerRef
from shared.domain.errors import Changed, InvalidRecord
from shared.domain.filtering import effective
from shared.domain.ids import OwnerId, ProfileId, mailbox_id_of
from shared.domain.records import AddressBookRecord
from shared.stores.memory import snapshot
from tests.builders import MONDAY, an_owner
from tests.unit.administration.office import ADMIN, Office, a_user

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


def test_an_address_of_the_address_book_is_no_obstacle(office: Office) -> None:
    office.administration.address_book.put(AddressBookRecord("contact", "anna", "Anna", ("anna@contoso.example",)), ADMIN)

    assert office.has_user("anna").record.address == "anna@contoso.example"


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


# ---- queues are owners like users


def test_a_queue_comes_with_its_mailbox_and_is_public_unless_said_otherwise(office: Office) -> None:
    mailbox = office.has_queue("support").record

    assert mailbox.owner == OwnerRef(OwnerKind.QUEUE, OwnerId("support"))
    assert office.administration.queues.get(OwnerId("support")).record.queue_view is QueueView.PUBLIC
    assert office.administration.users.list().items == []


def test_a_user_has_no_queue_view(office: Office) -> None:
    with pytest.raises(InvalidRecord) as refused:
        office.has_user(queue_view=QueueView.PRIVATE)

    assert refused.value.field == "queue_view"


@pytest.mark.parametrize("kind", list(OwnerKind))
def test_a_user_and_a_queue_of_the_same_id_have_mailboxes_of_their_own(office: Office, kind: OwnerKind) -> None:
    office.has_user("anna")
    office.has_queue("anna", address="anna-team@contoso.example")

    assert office.mailbox_of("anna", kind).record.owner == OwnerRef(kind, ANNA)


# ---- what the organisation's settings say about new owners


def test_a_new_mailbox_is_on_the_default_profile(office: Office) -> None:
    office.has_settings(default_profile_id=office.has_profile().id)

    assert office.has_user().record.profile_id == "contoso"


@pytest.mark.parametrize(
    ("settings", "users", "queues"),
    [
        ({}, Approval.PENDING, Approval.PENDING),
        ({"require_approval_for_users": False}, Approval.APPROVED, Approval.PENDING),
        ({"require_approval_for_queues": False}, Approval.PENDING, Approval.APPROVED),
    ],
)
def test_an_address_is_approved_at_once_where_no_approval_is_required(
    office: Office, settings: dict[str, object], users: Approval, queues: Approval
) -> None:
    office.has_settings(**settings)

    assert (office.has_user().record.approval, office.has_queue().record.approval) == (users, queues)


def test_without_approval_a_new_user_is_read_at_once(office: Office) -> None:
    office.has_settings(default_profile_id=office.has_profile().id, require_approval_for_users=False)

    mailbox = office.has_user()

    assert (mailbox.record.enabled_on, mailbox.schedule[Workload.INCOMING].due) == (MONDAY, MONDAY)


def test_without_approval_a_new_address_of_a_rejected_mailbox_is_approved(office: Office) -> None:
    office.administration.mailboxes.decide(office.has_user().record.id, Approval.REJECTED, ADMIN)
    office.has_settings(require_approval_for_users=False)

    assert office.has_user(address="anna.berg@contoso.example").record.approval is Approval.APPROVED


@pytest.mark.parametrize(
    ("ceiling", "method", "allowed"),
    [
        (None, IncomingFilteringMethod.ALL, True),
        (IncomingFilteringMethod.ALL, IncomingFilteringMethod.ALL, True),
        (IncomingFilteringMethod.EMAIL_ENABLED_RECORDS, IncomingFilteringMethod.ALL, False),
        (IncomingFilteringMethod.EMAIL_ENABLED_RECORDS, IncomingFilteringMethod.LEADS_CONTACTS_ACCOUNTS, True),
        (IncomingFilteringMethod.LEADS_CONTACTS_ACCOUNTS, IncomingFilteringMethod.EMAIL_ENABLED_RECORDS, False),
        (IncomingFilteringMethod.RESPONSES, IncomingFilteringMethod.LEADS_CONTACTS_ACCOUNTS, False),
        (IncomingFilteringMethod.NONE, IncomingFilteringMethod.RESPONSES, False),
        (IncomingFilteringMethod.RESPONSES, IncomingFilteringMethod.NONE, True),
    ],
)
def test_no_owner_accepts_more_than_the_ceiling(
    office: Office, ceiling: IncomingFilteringMethod | None, method: IncomingFilteringMethod, allowed: bool
) -> None:
    office.has_settings(filter_ceiling=ceiling)

    if allowed:
        office.has_queue(filtering_method=method)
    else:
        with pytest.raises(InvalidRecord) as refused:
            office.has_queue(filtering_method=method)
        assert refused.value.field == "filtering_method"


def test_lowering_the_ceiling_rewrites_nobody_and_clamps_what_is_effective(office: Office) -> None:
    office.has_user(filtering_method=IncomingFilteringMethod.ALL)
    ceiling = office.has_settings(filter_ceiling=IncomingFilteringMethod.RESPONSES).filter_ceiling

    office.has_user("anna", name="Anna Berg", filtering_method=IncomingFilteringMethod.ALL)

    kept = office.administration.users.get(ANNA).record.filtering_method
    assert kept is IncomingFilteringMethod.ALL
    assert effective(kept, ceiling) is IncomingFilteringMethod.RESPONSES
    assert effective(IncomingFilteringMethod.NONE, ceiling) is IncomingFilteringMethod.NONE


# ---- deleting


def test_deleting_an_owner_deactivates_its_mailbox_and_keeps_it(office: Office) -> None:
    office.has_profile()
    office.has_mailbox_being_read()

    office.administration.users.delete(ANNA, ADMIN)

    mailbox = office.mailbox_of("anna")
    assert (mailbox.record.active, mailbox.schedule[Workload.INCOMING].due) == (False, None)
    assert not office.stores.addresses.find(["anna@contoso.example"])["anna@contoso.example"]
    with pytest.raises(RecordNotFound):
        office.administration.users.get(ANNA)


def test_the_mailbox_of_a_deleted_owner_cannot_be_activated(office: Office) -> None:
    mailbox_id = office.has_user().record.id
    office.administration.users.delete(ANNA, ADMIN)

    with pytest.raises(InvalidRecord, match="inactive or gone"):
        office.administration.mailboxes.activate(mailbox_id, ADMIN)


def test_deleting_an_owner_again_changes_nothing(office: Office) -> None:
    office.has_user()
    office.administration.users.delete(ANNA, ADMIN)
    before = snapshot(office.stores)

    office.administration.users.delete(ANNA, ADMIN)

    assert snapshot(office.stores) == before


def test_an_owner_of_another_state_is_not_deleted(office: Office) -> None:
    office.has_user()
    seen = office.administration.users.get(ANNA).etag
    office.has_user(name="Meanwhile")

    with pytest.raises(Changed):
        office.administration.users.delete(ANNA, ADMIN, seen)

    assert office.mailbox_of("anna").record.active


def test_a_deleted_owner_that_comes_back_finds_its_mailbox_switched_off(office: Office) -> None:
    office.has_user()
    office.administration.users.delete(ANNA, ADMIN)

    assert not office.has_user().record.active


def test_others_may_be_allowed_to_write_as_a_user_and_need_no_leave_for_a_queue(office: Office) -> None:
    office.has_user(send_as_allowed=True)
    assert office.administration.users.get(ANNA).record.send_as_allowed

    with pytest.raises(InvalidRecord) as refused:
        office.has_queue(send_as_allowed=True)

    assert refused.value.field == "send_as_allowed"
