"""The probe of outgoing mail: it signs in where email is sent, as the identity that sends, and sends and leaves nothing."""

import socket
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from time import monotonic
from typing import Any

import pytest

from local.mailserver import MailServer
from shared.connectors.connect import Connect
from shared.connectors.probe import ProbeOutgoing
from shared.domain.choices import AuthenticationProtocol, CredentialSource, OAuthProvider, ServerType
from shared.domain.configuration import Credentials, EmailServerProfile, Mailbox, SecretRef
from shared.domain.errors import (
    AuthenticationFailed,
    ConnectionRefused,
    ImpersonationDenied,
    MailboxNotFound,
    NoAnswer,
    SyncError,
)
from tests.contracts.consenting import CLIENT_SECRET, Deployment, authority_of, error_of
from tests.contracts.exchange_mailboxes import PASSWORD, ServedByExchange, a_mailbox, a_profile
from tests.contracts.test_internet_tokens import APPLICATION, SECRET
from tests.unit.administration.office import ADMIN

RELAY = "relay@contoso.example"
INTERNET = pytest.mark.parametrize("server_type", [ServerType.POP3_SMTP, ServerType.IMAP_SMTP])


@pytest.fixture
def probe(connect: Connect) -> ProbeOutgoing:
    return ProbeOutgoing(connect.outgoing)


def failure(probe: ProbeOutgoing, profile: EmailServerProfile, mailbox: Mailbox) -> SyncError:
    with pytest.raises(SyncError) as raised:
        probe(profile, mailbox, None)
    return raised.value


def is_as_it_was(server: MailServer, address: str) -> bool:
    folders = ("drafts", "sentitems", "inbox")
    return not server.accepted() and not any(server.items(address, folder) for folder in folders)


# ---- Exchange


@pytest.mark.parametrize("authentication", [AuthenticationProtocol.BASIC, AuthenticationProtocol.NTLM])
def test_an_exchange_mailbox_that_works_is_asked_one_question_and_left_as_it_was(
    probe: ProbeOutgoing, served: ServedByExchange, authentication: AuthenticationProtocol
) -> None:
    probe(a_profile(served.server.ews_url, authentication=authentication), a_mailbox(served.address), None)
    assert len([asked for asked in served.server.requests if asked.status == 200]) == 1
    assert is_as_it_was(served.server, served.address)


def test_whoever_may_not_act_as_the_mailbox_does_not_send_from_it(probe: ProbeOutgoing, served: ServedByExchange) -> None:
    served.server.add_account("limited", PASSWORD)
    error = failure(probe, a_profile(served.server.ews_url, username="limited"), a_mailbox(served.address))
    assert type(error) is ImpersonationDenied


def test_a_mailbox_that_is_not_there_is_named(probe: ProbeOutgoing, served: ServedByExchange) -> None:
    error = failure(probe, a_profile(served.server.ews_url), a_mailbox("nobody@contoso.example"))
    assert type(error) is MailboxNotFound


def test_an_exchange_server_of_its_own_is_the_only_one_that_is_asked_and_with_its_own_credentials(
    probe: ProbeOutgoing, served: ServedByExchange, closed_port: int
) -> None:
    served.server.add_account(RELAY, "relay's password", impersonation=True)
    profile = a_profile(
        f"http://127.0.0.1:{closed_port}/EWS/Exchange.asmx",
        secret="nothing that this server knows",
        use_same_settings_for_outgoing=False,
        outgoing_location=served.server.ews_url,
        outgoing_credential_source=CredentialSource.PROFILE,
        outgoing_credentials=Credentials(RELAY, SecretRef("relay's password", "1")),
    )
    probe(profile, a_mailbox(served.address), None)
    assert isinstance(failure(probe, replace(profile, use_same_settings_for_outgoing=True), a_mailbox("x")), ConnectionRefused)


# ---- SMTP


@pytest.fixture
def mail(server: MailServer) -> Iterator[MailServer]:
    server.reset()
    server.add_mailbox("anna@contoso.example", password=PASSWORD)
    yield server
    server.reset()


ANNA = a_mailbox("anna@contoso.example", Credentials("anna@contoso.example", SecretRef(PASSWORD, "1")))


def over_smtp(server: MailServer, server_type: ServerType = ServerType.IMAP_SMTP, **changes: Any) -> EmailServerProfile:
    """Nothing of it may be read: where that would be, nobody listens."""
    profile = a_profile(
        "127.0.0.1",
        server_type=server_type,
        credential_source=CredentialSource.MAILBOX,
        incoming_port=1,
        incoming_use_tls=False,
        use_same_settings_for_outgoing=False,
        outgoing_location="127.0.0.1",
        outgoing_port=server.smtp_port,
        outgoing_use_tls=False,
    )
    return replace(profile, credentials=Credentials(), **changes)


@INTERNET
def test_a_mailbox_that_sends_by_smtp_signs_in_and_sends_nothing(
    probe: ProbeOutgoing, mail: MailServer, server_type: ServerType
) -> None:
    probe(over_smtp(mail, server_type), ANNA, None)
    operations = [asked.operation for asked in mail.requests]
    assert "AUTH" in operations
    assert not {"MAIL", "RCPT", "DATA", "Message"} & set(operations)
    assert is_as_it_was(mail, ANNA.address)


@pytest.mark.usefixtures("trusting")
@pytest.mark.parametrize("starttls", [False, True])
def test_over_tls_from_the_start_or_on_request(probe: ProbeOutgoing, mail: MailServer, starttls: bool) -> None:
    port = mail.smtp_port if starttls else mail.smtps_port
    probe(over_smtp(mail, outgoing_use_tls=True, outgoing_starttls=starttls, outgoing_port=port), ANNA, None)
    assert "AUTH" in [asked.operation for asked in mail.requests]


def test_a_wrong_password_is_tried_once_and_is_a_matter_of_the_mailbox(probe: ProbeOutgoing, mail: MailServer) -> None:
    wrong = replace(ANNA, credentials=Credentials(ANNA.address, SecretRef("wrong", "1")))
    for _ in range(3):
        error = failure(probe, over_smtp(mail), wrong)
        assert isinstance(error, AuthenticationFailed)
        assert not error.profile_wide
    assert mail.requests.count("AUTH") == 1


def test_a_relay_that_knows_us_by_our_address_is_not_signed_in_at(probe: ProbeOutgoing, mail: MailServer) -> None:
    probe(over_smtp(mail, outgoing_credential_source=CredentialSource.ANONYMOUS), ANNA, None)
    assert mail.requests.count("AUTH") == 0


def test_a_password_of_its_own_is_the_only_one_that_is_shown(probe: ProbeOutgoing, mail: MailServer) -> None:
    mail.add_account(RELAY, "relay's password", mailbox=ANNA.address)
    profile = over_smtp(
        mail,
        outgoing_credential_source=CredentialSource.PROFILE,
        outgoing_credentials=Credentials(RELAY, SecretRef("relay's password", "1")),
    )
    probe(profile, a_mailbox(ANNA.address), None)
    assert {asked.username for asked in mail.requests if asked.username} == {RELAY}


def test_an_smtp_server_that_does_not_answer_costs_no_more_than_the_time_allowed(probe: ProbeOutgoing) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        profile = a_profile(
            "127.0.0.1",
            server_type=ServerType.IMAP_SMTP,
            timeout=timedelta(seconds=0.3),
            incoming_use_tls=False,
            use_same_settings_for_outgoing=False,
            outgoing_location="127.0.0.1",
            outgoing_port=int(silent.getsockname()[1]),
            outgoing_use_tls=False,
        )
        began = monotonic()
        assert isinstance(failure(probe, profile, ANNA), NoAnswer)
        assert monotonic() - began < 15


# ---- tokens


@pytest.mark.usefixtures("trusting")
@INTERNET
def test_an_application_sends_for_mailboxes(probe: ProbeOutgoing, mail: MailServer, server_type: ServerType) -> None:
    mail.add_application(APPLICATION, SECRET)
    authority = authority_of(mail)
    profile = over_smtp(
        mail,
        server_type,
        authentication=AuthenticationProtocol.OAUTH,
        credential_source=CredentialSource.APPLICATION,
        oauth_provider=OAuthProvider.MICROSOFT,
    )
    application = Credentials(
        client_id=APPLICATION, tenant_id="contoso.example", secret=SecretRef(SECRET, "1"), authority=authority
    )
    probe(replace(profile, credentials=application), a_mailbox(ANNA.address), None)
    assert mail.requests.count("Token") == 1
    assert "AUTH" in [asked.operation for asked in mail.requests]


@pytest.mark.usefixtures("trusting")
def test_an_owner_who_consented_sends_and_at_no_other_server(fresh: MailServer) -> None:
    deployment = Deployment(fresh)

    def sends_at(location: str) -> None:
        profile = replace(
            deployment.profile,
            use_same_settings_for_outgoing=False,
            outgoing_location=location,
            outgoing_port=fresh.smtp_port,
            outgoing_use_tls=False,
        )
        deployment.administration.profiles.put(profile, ADMIN, {"credentials/secret": CLIENT_SECRET})

    def probed() -> None:
        ProbeOutgoing(deployment.worker().outgoing)(deployment.profile, deployment.mailbox, None)

    sends_at("127.0.0.1")
    deployment.consents()
    probed()
    assert "AUTH" in [asked.operation for asked in fresh.requests]
    sends_at("localhost")
    error = error_of(probed)
    assert isinstance(error, AuthenticationFailed)
    assert error.code == "consent_outdated"
    assert deployment.listed() == []
