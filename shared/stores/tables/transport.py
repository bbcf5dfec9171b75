"""HTTP to the Table service: one set of connections for all threads, signed requests, bounded repetition of what is safe.

A request is sent again only when it certainly was not executed, or when doing it twice is the same as doing it once.
It knows nothing of tables.
"""

import base64
import hashlib
import hmac
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from email.utils import formatdate
from threading import Lock
from typing import TYPE_CHECKING, Protocol
from urllib.parse import urlsplit

import urllib3

from shared.domain.errors import Busy, Throttled, TransientError, Unreachable
from shared.stores.account import Account

if TYPE_CHECKING:
    from azure.core.credentials import TokenCredential

_VERSION = "2020-12-06"
"""Of the Table service; bearer tokens need at least this one."""

_CONNECTIONS = 16
_TIMEOUT = urllib3.Timeout(connect=5, read=40)
"""Seconds; the service itself gives up after 30."""

_PAUSES = (0.1, 0.5, 1.5)
"""Seconds before a request is sent again."""

_LONGEST_WAIT = timedelta(seconds=3)
"""A longer Retry-After is the caller's to wait for."""

_TOKEN_SCOPE = "https://storage.azure.com/.default"  # noqa: S105 - the name of a permission
_NOT_EXECUTED = ("ServerBusy", "TooManyRequests")


@dataclass(frozen=True, slots=True)
class Reply:
    status: int
    headers: Mapping[str, str]
    body: bytes


class NotSent(Unreachable):
    """The request never left: no connection."""


class NoReply(Unreachable):
    """The request was sent and may have been executed."""


class Send(Protocol):
    """Sends one request once. Raises NotSent, NoReply."""

    def __call__(self, method: str, url: str, headers: Mapping[str, str], body: bytes | None) -> Reply: ...


class Connections:
    """Sends over one pool of connections, which several threads share."""

    def __init__(self, endpoint: str) -> None:
        parts = urlsplit(endpoint)
        kind = urllib3.HTTPSConnectionPool if parts.scheme == "https" else urllib3.HTTPConnectionPool
        self._pool = kind(parts.hostname or "", parts.port, maxsize=_CONNECTIONS, timeout=_TIMEOUT, retries=False)

    def __call__(self, method: str, url: str, headers: Mapping[str, str], body: bytes | None) -> Reply:
        try:
            reply = self._pool.urlopen(method, url, body=body, headers=dict(headers), redirect=False)
        except (urllib3.exceptions.NewConnectionError, urllib3.exceptions.ConnectTimeoutError) as error:
            raise NotSent(f"no connection to the Table service at {self._pool.host}") from error
        except urllib3.exceptions.HTTPError as error:
            raise NoReply(f"no reply from the Table service: {type(error).__name__}") from error
        return Reply(reply.status, reply.headers, reply.data)


class Transport:
    """Signs requests, counts them, and repeats what is safe to repeat."""

    def __init__(self, account: Account, send: Send | None = None, sleep: Callable[[float], None] = time.sleep) -> None:
        self.endpoint = account.table_endpoint
        self._path = urlsplit(account.table_endpoint).path
        self._account = account
        self._key = None if account.key is None else base64.b64decode(account.key)
        self._send = send or Connections(account.table_endpoint)
        self._sleep = sleep
        self._token = ("", 0.0)
        self.requests = 0
        self._counting = Lock()

    def request(
        self, method: str, resource: str, headers: Mapping[str, str], body: bytes | None = None, *, repeatable: bool = True
    ) -> Reply:
        """`resource` starts with a slash. Returns any reply that says something about rows, else raises TransientError."""
        for pause in _PAUSES:
            try:
                return self._once(method, resource, headers, body)
            except TransientError as error:
                if not _may_repeat(error, repeatable=repeatable):
                    raise
                self._sleep(max(pause, error.retry_after.total_seconds() if error.retry_after else 0))
        return self._once(method, resource, headers, body)

    def _once(self, method: str, resource: str, headers: Mapping[str, str], body: bytes | None) -> Reply:
        url = self._path + resource
        with self._counting:
            self.requests += 1
        reply = self._send(method, url, {**self._signed(url), **headers}, body)
        _check_transient(reply)
        return reply

    def _signed(self, url: str) -> dict[str, str]:
        date = formatdate(usegmt=True)
        headers = {"x-ms-date": date, "x-ms-version": _VERSION, "DataServiceVersion": "3.0"}
        if self._key is None:
            return {**headers, "Authorization": f"Bearer {self._bearer()}"}
        resource = f"/{self._account.name}{url.partition('?')[0]}"
        signature = hmac.digest(self._key, f"{date}\n{resource}".encode(), hashlib.sha256)
        authorization = f"SharedKeyLite {self._account.name}:{base64.b64encode(signature).decode()}"
        return {**headers, "Authorization": authorization}

    def _bearer(self) -> str:
        token, expires = self._token
        if time.time() > expires - 300:
            credential = self._account.credential
            if not hasattr(credential, "get_token"):
                raise TypeError("an account without a key needs a credential that gives tokens")
            token, expires = self._token = _fresh_token(credential)
        return token


def _fresh_token(credential: "TokenCredential") -> tuple[str, float]:
    """And when it expires. Raises NotSent."""
    from azure.core.exceptions import AzureError

    try:
        fresh = credential.get_token(_TOKEN_SCOPE)
    except AzureError as error:
        raise NotSent(f"no token for the Table service: {type(error).__name__}") from error
    return fresh.token, fresh.expires_on


def _may_repeat(error: TransientError, *, repeatable: bool) -> bool:
    if error.retry_after is not None and error.retry_after > _LONGEST_WAIT:
        return False
    return repeatable or isinstance(error, (NotSent, Throttled))


def _check_transient(reply: Reply) -> None:
    if reply.status not in (408, 429, 500, 502, 503, 504):
        return
    code = reply.headers.get("x-ms-error-code", "") or _code_in(reply.body)
    what = f"the Table service answered {reply.status} {code}".rstrip()
    if reply.status == 429 or (reply.status == 503 and code in _NOT_EXECUTED):
        raise Throttled(what, _retry_after(reply))
    raise Busy(what, _retry_after(reply))


def _code_in(body: bytes) -> str:
    return next((code for code in (*_NOT_EXECUTED, "OperationTimedOut") if code.encode() in body), "")


def _retry_after(reply: Reply) -> timedelta | None:
    text = reply.headers.get("Retry-After", "")
    return timedelta(seconds=int(text)) if text.isdecimal() else None
