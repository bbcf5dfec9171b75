"""Mailboxes: what makes one eligible, what a change does to its schedule, and what is refused."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from shared.administration.failures import NotPossibleNow, RecordNotFound
from shared.domain.choices import (
    Approval,
    CredentialSource,
    EmailDeliveryMethod,
    Workload,
    WorkloadStatus,
)
from shared.domain.configuration import Breaker, Credentials, Mailbox, WorkloadSchedule
from shared.domain.eligibility import Ineligible
from shared.domain.errors import Changed, InvalidRecord
from shared.domain.ids import MailboxId, ProfileId
from shared.stores.memory import snapshot
from tests.builders import MONDAY
from tests.unit.administration.office import ADMIN, PASSWORD, Office

CONTOSO = ProfileId("contoso")
ELSEWHERE = ProfileId("fabrikam")
LATER = timedelta(minutes=10)


def test_a_mailbox_is_due_the_moment_it_becomes_eligible_and_enabled_on_says_when(office: Office) -> None:
    office.has_profile()
    mailbox_id = office.has_user().record.id
    office.changes(mailbox_id, profile_id=CONTOSO)
    assert office.mailbox_of("anna").record.enabled_on is None
    office.clock.advance(LATER)

    standing = office.administration.mailboxes.decide(mailbox_id, Approval.APPROVED, ADMIN)

    assert standing.stored.record.enabled_on == MONDAY + LATER
    assert standing.stored.schedule[Workload.INCOMING].due == MONDAY + LATER
    assert standing.held_back[Workload.INCOMING] is None


def test_enabled_on_stays_when_the_mailbox_is_switched_off_and_on_again(office: Office) -> None:
    office.has_profile()
    mailbox = office.has_mailbox_being_read()
    office.changes(mailbox.record.id, active=False)
    office.clock.advance(LATER)

    again = office.changes(mailbox.record.id, active=True)

    assert again.record.enabled_on == MONDAY
    assert again.schedule[Workload.INCOMING].due == MONDAY + LATER


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"active": False}, Ineligible.MAILBOX_INACTIVE),
        ({"incoming_method": EmailDeliveryMethod.NONE}, Ineligible.METHOD_NONE),
        ({"profile_id": None}, Ineligible.NO_PROFILE),
    ],
)
def test_what_makes_a_mailbox_ineligible_takes_it_off_the_schedule(
    office: Office, change: dict[str, object], reason: Ineligible
) -> None:
    office.has_profile()
    mailbox = office.has_mailbox_being_read()

    changed = office.changes(mailbox.record.id, **change)

    assert changed.schedule[Workload.INCOMING].due is None
    assert office.administration.mailboxes.get(changed.record.id).held_back[Workload.INCOMING] is reason


def test_rejecting_takes_a_mailbox_off_the_schedule(office: Office) -> None:
    office.has_profile()
    mailbox = office.has_mailbox_being_read()

    standing = office.administration.mailboxes.decide(mailbox.record.id, Approval.REJECTED, ADMIN)

    assert standing.stored.record.approval is Approval.REJECTED
    assert standing.stored.schedule[Workload.INCOMING].due is None
    assert standing.held_back[Workload.INCOMING] is Ineligible.NOT_APPROVED


def test_a_change_of_configuration_closes_the_breaker_and_forgets_the_failures(office: Office) -> None:
    office.has_profile()
    mailbox = office.has_mailbox_being_read()
    breaker = Breaker("mailbox_not_found", MONDAY, MONDAY + timedelta(hours=1))
    office.has_schedule(due=breaker.probe_after, breaker=breaker, failures=4, status=WorkloadStatus.FAILURE)

    office.changes(mailbox.record.id, process_email_received_after=MONDAY - timedelta(days=1))

    incoming = office.incoming_of()
    assert (incoming.due, incoming.breaker, incoming.failures) == (MONDAY, None, 0)
    assert incoming.status is WorkloadStatus.FAILURE


def test_a_change_that_changes_nothing_writes_nothing(office: Office) -> None:
    office.has_profile()
    mailbox = office.has_mailbox_being_read()
    office.has_schedule(due=MONDAY + timedelta(minutes=5))
    before = snapshot(office.stores)

    again = office.changes(mailbox.record.id, profile_id=CONTOSO)

    assert again.etag == mailbox.etag
    assert snapshot(office.stores) == before


def test_a_poll_does_not_change_the_state_that_an_administrator_edits(office: Office) -> None:
    office.has_profile()
    mailbox = office.has_mailbox_being_read()
    office.has_schedule(idle_polls=7, last_run_on=MONDAY)

    standing = office.administration.mailboxes.decide(mailbox.record.id, Approval.REJECTED, ADMIN, mailbox.etag)

    assert standing.stored.record.approval is Approval.REJECTED


def test_an_edit_of_another_state_is_refused(office: Office) -> None:
    office.has_profile()
    seen = office.has_user().etag
    mailbox_id = office.changes(office.mailbox_of("anna").record.id, profile_id=CONTOSO).record.id

    with pytest.raises(Changed):
        office.administration.mailboxes.change(mailbox_id, lambda mailbox: replace(mailbox, active=False), ADMIN, etag=seen)
    with pytest.raises(Changed):
        office.administration.mailboxes.decide(mailbox_id, Approval.APPROVED, ADMIN, etag=seen)

    assert office.mailbox_of("anna").record.active


@pytest.mark.parametrize(
    ("field", "wrong"),
    [
        ("profile_id", {"profile_id": ProfileId("nowhere")}),
        ("outgoing_method", {"outgoing_method": EmailDeliveryMethod.FORWARD_MAILBOX}),
        ("process_email_received_after", {"process_email_received_after": datetime(2026, 1, 1)}),  # noqa: DTZ001 - the point
        ("process_email_received_after", {"process_email_received_after": datetime(1980, 1, 1, tzinfo=UTC)}),
        ("credentials/username", {"credentials": Credentials(username="a\nb")}),
    ],
)
def test_what_is_wrong_is_named_and_nothing_is_stored(office: Office, field: str, wrong: dict[str, object]) -> None:
    mailbox = office.has_user()
    before = snapshot(office.stores)

    with pytest.raises(InvalidRecord) as refused:
        office.changes(mailbox.record.id, **wrong)

    assert refused.value.field == field
    assert refused.value.remedy
    assert snapshot(office.stores) == before


def test_a_mailbox_of_an_inactive_user_cannot_be_activated(office: Office) -> None:
    mailbox = office.has_user(active=False)

    with pytest.raises(InvalidRecord, match="user that the mailbox belongs to is inactive") as refused:
        office.changes(mailbox.record.id, active=True)

    assert refused.value.field == "active"


def test_on_a_profile_where_mailboxes_sign_in_themselves_a_mailbox_needs_credentials(office: Office) -> None:
    office.has_profile(secret=None, credential_source=CredentialSource.MAILBOX, credentials=Credentials())
    mailbox_id = office.has_user().record.id

    def with_credentials(username: str | None, secret: str | None) -> Credentials:
        standing = office.administration.mailboxes.change(
            mailbox_id,
            lambda mailbox: replace(mailbox, profile_id=CONTOSO, credentials=Credentials(username=username)),
            ADMIN,
            {"credentials/secret": secret},
        )
        return standing.stored.record.credentials

    with pytest.raises(InvalidRecord) as without_name:
        with_credentials(None, PASSWORD)
    with pytest.raises(InvalidRecord) as without_secret:
        with_credentials("anna", None)
    ref = with_credentials("anna", PASSWORD).secret

    assert without_name.value.field == "credentials/username"
    assert without_secret.value.field == "credentials/secret"
    assert ref is not None
    assert office.stores.secrets.get(ref) == PASSWORD


def test_where_only_outgoing_mail_is_signed_in_for_by_mailboxes_one_that_sends_needs_credentials(office: Office) -> None:
    office.has_profile(
        use_same_settings_for_outgoing=False,
        outgoing_location="https://out.contoso.example/EWS/Exchange.asmx",
        outgoing_credential_source=CredentialSource.MAILBOX,
    )
    mailbox = office.has_mailbox_being_read().record
    sending = EmailDeliveryMethod.SERVER_SIDE

    with pytest.raises(InvalidRecord) as refused:
        office.changes(mailbox.id, outgoing_method=sending)
    own = Credentials(username="anna")
    allowed = office.administration.mailboxes.change(
        mailbox.id,
        lambda present: replace(present, outgoing_method=sending, credentials=own),
        ADMIN,
        {"credentials/secret": PASSWORD},
    )

    assert refused.value.field == "credentials/username"
    assert allowed.stored.record.outgoing_method is sending


@pytest.mark.parametrize("on_the_way", [ELSEWHERE, None], ids=["straight", "without a profile in between"])
def test_the_stored_secret_of_a_mailbox_is_not_sent_to_another_host(office: Office, on_the_way: ProfileId | None) -> None:
    own = {"credential_source": CredentialSource.MAILBOX, "credentials": Credentials()}
    office.has_profile(secret=None, **own)
    office.has_profile(secret=None, id=ELSEWHERE, incoming_location="https://mail.fabrikam.example/EWS/Exchange.asmx", **own)
    mailbox_id = office.has_user().record.id
    office.administration.mailboxes.change(
        mailbox_id,
        lambda mailbox: replace(mailbox, profile_id=CONTOSO, credentials=Credentials(username="anna")),
        ADMIN,
        {"credentials/secret": PASSWORD},
    )
    if on_the_way is None:
        office.changes(mailbox_id, profile_id=None)

    with pytest.raises(InvalidRecord, match="another host") as refused:
        office.changes(mailbox_id, profile_id=ELSEWHERE)
    moved = office.administration.mailboxes.change(
        mailbox_id,
        lambda mailbox: replace(mailbox, profile_id=ELSEWHERE),
        ADMIN,
        {"credentials/secret": "another password"},
    )

    assert refused.value.field == "credentials/secret"
    assert moved.stored.record.profile_id == ELSEWHERE


def test_a_new_password_of_a_mailbox_makes_it_due(office: Office) -> None:
    office.has_profile()
    mailbox_id = office.has_mailbox_being_read().record.id
    first = office.administration.mailboxes.change(mailbox_id, _same, ADMIN, {"credentials/secret": "one"}).stored
    office.has_schedule(due=MONDAY + timedelta(hours=1))

    same = office.administration.mailboxes.change(mailbox_id, _same, ADMIN, {"credentials/secret": "one"}).stored
    assert (same.etag, office.incoming_of().due) == (first.etag, MONDAY + timedelta(hours=1))

    other = office.administration.mailboxes.change(mailbox_id, _same, ADMIN, {"credentials/secret": "two"}).stored
    assert other.record.credentials.secret != first.record.credentials.secret
    assert office.incoming_of().due == MONDAY


def test_sync_now_makes_a_mailbox_due_even_while_its_breaker_is_open(office: Office) -> None:
    office.has_profile()
    mailbox = office.has_mailbox_being_read()
    breaker = Breaker("access_denied", MONDAY, MONDAY + timedelta(hours=1))
    office.has_schedule(due=breaker.probe_after, breaker=breaker)
    office.clock.advance(LATER)

    standing = office.administration.mailboxes.sync_now(mailbox.record.id, ADMIN)

    assert standing.stored.schedule[Workload.INCOMING].due == MONDAY + LATER
    assert standing.held_back[Workload.INCOMING] is None
    assert standing.stored.etag == mailbox.etag


def test_sync_now_of_a_mailbox_that_only_sends_makes_that_due(office: Office) -> None:
    office.has_profile()
    mailbox = office.has_mailbox_being_read()
    sends = {"incoming_method": EmailDeliveryMethod.NONE, "outgoing_method": EmailDeliveryMethod.SERVER_SIDE}
    office.changes(mailbox.record.id, **sends)
    off = WorkloadSchedule(due=MONDAY + LATER, breaker=Breaker("access_denied", MONDAY, MONDAY + LATER))
    office.stores.mailboxes.reschedule(mailbox.record.id, Workload.OUTGOING, off)

    standing = office.administration.mailboxes.sync_now(mailbox.record.id, ADMIN)

    schedule = standing.stored.schedule
    assert (schedule[Workload.OUTGOING].due, schedule[Workload.OUTGOING].breaker) == (MONDAY, None)
    assert schedule[Workload.INCOMING].due is None


@pytest.mark.parametrize("stopped", [Workload.INCOMING, Workload.OUTGOING])
def test_sync_now_does_what_is_possible_where_one_credential_is_refused(office: Office, stopped: Workload) -> None:
    profile = office.has_profile(use_same_settings_for_outgoing=False, outgoing_location="https://relay.contoso.example")
    mailbox = office.has_mailbox_being_read()
    office.changes(mailbox.record.id, outgoing_method=EmailDeliveryMethod.SERVER_SIDE)
    failing = Breaker("authentication_failed", MONDAY, MONDAY + timedelta(hours=1))
    office.stores.profiles.set_breaker(profile.id, stopped, failing, replacing=None)
    office.clock.advance(LATER)

    schedule = office.administration.mailboxes.sync_now(mailbox.record.id, ADMIN).stored.schedule

    [other] = {Workload.INCOMING, Workload.OUTGOING} - {stopped}
    assert schedule[other].due == MONDAY + LATER
    assert schedule[stopped].due != MONDAY + LATER
    office.stores.profiles.set_breaker(profile.id, other, failing, replacing=None)
    with pytest.raises(NotPossibleNow, match="credentials"):
        office.administration.mailboxes.sync_now(mailbox.record.id, ADMIN)


def test_sync_now_makes_reading_and_sending_due(office: Office) -> None:
    office.has_profile()
    mailbox = office.has_mailbox_being_read()
    office.changes(mailbox.record.id, outgoing_method=EmailDeliveryMethod.SERVER_SIDE)
    office.clock.advance(LATER)

    schedule = office.administration.mailboxes.sync_now(mailbox.record.id, ADMIN).stored.schedule

    assert [schedule[each].due for each in Workload] == [MONDAY + LATER, MONDAY + LATER, None]


def test_a_mailbox_that_only_sends_is_read_from_when_it_may_first_be_read(office: Office) -> None:
    office.has_profile()
    mailbox = office.has_user().record
    sends = {"incoming_method": EmailDeliveryMethod.NONE, "outgoing_method": EmailDeliveryMethod.SERVER_SIDE}
    office.changes(mailbox.id, profile_id=CONTOSO, **sends)
    office.administration.mailboxes.decide(mailbox.id, Approval.APPROVED, ADMIN)
    assert office.mailbox_of("anna").record.enabled_on is None
    office.clock.advance(LATER)

    office.changes(mailbox.id, incoming_method=EmailDeliveryMethod.SERVER_SIDE)

    assert office.mailbox_of("anna").record.enabled_on == MONDAY + LATER


def test_sync_now_of_a_mailbox_that_may_not_run_says_why(office: Office) -> None:
    mailbox = office.has_user()

    with pytest.raises(NotPossibleNow, match="not approved") as refused:
        office.administration.mailboxes.sync_now(mailbox.record.id, ADMIN)

    assert refused.value.remedy == "Approve the mailbox."
    assert office.incoming_of().due is None


def test_an_inactive_profile_and_an_open_breaker_of_it_hold_mailboxes_back(office: Office) -> None:
    profile = office.has_profile()
    mailbox = office.has_mailbox_being_read()

    failing = Breaker("authentication_failed", MONDAY, MONDAY + timedelta(hours=1))
    office.stores.profiles.set_breaker(profile.id, Workload.INCOMING, failing, replacing=None)
    assert _held_back(office, mailbox.record.id) is Ineligible.PROFILE_BREAKER_OPEN
    office.has_profile(active=False)
    assert _held_back(office, mailbox.record.id) is Ineligible.PROFILE_INACTIVE


def test_the_list_says_of_each_mailbox_why_it_does_not_run(office: Office) -> None:
    office.has_profile()
    office.has_mailbox_being_read("anna")
    office.has_user("bruno")

    first = office.administration.mailboxes.list(limit=1)
    second = office.administration.mailboxes.list(first.continuation, limit=1)

    reasons = {each.stored.record.name: each.held_back[Workload.INCOMING] for each in (*first.items, *second.items)}
    assert reasons == {"Anna": None, "Bruno": Ineligible.NOT_APPROVED}
    assert second.continuation is None


def test_a_mailbox_that_is_not_there_is_not_found(office: Office) -> None:
    with pytest.raises(RecordNotFound):
        office.administration.mailboxes.get(MailboxId("00000000-0000-4000-8000-000000000000"))
    with pytest.raises(RecordNotFound):
        office.changes(MailboxId("00000000-0000-4000-8000-000000000000"), active=False)


def _held_back(office: Office, mailbox_id: MailboxId) -> Ineligible | None:
    return office.administration.mailboxes.get(mailbox_id).held_back[Workload.INCOMING]


def _same(mailbox: Mailbox) -> Mailbox:
    return mailbox
