"""An SMTP server that says what it is told to: for servers that no real one can be made to be. One connection at a time."""

import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import BinaryIO

from tests.unit.connectors.scripted import ScriptedServer

type Said = bytes | Callable[[str], bytes | None]
"""A reply, or what makes one of the command's arguments; None closes the connection instead."""

PLAIN = b"250-mx.example\r\n250-AUTH PLAIN LOGIN\r\n250 SIZE 100000000\r\n"
MODERN = PLAIN.replace(b"250 SIZE", b"250-PIPELINING\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250-DSN\r\n250 SIZE")

_ORDINARY: Mapping[str, Said] = {
    "greeting": b"220 ready\r\n",
    "EHLO": MODERN,
    "AUTH": b"235 2.7.0 welcome\r\n",
    "MAIL": b"250 2.1.0 ok\r\n",
    "RCPT": b"250 2.1.5 ok\r\n",
    "DATA": b"354 go on\r\n",
    "content": b"250 2.0.0 Ok: queued as 4XyZ\r\n",
    "RSET": b"250 2.0.0 ok\r\n",
    "NOOP": b"250 2.0.0 ok\r\n",
    "QUIT": b"221 2.0.0 bye\r\n",
}


@dataclass(slots=True)
class Taken:
    """An email that it took."""

    mail: str
    rcpts: list[str]
    content: bytes


@dataclass(slots=True)
class ScriptedSmtp(ScriptedServer):
    """What it says to each command goes before what an ordinary server says. "greeting" is a connection, "content"
    what follows DATA."""

    script: dict[str, Said] = field(default_factory=dict)
    port: int = 0
    asked: list[str] = field(default_factory=list)
    """Every command, in order."""
    taken: list[Taken] = field(default_factory=list)
    closes_after: list[str] = field(default_factory=list)
    """Commands after whose answer it closes the connection, once each."""

    def count(self, name: str) -> int:
        return sum(line.partition(" ")[0] == name for line in self.asked)

    def _serve(self, connection: socket.socket) -> None:
        with connection, connection.makefile("rb") as lines:
            mail, rcpts = "", list[str]()
            going_on = self._say(connection, "greeting", self._reply("greeting", ""))
            while going_on and (line := lines.readline()):
                command = line.decode().rstrip("\r\n")
                name, _, arguments = command.partition(" ")
                name = name.upper() if name.upper() in (*_ORDINARY, "HELO") else name
                answer = self._reply(name, arguments, is_possible=bool({"RCPT": mail, "DATA": rcpts}.get(name, name)))
                if name == "MAIL":
                    mail, rcpts = arguments if answer.startswith(b"2") else "", []
                elif name == "RCPT" and answer.startswith(b"2"):
                    rcpts.append(arguments)
                going_on = self._say(connection, name, answer)
                if name == "DATA" and answer.startswith(b"3") and going_on:
                    content = _content(lines)
                    if content is None:
                        return
                    answer = self._reply("content", "")
                    if answer.startswith(b"2"):
                        self.taken.append(Taken(mail, rcpts, content))
                    going_on = self._say(connection, "content", answer)

    def _reply(self, name: str, arguments: str, *, is_possible: bool = True) -> bytes:
        """Empty: nothing is said."""
        self.asked.append(f"{name} {arguments}".rstrip())
        ordinary = _ORDINARY.get(name, b"500 5.5.2 what?\r\n") if is_possible else b"503 5.5.1 out of sequence\r\n"
        said = self.script.get(name, ordinary)
        answer = said(arguments) if callable(said) else said
        if answer is None:
            self.closes_after.append(name)
        return answer or b""

    def _say(self, connection: socket.socket, name: str, answer: bytes) -> bool:
        """Whether the connection goes on."""
        connection.sendall(answer)
        if name in self.closes_after:
            self.closes_after.remove(name)
            return False
        return name != "QUIT"


def _content(lines: BinaryIO) -> bytes | None:
    """Up to the dot, without its dots; None where the connection ends before."""
    content: list[bytes] = []
    for line in lines:
        if line == b".\r\n":
            return b"".join(content)
        content.append(line.removeprefix(b".") if line.startswith(b"..") else line)
    return None
