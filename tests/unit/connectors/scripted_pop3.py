"""A POP3 server that says what it is told to: for servers that no real one can be made to be. One connection at a time."""

import socket
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from tests.unit.connectors.scripted import ScriptedServer

type Said = bytes | Callable[[str], bytes | None]
"""A reply, or what makes one of the command's arguments; None closes the connection instead."""


@dataclass(slots=True)
class Maildrop:
    """Messages by UIDL, in their order. What is deleted goes when a session is ended with QUIT."""

    messages: dict[str, bytes] = field(default_factory=dict)

    def replies(self, line_end: bytes = b"\r\n") -> dict[str, Said]:
        """What a server of today says. Made for each session anew: numbers hold within one."""
        uidls = list(self.messages)
        marked: list[str] = []

        def reply(*lines: bytes) -> bytes:
            return line_end.join((b"+OK", *lines, b".", b""))

        def body(content: bytes) -> bytes:
            stuffed = (line_end + content.replace(b"\r\n", line_end)).replace(line_end + b".", line_end + b"..")
            return b"+OK" + stuffed.removesuffix(line_end) + line_end + b"." + line_end

        def numbered(values: Sequence[str]) -> Callable[[str], bytes]:
            def say(number: str) -> bytes:
                if number:
                    return f"+OK {number} {values[int(number) - 1]}".encode() + line_end
                return reply(*(f"{place} {value}".encode() for place, value in enumerate(values, start=1)))

            return say

        def top(arguments: str) -> bytes:
            head, _, _ = self.messages[uidls[int(arguments.split()[0]) - 1]].partition(b"\r\n\r\n")
            return body(head + b"\r\n\r\n")

        def delete(number: str) -> bytes:
            marked.append(uidls[int(number) - 1])
            return b"+OK" + line_end

        def quit_(_: str) -> bytes:
            for uidl in marked:
                del self.messages[uidl]
            return b"+OK" + line_end

        sizes = [str(len(content)) for content in self.messages.values()]
        return {
            "": b"+OK ready" + line_end,
            "USER": b"+OK" + line_end,
            "PASS": b"+OK" + line_end,
            "NOOP": b"+OK" + line_end,
            "CAPA": reply(b"TOP", b"UIDL", b"PIPELINING"),
            "STAT": f"+OK {len(uidls)} {sum(map(int, sizes))}".encode() + line_end,
            "UIDL": numbered(uidls),
            "LIST": numbered(sizes),
            "TOP": top,
            "RETR": lambda number: body(self.messages[uidls[int(number) - 1]]),
            "DELE": delete,
            "QUIT": quit_,
        }


@dataclass(slots=True)
class ScriptedPop3(ScriptedServer):
    """What it says to each command goes before what `maildrop` says."""

    maildrop: Maildrop = field(default_factory=Maildrop)
    script: Mapping[str, Said] = field(default_factory=dict)
    line_end: bytes = b"\r\n"
    port: int = 0
    asked: list[str] = field(default_factory=list)
    """Every command, in order; "" is a connection."""
    lost_at: int | None = None
    """The command, counted from now, before which the connection is lost."""

    def count(self, name: str) -> int:
        return sum(line.partition(" ")[0] == name for line in self.asked)

    def _serve(self, connection: socket.socket) -> None:
        replies = {**self.maildrop.replies(self.line_end), **self.script}
        with connection, connection.makefile("rb") as lines:
            if not self._answered(connection, replies, ""):
                return
            for line in lines:
                if not self._answered(connection, replies, line.decode().rstrip("\r\n")):
                    return

    def _answered(self, connection: socket.socket, replies: Mapping[str, Said], line: str) -> bool:
        if self.lost_at is not None:
            self.lost_at -= 1
            if self.lost_at < 0:
                self.lost_at = None
                return False
        self.asked.append(line)
        name, _, arguments = line.partition(" ")
        said = replies.get(name, b"-ERR what?" + self.line_end)
        answer = said(arguments) if callable(said) else said
        if answer is None:
            return False
        connection.sendall(answer)
        return name != "QUIT"
