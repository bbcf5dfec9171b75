"""The settings of outgoing mail: those of incoming mail, or its own; and whose breaker it has."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from shared.domain.choices import AuthenticationProtocol, CredentialSource, ServerType, Workload
from shared.domain.configuration import (
    Breaker,
    Credentials,
    EmailServerProfile,
    SecretRef,
    StoredProfile,
    for_outgoing,
    sends_as_it_reads,
    whose_sign_in,
)
from shared.domain.eligibility import Ineligible, connection_of, profile_ineligibility
from tests.builders import MONDAY, a_profile

EXCHANGE = [ServerType.EXCHANGE_SERVER, ServerType.EXCHANGE_ONLINE]
INTERNET = [ServerType.POP3_SMTP, ServerType.IMAP_SMTP]
OWN: dict[str, Any] = {
    "use_same_settings_for_outgoing": False,
    "outgoing_location": "smtp.contoso.example",
    "outgoing_port": 2525,
    "outgoing_use_tls": True,
    "outgoing_starttls": True,
    "outgoing_use_impersonation": False,
}
RELAY = Credentials("relay", SecretRef("relay", "1"))


def internet(**changes: Any) -> EmailServerProfile:
    imap: dict[str, Any] = {
        "server_type": ServerType.IMAP_SMTP,
        "incoming_location": "mail.contoso.example",
        "incoming_port": 993,
    }
    return a_profile(**imap | changes)


@pytest.mark.parametrize("server_type", EXCHANGE)
def test_an_exchange_server_sends_where_it_is_read_by_the_same_port(server_type: ServerType) -> None:
    profile = a_profile(server_type=server_type, incoming_port=4443)
    assert for_outgoing(profile) == profile


@pytest.mark.parametrize("server_type", INTERNET)
@pytest.mark.parametrize("starttls", [False, True])
def test_pop3_and_imap_profiles_send_through_the_same_host_by_the_port_of_smtp(server_type: ServerType, starttls: bool) -> None:
    profile = internet(server_type=server_type, incoming_starttls=starttls)
    assert for_outgoing(profile) == replace(profile, incoming_port=None)


def test_a_server_of_its_own_is_reached_as_the_settings_of_outgoing_mail_say() -> None:
    profile = internet(**OWN)
    sending = for_outgoing(profile)
    assert (sending.incoming_location, sending.incoming_port) == ("smtp.contoso.example", 2525)
    assert (sending.incoming_use_tls, sending.incoming_starttls, sending.use_impersonation) == (True, True, False)


def test_without_credentials_of_its_own_it_signs_in_as_incoming_mail_does() -> None:
    profile = internet(**OWN)
    sending = for_outgoing(profile)
    assert (sending.authentication, sending.credential_source) == (profile.authentication, profile.credential_source)
    assert sending.credentials == profile.credentials


@pytest.mark.parametrize("source", [CredentialSource.PROFILE, CredentialSource.MAILBOX, CredentialSource.ANONYMOUS])
def test_with_a_source_of_its_own_nothing_of_the_incoming_credentials_is_left(source: CredentialSource) -> None:
    credentials = RELAY if source is CredentialSource.PROFILE else Credentials()
    sending = for_outgoing(internet(**OWN, outgoing_credential_source=source, outgoing_credentials=credentials))
    assert (sending.credential_source, sending.credentials) == (source, credentials)


def test_to_find_out_the_authentication_is_a_choice_of_its_own_too() -> None:
    profile = internet(**OWN, authentication=AuthenticationProtocol.BASIC)
    found = for_outgoing(replace(profile, outgoing_authentication=AuthenticationProtocol.AUTO_DETECT))
    assert found.authentication is AuthenticationProtocol.AUTO_DETECT
    assert for_outgoing(profile).authentication is AuthenticationProtocol.BASIC


@pytest.mark.parametrize("location", [None, "https://out.contoso.example/EWS/Exchange.asmx"])
def test_where_autodiscover_leads_counts_only_without_a_location(location: str | None) -> None:
    profile = a_profile(
        use_autodiscover=True, incoming_location=None, use_same_settings_for_outgoing=False, outgoing_location=location
    )
    assert for_outgoing(profile).use_autodiscover is (location is None)


# ---- breakers


def refused(profile: EmailServerProfile, workload: Workload) -> StoredProfile:
    opened = Breaker("authentication_failed", MONDAY, MONDAY + timedelta(hours=1))
    return StoredProfile(profile, "1", {workload: opened})


@pytest.mark.parametrize("server_type", EXCHANGE)
def test_a_refused_credential_stops_what_is_sent_with_it(server_type: ServerType) -> None:
    profile = a_profile(server_type=server_type)
    assert sends_as_it_reads(profile)
    for workload in Workload:
        assert whose_sign_in(profile, workload) is Workload.INCOMING
    for workload in (Workload.INCOMING, Workload.OUTGOING):
        stopped = profile_ineligibility(refused(profile, Workload.INCOMING), workload, MONDAY)
        assert stopped is Ineligible.PROFILE_BREAKER_OPEN


@pytest.mark.parametrize("server_type", EXCHANGE)
def test_settings_of_its_own_that_are_those_of_incoming_mail_are_the_same_sign_in(server_type: ServerType) -> None:
    profile = a_profile(server_type=server_type, use_same_settings_for_outgoing=False)
    assert sends_as_it_reads(replace(profile, outgoing_location=profile.incoming_location))
    assert sends_as_it_reads(replace(profile, incoming_location=None, use_autodiscover=True))
    elsewhere = replace(profile, outgoing_location="https://out.contoso.example/EWS/Exchange.asmx")
    assert not sends_as_it_reads(elsewhere)


@pytest.mark.parametrize("profile", [internet(), internet(**OWN), a_profile(**OWN)], ids=["same host", "own", "own Exchange"])
@pytest.mark.parametrize(
    ("failing", "going_on"), [(Workload.INCOMING, Workload.OUTGOING), (Workload.OUTGOING, Workload.INCOMING)]
)
def test_a_credential_that_is_refused_for_one_stops_nothing_of_the_other(
    profile: EmailServerProfile, failing: Workload, going_on: Workload
) -> None:
    assert not sends_as_it_reads(profile)
    assert profile_ineligibility(refused(profile, failing), failing, MONDAY) is Ineligible.PROFILE_BREAKER_OPEN
    assert profile_ineligibility(refused(profile, failing), going_on, MONDAY) is None


def test_how_much_is_sent_is_no_matter_of_the_connection_and_how_it_is_sent_is() -> None:
    profile = internet(**OWN)
    measures = replace(profile, emails_per_minute=5, delivery_attempts=3, save_sent_items=False)
    assert connection_of(measures) == connection_of(profile)
    assert connection_of(replace(profile, outgoing_starttls=False)) != connection_of(profile)
