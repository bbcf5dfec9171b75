"""Who signs in to Exchange and how, and that a refused credential is tried once, whoever asks."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from local.mailserver import MailServer
from shared.connectors.connect import Connect, ServerTypeUnsupported
from shared.domain.choices import AuthenticationProtocol, CredentialSource, ServerType
from shared.domain.configuration import Credentials, SecretRef
from shared.domain.errors import (
    AccessDenied,
    AuthenticationFailed,
    Disabled,
    MailboxNotFound,
)
from shared.domain.folders import INBOX
from tests.contracts.exchange_mailboxes import (
    PASSWORD,
    SERVICE,
    ServedByExchange,
    a_mailbox,
    a_new_mailbox,
    a_profile,
    failure,
    listed,
)
from tests.contracts.incoming_email import a_message

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


def test_a_server_that_offers_something_else_by_now_is_asked_anew_after_one_refusal(connect: Connect) -> None:
    with MailServer(schemes=("ntlm", "basic")) as server:
        server.add_account(SERVICE, PASSWORD, impersonation=True)
        served = a_new_mailbox(server)
        profile = a_profile(server.ews_url, authentication=AuthenticationProtocol.AUTO_DETECT)
        assert listed(connect, profile, served.address) == []
        server._ews._schemes = ("basic",)
        connect._pools().close()
        assert failure(lambda: listed(connect, profile, served.address)).calls_for_discovery
        assert listed(connect, profile, served.address) == []


def test_a_wrong_password_asks_the_server_only_once_more_what_it_offers(connect: Connect, served: ServedByExchange) -> None:
    profile = a_profile(served.server.ews_url, authentication=AuthenticationProtocol.AUTO_DETECT, secret="wrong")
    failure(lambda: listed(connect, profile, served.address))
    before = len(served.server.requests)
    for _ in range(3):
        assert not failure(lambda: listed(connect, profile, served.address)).calls_for_discovery
    assert len(served.server.requests) == before + 1


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


# ---- what is opened


@pytest.mark.parametrize("server_type", [ServerType.POP3_SMTP, ServerType.IMAP_SMTP])
def test_a_server_type_that_has_no_autodiscover_is_named(connect: Connect, server_type: ServerType) -> None:
    profile = a_profile("https://mail.contoso.example", server_type=server_type)
    with pytest.raises(ServerTypeUnsupported, match=server_type.name):
        connect.discover(profile, a_mailbox("anna@contoso.example"), datetime.now(UTC))


def test_the_inbox_of_the_mailbox_is_what_is_watched(connect: Connect, served: ServedByExchange) -> None:
    with connect(a_profile(served.server.ews_url), a_mailbox(served.address)) as incoming:
        assert list(incoming.folders()) == [INBOX]
        assert served.address in incoming.source
    assert len(served.server.requests) == 0
