"""One POP3 connection: poplib's commands, with replies read in blocks instead of lines, and several under way at once.

poplib takes 2 KB for the longest line there is, and makes an object of each: messages fit neither. Knows no mailbox. Raises
Refused, NoPop3, ReplyTooLong, and what sockets raise.

A reply of many lines ends with a dot between line ends of the kind that its first line has: no message that holds line ends of
another kind may end the reply, and pass what follows off as the server's words.
"""

import poplib
import socket
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import timedelta
from math import inf
from time import monotonic

from shared.connectors.internet.connection import Server, open_connection, with_tls
from shared.connectors.pop3.contents import Content, Sink
from shared.connectors.pop3.errors import NoPop3, Refused

CHUNK = 1 << 17
LONGEST_LINE = 8192
"""Bytes of a line that is a reply by itself (RFC 2449: 512)."""
LONGEST_REPLY = timedelta(minutes=5)
"""A run's lease would not outlast a longer one."""


class Connection(poplib.POP3):
    """Connected, and not signed in. Commands of poplib that are answered by one line are used as they are."""

    def __init__(self, server: Server, timeout: timedelta, *, allow_local_servers: bool) -> None:
        self._server = server
        self._allow_local_servers = allow_local_servers
        self._timeout = timeout
        self._buffer = b""
        self._at = 0
        """What stands before was looked at."""
        self._line_end = b"\r\n"
        """Of the line that was read last."""
        self._deadline = 0.0
        self._operation = "greeting"
        self._opened: socket.socket | None = None
        try:
            super().__init__(server.host, server.port, timeout.total_seconds())
        except BaseException:
            self.drop()
            raise

    @property
    def offers_apop(self) -> bool:
        return self.timestamp.match(self.welcome) is not None  # type: ignore[call-overload] # it is one of bytes

    def drop(self) -> None:
        """Ends the connection as if it were lost: the server deletes nothing (RFC 1939 section 6)."""
        with suppress(OSError, AttributeError):  # before the greeting there is no file
            self.close()
        if self._opened is not None:
            self._opened.close()

    def turn_to_tls(self) -> None:
        """Raises Refused where the server does not. Nothing that was said before counts (RFC 2595)."""
        self.command("STLS")
        if self._at < len(self._buffer):
            raise NoPop3("The server says more than that it begins with TLS.")
        self.file.close()
        self._opened = self.sock = with_tls(self.sock, self._server)
        self.file = self.sock.makefile("rb")

    # ---- commands

    def command(self, line: str) -> bytes:
        """The line that answers, which begins with a plus sign."""
        self._putcmd(line)
        return self._getresp()

    def respond(self, line: str) -> bytes:
        """As `command`, of what a command asked for; it may be secret."""
        self.sock.sendall(f"{line}\r\n".encode())
        return self._getresp()

    def ask(self, line: str, most: int) -> bytes:
        """What follows the line that answers, without its dots. Raises ReplyTooLong beyond `most` bytes."""
        self._putcmd(line)
        return bytes(self._body(Sink(most), monotonic() + LONGEST_REPLY.total_seconds()))

    def ask_each(self, lines: Sequence[str], sinks: Sequence[Sink], until: float) -> Iterator[Content | Refused]:
        """What follows each line's answer. All are sent at once: several only to servers that offer PIPELINING (RFC 2449).
        `until`: when all of it is to be there, as `monotonic` tells time. Whoever does not read all answers drops the
        connection."""
        self._put_all(lines)
        for sink in sinks:
            try:
                yield self._body(sink, until)
            except Refused as error:
                yield error

    def command_each(self, lines: Sequence[str]) -> Iterator[bytes | Refused]:
        """As `ask_each`, of commands that are answered by one line."""
        self._put_all(lines)
        for _ in lines:
            try:
                yield self._getresp()
            except Refused as error:
                yield error

    def _put_all(self, lines: Sequence[str]) -> None:
        self._operation = lines[0].partition(" ")[0]
        self.sock.sendall("".join(f"{line}\r\n" for line in lines).encode())

    # ---- what poplib does by these

    def _create_socket(self, timeout: float) -> socket.socket:  # noqa: ARG002 (poplib's own word for it)
        self._opened = open_connection(self._server, self._timeout, allow_local_servers=self._allow_local_servers)
        return self._opened

    def _putcmd(self, line: str) -> None:
        self._put_all([line])

    def _getresp(self, until: float = inf) -> bytes:
        self._deadline = min(monotonic() + self._timeout.total_seconds(), until)
        line, _ = self._getline()
        if line.startswith(b"-ERR"):
            raise Refused(self._operation, line)
        if not line.startswith(b"+"):
            raise NoPop3(self._operation)
        return line

    def _getline(self) -> tuple[bytes, int]:
        while (end := self._buffer.find(b"\n", self._at)) < 0:
            if len(self._buffer) - self._at > LONGEST_LINE:
                raise NoPop3(self._operation)
            self._receive()
        line = self._buffer[self._at : end + 1]
        self._at = end + 1
        self._line_end = b"\r\n" if line.endswith(b"\r\n") else b"\n"
        return line.removesuffix(self._line_end), len(line)

    # ---- replies of many lines

    def _body(self, sink: Sink, until: float) -> Content:
        """The end of the first line counts as part of what follows: so nothing is special about a message's first line."""
        try:
            self._getresp(until)
            self._deadline = until
            end_of_line = self._line_end
            self._at -= len(end_of_line)
            skipped = len(end_of_line)
            end_of_reply = end_of_line + b"." + end_of_line
            while (end := self._buffer.find(end_of_reply, self._at)) < 0:
                skipped = self._pass_on(self._certain(end_of_line), end_of_line, sink, skipped)
                self._receive()
            self._pass_on(end + len(end_of_line), end_of_line, sink, skipped)  # the line end before the dot is the message's
            self._at = end + len(end_of_reply)
            return sink.content()
        finally:
            sink.close()

    def _certain(self, end_of_line: bytes) -> int:
        """Up to where what came may be passed on: the begin of a dot's line stays until the rest of it is there too."""
        last = self._buffer.find(end_of_line, max(self._at, len(self._buffer) - 4))
        return last if last >= 0 else max(self._at, len(self._buffer) - 1)

    def _pass_on(self, end: int, end_of_line: bytes, sink: Sink, skipped: int) -> int:
        """What came up to `end`, its dots unstuffed, without the first `skipped` bytes; returns how many are still to skip."""
        piece = self._buffer[self._at : end].replace(end_of_line + b"..", end_of_line + b".")
        self._at = end
        sink.write(piece[skipped:])
        return max(0, skipped - len(piece))

    def _receive(self) -> None:
        if monotonic() > self._deadline:
            raise TimeoutError("The reply took longer than the time allowed for it.")
        block = self.sock.recv(CHUNK)
        if not block:
            raise EOFError
        self._buffer = self._buffer[self._at :] + block
        self._at = 0
