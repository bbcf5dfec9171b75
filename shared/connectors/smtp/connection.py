"""One SMTP connection: smtplib's, with replies that are bounded, several commands under way at once, and content in pieces.

smtplib holds a message as a whole, twice. Knows no mailbox and no email. Raises NoSmtp, Closing, and what sockets raise.
Nothing is ever printed for debugging: passwords and people's mail go through here.
"""

import smtplib
import socket
from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import timedelta
from time import monotonic

from shared.connectors.internet.connection import Server, open_connection, with_tls
from shared.connectors.smtp.errors import Closing, NoSmtp
from shared.connectors.smtp.replies import Reply, reply_of

_LONGEST_LINE = 8192
"""Bytes of one line of a reply (RFC 5321: 512)."""
_MOST_LINES = 200
"""Of one reply."""
_LINE_END = b"\r\n"
_CHUNK = 1 << 14
_AT_ONCE = 50
"""Commands under way at once: their replies have to fit into the buffers between here and there (RFC 2920 section 3.1)."""
_UNKNOWN_COMMAND = frozenset({500, 502, 504})
_LAST_WORDS_AFTER = 1.0
"""Seconds that a broken connection is listened to: the server may have said why."""


class Connection(smtplib.SMTP):
    """Connected, and greeted. `esmtp_features` says what the server offers once it was asked by `introduce`."""

    def __init__(self, server: Server, name: str, timeout: timedelta, *, allow_local_servers: bool) -> None:
        """`name`: what we are called in EHLO. Raises Closing where the greeting is none."""
        super().__init__(local_hostname=name, timeout=timeout.total_seconds())
        self._server = server
        self._allow_local_servers = allow_local_servers
        self._seconds = timeout.total_seconds()
        self._limit = timeout
        self._buffer = b""
        self._deadline = 0.0
        try:
            _check("greeting", *self.connect(server.host, server.port))
        except BaseException:
            self.drop()
            raise

    @property
    def is_over(self) -> bool:
        return self.sock is None

    def drop(self) -> None:
        """Ends the connection as if it were lost."""
        with suppress(OSError):
            self.close()

    def introduce(self) -> None:
        """Asks what the server offers. Raises Closing where it refuses even HELO."""
        code, text = self.ehlo()
        if code in _UNKNOWN_COMMAND:
            code, text = self.helo()
        _check("EHLO", code, text)

    def turn_to_tls(self) -> None:
        """Nothing that was said before counts (RFC 3207 section 4.2): whoever calls this introduces himself again."""
        reply = self.command("STARTTLS")
        if reply.code != 220:
            raise Closing("STARTTLS", reply)
        if self._buffer:
            raise NoSmtp("The server says more than that it begins with TLS.")
        self.sock = with_tls(self._wire, self._server)
        self.esmtp_features = {}
        self.does_esmtp = False

    def offers(self, extension: str) -> bool:
        return extension in self.esmtp_features

    # ---- commands

    def command(self, line: str) -> Reply:
        """Raises Closing where the server ends the connection instead."""
        self._put_all([line])
        return self._going_on(line)

    def respond(self, line: str) -> Reply:
        """As `command`, of what a command asked for; it may be secret."""
        self._put_all([line])
        return self._going_on("AUTH")

    def command_each(self, lines: Sequence[str]) -> list[Reply]:
        """In order; several under way at once where the server allows it (RFC 2920)."""
        at_once = _AT_ONCE if self.offers("pipelining") else 1
        replies: list[Reply] = []
        for at in range(0, len(lines), at_once):
            some = lines[at : at + at_once]
            self._put_all(some)
            replies += [self._going_on(line) for line in some]
        return replies

    def give(self, pieces: Iterable[bytes], until: float) -> None:
        """Content with CRLF, up to and with the dot that ends it. Where this raises, the end of it was not given. `until`: when
        all is to be given, as `monotonic` tells time."""
        held, given = _LINE_END, len(_LINE_END)  # as if a line had ended before
        for piece in pieces:
            held += piece
            kept = next((end for end in (_LINE_END, b"\r") if held.endswith(end)), b"")  # a dot may follow
            self._send(held.removesuffix(kept).replace(b"\r\n.", b"\r\n..")[given:], until)
            held, given = kept, 0
        self._send(held[given:] + b".\r\n", until)

    def outcome(self, patience: float) -> Reply:
        """The reply to content, within `patience` seconds."""
        self._wire.settimeout(patience)
        try:
            return self._reply(patience)
        finally:
            self._wire.settimeout(self._seconds)

    def last_words(self) -> Reply | None:
        """What the server said before it ended the connection, if anything."""
        try:
            return self.outcome(_LAST_WORDS_AFTER)
        except (OSError, EOFError, NoSmtp):
            return None

    @property
    def _wire(self) -> socket.socket:
        if self.sock is None:
            raise EOFError
        return self.sock

    def _put_all(self, lines: Sequence[str]) -> None:
        if any("\r" in line or "\n" in line for line in lines):
            raise ValueError("A command has a line break.")
        self._wire.sendall("".join(f"{line}\r\n" for line in lines).encode())

    def _send(self, octets: bytes, until: float) -> None:
        if monotonic() > until:
            raise TimeoutError("The content takes longer than the time allowed for it.")
        self._wire.sendall(octets)

    def _going_on(self, line: str) -> Reply:
        reply = self._reply(self._seconds)
        if reply.is_closing:
            raise Closing(line.partition(" ")[0], reply)
        return reply

    # ---- what smtplib does by these

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:  # noqa: ARG002 # smtplib's own words for it
        return open_connection(self._server, self._limit, allow_local_servers=self._allow_local_servers)

    def putcmd(self, cmd: str, args: str = "") -> None:
        self._put_all([f"{cmd} {args}".rstrip()])

    def getreply(self) -> tuple[int, bytes]:
        code, lines = self._read(self._seconds)
        return code, b"\n".join(lines)

    # ---- replies

    def _reply(self, patience: float) -> Reply:
        return reply_of(*self._read(patience))

    def _read(self, patience: float) -> tuple[int, list[bytes]]:
        self._deadline = monotonic() + patience
        lines: list[bytes] = []
        while len(lines) < _MOST_LINES:
            line = self._line()
            code, mark = line[:3], line[3:4]
            if not (code.isdigit() and b"200" <= code < b"600" and mark in (b" ", b"-", b"")):
                raise NoSmtp
            lines.append(line[4:])
            if mark != b"-":
                return int(code), lines
        raise NoSmtp

    def _line(self) -> bytes:
        while (end := self._buffer.find(b"\n")) < 0:
            if len(self._buffer) > _LONGEST_LINE:
                raise NoSmtp
            if monotonic() > self._deadline:
                raise TimeoutError("The reply took longer than the time allowed for it.")
            block = self._wire.recv(_CHUNK)
            if not block:
                raise EOFError
            self._buffer += block
        line, self._buffer = self._buffer[:end], self._buffer[end + 1 :]
        return line.removesuffix(b"\r")


def _check(command: str, code: int, text: bytes) -> None:
    """Raises Closing where the server does not want to speak with us."""
    if not 200 <= code < 300:
        raise Closing(command, reply_of(code, text.split(b"\n")))
