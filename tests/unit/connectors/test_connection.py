"""Connections to POP3 and IMAP servers: real sockets on this machine, and a certificate that this machine trusts."""

import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from threading import Thread

import pytest

from local.mailserver.tls import server_context
from shared.connectors import destinations
from shared.connectors.destinations import LocationRefused
from shared.connectors.internet.connection import Security, Server, mapped, open_connection, server_of, with_tls
from shared.domain.errors import (
    CertificateRefused,
    ConnectionRefused,
    NameNotFound,
    NoAnswer,
    NoTls,
    SyncError,
    TransientError,
    Unreachable,
)
from tests.builders import a_profile

SOON = timedelta(seconds=30)


@pytest.fixture
def context(tmp_path: Path) -> ssl.SSLContext:
    return server_context(tmp_path)[0]


@pytest.fixture
def trusted(tmp_path: Path, context: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:  # noqa: ARG001
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "certificate.pem"))
    destinations.tls_context.cache_clear()
    yield
    destinations.tls_context.cache_clear()


@contextmanager
def a_listener(context: ssl.SSLContext | None = None, says: bytes = b"") -> Iterator[int]:
    """A server that greets whoever connects, and echoes one line."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            with suppress(OSError):
                connection, _ = listening.accept()
                with connection:
                    spoken = context.wrap_socket(connection, server_side=True) if context else connection
                    with spoken:
                        spoken.sendall(says)
                        spoken.recv(100)

        thread = Thread(target=serve)
        thread.start()
        try:
            yield listening.getsockname()[1]
        finally:
            with suppress(OSError):
                socket.create_connection(listening.getsockname(), 1).close()
            thread.join(5)


def opened(host: str, port: int, security: Security, *, local: bool = True, timeout: timedelta = SOON) -> bytes:
    with open_connection(Server(host, port, security), timeout, allow_local_servers=local) as connection:
        return connection.recv(100)


def failure(
    host: str, port: int, security: Security = Security.TLS, *, local: bool = True, timeout: timedelta = SOON
) -> SyncError:
    with pytest.raises(SyncError) as raised:
        opened(host, port, security, local=local, timeout=timeout)
    return raised.value


# ---- which server


def server(**fields: object) -> Server:
    profile = a_profile(incoming_location="mail.contoso.example", **fields)
    return server_of(profile, tls_port=995, port=110, allow_local_servers=True)


def test_tls_from_the_start_tls_on_request_and_none_have_their_ports() -> None:
    assert server() == Server("mail.contoso.example", 995, Security.TLS)
    assert server(incoming_starttls=True) == Server("mail.contoso.example", 110, Security.UPGRADE)
    assert server(incoming_use_tls=False) == Server("mail.contoso.example", 110, Security.NONE)
    assert server(incoming_port=1995).port == 1995


def test_without_tls_nobody_is_asked_unless_local_servers_are_allowed() -> None:
    profile = a_profile(incoming_location="mail.contoso.example", incoming_use_tls=False)
    with pytest.raises(LocationRefused):
        server_of(profile, tls_port=995, port=110, allow_local_servers=False)


@pytest.mark.parametrize(
    "location",
    [None, "  ", "https://mail.contoso.example", "mail.contoso.example:995", "a@mail.contoso.example", "a b", "a\r\nb", ".a"],
)
def test_a_location_that_is_no_host_name_is_refused(location: str | None) -> None:
    with pytest.raises(LocationRefused) as raised:
        server_of(a_profile(incoming_location=location), tls_port=995, port=110, allow_local_servers=True)
    assert "host name" in raised.value.remedy


@pytest.mark.parametrize(("written", "host"), [(" Mail.Contoso.Example. ", "mail.contoso.example"), ("[::1]", "::1")])
def test_a_host_is_told_by_one_name(written: str, host: str) -> None:
    assert server_of(a_profile(incoming_location=written), tls_port=1, port=2, allow_local_servers=True).host == host


# ---- connecting


@pytest.mark.usefixtures("trusted")
def test_a_trusted_server_is_spoken_to_over_tls(context: ssl.SSLContext) -> None:
    with a_listener(context, b"+OK") as port:
        assert opened("localhost", port, Security.TLS) == b"+OK"


@pytest.mark.usefixtures("trusted")
def test_a_connection_in_the_clear_turns_to_tls(context: ssl.SSLContext) -> None:
    with a_listener(context, b"+OK") as port:
        to = Server("localhost", port, Security.UPGRADE)
        with with_tls(open_connection(to, SOON, allow_local_servers=True), to) as connection:
            assert connection.recv(100) == b"+OK"


@pytest.mark.usefixtures("trusted")
def test_a_certificate_for_another_name_is_refused(context: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch) -> None:
    with a_listener(context) as port:
        local = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: local)
        assert isinstance(failure("mail.fabrikam.example", port), CertificateRefused)


def test_a_certificate_that_nobody_vouches_for_is_refused(context: ssl.SSLContext) -> None:
    with a_listener(context) as port:
        assert isinstance(failure("localhost", port), CertificateRefused)


def test_what_speaks_no_tls_is_told_as_that() -> None:
    with a_listener(says=b"+OK in the clear\r\n") as port:
        assert isinstance(failure("127.0.0.1", port), NoTls)


def test_who_connects_and_hears_nothing_has_no_answer() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        assert isinstance(failure("127.0.0.1", port, timeout=timedelta(seconds=0.2)), NoAnswer)


def test_where_nobody_listens_the_connection_is_refused(closed_port: int) -> None:
    assert isinstance(failure("127.0.0.1", closed_port), ConnectionRefused)


@pytest.mark.parametrize("host", ["no-such-host.invalid", "a" * 70 + ".example", "a..b"])
def test_a_name_that_is_not_known_is_told_as_that(host: str) -> None:
    assert isinstance(failure(host, 995), NameNotFound)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::ffff:127.0.0.1"])
def test_this_machine_is_not_spoken_to_unless_allowed(host: str) -> None:
    with a_listener(says=b"+OK") as port:
        error = failure(host, port, Security.NONE, local=False)
        assert isinstance(error, LocationRefused)
        assert opened("127.0.0.1", port, Security.NONE) == b"+OK", "nobody had connected before"


@pytest.mark.parametrize("address", ["169.254.169.254", "168.63.129.16", "0.0.0.0"])  # noqa: S104 (to connect to)
def test_a_name_that_resolves_to_the_platform_is_refused_even_where_local_servers_are_allowed(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolved = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 995))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: resolved)
    assert isinstance(failure("mail.contoso.example", 995), LocationRefused)


def test_another_address_of_the_name_is_tried_where_one_does_not_answer(
    monkeypatch: pytest.MonkeyPatch, closed_port: int
) -> None:
    with a_listener(says=b"+OK") as port:
        addresses = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", each)) for each in (closed_port, port)]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: addresses)
        assert opened("mail.contoso.example", port, Security.NONE) == b"+OK"


# ---- what connections raise


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (ConnectionResetError(), Unreachable),
        (BrokenPipeError(), Unreachable),
        (EOFError(), Unreachable),
        (TimeoutError(), NoAnswer),
        (ssl.SSLError("cut"), Unreachable),
        (ValueError(), TransientError),
    ],
)
def test_what_a_connection_raises_is_an_error_of_ours(error: Exception, kind: type[SyncError]) -> None:
    assert type(mapped(error, "reading")) is kind


def test_an_error_of_ours_stays_what_it_is() -> None:
    error = NoAnswer("late")
    assert mapped(error, "reading") is error
