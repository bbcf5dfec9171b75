"""The audit: what a request leaves about the records that it changed, and what never stands in it."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from threading import Barrier

import pytest

from shared.administration.auditing import LONGEST_VALUE, differences
from shared.administration.failures import RecordNotFound
from shared.domain.audit import ChangeAction, FieldChange
from shared.domain.choices import AlertLevel, Approval, CredentialSource, OwnerKind, Workload
from shared.domain.configuration import Credentials, SecretRef
from shared.domain.ids import OwnerId, ProfileId, mailbox_id_of
from shared.domain.operations import Alert
from shared.domain.organisation import OrganisationSettings
from shared.domain.records import FolderTrackingRule, RecordRef
from shared.messages import Queue
from tests.builders import MONDAY, a_mailbox, a_profile
from tests.unit.administration.office import ADMIN, PASSWORD, Office, a_user

MAILBOX = mailbox_id_of(OwnerKind.USER, OwnerId("anna"))


def changed(before: object, after: object) -> dict[str, tuple[str, str]]:
    return {change.field: (change.old, change.new) for change in differences(before, after)}


def test_a_difference_names_the_field_and_both_values_as_json() -> None:
    profile = a_profile()

    assert changed(profile, replace(profile, name="Contoso", timeout=timedelta(seconds=30))) == {
        "name": ('"Contoso Exchange"', '"Contoso"'),
        "timeout": ("100.0", "30.0"),
    }
    assert changed(a_mailbox(), a_mailbox(approval=Approval.REJECTED, process_email_received_after=MONDAY)) == {
        "approval": ('"approved"', '"rejected"'),
        "process_email_received_after": ("null", '"2026-11-23T08:00:00Z"'),
    }
    assert changed(OrganisationSettings(), OrganisationSettings(exclude=("a.example",))) == {"exclude": ("[]", '["a.example"]')}


def test_of_a_secret_only_whether_it_is_set_is_told() -> None:
    def with_secret(version: str | None) -> Credentials:
        return Credentials(secret=(version and SecretRef("profile-1", version)) or None)

    assert changed(with_secret(None), with_secret("1")) == {"secret": ("null", '"set"')}
    assert changed(with_secret("1"), with_secret("2")) == {"secret": ('"set"', '"set"')}
    assert changed(with_secret("1"), with_secret(None)) == {"secret": ('"set"', "null")}


def test_a_record_within_a_record_is_told_by_its_fields() -> None:
    rule = FolderTrackingRule(MAILBOX, "folder", "Projects")

    assert changed(rule, replace(rule, regarding=RecordRef("account", "contoso"))) == {
        "regarding/type": ("null", '"account"'),
        "regarding/id": ("null", '"contoso"'),
    }


def test_a_very_long_value_is_cut() -> None:
    long = OrganisationSettings(exclude=tuple(f"{number}.contoso.example" for number in range(1000)))

    (change,) = differences(OrganisationSettings(), long)

    assert len(change.new) < LONGEST_VALUE * 1.2


def test_a_change_is_told_with_who_when_and_what(office: Office) -> None:
    office.has_user()
    office.clock.advance(timedelta(minutes=1))

    office.administration.users.put(a_user(address="anna.berg@contoso.example"), ADMIN)

    (entry, *_) = office.audited("user:anna")
    assert (entry.caller, entry.action, entry.changed_on) == (ADMIN.name, ChangeAction.CHANGED, office.clock.now)
    assert entry.changes == (FieldChange("address", '"anna@contoso.example"', '"anna.berg@contoso.example"'),)
    (mailbox, *_) = office.audited(f"mailbox:{MAILBOX}")
    assert {change.field for change in mailbox.changes} == {"address"}


def test_no_secret_stands_in_the_audit(office: Office) -> None:
    office.has_profile(secret="first secret")
    office.has_profile(secret=PASSWORD)
    office.has_profile(id=ProfileId("own"), secret=None, credential_source=CredentialSource.MAILBOX, credentials=Credentials())
    office.administration.mailboxes.change(
        office.has_user().record.id,
        lambda mailbox: replace(mailbox, profile_id=ProfileId("own"), credentials=Credentials(username="anna")),
        ADMIN,
        {"credentials/secret": PASSWORD},
    )

    told = repr(office.audited())
    assert "credentials/secret" in told
    assert PASSWORD not in told
    assert "first secret" not in told


@pytest.mark.parametrize(
    ("action", "request_"),
    [
        (ChangeAction.APPROVED, lambda use: use.decide(MAILBOX, Approval.APPROVED, ADMIN)),
        (ChangeAction.REJECTED, lambda use: use.decide(MAILBOX, Approval.REJECTED, ADMIN)),
        (ChangeAction.DEACTIVATED, lambda use: use.deactivate(MAILBOX, ADMIN)),
        (ChangeAction.WATERMARK_RESET, lambda use: use.reset(MAILBOX, MONDAY, ADMIN)),
        (ChangeAction.TEST_REQUESTED, lambda use: use.test(MAILBOX, ADMIN)),
    ],
)
def test_what_is_done_to_a_mailbox_is_told_by_its_name(office: Office, action: ChangeAction, request_: object) -> None:
    office.has_user()
    office.clock.advance(timedelta(minutes=1))

    request_(office.administration.mailboxes)  # type: ignore[operator]  # a lambda

    assert office.audited(f"mailbox:{MAILBOX}")[0].action is action


def test_asking_for_a_run_is_told_once_while_the_mailbox_is_due_already(office: Office) -> None:
    office.has_profile()
    office.has_mailbox_being_read()
    office.has_schedule(due=MONDAY + timedelta(hours=1))

    for _ in range(2):
        office.administration.mailboxes.sync_now(MAILBOX, ADMIN)

    actions = [entry.action for entry in office.audited(f"mailbox:{MAILBOX}")]
    assert actions.count(ChangeAction.SYNC_REQUESTED) == 1


def test_acknowledging_an_alert_is_told(office: Office) -> None:
    alert = Alert("profile:contoso", "authentication_failed", AlertLevel.ERROR, "cause", "remedy", MONDAY)
    office.stores.alerts.put(alert)

    for _ in range(2):
        acknowledged = office.administration.operations.acknowledge(alert.id, ADMIN)

    assert (acknowledged.acknowledged_by, acknowledged.acknowledged_on) == (ADMIN.name, MONDAY)
    (entry,) = office.audited("alert:profile:contoso:authentication_failed")
    assert entry.action is ChangeAction.ACKNOWLEDGED
    with pytest.raises(RecordNotFound):
        office.administration.operations.acknowledge("nothing", ADMIN)


def test_each_request_tells_what_it_found_however_many_race(office: Office) -> None:
    """Twenty requests are twenty entries; one tells of the creation, and those that lost tell what they changed at last."""
    together = Barrier(20)

    def create(number: int) -> None:
        together.wait()
        office.administration.users.put(a_user(name=f"Anna {number}"), ADMIN)

    with ThreadPoolExecutor(20) as threads:
        list(threads.map(create, range(20)))

    entries = office.audited("user:anna")
    assert sorted(entry.action for entry in entries) == ["changed"] * 19 + ["created"]
    told = {change.new for entry in entries for change in entry.changes if change.field == "name"}
    assert told == {f'"Anna {number}"' for number in range(20)}


def test_a_test_of_a_profile_is_queued_for_its_mailboxes(office: Office) -> None:
    office.has_profile()
    office.has_mailbox_being_read("anna")
    office.has_user("bruno")

    office.administration.profiles.test(ProfileId("contoso"), ADMIN)
    office.does_visits()

    (probe,) = office.sent(Queue.TEST_MAILBOX)
    assert MAILBOX in probe
    assert office.audited("profile:contoso")
    assert office.incoming_of("anna").due == MONDAY
    assert Workload.INCOMING in office.mailbox_of("bruno").schedule
