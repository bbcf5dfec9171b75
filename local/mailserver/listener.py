"""Connections on a loopback port: a thread for each, ended when the server stops. Knows no protocol."""

import contextlib
import socket
import ssl
import struct
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable


class Peer:
    """One connection, that may turn to TLS."""

    def __init__(self, plain: socket.socket, stopping: threading.Event) -> None:
        self.socket = plain
        self.is_secure = False
        self.stopping = stopping
        """Set when the server stops: nothing waits any longer."""

    def secure(self, context: ssl.SSLContext) -> None:
        """Shakes hands. Raises OSError where the client does not."""
        wrapped = context.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)
        self.socket = wrapped  # before it shakes hands: a server that stops ends that as well
        wrapped.do_handshake()
        self.is_secure = True

    def reset(self) -> None:
        """Once it is closed it ends with RST, as at a failing proxy."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


class Disconnect(Exception):
    """Reset the connection instead of answering."""


type Serve = Callable[[Peer], None]


class Listener:
    """Hands every connection to `serve`, which may raise OSError or ValueError where the client goes away or talks nonsense."""

    def __init__(self, serve: Serve, port: int = 0, name: str = "mailserver") -> None:
        self._serve = serve
        self._name = name
        self._listener = socket.create_server(("127.0.0.1", port), backlog=128)
        self._open: dict[threading.Thread, Peer] = {}
        self._lock = threading.Lock()
        self.stopping = threading.Event()
        self._acceptor = threading.Thread(target=self._accept, name=name, daemon=True)

    @property
    def port(self) -> int:
        return int(self._listener.getsockname()[1])

    def start(self) -> None:
        self._acceptor.start()

    def stop(self) -> None:
        self.stopping.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with self._lock:
            served = list(self._open.items())
        for _, peer in served:
            with contextlib.suppress(OSError):
                peer.socket.shutdown(socket.SHUT_RDWR)
        if self._acceptor.is_alive():
            self._acceptor.join(timeout=5)
        for thread, _ in served:
            thread.join(timeout=5)

    def _accept(self) -> None:
        while not self.stopping.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            peer = Peer(connection, self.stopping)
            thread = threading.Thread(target=self._attend, args=(peer,), name=f"{self._name}-connection", daemon=True)
            with self._lock:
                self._open[thread] = peer
            thread.start()

    def _attend(self, peer: Peer) -> None:
        try:
            peer.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._serve(peer)
        except (OSError, ValueError):
            pass  # the client went away, or sent what is nothing of this protocol
        finally:
            with self._lock:
                self._open.pop(threading.current_thread(), None)
            peer.socket.close()


class Head(ABC):
    """One protocol on a port, until it is stopped."""

    def __init__(self, port: int, name: str) -> None:
        self._listener = Listener(self._serve, port, name)

    @property
    def port(self) -> int:
        return self._listener.port

    def start(self) -> None:
        self._listener.start()

    def stop(self) -> None:
        self._listener.stop()

    @abstractmethod
    def _serve(self, peer: Peer) -> None:
        """One connection to its end. May raise OSError and ValueError, as of `Listener`."""
