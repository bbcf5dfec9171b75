"""A small HTTP/1.1 server: one thread per connection, keep-alive, replies in pieces. Knows neither SOAP nor JSON.

Written out because a connection must be kept by its handler (NTLM signs in connections) and broken on purpose (faults).
"""

import socket
import ssl
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import BinaryIO, Protocol, cast

from local.mailserver.listener import Disconnect, Head, Peer

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
    hang_up_after: float | None = None
    """End the connection so many seconds after the reply, without having said so."""


type Handler = Callable[[Request], Reply]


class WebServer(Head):
    """Serves one handler on a loopback port until it is stopped."""

    def __init__(self, handler: Handler, port: int = 0, tls: ssl.SSLContext | None = None) -> None:
        self._handler = handler
        self._tls = tls
        super().__init__(port, "mailserver-http")

    def _serve(self, peer: Peer) -> None:
        if self._tls is not None:
            peer.secure(self._tls)
        with cast("BinaryIO", peer.socket.makefile("rb", buffering=64 * 1024)) as reader:
            self._converse(peer, reader)

    def _converse(self, peer: Peer, reader: BinaryIO) -> None:
        state = Connection()
        while not self._listener.stopping.is_set():
            request = _read_request(peer.socket, reader, state)
            if request is None:
                return
            try:
                reply = self._handler(request)
            except Disconnect:
                peer.reset()
                return
            keep = not reply.close and request.headers.get("connection", "").lower() != "close"
            _send(peer.socket, reply, keep, request.method)
            if reply.hang_up_after is not None:
                self._listener.stopping.wait(reply.hang_up_after)
                return
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
