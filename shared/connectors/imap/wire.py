"""One IMAP connection: imaplib over a guarded socket, with every answer bounded in bytes and time.

imaplib believes a server that announces a literal of any length, waits for each piece of an answer anew, and keeps what was
said unasked for the next command; none of it holds here. Knows commands and answers, but neither folders nor messages.
"""

import imaplib
import io
import re
import socket
from base64 import b64encode
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from time import monotonic

from shared.connectors.imap.errors import ConnectionLost, mapped, refused
from shared.connectors.internet.connection import Security, Server, open_connection, with_tls
from shared.domain.errors import AuthenticationFailed, Busy, NoMailServer, NoTls, SyncError

LARGEST_LITERAL = 4 << 20
"""Bytes; nothing that is asked for is larger."""
LARGEST_ANSWER = 32 << 20
"""Bytes of all that a server says to one command."""
LONGEST_LINE = 4 << 20
"""Bytes; a SEARCH in a mailbox of 400,000 messages answers so much."""

_WEIGHT_OF_LINE = 64
"""Bytes that a line counts for besides its own: each is an object, however short it is."""
_GOODBYE_SECONDS = 5.0
_BAD = re.compile(r"command error: BAD \[b['\"](.*)", re.DOTALL)
"""As imaplib words it."""

type Untagged = Mapping[str, Sequence[bytes | tuple[bytes, bytes]]]
"""What the server said to a command, by name; an answer with literals is split, each literal with what stands before it."""


class Wire(imaplib.IMAP4):
    """Open from the start on; who opened it closes it. Every failure leaves it useless."""

    def __init__(self, server: Server, timeout: timedelta, *, allow_local_servers: bool) -> None:
        """Raises LocationRefused, TransientError."""
        self.round_trips = 1
        """How often something was asked of the server and waited for; the greeting counts as well."""
        self._server = server
        self._allow_local_servers = allow_local_servers
        self._timeout = timeout
        self._incoming: _Incoming | None = None
        self.is_broken = False
        """Something went wrong beyond a refusal: there is no way to know what the server will say next."""
        try:
            super().__init__(server.host, server.port)
        except SyncError:
            raise
        except Exception as error:
            raise self._at_greeting(error) from error
        if self.state != "NONAUTH":  # PREAUTH: whoever answers there, it is not this mailbox that is let in
            self.close_at_once()
            raise NoMailServer("The server takes us for somebody who signed in already.")
        if server.security is Security.UPGRADE:
            try:
                self._upgrade()
            except BaseException:
                self.close_at_once()
                raise

    # ---- what imaplib calls

    def open(self, host: str = "", port: int = 0, timeout: float | None = None) -> None:  # noqa: ARG002 (imaplib's contract)
        self.host, self.port = host, port
        self._read_from(open_connection(self._server, self._timeout, allow_local_servers=self._allow_local_servers))

    def read(self, size: int) -> bytes:
        """A literal. A server that announces one that nobody asked for is left before a byte of it is read."""
        if size > LARGEST_LITERAL:
            raise self.abort("a literal that is too large")
        self._count(size)
        return self._reader.read(size)

    def readline(self) -> bytes:
        line = self._reader.readline(LONGEST_LINE + 1)
        if len(line) > LONGEST_LINE:
            raise self.abort("a line that is too long")
        self._count(len(line) + _WEIGHT_OF_LINE)
        return line

    def _get_capabilities(self) -> None:
        """Most servers say what they can in their greeting, and again to who signed in."""
        told = self.untagged_responses.pop("CAPABILITY", None) or self.ask("CAPABILITY").get("CAPABILITY")
        text = told[-1] if told else b""
        self.capabilities = tuple(text.decode("ascii", "replace").upper().split()) if isinstance(text, bytes) else ()

    # ---- asking

    def ask(self, command: str, *arguments: bytes, otherwise: type[SyncError] = Busy) -> Untagged:
        """What the server says to a command. `otherwise`: what it means where the server refuses it without saying why.

        Raises SyncError: of the kind that the refusal means, or for a connection that is of no use any more."""
        named = f"UID {arguments[0].decode('ascii')}" if command == "UID" else command
        self.untagged_responses.clear()
        self._begin()
        try:
            answer, (text, *_) = self._simple_command(command, *arguments)
        except SyncError:
            raise
        except Exception as error:
            raise self._failed(error, named, otherwise) from error
        if answer != "OK":
            raise refused(named, text, otherwise)
        return dict(self.untagged_responses)

    def authenticate_at_once(self, mechanism: str, first: bytes, *, profile_wide: bool) -> None:
        """SASL with one message of ours, sent along where the server takes it so (SASL-IR, RFC 4959). A server that says more
        before it refuses, as for XOAUTH2, gets an empty answer. Raises as `ask`."""
        encoded = b64encode(first)
        at_once = "SASL-IR" in self.capabilities
        arguments = (mechanism.encode("ascii"), encoded) if at_once else (mechanism.encode("ascii"),)
        self.literal = _Answers([] if at_once else [encoded]).next  # type: ignore[assignment] # what imaplib itself does
        self._sign_in("AUTHENTICATE", arguments, profile_wide=profile_wide)

    def log_in(self, username: bytes, password: bytes, *, profile_wide: bool) -> None:
        """Raises as `ask`."""
        self._sign_in("LOGIN", (quoted(username), quoted(password)), profile_wide=profile_wide)

    def enter(self, command: str, folder: bytes, *options: bytes, otherwise: type[SyncError]) -> Untagged:
        """SELECT or EXAMINE. Raises as `ask`."""
        self.state = "AUTH"
        answer = self.ask(command, quoted(folder), *options, otherwise=otherwise)
        self.state = "SELECTED"
        return answer

    # ---- ending

    def say_goodbye(self) -> None:
        """Takes leave without waiting for the answer, which nobody needs."""
        with suppress(OSError):
            self.sock.settimeout(_GOODBYE_SECONDS)
            self.send(b"bye LOGOUT\r\n")
        self.close_at_once()

    def close_at_once(self) -> None:
        with suppress(OSError):
            self.shutdown()

    # ---- the parts of it

    def _sign_in(self, command: str, arguments: Sequence[bytes], *, profile_wide: bool) -> None:
        try:
            answer = self._asked_to_sign_in(command, arguments)
        except Exception as error:
            raise self._failed(error, command, Busy) from error
        if answer is not None:
            raise refused(command, answer, AuthenticationFailed, profile_wide=profile_wide)
        self.state = "AUTH"
        self._get_capabilities()

    def _asked_to_sign_in(self, command: str, arguments: Sequence[bytes]) -> bytes | None:
        """The server's words where it refuses."""
        self.untagged_responses.clear()
        self._begin()
        answer, (text, *_) = self._simple_command(command, *arguments)
        return None if answer == "OK" else text

    def _upgrade(self) -> None:
        """What was said in the clear does not count: anybody may have said it (RFC 3501 section 6.2.1)."""
        if "STARTTLS" not in self.capabilities:
            raise NoTls("The server does not offer STARTTLS.")
        self.ask("STARTTLS", otherwise=NoTls)
        self._begin()
        self._read_from(with_tls(self.sock, self._server))
        self.untagged_responses.clear()
        self._get_capabilities()

    def _read_from(self, connection: socket.socket) -> None:
        self.sock = connection
        self._incoming = _Incoming(connection, self._timeout.total_seconds())
        self.file = self._reader = io.BufferedReader(self._incoming, 1 << 16)
        self._unread = LARGEST_ANSWER

    def _begin(self) -> None:
        self.round_trips += 1
        self._unread = LARGEST_ANSWER
        if self._incoming is not None:
            self._incoming.begin()

    def _count(self, size: int) -> None:
        self._unread -= size
        if self._unread < 0:
            raise self.abort("an answer that is too long")

    def _failed(self, error: Exception, command: str, otherwise: type[SyncError]) -> SyncError:
        """BYE and BAD come as exceptions of imaplib."""
        if isinstance(error, imaplib.IMAP4.error) and (bad := _BAD.search(str(error))):
            return refused(command, bad[1].encode("utf-8", "replace"), otherwise)
        self.is_broken = True
        if "BYE" in self.untagged_responses:
            return refused(command, _last(self.untagged_responses, "BYE"), ConnectionLost)
        return mapped(error, command)

    def _at_greeting(self, error: Exception) -> SyncError:
        if "BYE" in self.untagged_responses:
            return refused("greeting", _last(self.untagged_responses, "BYE"), Busy)
        return mapped(error, "greeting", greets=True)


class _Incoming(io.RawIOBase):
    """What the server says, as long as it takes no longer than the time for one command, all in all."""

    def __init__(self, connection: socket.socket, seconds: float) -> None:
        self._connection = connection
        self._seconds = seconds
        self.begin()

    def begin(self) -> None:
        self._deadline = monotonic() + self._seconds
        self._connection.settimeout(self._seconds)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override] # as BufferedReader calls it
        left = self._deadline - monotonic()
        if left <= 0:
            raise TimeoutError("an answer that takes too long")
        self._connection.settimeout(left)
        return self._connection.recv_into(buffer)


class _Answers:
    """What is said to a server that asks in the course of a command; nothing when there is nothing more to say."""

    def __init__(self, answers: Sequence[bytes]) -> None:
        self._answers = iter(answers)

    def next(self, _: bytes) -> bytes:
        return next(self._answers, b"")


def quoted(text: bytes) -> bytes:
    """A quoted string (RFC 3501 section 9). Raises ValueError for what none can hold."""
    if any(each in text for each in (b"\r", b"\n", b"\0")):
        raise ValueError("a line end in a string")
    return b'"' + text.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'


def _last(untagged: Untagged, name: str) -> bytes:
    """What stood behind `name` in what was said last; empty where nothing did."""
    said = untagged.get(name) or [b""]
    return said[-1] if isinstance(said[-1], bytes) else b""
