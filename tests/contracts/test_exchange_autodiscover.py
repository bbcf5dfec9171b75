"""Autodiscover over real sockets: where a mailbox is gets found out, and credentials never leave the profile's domains."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from threading import Event
from typing import Any
from unittest.mock import patch
from urllib.parse import urlsplit

import pytest
from urllib3.util import connection

from local.mailserver import MailServer
from local.mailserver.autodiscover import AutodiscoverEndpoint
from shared.connectors.connect import Connect
from shared.connectors.destinations import LocationRefused
from shared.connectors.exchange.autodiscover import NoDomain, NotDiscovered
from shared.connectors.probe import ProbeIncoming
from shared.domain.choices import AuthenticationProtocol, CredentialSource, ServerType
from shared.domain.configuration import Credentials, Discovered, EmailServerProfile, Mailbox, SecretRef
from shared.domain.errors import (
    AuthenticationFailed,
    MailboxNotFound,
    NameNotFound,
    NoMailServer,
    SyncError,
    Throttled,
    TransientError,
    Unreachable,
)
from shared.domain.folders import INBOX
from tests.builders import MONDAY
from tests.contracts.exchange_mailboxes import (
    SERVICE,
    KnownSecrets,
    ServedByExchange,
    a_mailbox,
    a_profile,
)


class Names:
    """A name service of this test: the names in it lead to the mail server, all others to nowhere."""

    def __init__(self, server: MailServer) -> None:
        self.known = {"autodiscover.contoso.example", "mail.contoso.example"}
        self.asked: list[str] = []
        self._port = urlsplit(server.https_url).port or 443
        self._connect = connection.create_connection

    def __call__(self, address: tuple[str, int], *arguments: Any, **others: Any) -> socket.socket:
        host, port = address
        self.asked.append(host)
        if host in self.known and port == 443:
            return self._connect(("127.0.0.1", self._port), *arguments, **others)
        if host.endswith(".example"):
            return self._connect(("no-such-host.invalid", port), *arguments, **others)
        return self._connect(address, *arguments, **others)


@pytest.fixture
def names(server: MailServer, monkeypatch: pytest.MonkeyPatch, trusting: None) -> Names:  # noqa: ARG001
    known = Names(server)
    monkeypatch.setattr(connection, "create_connection", known)
    return known


@pytest.fixture
def served(served: ServedByExchange, names: Names) -> ServedByExchange:  # noqa: ARG001
    served.server.whereabouts.ews_url = "https://mail.contoso.example/EWS/Exchange.asmx"
    return served


def a_roaming_profile(**changes: Any) -> EmailServerProfile:
    return a_profile(None, use_autodiscover=True, **changes)


def failure(connect: Connect, profile: EmailServerProfile, mailbox: Mailbox) -> SyncError:
    with pytest.raises(SyncError) as raised:
        connect.discover(profile, mailbox, MONDAY)
    return raised.value


# ---- found


@pytest.mark.parametrize(
    ("configured", "found"),
    [
        (AuthenticationProtocol.BASIC, AuthenticationProtocol.BASIC),
        (AuthenticationProtocol.NTLM, AuthenticationProtocol.NTLM),
        (AuthenticationProtocol.AUTO_DETECT, AuthenticationProtocol.NTLM),
    ],
)
def test_endpoint_version_and_authentication_are_found_out(
    connect: Connect, served: ServedByExchange, configured: AuthenticationProtocol, found: AuthenticationProtocol
) -> None:
    discovered = connect.discover(a_roaming_profile(authentication=configured), a_mailbox(served.address), MONDAY)
    assert discovered == Discovered("https://mail.contoso.example/EWS/Exchange.asmx", "15.2.1544.4", found, MONDAY)


def test_a_poll_of_a_mailbox_that_was_found_is_one_request(connect: Connect, served: ServedByExchange) -> None:
    profile = a_roaming_profile(authentication=AuthenticationProtocol.AUTO_DETECT)
    mailbox = a_mailbox(served.address)
    discovered = connect.discover(profile, mailbox, MONDAY)
    asked = served.server.requests.count("GetUserSettings")
    other = Connect(KnownSecrets(), allow_local_servers=True)
    with other(profile, mailbox, discovered) as mail:
        mail.changes(INBOX, None)
        before = len(served.server.requests)
        mail.changes(INBOX, None)
    other.close()
    assert len(served.server.requests) == before + 1
    assert served.server.requests.count("GetUserSettings") == asked
    assert served.server.requests.of("SyncFolderItems")[-1].username == SERVICE, "NTLM, which was found, and not detected"


def test_the_domain_itself_is_asked_where_it_has_no_autodiscover_name(
    connect: Connect, served: ServedByExchange, names: Names
) -> None:
    names.known = {"contoso.example", "mail.contoso.example"}
    assert connect.discover(a_roaming_profile(), a_mailbox(served.address), MONDAY).endpoint.startswith("https://mail.")
    assert names.asked[:2] == ["autodiscover.contoso.example", "contoso.example"]


def test_a_redirect_within_the_domain_is_followed(connect: Connect, served: ServedByExchange, names: Names) -> None:
    names.known.add("hub.contoso.example")
    served.server.whereabouts.redirect_url = "https://hub.contoso.example/autodiscover/autodiscover.svc"
    with redirecting_once(served.server):
        assert connect.discover(a_roaming_profile(), a_mailbox(served.address), MONDAY)
    assert "hub.contoso.example" in names.asked


@contextmanager
def redirecting_once(server: MailServer) -> Iterator[None]:
    """The next answer redirects, the one after it does not."""
    real = AutodiscoverEndpoint._answer

    def answer(self: AutodiscoverEndpoint, *arguments: str) -> object:
        given = real(self, *arguments)
        server.whereabouts.redirect_url = server.whereabouts.location = None
        return given

    with patch.object(AutodiscoverEndpoint, "_answer", answer):
        yield


def test_an_http_redirect_within_the_domain_is_followed(connect: Connect, served: ServedByExchange, names: Names) -> None:
    names.known.add("hub.contoso.example")
    served.server.whereabouts.location = "https://hub.contoso.example/autodiscover/autodiscover.svc"
    with redirecting_once(served.server):
        assert connect.discover(a_roaming_profile(), a_mailbox(served.address), MONDAY)
    assert "hub.contoso.example" in names.asked


def test_exchange_online_is_where_it_always_is(connect: Connect, served: ServedByExchange, names: Names) -> None:
    credentials = Credentials(client_id="app", tenant_id="t", secret=SecretRef("s", "1"), authority="login.microsoftonline.us")
    profile = a_roaming_profile(
        server_type=ServerType.EXCHANGE_ONLINE,
        authentication=AuthenticationProtocol.OAUTH,
        credential_source=CredentialSource.APPLICATION,
        credentials=credentials,
    )
    found = connect.discover(profile, a_mailbox(served.address), MONDAY)
    assert found.endpoint == "https://outlook.office365.us/EWS/Exchange.asmx"
    assert names.asked == []


def test_a_probe_uses_what_was_found(connect: Connect, served: ServedByExchange) -> None:
    profile, mailbox = a_roaming_profile(), a_mailbox(served.address)
    ProbeIncoming(connect)(profile, mailbox, connect.discover(profile, mailbox, MONDAY))
    assert served.server.requests.count("SyncFolderItems") == 1


# ---- where credentials do not go


OUTSIDE = "https://mail.fabrikam.example/EWS/Exchange.asmx"


@pytest.mark.parametrize("kind", ["ews_url", "redirect_url", "location"])
@pytest.mark.parametrize(
    "url",
    [
        OUTSIDE,
        "https://contoso.example.fabrikam.example/EWS/Exchange.asmx",
        "https://evilcontoso.example/EWS/Exchange.asmx",
        "https://mail.contoso.example@mail.fabrikam.example/EWS/Exchange.asmx",
        "ftp://mail.contoso.example/EWS/Exchange.asmx",
        "https://169.254.169.254/EWS/Exchange.asmx",
    ],
)
def test_a_host_outside_the_domains_of_the_profile_is_never_asked(
    connect: Connect, served: ServedByExchange, names: Names, kind: str, url: str
) -> None:
    setattr(served.server.whereabouts, kind, url)
    assert isinstance(failure(connect, a_roaming_profile(), a_mailbox(served.address)), LocationRefused)
    assert set(names.asked) == {"autodiscover.contoso.example"}


def test_an_address_of_another_domain_does_not_get_the_password_of_the_profile(connect: Connect, names: Names) -> None:
    names.known.add("autodiscover.fabrikam.example")
    failure(connect, a_roaming_profile(), a_mailbox("collector@fabrikam.example"))
    assert "autodiscover.fabrikam.example" not in names.asked
    assert set(names.asked) == {"autodiscover.contoso.example"}, "who signs in knows where the mailboxes of the profile are"


def test_the_password_of_a_mailbox_does_not_follow_its_address(
    connect: Connect, served: ServedByExchange, names: Names
) -> None:
    served.server.add_account(served.address, "own password", mailbox=served.address)
    profile = a_roaming_profile(username=None, credential_source=CredentialSource.MAILBOX)
    own = Credentials(username=served.address, secret=SecretRef("own password", "1"))
    found = connect.discover(profile, a_mailbox(served.address, own), MONDAY)
    names.known.add("autodiscover.fabrikam.example")
    moved = a_mailbox("anna@fabrikam.example", own)
    failure(connect, profile, moved)
    with suppress(SyncError), connect(profile, moved, found) as mail:
        mail.changes(INBOX, None)
    assert not [name for name in names.asked if name.endswith("fabrikam.example")]


@pytest.mark.parametrize("tenant", ["contoso.example", "0f0d3b2c-5c5c-4b7e-9e0a-2f4d5d3c9a11"])
def test_a_token_goes_to_the_domain_of_the_tenant_or_nowhere(
    connect: Connect, served: ServedByExchange, names: Names, tenant: str
) -> None:
    authority = urlsplit(served.server.https_url).netloc
    names.known |= {"autodiscover.fabrikam.example"}
    served.server.add_application("app", "app secret")
    profile = a_roaming_profile(
        authentication=AuthenticationProtocol.OAUTH,
        credential_source=CredentialSource.APPLICATION,
        credentials=Credentials(client_id="app", tenant_id=tenant, secret=SecretRef("app secret", "1"), authority=authority),
    )
    error = failure(connect, profile, a_mailbox("anna@fabrikam.example"))
    assert isinstance(error, NoDomain) == (tenant != "contoso.example")
    assert {name for name in names.asked if name.endswith(".example")} <= {"autodiscover.contoso.example", "contoso.example"}


def test_what_was_found_before_is_not_used_where_it_is_outside_now(connect: Connect, served: ServedByExchange) -> None:
    found = Discovered(OUTSIDE, "15.2.1544.4", AuthenticationProtocol.BASIC, MONDAY)
    with (
        pytest.raises(LocationRefused, match=r"mail\.fabrikam\.example"),
        connect(a_roaming_profile(), a_mailbox(served.address), found),
    ):
        pass


def test_this_machine_is_not_asked_unless_that_is_allowed(served: ServedByExchange) -> None:
    strict = Connect(KnownSecrets(), allow_local_servers=False)
    error = failure(strict, a_roaming_profile(), a_mailbox(served.address))
    strict.close()
    assert isinstance(error, LocationRefused)
    assert len(served.server.requests) == 0


def test_a_circle_of_redirects_ends(connect: Connect, served: ServedByExchange) -> None:
    served.server.whereabouts.redirect_url = "https://autodiscover.contoso.example/autodiscover/autodiscover.svc"
    failure(connect, a_roaming_profile(), a_mailbox(served.address))
    assert served.server.requests.count("GetUserSettings") <= 2


# ---- not found


def test_wrong_credentials_are_taken_to_one_host_and_once(connect: Connect, served: ServedByExchange, names: Names) -> None:
    names.known.add("contoso.example")
    for _ in range(3):
        error = failure(connect, a_roaming_profile(secret="wrong"), a_mailbox(served.address))
        assert isinstance(error, AuthenticationFailed)
        assert error.profile_wide
    assert served.server.requests.count("GetUserSettings") == 1
    assert names.asked == ["autodiscover.contoso.example"]


def test_a_domain_that_nobody_knows_is_named(connect: Connect, served: ServedByExchange, names: Names) -> None:
    names.known = set()
    assert isinstance(failure(connect, a_roaming_profile(), a_mailbox(served.address)), NameNotFound)


def test_an_address_without_a_domain_asks_nobody(connect: Connect, names: Names) -> None:
    assert isinstance(failure(connect, a_roaming_profile(username="CONTOSO\\sync"), a_mailbox("anna")), NotDiscovered)
    assert names.asked == []


FAULTS: list[tuple[str, str, type[SyncError]]] = [
    ("error", "InvalidDomain", NotDiscovered),
    ("error", "ServerBusy", Throttled),
    ("error", "InternalServerError", TransientError),
    ("error", "BrandNew", TransientError),
    ("nonsense_reply", "", NoMailServer),
    ("connection_reset", "", Unreachable),
    ("unavailable", "", TransientError),
]


@pytest.mark.parametrize(("kind", "code", "expected"), FAULTS)
def test_what_autodiscover_answers_instead_says_what_to_do(
    connect: Connect, served: ServedByExchange, kind: str, code: str, expected: type[SyncError]
) -> None:
    served.server.faults.add(kind, operation="GetUserSettings", code=code)
    assert isinstance(failure(connect, a_roaming_profile(), a_mailbox(served.address)), expected)


def test_a_mailbox_that_the_server_does_not_know_is_named(connect: Connect, served: ServedByExchange) -> None:
    assert isinstance(failure(connect, a_roaming_profile(), a_mailbox("nobody@contoso.example")), MailboxNotFound)
    served.server.whereabouts.redirect_address = "anna@fabrikam.example"
    assert isinstance(failure(connect, a_roaming_profile(), a_mailbox(served.address)), NotDiscovered)


def test_it_takes_no_longer_than_the_profile_allows(
    connect: Connect, served: ServedByExchange, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop = Event()
    monkeypatch.setattr("local.mailserver.autodiscover._mailbox_of", lambda _: stop.wait(5) and None)
    try:
        error = failure(connect, a_roaming_profile(timeout=timedelta(seconds=0.3)), a_mailbox(served.address))
    finally:
        stop.set()
    assert isinstance(error, Unreachable)
