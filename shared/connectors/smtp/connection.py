"""One SMTP connection: smtplib's, with replies that are bounded, several commands under way at once, and content in pieces.

smtplib holds a message as a whole, twice. Knows no mailbox and no email. Raises NoSmtp, Closing, and what sockets raise.
Nothing is ever printed for debugging: passwords and people's mail go through here.
"""

import smtplib
import socket
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import timedelta
from math import inf
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
_ASK_FOR_MORE = frozenset({"AUTH", "DATA"})
_UNKNOWN_COMMAND = frozenset({500, 502, 504})
_LAST_WORDS_AFTER = 1.0
"""Seconds that a broken connection is listened to: the server may have said why."""


class Connection(smtplib.SMTP):
    """Connected, and greeted. `esmtp_features` says what the server offers once it was asked by `introduce`."""

    def __init__(self, server: Server, name: str, timeout: timedelta, *, allow_local_servers: bool, until: float = inf) -> None:
        """`name`: what we are called in EHLO. `timeout` limits each call, `until` all of them, as `within` does. Raises Closing
        where the greeting is none."""
        super().__init__(local_hostname=name, timeout=timeout.total_seconds())
        self._server = server
        self._allow_local_servers = allow_local_servers
        self._seconds = timeout.total_seconds()
        self._until = until
        self._buffer = b""
        try:
            _check("greeting", *self.connect(server.host, server.port))
        except BaseException:
            self.drop()
            raise

    @property
    def is_over(self) -> bool:
        return self.sock is None

    @contextmanager
    def within(self, until: float) -> Iterator[None]:
        """What is said meanwhile has to be said and answered by then, as `monotonic` tells time: TimeoutError else. A server
        that answers each command in time may be too slow for all of them."""
        self._until = until
        try:
            yield
        finally:
            self._until = inf

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
        self.sock = with_tls(self._ready(self._soon()), self._server)
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

    def command_each(self, lines: Sequence[str], begun: float) -> list[Reply]:
        """In order; several under way at once where the server allows it (RFC 2920). What cannot be `begun` by then is left
        out at the end, but never all."""
        at_once = _AT_ONCE if self.offers("pipelining") else 1
        replies: list[Reply] = []
        for at in range(0, len(lines), at_once):
            if replies and monotonic() > begun:
                break
            some = lines[at : at + at_once]
            self._put_all(some)
            replies += [self._going_on(line) for line in some]
        return replies

    def give(self, pieces: Iterable[bytes]) -> None:
        """Content with CRLF, up to and with the dot that ends it. Where this raises, the end of it was not given."""
        held, given = _LINE_END, len(_LINE_END)  # as if a line had ended before
        for piece in pieces:
            held += piece
            kept = next((end for end in (_LINE_END, b"\r") if held.endswith(end)), b"")  # a dot may follow
            self._send(held.removesuffix(kept).replace(b"\r\n.", b"\r\n..")[given:])
            held, given = kept, 0
        self._send(held[given:] + b".\r\n")

    def outcome(self, patience: float) -> Reply:
        """The reply to content, within `patience` seconds."""
        reply = self._reply(monotonic() + patience)
        if reply.asks_for_more:
            raise NoSmtp
        return reply

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
        if self._buffer and not self._buffer.startswith(b"421"):
            raise NoSmtp  # it was said unasked, and is no reply to this
        self._send("".join(f"{line}\r\n" for line in lines).encode())

    def _send(self, octets: bytes) -> None:
        """By itself: `sendall` over TLS limits each record, not the whole."""
        rest = memoryview(octets)
        while rest:
            rest = rest[self._ready(self._soon()).send(rest) :]

    def _ready(self, until: float) -> socket.socket:
        """The socket, for one call that ends by then."""
        if (left := until - monotonic()) <= 0:
            raise TimeoutError("It takes longer than the time allowed for it.")
        wire = self._wire
        wire.settimeout(left)
        return wire

    def _soon(self) -> float:
        return min(monotonic() + self._seconds, self._until)

    def _going_on(self, line: str) -> Reply:
        reply, command = self._reply(self._soon()), line.partition(" ")[0]
        if reply.is_closing:
            raise Closing(command, reply)
        if (command == "DATA" and reply.is_positive) or (command not in _ASK_FOR_MORE and reply.asks_for_more):
            raise NoSmtp  # it is the reply to something else
        return reply

    # ---- what smtplib does by these

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:  # noqa: ARG002 # smtplib's own words for it
        left = max(0.0, self._soon() - monotonic())
        return open_connection(self._server, timedelta(seconds=left), allow_local_servers=self._allow_local_servers)

    def putcmd(self, cmd: str, args: str = "") -> None:
        self._put_all([f"{cmd} {args}".rstrip()])

    def getreply(self) -> tuple[int, bytes]:
        code, lines = self._read(self._soon())
        return code, b"\n".join(lines)

    # ---- replies

    def _reply(self, until: float) -> Reply:
        return reply_of(*self._read(until))

    def _read(self, until: float) -> tuple[int, list[bytes]]:
        lines: list[bytes] = []
        while len(lines) < _MOST_LINES:
            line = self._line(until)
            code, mark = line[:3], line[3:4]
            if not (len(code) == 3 and code.isdigit() and b"200" <= code < b"600" and mark in (b" ", b"-", b"")):
                raise NoSmtp
            lines.append(line[4:])
            if mark != b"-":
                return int(code), lines
        raise NoSmtp

    def _line(self, until: float) -> bytes:
        while (end := self._buffer.find(b"\n")) < 0:
            if len(self._buffer) > _LONGEST_LINE:
                raise NoSmtp
            block = self._ready(until).recv(_CHUNK)
            if not block:
                raise EOFError
            self._buffer += block
        line, self._buffer = self._buffer[:end], self._buffer[end + 1 :]
        return line.removesuffix(b"\r")


def _check(command: str, code: int, text: bytes) -> None:
    """Raises Closing where the server does not want to speak with us."""
    if not 200 <= code < 300:
        raise Closing(command, reply_of(code, text.split(b"\n")))
