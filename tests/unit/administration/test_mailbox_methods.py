"""Which methods go with whose mailbox, and what of a mailbox is not an administrator's to choose."""

from datetime import timedelta

import pytest

from shared.domain.choices import (
    ActDeliveryMethod,
    Approval,
    CredentialSource,
    EmailDeliveryMethod,
    ServerType,
    Workload,
)
from shared.domain.configuration import Credentials, Mailbox
from shared.domain.errors import InvalidRecord
from shared.domain.ids import ProfileId
from tests.builders import MONDAY
from tests.unit.administration.office import ADMIN, Office

CONTOSO = ProfileId("contoso")
ELSEWHERE = ProfileId("fabrikam")
LATER = timedelta(minutes=10)


@pytest.mark.parametrize(
    "methods",
    [
        {"outgoing_method": EmailDeliveryMethod.SERVER_SIDE, "act_method": ActDeliveryMethod.SERVER_SIDE},
        {"outgoing_method": EmailDeliveryMethod.OUTLOOK, "act_method": ActDeliveryMethod.OUTLOOK},
        {"incoming_method": EmailDeliveryMethod.FORWARD_MAILBOX},
        {"incoming_method": EmailDeliveryMethod.OUTLOOK},
    ],
)
def test_a_user_has_any_method_of_the_model(office: Office, methods: dict[str, object]) -> None:
    record = office.changes(office.has_user().record.id, **methods).record

    assert {name: getattr(record, name) for name in methods} == methods


def test_a_workload_without_a_connector_is_kept_as_configured_and_never_due(office: Office) -> None:
    office.has_profile()
    mailbox = office.has_mailbox_being_read()

    changed = office.changes(mailbox.record.id, act_method=ActDeliveryMethod.SERVER_SIDE)

    assert {workload: schedule.due for workload, schedule in changed.schedule.items()} == {
        Workload.INCOMING: MONDAY,
        Workload.OUTGOING: None,
        Workload.ACT: None,
    }


def test_a_mailbox_that_begins_to_send_is_due_for_that_at_once(office: Office) -> None:
    office.has_profile()
    mailbox = office.has_mailbox_being_read()

    changed = office.changes(mailbox.record.id, outgoing_method=EmailDeliveryMethod.SERVER_SIDE)

    assert changed.schedule[Workload.OUTGOING].due == MONDAY


def test_a_queue_has_no_appointments(office: Office) -> None:
    with pytest.raises(InvalidRecord) as refused:
        office.changes(office.has_queue().record.id, act_method=ActDeliveryMethod.SERVER_SIDE)

    assert refused.value.field == "act_method"


def test_a_mailbox_over_imap_has_no_appointments(office: Office) -> None:
    office.has_profile(
        secret=None,
        server_type=ServerType.IMAP_SMTP,
        incoming_location="imap.contoso.example",
        credential_source=CredentialSource.MAILBOX,
        credentials=Credentials(),
    )

    with pytest.raises(InvalidRecord) as refused:
        office.changes(office.has_user().record.id, profile_id=CONTOSO, act_method=ActDeliveryMethod.SERVER_SIDE)

    assert refused.value.field == "act_method"


def test_stored_mail_is_deleted_from_queues_only(office: Office) -> None:
    assert office.changes(office.has_queue().record.id, process_and_delete=True).record.process_and_delete

    with pytest.raises(InvalidRecord) as refused:
        office.changes(office.has_user().record.id, process_and_delete=True)

    assert refused.value.field == "process_and_delete"


def test_a_mailbox_signs_in_with_a_password_only(office: Office) -> None:
    with pytest.raises(InvalidRecord) as refused:
        office.administration.mailboxes.change(office.has_user().record.id, _same, ADMIN, {"credentials/certificate": "x"})

    assert refused.value.field == "credentials/certificate"


def test_what_is_derived_is_not_changed_by_an_edit(office: Office) -> None:
    record = office.changes(office.has_user().record.id, approval=Approval.APPROVED, name="Other", owner=None).record

    assert (record.approval, record.name) == (Approval.PENDING, "Anna")
    assert record.owner is not None


def _same(mailbox: Mailbox) -> Mailbox:
    return mailbox
