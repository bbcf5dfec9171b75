"""Where a connection may go: TLS only, never to this machine or its platform's metadata service, never along a redirect.

The address is checked on the socket itself, after the name was resolved and before a byte is sent, so a name that
resolves differently the second time changes nothing. Private networks are allowed: Exchange Server stands in them. Where
local servers are allowed, that is this machine and plain HTTP; what the platform keeps on the link stays refused.
"""

import ipaddress
import socket
import ssl
from functools import cache
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from shared.domain.errors import MailboxError

_METADATA_SERVICES = frozenset(
    ipaddress.ip_address(address)
    for address in (
        "168.63.129.16",  # Azure's host
        "100.100.100.200",
        "192.0.0.192",
        "fd00:ec2::23",
        "fd00:ec2::254",
        "fd20:ce::254",
    )
)
"""Besides those on the link, which are refused as such: 169.254.169.254 of every cloud, and App Service's own."""
_TRANSLATED = tuple(map(ipaddress.IPv6Network, ("64:ff9b::/96", "64:ff9b:1::/48", "::/96")))
"""NAT64, and what came before it: the last 32 bits are an IPv4 address."""


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


def is_refused(address: str, *, allow_local_servers: bool) -> bool:
    """Whether `address` is its platform's metadata service, its link, nobody's, or (unless allowed) this machine."""
    ip = _meant(ipaddress.ip_address(address.partition("%")[0]))
    if ip.is_loopback:
        return not allow_local_servers
    return (
        ip.is_link_local
        or ip.is_unspecified
        or ip.is_multicast
        or (ip.is_reserved and isinstance(ip, ipaddress.IPv4Address))
        or ip in _METADATA_SERVICES
    )


def _meant(ip: ipaddress.IPv4Address | ipaddress.IPv6Address) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """The IPv4 address that an IPv6 one stands for, where it does."""
    if isinstance(ip, ipaddress.IPv4Address):
        return ip
    if not ip.is_loopback and not ip.is_unspecified and any(ip in network for network in _TRANSLATED):
        return ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
    return ip.ipv4_mapped or ip.sixtofour or ip


def _refuse(connection: HTTPConnection, connect: Any, *, allow_local_servers: bool) -> Any:  # noqa: ANN401 (a socket)
    sock = connect()
    address = sock.getpeername()[0]
    if is_refused(address, allow_local_servers=allow_local_servers):
        sock.close()
        raise LocationRefused(f"The name {connection.host} resolves to {address}, which is not allowed.")
    return sock


class _PlainConnection(HTTPConnection):
    """Spoken with local servers only."""

    def _new_conn(self) -> Any:  # noqa: ANN401 (urllib3's own types of a socket)
        return _refuse(self, super()._new_conn, allow_local_servers=True)


class _LocalTlsConnection(HTTPSConnection):
    def _new_conn(self) -> Any:  # noqa: ANN401
        return _refuse(self, super()._new_conn, allow_local_servers=True)


class _TlsConnection(HTTPSConnection):
    def _new_conn(self) -> Any:  # noqa: ANN401
        return _refuse(self, super()._new_conn, allow_local_servers=False)


class _PlainPool(HTTPConnectionPool):
    ConnectionCls = _PlainConnection


class _LocalTlsPool(HTTPSConnectionPool):
    ConnectionCls = _LocalTlsConnection


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls = _TlsConnection


@cache
def _tls() -> ssl.SSLContext:
    """The machine's own trusted authorities as well: requests alone knows only those of certifi, and a company has its own."""
    return ssl.create_default_context()


type _Pools = dict[str, type[HTTPConnectionPool]]
"""By scheme, as urllib3 has it."""

_TLS_ONLY: _Pools = {"https": _TlsPool}
_LOCAL_TOO: _Pools = {"http": _PlainPool, "https": _LocalTlsPool}
_PLATFORM: _Pools = {"http": HTTPConnectionPool, "https": HTTPSConnectionPool}


class OneConnection(HTTPAdapter):
    """One connection at a time, no repetitions, and only to where the pools connect."""

    def __init__(self, pools: _Pools) -> None:
        self._pools = pools
        super().__init__(pool_connections=1, pool_maxsize=1, max_retries=0, pool_block=True)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 (as in requests)
        super().init_poolmanager(*args, **kwargs, ssl_context=_tls(), socket_options=_KEPT_ALIVE)
        self.poolmanager.pool_classes_by_scheme = self._pools


def guarded_session(*, allow_local_servers: bool) -> requests.Session:
    """A session that reads no environment (proxies, .netrc) and only speaks to destinations that are allowed."""
    return _session(_LOCAL_TOO if allow_local_servers else _TLS_ONLY)


def platform_session() -> requests.Session:
    """The one session that reaches the platform's own services. Only for the token of a managed identity, whose URL comes from
    the platform, never from a record or a server."""
    return _session(_PLATFORM)


class _GoesNowhereElse(requests.Session):
    """requests reads a redirect to its end, however long it is, before it asks whether to follow it."""

    def get_redirect_target(self, resp: requests.Response) -> str | None:  # noqa: ARG002
        return None


def _session(pools: _Pools) -> requests.Session:
    session = _GoesNowhereElse()
    session.trust_env = False
    session.adapters.clear()
    for scheme in pools:
        session.mount(f"{scheme}://", OneConnection(pools))
    return session
