"""Forward mailboxes: mailboxes of nobody, under an id of the client's choice, with fixed methods."""

from typing import Any

import pytest

from shared.administration.failures import NotPossibleNow, RecordNotFound
from shared.administration.standing import MailboxStanding
from shared.administration.writing import Put
from shared.domain.audit import ChangeAction
from shared.domain.choices import ActDeliveryMethod, Approval, EmailDeliveryMethod, OwnerKind, Workload
from shared.domain.configuration import Mailbox
from shared.domain.errors import Changed, InvalidRecord
from shared.domain.folders import KnownTree, TreeFolder
from shared.domain.ids import MailboxId, OwnerId, ProfileId, mailbox_id_of
from shared.stores.memory import snapshot
from tests.builders import MONDAY
from tests.unit.administration.office import ADMIN, Office
from tests.unit.administration.test_crashes import completed_after
from tests.unit.sync.faults import Fault

COLLECTOR = MailboxId("4f8f9d5e-3a52-4d0c-9a55-0a1b2c3d4e5f")


def put(office: Office, etag: str | None = None, **changes: Any) -> Put[MailboxStanding]:
    given = {"name": "Collector", "address": "collector@contoso.example", "owner": None, "id": COLLECTOR} | changes
    return office.administration.forward_mailboxes.put(Mailbox(**given), ADMIN, etag=etag)


def test_a_forward_mailbox_collects_once_it_has_a_profile_and_is_approved(office: Office) -> None:
    office.has_profile()

    created = put(office, profile_id=ProfileId("contoso"), process_and_delete=True)
    approved = office.administration.mailboxes.decide(COLLECTOR, Approval.APPROVED, ADMIN)

    assert created.created
    assert created.stored.stored.record.owner is None
    assert created.stored.stored.record.approval is Approval.PENDING
    assert approved.stored.record.process_and_delete
    assert approved.stored.schedule[Workload.INCOMING].due == MONDAY


def test_the_same_again_changes_nothing(office: Office) -> None:
    put(office)
    before = snapshot(office.stores)

    assert not put(office).created
    assert snapshot(office.stores) == before


def test_what_is_derived_is_not_the_clients_to_set(office: Office) -> None:
    record = put(office, approval=Approval.APPROVED, enabled_on=MONDAY).stored.stored.record

    assert (record.approval, record.enabled_on) == (Approval.PENDING, None)


def test_a_new_address_needs_approval_anew(office: Office) -> None:
    put(office)
    office.administration.mailboxes.decide(COLLECTOR, Approval.APPROVED, ADMIN)

    renamed = put(office, name="Renamed").stored.stored.record
    moved = put(office, name="Renamed", address="other@contoso.example").stored.stored.record

    assert (renamed.name, renamed.approval) == ("Renamed", Approval.APPROVED)
    assert (moved.address, moved.approval) == ("other@contoso.example", Approval.PENDING)


@pytest.mark.parametrize(
    ("field", "wrong"),
    [
        ("incoming_method", {"incoming_method": EmailDeliveryMethod.FORWARD_MAILBOX}),
        ("outgoing_method", {"outgoing_method": EmailDeliveryMethod.SERVER_SIDE}),
        ("act_method", {"act_method": ActDeliveryMethod.SERVER_SIDE}),
        ("address", {"address": "nowhere"}),
        ("name", {"name": ""}),
        ("profile_id", {"profile_id": ProfileId("nowhere")}),
        ("id", {"id": MailboxId("../x")}),
        ("id", {"id": mailbox_id_of(OwnerKind.USER, OwnerId("anna"))}),
    ],
)
def test_what_is_wrong_is_named_and_nothing_is_stored(office: Office, field: str, wrong: dict[str, Any]) -> None:
    empty = snapshot(office.stores)

    with pytest.raises(InvalidRecord) as refused:
        put(office, **wrong)

    assert refused.value.field == field
    assert snapshot(office.stores) == empty


def test_a_forward_mailbox_is_deleted_once_and_for_all(office: Office) -> None:
    seen = put(office).stored.stored.etag
    put(office, name="Meanwhile")
    use = office.administration.forward_mailboxes

    with pytest.raises(Changed):
        use.delete(COLLECTOR, ADMIN, seen)
    use.delete(COLLECTOR, ADMIN)
    use.delete(COLLECTOR, ADMIN)

    with pytest.raises(RecordNotFound):
        office.administration.mailboxes.get(COLLECTOR)
    assert [entry.action for entry in office.audited(f"mailbox:{COLLECTOR}")].count(ChangeAction.DELETED) == 1


@pytest.mark.parametrize("fault", Fault)
def test_whatever_fails_while_a_forward_mailbox_is_deleted_the_same_again_leaves_no_folders_of_it(fault: Fault) -> None:
    def prepare(office: Office) -> None:
        put(office)
        office.stores.folder_trees.put(COLLECTOR, KnownTree((TreeFolder("f1", "Projects"),), MONDAY))

    for office in completed_after(fault, prepare, lambda use: use.forward_mailboxes.delete(COLLECTOR, ADMIN)):
        assert office.stores.mailboxes.get(COLLECTOR) is None
        assert office.stores.folder_trees.get(COLLECTOR) is None


def test_the_mailbox_of_an_owner_goes_with_its_owner_only(office: Office) -> None:
    mailbox = office.has_user().record

    with pytest.raises(NotPossibleNow) as refused:
        office.administration.forward_mailboxes.delete(mailbox.id, ADMIN)

    assert refused.value.remedy == "Change or delete the user anna."
    assert office.mailbox_of("anna").record == mailbox
