"""Sidesync's HTTP API as the demo uses it: an administrator's calls, with the function key. Knows no samples."""

from collections.abc import Iterator, Mapping
from typing import Any, Self

import httpx

type Json = dict[str, Any]


class Refused(Exception):
    """The API answered with an error; the message is its own."""


class Api:
    """Use as a context manager: it holds one connection."""

    def __init__(self, base_url: str, key: str) -> None:
        self.base_url = base_url
        self.key = key
        self._http = httpx.Client(base_url=f"{base_url}/api", headers={"x-functions-key": key}, timeout=120, trust_env=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def url(self, path: str) -> str:
        """For a browser: the key stands in it."""
        return f"{self.base_url}/api{path}{'&' if '?' in path else '?'}code={self.key}"

    def list(self, path: str) -> list[Json]:
        """Of what is answered as a bare list. Raises Refused."""
        reply = self._http.get(path)
        _check(reply)
        items: list[Json] = reply.json()
        return items

    def get(self, path: str, **query: str | int) -> Json:
        """Raises Refused."""
        return _content(self._http.get(path, params=query))

    def put(self, path: str, content: Mapping[str, object]) -> Json:
        """Raises Refused."""
        return _content(self._http.put(path, json=content))

    def patch(self, path: str, content: Mapping[str, object]) -> Json:
        """Raises Refused."""
        return _content(self._http.patch(path, json=content))

    def post(self, path: str, content: Mapping[str, object] | None = None) -> Json:
        """Raises Refused."""
        return _content(self._http.post(path, json=content) if content is not None else self._http.post(path))

    def put_octets(self, path: str, content: bytes) -> Json:
        """Raises Refused."""
        return _content(self._http.put(path, content=content, headers={"Content-Type": "application/octet-stream"}))

    def upload(self, path: str, content: bytes, media_type: str) -> Json:
        """Raises Refused."""
        return _content(self._http.post(path, content=content, headers={"Content-Type": media_type}))

    def bytes_of(self, path: str) -> bytes:
        """Raises Refused."""
        reply = self._http.get(path)
        _check(reply)
        return reply.content

    def answer(
        self, method: str, path: str, content: object = None, headers: Mapping[str, str] | None = None
    ) -> httpx.Response:
        """Whatever the API answers: for what is meant to be refused."""
        return self._http.request(method, path, json=content, headers=headers)

    def everything(self, path: str, **query: str | int) -> Iterator[Json]:
        """All items of a list, page by page."""
        continuation: dict[str, str | int] = {}
        while True:
            page = self.get(path, **query, **continuation)
            yield from page["items"]
            if not page.get("continuation"):
                return
            continuation = {"continuation": page["continuation"]}


def run_function(base_url: str, master_key: str, name: str) -> None:
    """Runs a timer function at once, as the portal's Test button does. Raises Refused."""
    url = f"{base_url}/admin/functions/{name}"
    _check(httpx.post(url, json={"input": ""}, headers={"x-functions-key": master_key}, timeout=60, trust_env=False))


def _content(reply: httpx.Response) -> Json:
    _check(reply)
    content: Json = reply.json() if reply.content else {}
    return content


def _check(reply: httpx.Response) -> None:
    if reply.is_error:
        raise Refused(f"{reply.request.method} {reply.request.url.path}: {reply.status_code} {reply.text[:500]}")
