"""Choosing a connector costs nothing until mail is read, and records that name nobody are told so."""

import subprocess
import sys
from pathlib import Path

import pytest

from shared.connectors.connect import Connect
from shared.connectors.exchange.sign_in import sign_in_of
from shared.domain.choices import AuthenticationProtocol, CredentialSource, ServerType
from shared.domain.configuration import Credentials, EmailServerProfile, SecretRef
from shared.domain.errors import AuthenticationFailed
from shared.ports import Drafting
from tests.contracts.exchange_mailboxes import KnownSecrets, a_mailbox, a_profile

SECRET = SecretRef("secret", "1")
HEAVY = ("exchangelib", "msal", "lxml", "requests", "urllib3", "cryptography", "ssl", "smtplib", "imaplib", "poplib")


def test_importing_connect_loads_no_library() -> None:
    program = f"import sys, shared.connectors.connect; print([name for name in {HEAVY} if name in sys.modules])"
    done = subprocess.run(  # noqa: S603 (our own program)
        [sys.executable, "-c", program], cwd=Path(__file__).parents[3], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("server_type", "location", "keeps_drafts"),
    [
        (ServerType.EXCHANGE_SERVER, "https://mail.contoso.invalid/EWS/Exchange.asmx", True),
        (ServerType.EXCHANGE_ONLINE, "https://mail.contoso.invalid/EWS/Exchange.asmx", True),
        (ServerType.POP3_SMTP, "mail.contoso.invalid", False),
        (ServerType.IMAP_SMTP, "mail.contoso.invalid", False),
    ],
)
def test_what_a_server_can_do_is_a_type_and_nobody_is_asked_before_something_is_sent(
    server_type: ServerType, location: str, keeps_drafts: bool
) -> None:
    connect = Connect(KnownSecrets(), allow_local_servers=False)
    with connect.outgoing(a_profile(location, server_type=server_type), a_mailbox("anna@contoso.example")) as mail:
        assert isinstance(mail, Drafting) is keeps_drafts


def a_profile_of(source: CredentialSource, protocol: AuthenticationProtocol, credentials: Credentials) -> EmailServerProfile:
    return a_profile("https://mail.contoso.example", credential_source=source, authentication=protocol, credentials=credentials)


@pytest.mark.parametrize(
    ("source", "protocol", "credentials"),
    [
        (CredentialSource.PROFILE, AuthenticationProtocol.BASIC, Credentials(username="svc")),
        (CredentialSource.PROFILE, AuthenticationProtocol.BASIC, Credentials(secret=SECRET)),
        (CredentialSource.PROFILE, AuthenticationProtocol.OAUTH, Credentials(username="svc", secret=SECRET)),
        (CredentialSource.APPLICATION, AuthenticationProtocol.BASIC, Credentials(username="svc", secret=SECRET)),
        (CredentialSource.ANONYMOUS, AuthenticationProtocol.BASIC, Credentials(username="svc", secret=SECRET)),
    ],
)
def test_credentials_that_lack_something_are_the_profiles_error(
    source: CredentialSource, protocol: AuthenticationProtocol, credentials: Credentials
) -> None:
    with pytest.raises(AuthenticationFailed) as raised:
        sign_in_of(a_profile_of(source, protocol, credentials), a_mailbox("anna@contoso.example"))
    assert raised.value.profile_wide


def test_a_mailbox_without_credentials_of_its_own_fails_alone() -> None:
    profile = a_profile_of(CredentialSource.MAILBOX, AuthenticationProtocol.BASIC, Credentials(username="svc", secret=SECRET))
    with pytest.raises(AuthenticationFailed) as raised:
        sign_in_of(profile, a_mailbox("anna@contoso.example"))
    assert not raised.value.profile_wide


@pytest.mark.parametrize("protocol", [AuthenticationProtocol.AUTO_DETECT, AuthenticationProtocol.OAUTH])
def test_who_has_a_client_id_signs_in_as_an_application(protocol: AuthenticationProtocol) -> None:
    profile = a_profile_of(CredentialSource.PROFILE, protocol, Credentials(client_id="app", tenant_id="t", secret=SECRET))
    assert sign_in_of(profile, a_mailbox("anna@contoso.example")).is_application


def test_a_managed_identity_needs_no_secret() -> None:
    profile = a_profile_of(CredentialSource.MANAGED_IDENTITY, AuthenticationProtocol.AUTO_DETECT, Credentials())
    sign_in = sign_in_of(profile, a_mailbox("anna@contoso.example"))
    assert (sign_in.managed, sign_in.is_application, sign_in.profile_wide) == (True, True, True)
