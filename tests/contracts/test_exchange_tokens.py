"""Applications and managed identities sign in to Exchange with a token."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from urllib.parse import urlsplit

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from local.mailserver import MailServer
from shared.connectors.connect import Connect
from shared.domain.choices import AuthenticationProtocol, CredentialSource
from shared.domain.configuration import Credentials, EmailServerProfile, SecretRef
from shared.domain.errors import (
    AuthenticationFailed,
    TransientError,
)
from tests.contracts.exchange_mailboxes import (
    ServedByExchange,
    a_profile,
    failure,
    listed,
)
from tests.contracts.incoming_email import a_message

APPLICATION = "5f2c1f0e-6d1c-4f0d-9d9c-2f6f5f0f7a01"
APPLICATION_SECRET = "app secret"


def an_application_profile(server: MailServer, secret: str = APPLICATION_SECRET) -> EmailServerProfile:
    authority = urlsplit(server.https_url).netloc
    credentials = Credentials(
        client_id=APPLICATION, tenant_id="contoso.example", secret=SecretRef(secret, secret), authority=authority
    )
    return a_profile(
        f"{server.https_url}/EWS/Exchange.asmx",
        authentication=AuthenticationProtocol.OAUTH,
        credential_source=CredentialSource.APPLICATION,
        credentials=credentials,
    )


@pytest.mark.usefixtures("trusting")
def test_an_application_signs_in_by_its_client_secret_and_keeps_its_token(connect: Connect, served: ServedByExchange) -> None:
    served.server.add_application(APPLICATION, APPLICATION_SECRET)
    served.deliver(bytes(a_message("m1")))
    for _ in range(3):
        assert listed(connect, an_application_profile(served.server), served.address) == ["m1"]
    assert served.server.requests.count("Token") == 1


@pytest.mark.usefixtures("trusting")
def test_a_wrong_client_secret_is_the_profiles_error_and_is_tried_once(connect: Connect, served: ServedByExchange) -> None:
    served.server.add_application(APPLICATION, APPLICATION_SECRET)
    for _ in range(3):
        error = failure(lambda: listed(connect, an_application_profile(served.server, "wrong"), served.address))
        assert isinstance(error, AuthenticationFailed)
        assert error.profile_wide
    assert served.server.requests.count("Token") == 1
    assert listed(connect, an_application_profile(served.server), served.address) == [], "the new secret is tried at once"


@pytest.mark.usefixtures("trusting")
@pytest.mark.parametrize("kind", ["unavailable", "too_many_requests", "connection_reset"])
def test_an_issuer_of_tokens_that_is_down_is_not_an_error_of_the_credentials(
    connect: Connect, served: ServedByExchange, kind: str
) -> None:
    served.server.add_application(APPLICATION, APPLICATION_SECRET)
    served.server.faults.add(kind, operation="Token")
    error = failure(lambda: listed(connect, an_application_profile(served.server), served.address))
    assert isinstance(error, TransientError)


@pytest.mark.parametrize("client_id", [None, "managed-identity"])
def test_a_managed_identity_signs_in(
    connect: Connect, served: ServedByExchange, monkeypatch: pytest.MonkeyPatch, client_id: str | None
) -> None:
    monkeypatch.setenv("IDENTITY_ENDPOINT", served.server.identity_endpoint)
    monkeypatch.setenv("IDENTITY_HEADER", served.server.identity_header)
    served.server.add_managed_identity()
    profile = a_profile(
        served.server.ews_url,
        credential_source=CredentialSource.MANAGED_IDENTITY,
        credentials=Credentials(client_id=client_id),
    )
    served.deliver(bytes(a_message("m1")))
    assert listed(connect, profile, served.address) == ["m1"]
    assert listed(connect, profile, served.address) == ["m1"]
    assert served.server.requests.count("Token") == 1


def test_an_identity_that_the_platform_does_not_know_is_the_profiles_error(
    connect: Connect, served: ServedByExchange, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IDENTITY_ENDPOINT", served.server.identity_endpoint)
    monkeypatch.setenv("IDENTITY_HEADER", served.server.identity_header)
    profile = a_profile(served.server.ews_url, credential_source=CredentialSource.MANAGED_IDENTITY, credentials=Credentials())
    error = failure(lambda: listed(connect, profile, served.address))
    assert isinstance(error, AuthenticationFailed)
    assert error.profile_wide


@pytest.mark.usefixtures("trusting")
def test_a_revoked_token_is_replaced(connect: Connect, served: ServedByExchange) -> None:
    served.server.add_application(APPLICATION, APPLICATION_SECRET)
    assert listed(connect, an_application_profile(served.server), served.address) == []
    served.server.revoke_tokens()
    assert listed(connect, an_application_profile(served.server), served.address) == []


# ---- certificates


@cache
def a_certificate(number: int = 1, *, elliptic: bool = False) -> tuple[str, str]:
    """A private key and its certificate, both in PEM. `number` tells one from another."""
    key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey = (
        ec.generate_private_key(ec.SECP256R1()) if elliptic else rsa.generate_private_key(65537, 2048)
    )
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"sidesync {number}")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    return private, certificate.public_bytes(Encoding.PEM).decode()


def a_certified_profile(server: MailServer, pem: str, version: str = "1") -> EmailServerProfile:
    profile = an_application_profile(server)
    certified = replace(profile.credentials, secret=None, certificate=SecretRef(pem, version))
    return replace(profile, credentials=certified)


@pytest.mark.usefixtures("trusting")
@pytest.mark.parametrize("key_first", [True, False])
def test_an_application_signs_in_by_its_certificate(connect: Connect, served: ServedByExchange, key_first: bool) -> None:
    key, certificate = a_certificate()
    served.server.add_application(APPLICATION, certificate=certificate)
    served.deliver(bytes(a_message("m1")))
    profile = a_certified_profile(served.server, key + certificate if key_first else certificate + key)
    for _ in range(2):
        assert listed(connect, profile, served.address) == ["m1"]
    assert served.server.requests.count("Token") == 1


@pytest.mark.usefixtures("trusting")
def test_a_certificate_that_is_not_registered_is_tried_once_and_a_new_one_at_once(
    connect: Connect, served: ServedByExchange
) -> None:
    key, certificate = a_certificate()
    served.server.add_application(APPLICATION, certificate=certificate)
    for _ in range(2):
        error = failure(lambda: listed(connect, a_certified_profile(served.server, "".join(a_certificate(2))), served.address))
        assert isinstance(error, AuthenticationFailed)
        assert error.profile_wide
        assert "AADSTS700027" in str(error) or "less than an hour" in str(error)
    assert served.server.requests.count("Token") == 1
    assert listed(connect, a_certified_profile(served.server, key + certificate), served.address) == []


CANNOT_SIGN: dict[str, Callable[[], str]] = {
    "nothing": lambda: "",
    "no PEM": lambda: "nonsense",
    "a key alone": lambda: a_certificate()[0],
    "a certificate alone": lambda: a_certificate()[1],
    "another kind of key": lambda: "".join(a_certificate(elliptic=True)),
}


@pytest.mark.parametrize("what", CANNOT_SIGN)
def test_a_certificate_that_cannot_sign_asks_nobody(connect: Connect, served: ServedByExchange, what: str) -> None:
    profile = a_certified_profile(served.server, CANNOT_SIGN[what]())
    error = failure(lambda: listed(connect, profile, served.address))
    assert isinstance(error, AuthenticationFailed)
    assert len(served.server.requests) == 0
