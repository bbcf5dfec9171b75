"""Where HTTP may go, to Exchange and to issuers of tokens: TLS only, to destinations that are allowed, never along a redirect.

The address is checked on the socket itself, after the name was resolved and before a byte is sent, so a name that
resolves differently the second time changes nothing. Where local servers are allowed, that is this machine and plain HTTP;
what the platform keeps on the link stays refused.
"""

from typing import Any
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from shared.connectors.destinations import KEPT_ALIVE, LocationRefused, is_refused, tls_context


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
    def _new_conn(self) -> Any:  # noqa: ANN401 (as above)
        return _refuse(self, super()._new_conn, allow_local_servers=True)


class _TlsConnection(HTTPSConnection):
    def _new_conn(self) -> Any:  # noqa: ANN401 (as above)
        return _refuse(self, super()._new_conn, allow_local_servers=False)


class _PlainPool(HTTPConnectionPool):
    ConnectionCls = _PlainConnection


class _LocalTlsPool(HTTPSConnectionPool):
    ConnectionCls = _LocalTlsConnection


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls = _TlsConnection


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
        super().init_poolmanager(*args, **kwargs, ssl_context=tls_context(), socket_options=KEPT_ALIVE)
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

    def get_redirect_target(self, resp: requests.Response) -> str | None:  # noqa: ARG002 (as in requests)
        return None


def _session(pools: _Pools) -> requests.Session:
    session = _GoesNowhereElse()
    session.trust_env = False
    session.adapters.clear()
    for scheme in pools:
        session.mount(f"{scheme}://", OneConnection(pools))
    return session
