"""A small HTTP/1.1 server: one thread per connection, keep-alive, replies in pieces. Knows neither SOAP nor JSON.

Written out because a connection must be kept by its handler (NTLM signs in connections) and broken on purpose (faults).
"""

import contextlib
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import BinaryIO, Protocol, cast

MAX_BODY = 256 * 1024 * 1024
"""Bytes of a request."""
_MAX_HEAD_LINES = 200
_JOIN = 64 * 1024
"""Pieces smaller than this are joined before they are sent."""


class Stream(Protocol):
    """A piece of a body whose length is known before it is made."""

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[bytes]: ...


type Body = Sequence[bytes | Stream]


@dataclass(slots=True)
class Connection:
    """What is known about a connection for as long as it lasts."""

    signed_in: object | None = None
    handshake: object | None = None


@dataclass(slots=True)
class Request:
    method: str
    path: str
    headers: dict[str, str]
    """Names in lower case."""
    body: bytes
    connection: Connection


@dataclass(slots=True)
class Reply:
    status: int = 200
    body: Body = ()
    content_type: str = "text/plain; charset=utf-8"
    headers: list[tuple[str, str]] = field(default_factory=list)
    cut_after: int | None = None
    """Break the connection after this many bytes of the body."""
    close: bool = False


class Disconnect(Exception):
    """Reset the connection instead of answering."""


type Handler = Callable[[Request], Reply]


class WebServer:
    """Serves one handler on a loopback port until it is stopped."""

    def __init__(self, handler: Handler, port: int = 0, tls: ssl.SSLContext | None = None) -> None:
        self._handler = handler
        self._tls = tls
        self._listener = socket.create_server(("127.0.0.1", port), backlog=128)
        self._open: set[socket.socket] = set()
        self._threads: set[threading.Thread] = set()
        self._lock = threading.Lock()
        self._stopping = False
        self._acceptor = threading.Thread(target=self._accept, name="mailserver-http", daemon=True)

    @property
    def port(self) -> int:
        return int(self._listener.getsockname()[1])

    def start(self) -> None:
        self._acceptor.start()

    def stop(self) -> None:
        self._stopping = True
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with self._lock:
            connections, threads = list(self._open), list(self._threads)
        for connection in connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        if self._acceptor.is_alive():
            self._acceptor.join(timeout=5)
        for thread in threads:
            thread.join(timeout=5)

    def _accept(self) -> None:
        while not self._stopping:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._serve, args=(connection,), name="mailserver-connection", daemon=True)
            with self._lock:
                self._open.add(connection)
                self._threads.add(thread)
            thread.start()

    def _serve(self, plain: socket.socket) -> None:
        connection = plain
        try:
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._tls is not None:
                connection = self._tls.wrap_socket(plain, server_side=True)
                with self._lock:
                    self._open.discard(plain)
                    self._open.add(connection)
            with cast("BinaryIO", connection.makefile("rb", buffering=64 * 1024)) as reader:
                self._converse(connection, reader)
        except (OSError, ValueError):
            pass  # the client went away, or sent what is no HTTP
        finally:
            with self._lock:
                self._open.discard(connection)
                self._open.discard(plain)
                self._threads.discard(threading.current_thread())
            connection.close()

    def _converse(self, connection: socket.socket, reader: BinaryIO) -> None:
        state = Connection()
        while not self._stopping:
            request = _read_request(connection, reader, state)
            if request is None:
                return
            try:
                reply = self._handler(request)
            except Disconnect:
                _reset(connection)
                return
            keep = not reply.close and request.headers.get("connection", "").lower() != "close"
            _send(connection, reply, keep, request.method)
            if not keep:
                return


def _read_request(connection: socket.socket, reader: BinaryIO, state: Connection) -> Request | None:
    line = reader.readline(8192)
    if not line.strip():
        return None
    method, path, _ = line.decode("latin-1").split(" ", 2)
    headers: dict[str, str] = {}
    for _ in range(_MAX_HEAD_LINES):
        field_line = reader.readline(64 * 1024)
        if field_line in (b"\r\n", b"\n", b""):
            break
        name, _, value = field_line.decode("latin-1").partition(":")
        headers[name.strip().lower()] = value.strip()
    if headers.get("expect", "").lower() == "100-continue":
        connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
    return Request(method.upper(), path, headers, _read_body(reader, headers), state)


def _read_body(reader: BinaryIO, headers: dict[str, str]) -> bytes:
    if headers.get("transfer-encoding", "").lower() == "chunked":
        return b"".join(_chunks(reader))
    length = int(headers.get("content-length") or 0)
    if not 0 <= length <= MAX_BODY:
        raise ValueError("request too large")
    body = reader.read(length)
    if len(body) < length:
        raise ValueError("request cut short")
    return body


def _chunks(reader: BinaryIO) -> Iterable[bytes]:
    total = 0
    while size := int(reader.readline(1024).partition(b";")[0], 16):
        total += size
        if total > MAX_BODY:
            raise ValueError("request too large")
        yield reader.read(size)
        reader.readline(8)
    while reader.readline(8192).strip():
        pass


def _send(connection: socket.socket, reply: Reply, keep: bool, method: str) -> None:
    length = sum(len(piece) for piece in reply.body)
    head = [
        f"HTTP/1.1 {reply.status} {_phrase(reply.status)}",
        f"Content-Type: {reply.content_type}",
        f"Content-Length: {length}",
    ]
    head += [f"{name}: {value}" for name, value in reply.headers]
    head.append(f"Connection: {'keep-alive' if keep else 'close'}")
    waiting = [("\r\n".join(head) + "\r\n\r\n").encode("latin-1")]
    allowed = length if reply.cut_after is None else min(reply.cut_after, length)
    if method != "HEAD":
        for chunk in _pieces(reply.body, allowed):
            waiting.append(chunk)
            if sum(map(len, waiting)) >= _JOIN:
                connection.sendall(b"".join(waiting))
                waiting.clear()
    if waiting:
        connection.sendall(b"".join(waiting))
    if reply.cut_after is not None:
        raise ConnectionAbortedError


def _pieces(body: Body, allowed: int) -> Iterable[bytes]:
    for piece in body:
        for chunk in (piece,) if isinstance(piece, bytes) else piece:
            if allowed <= 0:
                return
            yield chunk[:allowed]
            allowed -= len(chunk)


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unknown"


def _reset(connection: socket.socket) -> None:
    """Ends the connection with RST, as a failing proxy does."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
