"""Applications, service accounts and managed identities sign in at POP3 and IMAP servers with tokens, over real sockets."""

import json
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from local.mailserver import MailServer
from shared.connectors.connect import Connect
from shared.connectors.internet.sign_in import Identities, Token, sign_in_for
from shared.domain.choices import AuthenticationProtocol, CredentialSource, OAuthProvider, ServerType
from shared.domain.configuration import Credentials, EmailServerProfile, SecretRef
from shared.domain.errors import AuthenticationFailed, TransientError
from shared.domain.ids import ProfileId
from tests.contracts.consenting import authority_of
from tests.contracts.exchange_mailboxes import KnownSecrets, a_mailbox, failure
from tests.contracts.incoming_email import a_message, everything
from tests.contracts.test_exchange_tokens import a_certificate

APPLICATION, SECRET = "5f2c1f0e-6d1c-4f0d-9d9c-2f6f5f0f7a01", "app secret"
ROBOT = "robot@project.example"
ANNA, BEN = "anna@contoso.example", "ben@contoso.example"
BOTH = pytest.mark.parametrize("server_type", [ServerType.POP3_SMTP, ServerType.IMAP_SMTP])

pytestmark = pytest.mark.usefixtures("trusting")


@pytest.fixture
def mail(server: MailServer) -> Iterator[MailServer]:
    server.reset()
    for address in (ANNA, BEN):
        server.add_mailbox(address, password="unknown to us")
        server.deliver(bytes(a_message(f"for-{address.partition('@')[0]}")), [address])
    yield server
    server.reset()


def a_profile(server: MailServer, server_type: ServerType = ServerType.IMAP_SMTP, **changes: Any) -> EmailServerProfile:
    credentials = Credentials(
        client_id=APPLICATION,
        tenant_id="contoso.example",
        secret=SecretRef(SECRET, "1"),
        authority=authority_of(server),
    )
    profile = EmailServerProfile(
        id=ProfileId("tokens"),
        name="With tokens",
        server_type=server_type,
        incoming_location="127.0.0.1",
        incoming_port=server.imap_port if server_type is ServerType.IMAP_SMTP else server.pop3_port,
        incoming_use_tls=False,
        authentication=AuthenticationProtocol.OAUTH,
        credential_source=CredentialSource.APPLICATION,
        credentials=credentials,
        oauth_provider=OAuthProvider.MICROSOFT,
    )
    return replace(profile, **changes)


def listed(connect: Connect, profile: EmailServerProfile, address: str = ANNA) -> Sequence[str | None]:
    with connect(profile, a_mailbox(address)) as mail:
        return [item.message_id for item in everything(mail)[0]]


@BOTH
def test_an_application_opens_mailboxes_with_one_token(mail: MailServer, connect: Connect, server_type: ServerType) -> None:
    mail.add_application(APPLICATION, SECRET)
    profile = a_profile(mail, server_type)
    assert [listed(connect, profile, each) for each in (ANNA, BEN, ANNA)] == [["for-anna"], ["for-ben"], ["for-anna"]]
    assert mail.requests.count("Token") == 1


def test_an_application_signs_in_by_its_certificate(mail: MailServer, connect: Connect) -> None:
    key, certificate = a_certificate()
    mail.add_application(APPLICATION, certificate=certificate)
    profile = a_profile(mail)
    certified = replace(profile.credentials, secret=None, certificate=SecretRef(key + certificate, "1"))
    assert listed(connect, replace(profile, credentials=certified)) == ["for-anna"]


@BOTH
def test_a_mailbox_that_the_application_may_not_open_does_not_stop_the_others(
    mail: MailServer, connect: Connect, server_type: ServerType
) -> None:
    mail.add_application(APPLICATION, SECRET, impersonation=[BEN])
    profile = a_profile(mail, server_type)
    error = failure(lambda: listed(connect, profile, ANNA))
    assert isinstance(error, AuthenticationFailed)
    assert not error.profile_wide
    assert listed(connect, profile, BEN) == ["for-ben"]


def test_a_wrong_secret_is_the_profiles_error_and_a_new_one_is_tried_at_once(mail: MailServer, connect: Connect) -> None:
    mail.add_application(APPLICATION, SECRET)
    profile = a_profile(mail)
    wrong = replace(profile.credentials, secret=SecretRef("wrong", "1"))
    error = failure(lambda: listed(connect, replace(profile, credentials=wrong)))
    assert isinstance(error, AuthenticationFailed)
    assert error.profile_wide
    assert listed(connect, profile) == ["for-anna"]


@BOTH
def test_a_revoked_token_is_replaced(mail: MailServer, connect: Connect, server_type: ServerType) -> None:
    mail.add_application(APPLICATION, SECRET)
    profile = a_profile(mail, server_type)
    for _ in range(2):
        assert listed(connect, profile) == ["for-anna"]
        mail.revoke_tokens()


@pytest.mark.parametrize("kind", ["unavailable", "connection_reset"])
def test_an_issuer_that_is_down_is_no_error_of_the_credentials(mail: MailServer, connect: Connect, kind: str) -> None:
    mail.add_application(APPLICATION, SECRET)
    mail.faults.add(kind, operation="Token")
    assert isinstance(failure(lambda: listed(connect, a_profile(mail))), TransientError)


def test_a_managed_identity_opens_mailboxes(mail: MailServer, connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IDENTITY_ENDPOINT", mail.identity_endpoint)
    monkeypatch.setenv("IDENTITY_HEADER", mail.identity_header)
    mail.add_managed_identity()
    profile = a_profile(mail, credential_source=CredentialSource.MANAGED_IDENTITY, credentials=Credentials())
    assert [listed(connect, profile, each) for each in (ANNA, BEN)] == [["for-anna"], ["for-ben"]]
    assert mail.requests.count("Token") == 1


# ---- service accounts of Google


@pytest.fixture(scope="module")
def key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


def key_file(key: rsa.RSAPrivateKey) -> str:
    """As Google gives it; where it says that tokens are issued, nobody must go."""
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    said = {"type": "service_account", "client_email": ROBOT, "private_key_id": "k1", "private_key": pem}
    return json.dumps(said | {"token_uri": "https://evil.example/token"})


def delegated(server: MailServer, secret: str, server_type: ServerType = ServerType.IMAP_SMTP) -> EmailServerProfile:
    credentials = Credentials(secret=SecretRef(secret, "1"), authority=authority_of(server))
    return a_profile(server, server_type, oauth_provider=OAuthProvider.GOOGLE, credentials=credentials)


def registered(server: MailServer, key: rsa.RSAPrivateKey, *addresses: str) -> None:
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    server.add_application(ROBOT, certificate=public, impersonation=addresses or True)


@BOTH
def test_a_service_account_opens_each_mailbox_with_a_token_of_its_own(
    mail: MailServer, connect: Connect, key: rsa.RSAPrivateKey, server_type: ServerType
) -> None:
    registered(mail, key)
    profile = delegated(mail, key_file(key), server_type)
    assert [listed(connect, profile, each) for each in (ANNA, BEN, ANNA)] == [["for-anna"], ["for-ben"], ["for-anna"]]
    assert mail.requests.count("Token") == 2


def test_a_mailbox_that_was_not_delegated_does_not_stop_the_others(
    mail: MailServer, connect: Connect, key: rsa.RSAPrivateKey
) -> None:
    registered(mail, key, BEN)
    profile = delegated(mail, key_file(key))
    error = failure(lambda: listed(connect, profile, ANNA))
    assert isinstance(error, AuthenticationFailed)
    assert not error.profile_wide
    assert listed(connect, profile, BEN) == ["for-ben"]


def test_a_key_that_is_not_registered_is_the_profiles_error(mail: MailServer, connect: Connect, key: rsa.RSAPrivateKey) -> None:
    registered(mail, rsa.generate_private_key(65537, 2048))
    error = failure(lambda: listed(connect, delegated(mail, key_file(key))))
    assert isinstance(error, AuthenticationFailed)
    assert error.profile_wide


@pytest.mark.parametrize("secret", ["", "no JSON", "[]", "{}", '{"client_email": "a", "private_key": "b"}'])
def test_a_secret_that_is_no_key_asks_nobody(mail: MailServer, connect: Connect, secret: str) -> None:
    error = failure(lambda: listed(connect, delegated(mail, secret)))
    assert isinstance(error, AuthenticationFailed)
    assert error.profile_wide
    assert mail.requests.count("Token") == 0


# ---- what a worker keeps


def test_threads_that_need_a_token_at_once_ask_once(mail: MailServer, key: rsa.RSAPrivateKey) -> None:
    mail.add_application(APPLICATION, SECRET)
    registered(mail, key)
    identities = Identities()

    def token(profile: EmailServerProfile) -> str:
        signs_in = sign_in_for(profile, a_mailbox(ANNA), KnownSecrets(), identities, allow_local_servers=True)
        assert isinstance(signs_in, Token)
        return signs_in.tokens.token()

    for number, profile in enumerate((a_profile(mail), delegated(mail, key_file(key)))):
        with ThreadPoolExecutor(8) as threads:
            assert len(set(threads.map(token, [profile] * 16))) == 1
        assert mail.requests.count("Token") == number + 1


def test_the_identities_that_are_kept_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shared.connectors.internet.sign_in.MOST_IDENTITIES", 2)
    identities = Identities()
    made = [identities.tokens(("key", number), lambda: Unused()) for number in range(3)]
    assert identities.tokens(("key", 2), lambda: Unused()) is made[2]
    assert identities.tokens(("key", 0), lambda: Unused()) is not made[0]


class Unused:
    def token(self) -> str:
        return ""

    def forget(self) -> None:
        """Nothing is kept."""
