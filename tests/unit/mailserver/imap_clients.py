"""Clients of the IMAP head for its tests: imapclient, and lines as they are for what no client sends."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Self

from imapclient import IMAPClient

from local.mailserver import MailServer
from tests.unit.mailserver.conftest import ANNA

PASSWORD = "anna's password"


@contextmanager
def connected(server: MailServer) -> Iterator[IMAPClient]:
    client = IMAPClient("127.0.0.1", server.imap_port, ssl=False, timeout=20)
    try:
        yield client
    finally:
        client.shutdown()


@contextmanager
def signed_in(server: MailServer, username: str = ANNA, password: str = PASSWORD) -> Iterator[IMAPClient]:
    with connected(server) as client:
        client.login(username, password)
        yield client


@contextmanager
def selected(server: MailServer, folder: str = "INBOX", *, readonly: bool = False) -> Iterator[IMAPClient]:
    with signed_in(server) as client:
        client.select_folder(folder, readonly=readonly)
        yield client


class Lines:
    """Whatever a test wants to say, and all that is answered up to the tagged line."""

    def __init__(self, server: MailServer, *, sign_in: bool = True) -> None:
        self.socket = socket.create_connection(("127.0.0.1", server.imap_port), timeout=20)
        self.reader = self.socket.makefile("rb")
        self.greeting = self.reader.readline()
        if sign_in:
            self.ask(f'LOGIN {ANNA} "{PASSWORD}"')

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.reader.close()
        self.socket.close()

    def ask(self, command: str | bytes) -> list[str]:
        """The lines of the answer without the tag: the last one begins with OK, NO or BAD."""
        self.send(b"t " + (command if isinstance(command, bytes) else command.encode()))
        return self.answer()

    def send(self, line: bytes) -> None:
        self.socket.sendall(line + b"\r\n")

    def answer(self) -> list[str]:
        lines: list[str] = []
        while not lines or not lines[-1].startswith("t "):
            raw = self.reader.readline()
            if not raw:
                return lines
            lines.append(_text(raw))
        return [*lines[:-1], lines[-1].removeprefix("t ")]

    def line(self) -> str:
        """Empty where the server has gone."""
        return _text(self.reader.readline())


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogateescape").rstrip("\r\n")
