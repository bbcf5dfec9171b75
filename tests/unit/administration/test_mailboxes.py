"""Mailboxes: what makes one eligible, what a change does to its schedule, and what is refused."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from threading import Barrier

import pytest

from shared.administration.failures import NotPossibleNow, RecordNotFound
from shared.domain.choices import (
    ActDeliveryMethod,
    Approval,
    CredentialSource,
    EmailDeliveryMethod,
    OwnerKind,
    ServerType,
    Workload,
    WorkloadStatus,
)
from shared.domain.configuration import Breaker, Credentials, Mailbox
from shared.domain.eligibility import Ineligible
from shared.domain.errors import Changed, InvalidRecord, LeaseLost
from shared.domain.ids import MailboxId, OwnerId, ProfileId, RunId
from shared.domain.ledger import LedgerCommit, Mark, RunState
from shared.stores.memory import snapshot
from shared.sync.lease import Lease
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


def test_sync_now_of_a_mailbox_that_may_not_run_says_why(office: Office) -> None:
    mailbox = office.has_user()

    with pytest.raises(NotPossibleNow, match="not approved") as refused:
        office.administration.mailboxes.sync_now(mailbox.record.id, ADMIN)

    assert refused.value.remedy == "Approve the mailbox."
    assert office.incoming_of().due is None


def test_an_inactive_profile_and_an_open_breaker_of_it_hold_mailboxes_back(office: Office) -> None:
    profile = office.has_profile()
    mailbox = office.has_mailbox_being_read()

    office.stores.profiles.set_breaker(profile.id, Breaker("authentication_failed", MONDAY, MONDAY + timedelta(hours=1)))
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


# ---- methods


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


def test_each_workload_is_due_by_its_own_method(office: Office) -> None:
    office.has_profile()
    mailbox = office.has_mailbox_being_read()

    changed = office.changes(mailbox.record.id, outgoing_method=EmailDeliveryMethod.SERVER_SIDE)

    assert {workload: schedule.due for workload, schedule in changed.schedule.items()} == {
        Workload.INCOMING: MONDAY,
        Workload.OUTGOING: MONDAY,
        Workload.ACT: None,
    }


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


# ---- the address goes both ways


@pytest.mark.parametrize("kind", list(OwnerKind))
def test_a_new_address_of_a_mailbox_goes_to_its_owner(office: Office, kind: OwnerKind) -> None:
    mailbox = office.has_user() if kind is OwnerKind.USER else office.has_queue("anna")
    office.administration.mailboxes.decide(mailbox.record.id, Approval.APPROVED, ADMIN)

    changed = office.changes(mailbox.record.id, address=" anna.berg@contoso.example")

    owner = office.stores.owners.get(kind, OwnerId("anna"))
    assert owner is not None
    assert owner.record.address == changed.record.address == "anna.berg@contoso.example"
    assert changed.record.approval is Approval.PENDING
    assert office.stores.addresses.find(["anna.berg@contoso.example"])["anna.berg@contoso.example"]
    assert office.audited(f"{kind}:anna")[0].record == f"{kind}:anna"


def test_an_address_that_somebody_else_has_is_refused_for_a_mailbox_too(office: Office) -> None:
    office.has_user("bruno")
    mailbox = office.has_user("anna")

    with pytest.raises(InvalidRecord, match="user bruno"):
        office.changes(mailbox.record.id, address="bruno@contoso.example")

    assert office.mailbox_of("anna") == mailbox


def test_threads_that_change_the_address_from_both_sides_leave_both_in_step(office: Office) -> None:
    mailbox_id = office.has_user().record.id
    together = Barrier(8)

    def change(number: int) -> None:
        together.wait()
        address = f"anna{number}@contoso.example"
        if number % 2:
            office.changes(mailbox_id, address=address)
        else:
            office.has_user(address=address)

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(change, range(8)))

    assert office.mailbox_of("anna").record.address == office.administration.users.get(OwnerId("anna")).record.address


# ---- switched on and off


def test_a_mailbox_is_switched_off_and_on(office: Office) -> None:
    office.has_profile()
    mailbox_id = office.has_mailbox_being_read().record.id
    use = office.administration.mailboxes

    assert use.deactivate(mailbox_id, ADMIN).held_back[Workload.INCOMING] is Ineligible.MAILBOX_INACTIVE
    assert use.activate(mailbox_id, ADMIN).held_back[Workload.INCOMING] is None


def test_switching_to_the_present_state_changes_nothing(office: Office) -> None:
    mailbox_id = office.has_user().record.id
    before = snapshot(office.stores)

    office.administration.mailboxes.activate(mailbox_id, ADMIN)

    assert snapshot(office.stores) == before


# ---- read again from a date on


def test_a_reset_sets_the_start_date_and_lists_the_folders_again(office: Office) -> None:
    mailbox_id = _read_up_to_now(office)
    office.clock.advance(LATER)

    standing = office.administration.mailboxes.reset(mailbox_id, MONDAY - timedelta(days=30), ADMIN)

    head = office.stores.ledger.head(mailbox_id, Workload.INCOMING, office.clock.now)
    assert [(mark.watermark, mark.caught_up) for mark in head.marks] == [(None, False)]
    assert standing.stored.record.process_email_received_after == MONDAY - timedelta(days=30)
    assert standing.stored.schedule[Workload.INCOMING].due == office.clock.now


def test_a_run_that_is_under_way_loses_its_lease_by_a_reset(office: Office) -> None:
    mailbox_id = _read_up_to_now(office)
    lease = Lease(office.stores.ledger, mailbox_id, Workload.INCOMING, RunId("run:1"), LATER, office.clock)
    lease.take(office.stores.ledger.head(mailbox_id, Workload.INCOMING, MONDAY))

    office.administration.mailboxes.reset(mailbox_id, MONDAY, ADMIN)

    with pytest.raises(LeaseLost):
        lease.commit_page([], Mark("inbox", "source", "newer", caught_up=True))
    state = office.stores.ledger.head(mailbox_id, Workload.INCOMING, MONDAY).state
    assert state is not None
    assert (state.holder, state.takeovers) == (None, 0)


def test_a_date_before_the_profiles_is_refused(office: Office) -> None:
    office.has_profile(process_emails_received_after=MONDAY)
    mailbox_id = office.has_mailbox_being_read().record.id

    with pytest.raises(InvalidRecord, match="2026-11-23") as refused:
        office.administration.mailboxes.reset(mailbox_id, MONDAY - timedelta(days=1), ADMIN)

    assert refused.value.field == "received_after"


def test_a_mailbox_that_was_never_read_can_be_reset(office: Office) -> None:
    mailbox_id = office.has_user().record.id

    standing = office.administration.mailboxes.reset(mailbox_id, MONDAY, ADMIN)

    assert standing.stored.record.process_email_received_after == MONDAY
    assert standing.stored.schedule[Workload.INCOMING].due is None


def _read_up_to_now(office: Office) -> MailboxId:
    office.has_profile()
    mailbox_id = office.has_mailbox_being_read().record.id
    mark = Mark("inbox", "source", "watermark", caught_up=True)
    office.stores.ledger.commit(mailbox_id, Workload.INCOMING, None, LedgerCommit(RunState("1"), marks=(mark,)))
    return mailbox_id


def _held_back(office: Office, mailbox_id: MailboxId) -> Ineligible | None:
    return office.administration.mailboxes.get(mailbox_id).held_back[Workload.INCOMING]


def _same(mailbox: Mailbox) -> Mailbox:
    return mailbox
