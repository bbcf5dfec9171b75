"""The HTTP API as the commands see it: JSON in and out, lists as one sequence, errors as failures.

Foreign exceptions and statuses are mapped here, once. Knows no command and no record.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from urllib.parse import quote, urlsplit

import httpx

from admin.failures import Failure, FieldFailure, Gone, NotReachable, Refused, WrongUsage

type Json = Any
"""What JSON can hold; the server's description says what."""
type Fields = dict[str, Json]

TIMEOUT = httpx.Timeout(180.0, connect=10.0)
"""Seconds; a cold start of the function app takes tens of them, a dry run up to a minute."""
PAGE = 500
"""Entries of one request of a list."""
_ATTEMPTS = 4
_LONGEST_WAIT = 30.0
"""Seconds between two attempts at most, whatever Retry-After says."""
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True, slots=True)
class Record:
    """A record as the server shows it, and the ETag of that state."""

    fields: Fields
    etag: str


def open_client(url: str, key: str) -> httpx.Client:
    """Raises WrongUsage for a location where the key would travel in the clear."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise WrongUsage(
            f"{url!r} is no location of a function app", "Write it like https://contoso-sidesync.azurewebsites.net."
        )
    if parts.scheme == "http" and parts.hostname not in _LOOPBACK:
        raise WrongUsage(f"{url!r} does not use TLS", "Begin it with https://; the key never travels unencrypted.")
    base = url.rstrip("/").removesuffix("/api")
    return httpx.Client(base_url=base, headers={"x-functions-key": key} if key else {}, timeout=TIMEOUT)


class Api:
    def __init__(self, client: httpx.Client, pause: Callable[[float], object] = time.sleep) -> None:
        self._client = client
        self._pause = pause

    def get(self, path: str, **query: object) -> Json:
        return _json(self._send("GET", path, params=_given(query)))

    def read(self, path: str) -> Record | None:
        """None where there is no such record."""
        try:
            return _record(self._send("GET", path))
        except Gone:
            return None

    def entries(self, path: str, limit: int | None = None, **query: object) -> Iterator[Fields]:
        """A list from its beginning, part by part; `limit` entries at most."""
        left, continuation = limit, None
        while left is None or left > 0:
            part = self.get(path, limit=min(left or PAGE, PAGE), continuation=continuation, **query)
            items = part["items"] if left is None else part["items"][:left]
            yield from items
            left = None if left is None else left - len(items)
            continuation = part.get("continuation")
            if continuation is None:
                return

    def whole(self, path: str) -> list[Fields]:
        """A list that is never longer than one part."""
        return list(self.get(path)["items"])

    def create(self, path: str, body: Fields) -> Record:
        """Raises Refused where it is there already."""
        return _record(self._send("PUT", path, json=body, headers={"If-None-Match": "*"}))

    def replace(self, path: str, body: Fields, etag: str) -> Record:
        return _record(self._send("PUT", path, json=body, headers={"If-Match": etag}))

    def merge(self, path: str, patch: Fields, etag: str) -> Record:
        return _record(self._send("PATCH", path, json=patch, headers={"If-Match": etag}))

    def put(self, path: str, body: Fields) -> Json:
        """Whatever is there."""
        return _json(self._send("PUT", path, json=body))

    def delete(self, path: str) -> None:
        self._send("DELETE", path)

    def post(self, path: str, body: Fields | None = None) -> Json:
        return _json(self._send("POST", path, json=body))

    @contextmanager
    def download(self, path: str) -> Iterator[Iterator[bytes]]:
        """Once, in chunks. Raises before the first one where it is refused."""
        with self._reaching(), self._client.stream("GET", path) as response:
            if not response.is_success:
                response.read()
            yield _checked(response).iter_bytes()

    def upload(self, path: str, content: Iterable[bytes], size: int, content_type: str) -> Json:
        """Once: the content is read as it is sent. `size` in bytes."""
        headers = {"Content-Type": content_type, "Content-Length": str(size)}
        return _json(_checked(self._answer("POST", path, content=content, headers=headers)))

    def _send(self, method: str, path: str, **arguments: Any) -> httpx.Response:  # noqa: ANN401 - handed to httpx
        """Repeats what met a busy server: every request of the API may be repeated."""
        for _ in range(_ATTEMPTS - 1):
            response = self._answer(method, path, **arguments)
            if response.status_code not in (HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.TOO_MANY_REQUESTS):
                return _checked(response)
            self._pause(_wait(response))
        return _checked(self._answer(method, path, **arguments))

    def _answer(self, method: str, path: str, **arguments: Any) -> httpx.Response:  # noqa: ANN401 - handed to httpx
        with self._reaching():
            return self._client.request(method, path, **arguments)

    @contextmanager
    def _reaching(self) -> Iterator[None]:
        """Raises NotReachable where nobody answers, or stops answering."""
        try:
            yield
        except httpx.TransportError as error:
            raise NotReachable(
                f"{self._client.base_url} does not answer: {error or type(error).__name__}",
                "Check --url or SIDESYNC_URL, and that the function app runs.",
            ) from error


def path_part(text: str) -> str:
    """What somebody typed, as one part of a path: it can neither end the path nor lead to another one."""
    return quote(text, safe="") if text.strip(".") else text.replace(".", "%2E")


def _checked(response: httpx.Response) -> httpx.Response:
    if response.is_success:
        return response
    raise _failure(response)


def _given(query: Mapping[str, object]) -> dict[str, Any]:
    return {name: value for name, value in query.items() if value is not None}


def _wait(response: httpx.Response) -> float:
    try:
        return min(max(float(response.headers.get("Retry-After", "5")), 0.0), _LONGEST_WAIT)
    except ValueError:
        return 5.0


def _record(response: httpx.Response) -> Record:
    return Record(_json(response), response.headers.get("ETag", "*"))


def _json(response: httpx.Response) -> Json:
    if response.status_code == HTTPStatus.NO_CONTENT:
        return None
    try:
        return response.json()
    except ValueError as error:
        raise _stranger(response) from error


def _failure(response: httpx.Response) -> Failure:
    if response.status_code == HTTPStatus.UNAUTHORIZED and not response.content:
        return Refused("the function key is missing or wrong", "Check --key or SIDESYNC_KEY.", code="unauthenticated")
    try:
        problem = response.json()
        kind = Gone if response.status_code == HTTPStatus.NOT_FOUND else Refused
        errors = [FieldFailure(each["pointer"], each["detail"], each["remedy"]) for each in problem.get("errors", ())]
        return kind(problem["detail"], problem["remedy"], errors, problem["code"])
    except (ValueError, KeyError, TypeError, AttributeError):
        return _stranger(response)


def _stranger(response: httpx.Response) -> NotReachable:
    return NotReachable(
        f"what answers at {response.request.url.copy_with(query=None)} is no Sidesync (status {response.status_code})",
        "Check --url or SIDESYNC_URL, and that the function app has started.",
    )
