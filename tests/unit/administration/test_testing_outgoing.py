"""Test & enable of outgoing mail: enabled like incoming mail, told apart from it, and with a breaker of the profile's own where
it has a sign-in of its own."""

from datetime import timedelta

import pytest

from shared.domain.choices import AlertLevel, CredentialSource, EmailDeliveryMethod, ServerType, Workload, WorkloadStatus
from shared.domain.configuration import Breaker, Credentials, EmailServerProfile, SecretRef
from shared.domain.errors import AccessDenied, ConnectionRefused
from shared.domain.ids import ProfileId
from tests.builders import MONDAY, a_mailbox, a_profile, with_organisation
from tests.unit.administration.laboratory import HOUR, WRONG_PASSWORD, Laboratory, raising

ONLY_SENDS = {"incoming_method": EmailDeliveryMethod.NONE, "outgoing_method": EmailDeliveryMethod.SERVER_SIDE}
OWN_SIGN_IN = a_profile(
    use_same_settings_for_outgoing=False,
    outgoing_location="https://relay.contoso.example",
    outgoing_credential_source=CredentialSource.PROFILE,
    outgoing_credentials=Credentials("relay", SecretRef("relay", "1")),
)
SMTP = a_profile(server_type=ServerType.IMAP_SMTP, incoming_location="mail.contoso.example")
ELSEWHERE = pytest.mark.parametrize("profile", [OWN_SIGN_IN, SMTP], ids=["own sign-in", "another protocol"])


def a_laboratory(profile: EmailServerProfile | None = None) -> Laboratory:
    """With two mailboxes that only send."""
    laboratory = Laboratory()
    senders = [a_mailbox(name, **ONLY_SENDS) for name in ("anna", "ben")]
    with_organisation(laboratory.stores, *senders, profile=profile or a_profile())
    return laboratory


def test_a_mailbox_that_can_send_is_enabled_at_once_and_says_so() -> None:
    laboratory = a_laboratory()
    after = laboratory.test(workload=Workload.OUTGOING)
    assert (after.due, after.status) == (MONDAY, WorkloadStatus.SUCCESS)
    (alert,) = laboratory.alerts()
    assert (alert.code, alert.level) == ("test_succeeded", AlertLevel.INFORMATION)
    assert alert.cause.startswith("Outgoing: ")


def test_both_workloads_are_tested_and_their_failures_told_apart() -> None:
    laboratory = Laboratory()
    with_organisation(laboratory.stores, a_mailbox("anna", outgoing_method=EmailDeliveryMethod.SERVER_SIDE))
    laboratory.answer = raising(ConnectionRefused("connecting"))
    laboratory.test()
    assert len(laboratory.probed) == 2
    told = {(alert.code, alert.parameters.get("workload")) for alert in laboratory.alerts()}
    assert told == {("connection_refused", None), ("connection_refused", "outgoing")}


def test_where_mail_is_sent_as_it_is_read_a_refused_password_stops_both() -> None:
    laboratory = a_laboratory()
    laboratory.answer = raising(WRONG_PASSWORD)
    for name in ("anna", "ben"):
        laboratory.test(name, Workload.OUTGOING)
    assert len(laboratory.probed) == 1
    assert laboratory.breaker() is not None
    assert [alert.code for alert in laboratory.alerts("profile:contoso")] == ["authentication_failed"]


@ELSEWHERE
def test_a_password_that_is_refused_for_outgoing_mail_only_stops_nobody_who_reads(profile: EmailServerProfile) -> None:
    laboratory = a_laboratory(profile)
    laboratory.answer = raising(WRONG_PASSWORD)
    after = laboratory.test(workload=Workload.OUTGOING)
    assert laboratory.breaker() is None
    assert laboratory.breaker(Workload.OUTGOING) is not None
    assert (after.status, after.breaker) == (WorkloadStatus.FAILURE, None)
    assert laboratory.alerts() == []
    (alert,) = laboratory.alerts("profile:contoso")
    assert (alert.code, alert.parameters) == ("authentication_failed", {"workload": "outgoing"})


@ELSEWHERE
def test_such_a_password_is_not_tried_again_by_any_mailbox_within_the_hour(profile: EmailServerProfile) -> None:
    laboratory = a_laboratory(profile)
    laboratory.answer = raising(WRONG_PASSWORD)
    for name in ("anna", "ben", "anna", "ben"):
        laboratory.test(name, Workload.OUTGOING)
    assert len(laboratory.probed) == 1
    laboratory.clock.advance(HOUR)
    for name in ("anna", "ben"):
        laboratory.test(name, Workload.OUTGOING)
    assert len(laboratory.probed) == 2


@ELSEWHERE
def test_a_password_that_is_taken_again_closes_the_breaker_of_outgoing_mail_and_no_other(profile: EmailServerProfile) -> None:
    laboratory = a_laboratory(profile)
    opened = Breaker("authentication_failed", MONDAY, MONDAY + HOUR)
    for workload in (Workload.INCOMING, Workload.OUTGOING):
        assert laboratory.stores.profiles.set_breaker(ProfileId("contoso"), workload, opened, replacing=None)
    laboratory.clock.advance(HOUR)
    laboratory.test(workload=Workload.OUTGOING)
    assert laboratory.breaker(Workload.OUTGOING) is None
    assert laboratory.breaker() == opened


@ELSEWHERE
def test_a_password_that_is_refused_for_reading_does_not_keep_such_mail_from_being_sent(profile: EmailServerProfile) -> None:
    laboratory = a_laboratory(profile)
    opened = Breaker("authentication_failed", MONDAY, MONDAY + HOUR)
    assert laboratory.stores.profiles.set_breaker(ProfileId("contoso"), Workload.INCOMING, opened, replacing=None)
    for outcome in (None, AccessDenied("535")):
        if outcome is not None:
            laboratory.answer = raising(outcome)
        laboratory.test(workload=Workload.OUTGOING)
    assert len(laboratory.probed) == 2
    assert laboratory.breaker() == opened


def test_where_outgoing_mail_has_a_location_nothing_is_found_out_by_autodiscover() -> None:
    profile = a_profile(
        use_autodiscover=True,
        incoming_location=None,
        use_same_settings_for_outgoing=False,
        outgoing_location="https://relay.contoso.example",
        timeout=timedelta(seconds=40),
    )
    laboratory = a_laboratory(profile)
    laboratory.test(workload=Workload.OUTGOING)
    assert laboratory.mailbox().discovered is None
    ((probed, _, discovered),) = laboratory.probed
    assert (probed.timeout, discovered) == (timedelta(seconds=40), None)
