"""A server on a loopback port that takes one connection at a time; its subclasses know what it says. And tokens to show it."""

import socket
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Thread
from typing import Self


class ScriptedServer(ABC):
    port: int

    @contextmanager
    def running(self) -> Iterator[Self]:
        with socket.create_server(("127.0.0.1", 0)) as listening:
            self.port = listening.getsockname()[1]
            thread = Thread(target=self._listen, args=(listening,), name="scripted-server")
            thread.start()
            try:
                yield self
            finally:
                with suppress(OSError):
                    listening.shutdown(socket.SHUT_RDWR)
                thread.join(5)

    def _listen(self, listening: socket.socket) -> None:
        with suppress(OSError):
            while True:
                connection, _ = listening.accept()
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                with suppress(OSError):
                    self._serve(connection)

    @abstractmethod
    def _serve(self, connection: socket.socket) -> None:
        """One connection to its end."""


class Tokens:
    """Gives the same one until it is told to forget it."""

    def __init__(self) -> None:
        self.number = 1

    def token(self) -> str:
        return f"token{self.number}"

    def forget(self) -> None:
        self.number += 1
