"""Who signs in to Exchange and how, and that a refused credential is tried once, whoever asks."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from urllib.parse import urlsplit

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from local.mailserver import MailServer
from shared.connectors.connect import Connect, ServerTypeUnsupported
from shared.connectors.exchange.destination import LocationRefused
from shared.domain.choices import AuthenticationProtocol, CredentialSource, ServerType
from shared.domain.configuration import Credentials, EmailServerProfile, SecretRef
from shared.domain.email import INBOX
from shared.domain.errors import (
    AccessDenied,
    AuthenticationFailed,
    Disabled,
    MailboxNotFound,
    TransientError,
    Unreachable,
)
from tests.contracts.exchange_mailboxes import (
    PASSWORD,
    SERVICE,
    KnownSecrets,
    ServedByExchange,
    a_mailbox,
    a_new_mailbox,
    a_profile,
    failure,
    listed,
)
from tests.contracts.incoming_email import a_message

APPLICATION = "5f2c1f0e-6d1c-4f0d-9d9c-2f6f5f0f7a01"
APPLICATION_SECRET = "app secret"


# ---- ways of signing in


@pytest.mark.parametrize(
    "authentication", [AuthenticationProtocol.BASIC, AuthenticationProtocol.NTLM, AuthenticationProtocol.NEGOTIATE]
)
def test_a_service_account_signs_in(connect: Connect, served: ServedByExchange, authentication: AuthenticationProtocol) -> None:
    served.deliver(bytes(a_message("m1")))
    assert listed(connect, a_profile(served.server.ews_url, authentication=authentication), served.address) == ["m1"]


def test_a_connection_that_ntlm_signed_in_is_used_again(connect: Connect, served: ServedByExchange) -> None:
    profile = a_profile(served.server.ews_url, authentication=AuthenticationProtocol.NTLM)
    listed(connect, profile, served.address)
    before = len(served.server.requests)
    listed(connect, profile, served.address)
    assert len(served.server.requests) == before + 1


def test_a_password_may_hold_any_character(connect: Connect, served: ServedByExchange) -> None:
    served.server.add_account("zoë", "pässwörd:東京", impersonation=True)
    assert listed(connect, a_profile(served.server.ews_url, username="zoë", secret="pässwörd:東京"), served.address) == []


@pytest.mark.parametrize(("schemes", "offered"), [(("ntlm", "basic", "bearer"), "NTLM"), (("basic",), "BASIC")])
def test_the_kind_of_authentication_is_detected_once(connect: Connect, schemes: tuple[str, ...], offered: str) -> None:
    with MailServer(schemes=schemes) as server:
        server.add_account(SERVICE, PASSWORD, impersonation=True)
        served = a_new_mailbox(server)
        profile = a_profile(server.ews_url, authentication=AuthenticationProtocol.AUTO_DETECT)
        assert listed(connect, profile, served.address) == [], offered
        before = len(server.requests)
        assert listed(connect, profile, served.address) == []
        assert len(server.requests) == before + 1


def test_a_server_that_offers_nothing_known_is_told(connect: Connect) -> None:
    with MailServer(schemes=("bearer",)) as server:
        server.add_account(SERVICE, PASSWORD, impersonation=True)
        profile = a_profile(server.ews_url, authentication=AuthenticationProtocol.AUTO_DETECT)
        error = failure(lambda: listed(connect, profile, a_new_mailbox(server).address))
    assert isinstance(error, AuthenticationFailed)


class EndlessRefusal(BaseHTTPRequestHandler):
    """401, and a body that goes on for as long as somebody reads."""

    sent = 0

    def do_POST(self) -> None:
        self.send_response(401)
        self.send_header("WWW-Authenticate", 'Basic realm="mail"')
        self.end_headers()
        with suppress(ConnectionError):
            while EndlessRefusal.sent < 256 << 20:
                EndlessRefusal.sent += self.wfile.write(bytes(1 << 16))

    def log_message(self, *_: object) -> None:
        """Quietly."""


def test_detecting_reads_no_more_than_headers(connect: Connect) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), EndlessRefusal) as server:
        Thread(target=server.serve_forever).start()
        location = f"http://127.0.0.1:{server.server_port}/EWS/Exchange.asmx"
        profile = a_profile(location, authentication=AuthenticationProtocol.AUTO_DETECT)
        assert isinstance(failure(lambda: listed(connect, profile, "anna@contoso.example")), AuthenticationFailed)
        server.shutdown()
    assert EndlessRefusal.sent < 32 << 20


def test_a_mailbox_signs_in_with_its_own_credentials(connect: Connect, served: ServedByExchange) -> None:
    served.server.add_account(served.address, "own password", mailbox=served.address)
    profile = a_profile(served.server.ews_url, username=None, credential_source=CredentialSource.MAILBOX)
    own = Credentials(username=served.address, secret=SecretRef("own password", "1"))
    assert listed(connect, profile, served.address, own) == []
    wrong = Credentials(username=served.address, secret=SecretRef("wrong", "1"))
    error = failure(lambda: listed(connect, profile, served.address, wrong))
    assert isinstance(error, AuthenticationFailed)
    assert not error.profile_wide


# ---- tokens


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


# ---- refused


def test_a_wrong_password_is_tried_once_for_all_mailboxes_of_the_profile(connect: Connect, served: ServedByExchange) -> None:
    addresses = [served.address, *(a_new_mailbox(served.server).address for _ in range(9))]
    profile = a_profile(served.server.ews_url, secret="wrong")
    with ThreadPoolExecutor(5) as threads:
        errors = list(threads.map(lambda address: failure(lambda: listed(connect, profile, address)), addresses))
    assert all(isinstance(error, AuthenticationFailed) and error.profile_wide for error in errors)
    assert len(served.server.requests) == 1


def test_a_wrong_password_is_tried_once_over_ntlm_too(connect: Connect, served: ServedByExchange) -> None:
    profile = a_profile(served.server.ews_url, secret="wrong", authentication=AuthenticationProtocol.NTLM)
    for _ in range(3):
        assert isinstance(failure(lambda: listed(connect, profile, served.address)), AuthenticationFailed)
    assert len(served.server.requests) == 3, "unsigned, negotiated, refused"


def test_a_new_version_of_the_secret_is_tried_at_once(connect: Connect, served: ServedByExchange) -> None:
    failure(lambda: listed(connect, a_profile(served.server.ews_url, secret="wrong"), served.address))
    right = a_profile(served.server.ews_url, version="2")
    assert listed(connect, right, served.address) == []


def test_what_worked_before_is_refused_once_after_the_password_changed(connect: Connect, served: ServedByExchange) -> None:
    profile = a_profile(served.server.ews_url)
    assert listed(connect, profile, served.address) == []
    served.server.add_account(SERVICE, "another password", impersonation=True)
    before = len(served.server.requests)
    for _ in range(3):
        assert isinstance(failure(lambda: listed(connect, profile, served.address)), AuthenticationFailed)
    assert len(served.server.requests) == before + 1


def test_a_secret_that_is_not_stored_asks_nobody(connect: Connect, served: ServedByExchange) -> None:
    error = failure(lambda: listed(connect, a_profile(served.server.ews_url, secret="absent"), served.address))
    assert isinstance(error, AuthenticationFailed)
    assert len(served.server.requests) == 0


def test_an_account_may_only_impersonate_whom_it_may(connect: Connect, served: ServedByExchange) -> None:
    served.server.add_account("limited", PASSWORD, impersonation=["somebody.else@contoso.example"])
    profile = a_profile(served.server.ews_url, username="limited")
    assert isinstance(failure(lambda: listed(connect, profile, served.address)), AccessDenied)


def test_a_delegate_needs_access_to_the_mailbox(connect: Connect, served: ServedByExchange) -> None:
    served.server.add_account("delegate", PASSWORD, full_access=[served.address])
    profile = a_profile(served.server.ews_url, username="delegate", use_impersonation=False)
    assert listed(connect, profile, served.address) == []
    assert isinstance(failure(lambda: listed(connect, profile, a_new_mailbox(served.server).address)), AccessDenied)


def test_a_mailbox_that_is_not_there_or_disabled_is_told(connect: Connect, served: ServedByExchange) -> None:
    profile = a_profile(served.server.ews_url)
    assert isinstance(failure(lambda: listed(connect, profile, "nobody@contoso.example")), MailboxNotFound)
    served.server.set_mailbox_enabled(served.address, False)
    assert isinstance(failure(lambda: listed(connect, profile, served.address)), Disabled)


# ---- where a connection may go


def test_a_local_server_is_refused_before_a_byte_is_sent(served: ServedByExchange) -> None:
    strict = Connect(KnownSecrets(), allow_local_servers=False)
    for location in (served.server.ews_url, f"{served.server.https_url}/EWS/Exchange.asmx"):
        error = failure(lambda location=location: listed(strict, a_profile(location), served.address))
        assert isinstance(error, LocationRefused)
    strict.close()
    assert len(served.server.requests) == 0


def test_a_certificate_that_nobody_vouches_for_is_not_accepted(connect: Connect, served: ServedByExchange) -> None:
    profile = a_profile(f"{served.server.https_url}/EWS/Exchange.asmx")
    assert isinstance(failure(lambda: listed(connect, profile, served.address)), Unreachable)
    assert len(served.server.requests) == 0


@pytest.mark.usefixtures("trusting")
@pytest.mark.parametrize("authentication", [AuthenticationProtocol.BASIC, AuthenticationProtocol.NTLM])
def test_a_trusted_certificate_is_accepted(
    connect: Connect, served: ServedByExchange, authentication: AuthenticationProtocol
) -> None:
    profile = a_profile(f"{served.server.https_url}/EWS/Exchange.asmx", authentication=authentication)
    assert listed(connect, profile, served.address) == []


def test_credentials_do_not_follow_a_redirect(
    connect: Connect, served: ServedByExchange, monkeypatch: pytest.MonkeyPatch
) -> None:
    from local.mailserver.ews.endpoint import EwsEndpoint
    from local.mailserver.web import Reply

    location = f"http://127.0.0.2:{urlsplit(served.server.ews_url).port}/EWS/Exchange.asmx"
    monkeypatch.setattr(EwsEndpoint, "handle", lambda *_: Reply(302, headers=[("Location", location)]))
    assert isinstance(failure(lambda: listed(connect, a_profile(served.server.ews_url), served.address)), Unreachable)


@pytest.mark.parametrize("server_type", [ServerType.POP3_SMTP, ServerType.IMAP_SMTP])
def test_a_server_type_without_a_connector_is_named(connect: Connect, server_type: ServerType) -> None:
    profile = a_profile("https://mail.contoso.example", server_type=server_type)
    with pytest.raises(ServerTypeUnsupported, match=server_type.name):
        connect(profile, a_mailbox("anna@contoso.example"))


def test_the_inbox_of_the_mailbox_is_what_is_watched(connect: Connect, served: ServedByExchange) -> None:
    with connect(a_profile(served.server.ews_url), a_mailbox(served.address)) as incoming:
        assert list(incoming.folders()) == [INBOX]
        assert served.address in incoming.source
    assert len(served.server.requests) == 0
