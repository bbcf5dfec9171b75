"""A tap on a TCP connection: counts round trips, keeps what a client said, and breaks, stalls or alters what it hears.

Stands between a client and a server that speak in lines (POP3, IMAP, SMTP); understands nothing of them. Behind TLS it
counts as well, and reads nothing.
"""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

_CHUNK = 1 << 16


class Tap:
    """Listens on `port` while it is open. What is set on it holds from the next byte on."""

    def __init__(self, host: str, port: int) -> None:
        self._server = (host, port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self.alter: Callable[[bytes], bytes] = lambda heard: heard
        """What becomes of the server's bytes, a piece at a time."""
        self.reset()
        self._thread = threading.Thread(target=self._accept, name="tap", daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        return int(self._listener.getsockname()[1])

    @property
    def said(self) -> list[bytes]:
        """What clients sent since `reset`, in lines without their ends."""
        with self._lock:
            return bytes(self._said).splitlines()

    @property
    def round_trips(self) -> int:
        """How often a client sent something and then waited for the server, since `reset`; the greeting counts as well."""
        return self._round_trips

    def reset(self) -> None:
        """Forgets what was counted and lifts what was set."""
        with self._lock:
            self._said = bytearray()
            self.connections = 0
            self._round_trips = 0
            self._remaining: int | None = None
            self._stalled = False
            self._fatal: bytes | None = None
            self.alter = lambda heard: heard

    def settle(self) -> None:
        """Waits until no connection is open: what was said last may still be under way."""
        deadline = time.monotonic() + 30
        while self._open and time.monotonic() < deadline:
            time.sleep(0.01)

    def cut_after(self, count: int) -> None:
        """Breaks the connection when the server has said so many more bytes."""
        self._remaining = count

    def break_before(self, command: bytes) -> None:
        """Breaks the connection when a client says this, in whatever letters; the server does not hear it."""
        self._fatal = command.upper()

    def stall(self) -> None:
        """The server is heard no more, and the connection stays."""
        self._stalled = True

    def break_all(self) -> None:
        """Breaks every connection that is open now."""
        with self._lock:
            broken = list(self._open)
        for one in broken:
            _shut(one)

    def close(self) -> None:
        _shut(self._listener)
        self._listener.close()
        self.break_all()
        self._thread.join(5)

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                self.connections += 1
                threading.Thread(target=self._serve, args=(client,), name="tapped", daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, suppress(OSError), socket.create_connection(self._server, timeout=60) as server:
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            server.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self._lock:
                self._open |= {client, server}
            conversation = _Conversation()
            up = threading.Thread(target=self._pass_on, args=(client, server, conversation), name="tapped", daemon=True)
            up.start()
            self._pass_back(server, client, conversation)
            _shut(client)
            _shut(server)
            up.join(5)
            with self._lock:
                self._open -= {client, server}

    def _pass_on(self, client: socket.socket, server: socket.socket, conversation: "_Conversation") -> None:
        with suppress(OSError):
            while piece := client.recv(_CHUNK):
                with self._lock:
                    self._said += piece
                if self._fatal is not None and self._fatal in piece.upper():
                    _shut(client)
                    break
                conversation.client_waits = True
                server.sendall(piece)
        with suppress(OSError):
            server.shutdown(socket.SHUT_WR)

    def _pass_back(self, server: socket.socket, client: socket.socket, conversation: "_Conversation") -> None:
        with suppress(OSError):
            while piece := server.recv(_CHUNK):
                if self._stalled:
                    continue
                if conversation.client_waits:
                    conversation.client_waits = False
                    self._round_trips += 1
                if self._is_cut(client, self.alter(piece)):
                    return

    def _is_cut(self, client: socket.socket, piece: bytes) -> bool:
        """Sends what the client still hears of it; whether that was the end."""
        remaining = self._remaining
        if remaining is None:
            client.sendall(piece)
            return False
        client.sendall(piece[:remaining])
        self._remaining = max(0, remaining - len(piece))
        return len(piece) >= remaining


class _Conversation:
    def __init__(self) -> None:
        self.client_waits = True
        """For the greeting, to begin with."""


@contextmanager
def tap_on(host: str, port: int) -> Iterator[Tap]:
    tap = Tap(host, port)
    try:
        yield tap
    finally:
        tap.close()


def _shut(one: socket.socket) -> None:
    with suppress(OSError):
        one.shutdown(socket.SHUT_RDWR)
