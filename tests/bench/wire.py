"""An HTTP proxy that stands between a program and a server: it counts, and it can replay or let an observer interfere.

`python -m tests.bench.wire --upstream 127.0.0.1:8080 --replay` runs one as a process of its own: whatever was answered
once is answered from memory, byte for byte, so that a client can be timed without the server's own work.
"""

import argparse
import hashlib
import http.client
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

_PER_HOP = frozenset({"connection", "keep-alive", "transfer-encoding", "proxy-connection", "content-length"})


@dataclass(frozen=True, slots=True)
class Request:
    number: int
    """Counted from 1 since the last `reset`."""
    method: str
    path: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Reply:
    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes


class Dropped(Exception):
    """Raised by an observer: close the connection without an answer."""


type Observer = Callable[[Request], None]


def _ignore(_: Request) -> None:
    return None


class Wire:
    """The proxy. `before` sees each request before it is forwarded, `after` when its effect has happened; both may
    raise `Dropped`, and run in the thread of their connection."""

    def __init__(self, host: str, port: int, *, replay: bool = False) -> None:
        self.before: Observer = _ignore
        self.after: Observer = _ignore
        self.requests: list[Request] = []
        self._upstream = (host, port)
        self._remembered: dict[bytes, Reply] | None = {} if replay else None
        self._lock = threading.Lock()
        self._count = 0
        self._connections = threading.local()
        self._server = _Server(("127.0.0.1", 0), _handler(self))
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    def reset(self) -> None:
        with self._lock:
            self.requests.clear()
            self._count = 0

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def exchange(self, method: str, path: str, headers: dict[str, str], body: bytes) -> Reply:
        """Raises Dropped, and OSError where the server does not answer."""
        request = self._numbered(method, path, body)
        self.before(request)
        reply = self._answer(request, headers)
        self.after(request)
        return reply

    def _numbered(self, method: str, path: str, body: bytes) -> Request:
        with self._lock:
            self._count += 1
            request = Request(self._count, method, path, body)
            if self._remembered is None:
                self.requests.append(request)
            return request

    def _answer(self, request: Request, headers: dict[str, str]) -> Reply:
        if self._remembered is None:
            return self._forward(request, headers)
        key = hashlib.sha256(b"\0".join((request.method.encode(), request.path.encode(), request.body))).digest()
        if (known := self._remembered.get(key)) is None:
            known = self._remembered[key] = self._forward(request, headers)
        return known

    def _forward(self, request: Request, headers: dict[str, str]) -> Reply:
        sent = {name: value for name, value in headers.items() if name.lower() not in _PER_HOP}
        for attempt in (1, 2):
            connection = self._connection(fresh=attempt == 2)
            try:
                connection.request(request.method, request.path, request.body, sent)
                answer = connection.getresponse()
                kept = tuple((name, value) for name, value in answer.getheaders() if name.lower() not in _PER_HOP)
                return Reply(answer.status, kept, answer.read())
            except (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError):
                if attempt == 2:
                    raise
        raise AssertionError("unreachable")

    def _connection(self, *, fresh: bool) -> http.client.HTTPConnection:
        known: http.client.HTTPConnection | None = getattr(self._connections, "one", None)
        if known is not None and not fresh:
            return known
        if known is not None:
            known.close()
        self._connections.one = connection = http.client.HTTPConnection(*self._upstream, timeout=120)
        return connection

    def hang_up(self) -> None:
        """Closes this thread's connection to the server."""
        known: http.client.HTTPConnection | None = getattr(self._connections, "one", None)
        if known is not None:
            known.close()
            self._connections.one = None


@contextmanager
def wire_to(url: str) -> Iterator[Wire]:
    """A proxy in front of the server of a URL."""
    parts = urlsplit(url)
    with Wire(parts.hostname or "", parts.port or 0) as wire:
        yield wire


def through(url: str, wire: Wire) -> str:
    """The URL at the proxy."""
    return urlsplit(url)._replace(netloc=f"127.0.0.1:{wire.port}").geturl()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that went away is no news here."""


def _handler(wire: Wire) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = 1 << 16
        disable_nagle_algorithm = True

        def handle_one_request(self) -> None:
            self.raw_requestline = self.rfile.readline(65537)
            if not self.raw_requestline or not self.parse_request():
                self.close_connection = True
                return
            self._pass_on(self._body())

        def finish(self) -> None:
            wire.hang_up()
            with suppress(OSError):
                super().finish()

        def _body(self) -> bytes:
            if "chunked" in self.headers.get("Transfer-Encoding", "").lower():
                return self._chunks()
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))

        def _chunks(self) -> bytes:
            body = bytearray()
            while size := int(self.rfile.readline().split(b";")[0], 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return bytes(body)

        def _pass_on(self, body: bytes) -> None:
            try:
                reply = wire.exchange(self.command, self.path, dict(self.headers.items()), body)
            except (Dropped, OSError, http.client.HTTPException):
                self.close_connection = True
                return
            self.send_response_only(reply.status)
            for name, value in reply.headers:
                self.send_header(name, value)
            if self.command != "HEAD":
                self.send_header("Content-Length", str(len(reply.body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(reply.body)
            self.wfile.flush()

    return Handler


def _main() -> None:
    parser = argparse.ArgumentParser(prog="tests.bench.wire")
    parser.add_argument("--upstream", required=True, help="host:port")
    parser.add_argument("--replay", action="store_true")
    arguments = parser.parse_args()
    host, _, port = arguments.upstream.partition(":")
    with Wire(host, int(port), replay=arguments.replay) as wire:
        print(json.dumps({"port": wire.port}), flush=True)  # noqa: T201 - the greeting
        threading.Event().wait()


if __name__ == "__main__":
    _main()
