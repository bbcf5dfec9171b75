"""Where a connection may go: TLS only, never to this machine or its platform's metadata service, never along a redirect.

The address is checked on the socket itself, after the name was resolved and before a byte is sent, so a name that
resolves differently the second time changes nothing. Private networks are allowed: Exchange Server stands in them.
"""

import ipaddress
import socket
import ssl
from functools import cache, partial
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from shared.domain.errors import MailboxError

_METADATA_SERVICES = frozenset(
    ipaddress.ip_address(address)
    for address in ("168.63.129.16", "100.100.100.200", "fd00:ec2::254")  # Azure's host; link-local covers 169.254.169.254
)
_TRANSLATED = ipaddress.ip_network("64:ff9b::/96")
"""NAT64: the last 32 bits are an IPv4 address."""


_KEPT_ALIVE = [
    *HTTPConnection.default_socket_options,
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    *((socket.IPPROTO_TCP, getattr(socket, name), 60) for name in ("TCP_KEEPIDLE", "TCP_KEEPINTVL") if hasattr(socket, name)),
]
"""Seconds. Between two polls of an idle mailbox lie up to 15 minutes, and Azure's outbound address translation forgets a silent
connection after four without telling: the next request would wait for its whole timeout."""


class LocationRefused(MailboxError):
    """The server location, or what its name resolves to, is not one that credentials may be sent to."""

    code = "location_refused"
    remedy = (
        "Give the server location as an https:// URL with a name that resolves to the mail server;"
        " local servers and plain http are only for a set-up that allows local servers."
    )


def checked_url(url: str, *, allow_local_servers: bool) -> str:
    """The URL, if credentials may be sent there. Raises LocationRefused."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise LocationRefused("The server location is not a URL.") from error
    if parts.scheme != "https" and not (parts.scheme == "http" and allow_local_servers):
        raise LocationRefused(f"The server location has the scheme {parts.scheme!r} instead of https.")
    if not host or parts.username is not None or parts.fragment:
        raise LocationRefused("The server location names no host, or carries a user name or a fragment.")
    return url


def is_refused(address: str) -> bool:
    """Whether `address` is this machine, its link, its platform's metadata service, or nobody's."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        if ip.ipv4_mapped:
            ip = ip.ipv4_mapped
        elif ip in _TRANSLATED:
            ip = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
    return (
        ip.is_loopback
        or ip.is_link_local
        or ip.is_unspecified
        or ip.is_multicast
        or (ip.is_reserved and isinstance(ip, ipaddress.IPv4Address))
        or ip in _METADATA_SERVICES
    )


def _refuse_local(connection: HTTPConnection, connect: Any) -> Any:  # noqa: ANN401 (urllib3's own types of a socket)
    sock = connect()
    address = sock.getpeername()[0]
    if is_refused(address):
        sock.close()
        raise LocationRefused(f"The name {connection.host} resolves to {address}, which is not allowed.")
    return sock


class _PlainConnection(HTTPConnection):
    def _new_conn(self) -> Any:  # noqa: ANN401
        return _refuse_local(self, super()._new_conn)


class _TlsConnection(HTTPSConnection):
    def _new_conn(self) -> Any:  # noqa: ANN401
        return _refuse_local(self, super()._new_conn)


class _PlainPool(HTTPConnectionPool):
    ConnectionCls = _PlainConnection


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls = _TlsConnection


@cache
def _tls() -> ssl.SSLContext:
    """The machine's own trusted authorities as well: requests alone knows only those of certifi, and a company has its own."""
    return ssl.create_default_context()


class OneConnection(HTTPAdapter):
    """One connection at a time, no repetitions, and local destinations only where they are allowed."""

    def __init__(self, *, allow_local_servers: bool) -> None:
        self._allow_local_servers = allow_local_servers
        super().__init__(pool_connections=1, pool_maxsize=1, max_retries=0, pool_block=True)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 (as in requests)
        super().init_poolmanager(*args, **kwargs, ssl_context=_tls(), socket_options=_KEPT_ALIVE)
        if not self._allow_local_servers:
            self.poolmanager.pool_classes_by_scheme = {"http": _PlainPool, "https": _TlsPool}


def guarded_session(*, allow_local_servers: bool) -> requests.Session:
    """A session that reads no environment (proxies, .netrc) and only speaks to destinations that are allowed."""
    session = requests.Session()
    session.trust_env = False
    session.max_redirects = 0
    adapter = partial(OneConnection, allow_local_servers=allow_local_servers)
    session.mount("https://", adapter())
    if allow_local_servers:
        session.mount("http://", adapter())
    else:
        del session.adapters["http://"]
    return session
