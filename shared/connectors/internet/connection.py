"""Guarded connections to the servers of internet mail (POP3, IMAP): TLS now or on request, only to allowed destinations.

Knows no mail protocol: how a connection in the clear turns to TLS (STLS of RFC 2595, STARTTLS of RFC 3501) its connector says
to the server, and calls `with_tls` then.
"""

import errno
import socket
import ssl
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum, auto
from time import monotonic

from shared.connectors.destinations import KEPT_ALIVE, LocationRefused, is_refused, tls_context
from shared.domain.configuration import EmailServerProfile
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

_NO_HOST_NAME = frozenset("/@\\?#%,;\"'<>()*")


class Security(Enum):
    """When a connection turns to TLS."""

    TLS = auto()
    """Before anything is said (implicit TLS, RFC 8314)."""
    UPGRADE = auto()
    """On request (STLS, STARTTLS), before anybody signs in. A server that does not offer it gets no credentials."""
    NONE = auto()
    """Never; only where local servers are allowed."""


class HostRefused(LocationRefused):
    """As `LocationRefused`, of a server that goes by a host name."""

    remedy = (
        "Give the server location as the host name of the mail server, without a protocol or path, and its port by itself;"
        " local servers and connections without TLS are only for a set-up that allows local servers."
    )


@dataclass(frozen=True, slots=True)
class Server:
    """Where a mail server listens."""

    host: str
    """In lower case; certificates are checked against it. An IPv6 address stands without brackets."""
    port: int
    security: Security


def server_of(profile: EmailServerProfile, *, tls_port: int, port: int, allow_local_servers: bool) -> Server:
    """The server of the profile's incoming mail; `tls_port` and `port` are the protocol's own for TLS from the start and for
    what begins in the clear. Raises LocationRefused."""
    host = (profile.incoming_location or "").strip().rstrip(".").lower()
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    if not host:
        raise HostRefused("The profile names no server location.")
    if host.startswith(".") or _NO_HOST_NAME & set(host) or not host.isprintable() or " " in host or _has_port(host):
        raise HostRefused("The server location is no host name.")
    security = _security_of(profile)
    if security is Security.NONE and not allow_local_servers:
        raise HostRefused("The profile has no TLS, which is not allowed here.")
    return Server(host, profile.incoming_port or (tls_port if security is Security.TLS else port), security)


def _has_port(host: str) -> bool:
    """More colons are an IPv6 address."""
    return host.count(":") == 1


def _security_of(profile: EmailServerProfile) -> Security:
    if not profile.incoming_use_tls:
        return Security.NONE
    return Security.UPGRADE if profile.incoming_starttls else Security.TLS


def open_connection(server: Server, timeout: timedelta, *, allow_local_servers: bool) -> socket.socket:
    """A connection, over TLS already where the server's security is `Security.TLS`. `timeout` limits connecting all in all, and
    every later call of the socket by itself. Resolving a name has the limits of this machine.

    Raises LocationRefused, and why it did not come about: NameNotFound, ConnectionRefused, NoAnswer, NoTls,
    CertificateRefused, Unreachable."""
    connection = _connected(server, timeout, allow_local_servers=allow_local_servers)
    return with_tls(connection, server) if server.security is Security.TLS else connection


def with_tls(connection: socket.socket, server: Server) -> ssl.SSLSocket:
    """`connection` over TLS, the certificate verified for the server's name; closed where that fails. Whoever calls this throws
    away what was read in the clear and not looked at yet, and what the server said it can do: anybody may have written it.

    Raises CertificateRefused, NoTls, NoAnswer, Unreachable."""
    try:
        return tls_context().wrap_socket(connection, server_hostname=server.host)
    except Exception as error:
        connection.close()
        raise mapped(error, "TLS", during_handshake=True) from error


def mapped(error: Exception, operation: str, *, during_handshake: bool = False) -> SyncError:
    """The error for what a socket, TLS or the resolver raises; `operation` says what was tried. Raise it `from` the original.
    What this does not know is a TransientError."""
    message = f"{operation}: {type(error).__name__}"
    match error:
        case SyncError():
            return error
        case ssl.SSLCertVerificationError():
            return CertificateRefused(f"{message} ({error.verify_message})")
        case ssl.SSLError():
            return NoTls(message) if during_handshake else Unreachable(message)
        case socket.gaierror():
            return NameNotFound(message)
        case TimeoutError():
            return NoAnswer(message)
        case ConnectionRefusedError():
            return ConnectionRefused(message)
        case OSError() if error.errno is not None:
            return Unreachable(f"{message} {errno.errorcode.get(error.errno, error.errno)}")
        case OSError() | EOFError():
            return Unreachable(message)
        case _:
            return TransientError(message)


def _connected(server: Server, timeout: timedelta, *, allow_local_servers: bool) -> socket.socket:
    """To the first address of the name that answers. Addresses are numbers here: nothing is resolved a second time."""
    deadline = monotonic() + timeout.total_seconds()
    try:
        found = socket.getaddrinfo(server.host, server.port, type=socket.SOCK_STREAM)
    except UnicodeError as error:
        raise NameNotFound("No server can have this name.") from error
    except OSError as error:
        raise mapped(error, "resolving the name of the server") from error
    failure: SyncError = NameNotFound("The name of the server has no address.")
    for family, kind, protocol, _, address in found:
        if is_refused(str(address[0]), allow_local_servers=allow_local_servers):
            raise HostRefused(f"The name {server.host} resolves to {address[0]}, which is not allowed.")
        left = deadline - monotonic()
        if left <= 0:
            raise NoAnswer("connecting: no time is left for another address of the server.")
        try:
            return _connected_to(address, family, kind, protocol, left, timeout)
        except OSError as error:
            failure = mapped(error, "connecting").because_of(error)
    raise failure


def _connected_to(address: object, family: int, kind: int, protocol: int, left: float, timeout: timedelta) -> socket.socket:
    connection = socket.socket(family, kind, protocol)
    try:
        for option in KEPT_ALIVE:
            with suppress(OSError):
                connection.setsockopt(*option)
        connection.settimeout(left)
        connection.connect(address)  # type: ignore[arg-type] # as the resolver gave it
        connection.settimeout(timeout.total_seconds())
    except BaseException:
        connection.close()
        raise
    return connection
