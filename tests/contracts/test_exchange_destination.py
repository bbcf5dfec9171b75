"""Where a connection to Exchange may go: to the mail server, over TLS, and nowhere that credentials do not belong."""

import ipaddress
import socket
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import urlsplit

import pytest
from urllib3.util import connection

from shared.connectors import destinations
from shared.connectors.connect import Connect
from shared.connectors.destinations import LocationRefused
from shared.domain.choices import AuthenticationProtocol, CredentialSource
from shared.domain.configuration import Credentials
from shared.domain.errors import (
    Unreachable,
)
from tests.builders import MONDAY
from tests.contracts.exchange_mailboxes import (
    KnownSecrets,
    ServedByExchange,
    a_mailbox,
    a_profile,
    failure,
    listed,
)


def test_a_local_server_is_refused_before_a_byte_is_sent(served: ServedByExchange) -> None:
    strict = Connect(KnownSecrets(), allow_local_servers=False)
    for location in (served.server.ews_url, f"{served.server.https_url}/EWS/Exchange.asmx"):
        with pytest.raises(LocationRefused):
            listed(strict, a_profile(location), served.address)
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


# ---- the platform's metadata service


@dataclass
class Metadata:
    """A stand-in for it, which keeps what it was asked. Every test name leads there."""

    url: str
    asked: list[str] = field(default_factory=list)


@pytest.fixture
def metadata(monkeypatch: pytest.MonkeyPatch) -> Iterator[Metadata]:
    """It has an address of its own on this machine, which is no loopback for as long as the test goes on."""
    address = "127.0.0.9"
    services = destinations._METADATA_SERVICES | {ipaddress.ip_address("203.0.113.9")}
    meant = destinations._meant

    def as_metadata(ip: ipaddress.IPv4Address | ipaddress.IPv6Address) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
        return ipaddress.ip_address("203.0.113.9") if str(ip) == address else meant(ip)

    monkeypatch.setattr(destinations, "_METADATA_SERVICES", services)
    monkeypatch.setattr(destinations, "_meant", as_metadata)
    real = connection.create_connection

    def resolved(to: tuple[str, int], *arguments: Any, **others: Any) -> socket.socket:
        host, port = to
        return real((address if host.endswith(".example") else host, port), *arguments, **others)

    monkeypatch.setattr(connection, "create_connection", resolved)

    class Service(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            stand_in.asked.append(self.path)
            self.send_error(404)

        def do_GET(self) -> None:
            stand_in.asked.append(self.path)
            body = b'{"access_token": "T1", "expires_in": "3600", "resource": "x"}'
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Quietly."""

    with ThreadingHTTPServer((address, 0), Service) as server:
        stand_in = Metadata(f"http://{address}:{server.server_port}")
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield stand_in
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("authentication", [AuthenticationProtocol.BASIC, AuthenticationProtocol.AUTO_DETECT])
@pytest.mark.parametrize("host", ["mail.contoso.example", "127.0.0.9"])
def test_a_name_of_the_metadata_service_is_refused_even_where_local_servers_are_allowed(
    connect: Connect, metadata: Metadata, scheme: str, authentication: AuthenticationProtocol, host: str
) -> None:
    profile = a_profile(f"{scheme}://{host}:{urlsplit(metadata.url).port}/EWS/Exchange.asmx", authentication=authentication)
    assert isinstance(failure(lambda: listed(connect, profile, "anna@contoso.example")), LocationRefused)
    assert metadata.asked == []


def test_autodiscover_does_not_lead_to_it(connect: Connect, metadata: Metadata) -> None:
    profile = a_profile(None, use_autodiscover=True, incoming_port=urlsplit(metadata.url).port)
    error = failure(lambda: connect.discover(profile, a_mailbox("anna@contoso.example"), MONDAY))
    assert isinstance(error, LocationRefused)
    assert metadata.asked == []


def test_the_token_of_a_managed_identity_comes_from_it(
    connect: Connect, served: ServedByExchange, metadata: Metadata, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IDENTITY_ENDPOINT", f"{metadata.url}/msi/token")
    monkeypatch.setenv("IDENTITY_HEADER", "header")
    profile = a_profile(served.server.ews_url, credential_source=CredentialSource.MANAGED_IDENTITY, credentials=Credentials())
    failure(lambda: listed(connect, profile, served.address))
    assert len(metadata.asked) == 1
    assert metadata.asked[0].startswith("/msi/token")


# ---- replies that do not end


class EndlessRedirect(BaseHTTPRequestHandler):
    """302, and a body that goes on for as long as somebody reads."""

    sent = 0

    def do_POST(self) -> None:
        self.send_response(302)
        self.send_header("Location", "https://mail.fabrikam.example/EWS/Exchange.asmx")
        self.end_headers()
        with suppress(ConnectionError):
            while EndlessRedirect.sent < 256 << 20:
                EndlessRedirect.sent += self.wfile.write(bytes(1 << 16))

    def log_message(self, *_: object) -> None:
        """Quietly."""


def test_a_redirect_is_not_read_to_its_end(connect: Connect) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), EndlessRedirect) as server:
        Thread(target=server.serve_forever).start()
        profile = a_profile(f"http://127.0.0.1:{server.server_port}/EWS/Exchange.asmx")
        assert isinstance(failure(lambda: listed(connect, profile, "anna@contoso.example")), Unreachable)
        server.shutdown()
    assert EndlessRedirect.sent < 32 << 20
