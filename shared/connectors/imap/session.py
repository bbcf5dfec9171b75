"""One mailbox on one IMAP connection: opened when something is asked first, signed in, and opened anew after a loss.

Folders are opened by EXAMINE, so that nothing that is read is marked as read; by SELECT only to delete. Nobody sleeps here, and
nothing is repeated by itself: a connection that breaks is the error of that call. For one thread at a time.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta

from shared.connectors.imap.answers import Fetched, fetched, found_uids, listed, number_in, set_of
from shared.connectors.imap.errors import ConnectionLost, NoLastingIds, SignInInTheClearRefused
from shared.connectors.imap.wire import Untagged, Wire
from shared.connectors.internet.connection import Server
from shared.connectors.internet.gates import Gates
from shared.connectors.internet.sign_in import Password, SignIn, Token
from shared.domain.errors import (
    AuthenticationFailed,
    Busy,
    FolderNotFound,
    ItemRejected,
    ItemUnreadable,
    MailboxNotFound,
    SyncError,
)


@dataclass(frozen=True, slots=True)
class Opened:
    """A folder as the server described it when it was opened."""

    name: bytes
    is_writable: bool
    uid_validity: int
    uid_next: int
    exists: int
    flags_at: int | None
    """HIGHESTMODSEQ (RFC 7162); None where the server keeps no states of flags for this folder."""
    mailbox_id: str | None
    """RFC 8474; None where the server has none."""
    tells_next: bool
    """Whether `uid_next` is what the server said; else it is the one after the highest UID that is there, which may fall."""

    @property
    def census(self) -> tuple[int, int, int]:
        return self.uid_validity, self.uid_next, self.exists


class Session:
    """One mailbox."""

    def __init__(self, server: Server, sign_in: SignIn, timeout: timedelta, gates: Gates, *, allow_local_servers: bool) -> None:
        """`timeout`: for connecting, and for each command with all of its answer."""
        self.server = server
        self._sign_in = sign_in
        self._timeout = timeout
        self._gates = gates
        self._allow_local_servers = allow_local_servers
        self._wire: Wire | None = None
        self._opened: Opened | None = None
        self._former_round_trips = 0

    @property
    def username(self) -> str:
        return self._sign_in.username

    @property
    def round_trips(self) -> int:
        """How often the server was asked and waited for, over all connections."""
        return self._former_round_trips + (self._wire.round_trips if self._wire is not None else 0)

    def can(self, capability: str) -> bool:
        """Whether the server said so to who signed in."""
        return capability in self._connected().capabilities

    def close(self) -> None:
        if self._wire is not None:
            self._wire.say_goodbye()
        self._forget_connection()

    # ---- folders

    def examine(self, name: bytes) -> Opened:
        """Opens the folder anew for reading: tells what it holds now. Raises FolderNotFound."""
        return self._open(name, writable=False)

    def within(self, name: bytes) -> Opened:
        """The folder, opened for reading if it is not already."""
        opened = self._opened
        return opened if opened is not None and opened.name == name and not opened.is_writable else self.examine(name)

    def select(self, name: bytes) -> Opened:
        """Opens the folder for changing it. Raises FolderNotFound, ItemRejected where it may only be read."""
        return self._open(name, writable=True)

    def folders(self, *options: bytes) -> tuple[Sequence[tuple[frozenset[bytes], bytes, bytes]], Untagged]:
        """Attributes, delimiter and name of all folders, and what else the server said."""
        said = self.ask("LIST", b'""', b'"*"', *options)
        return list(listed(said)), said

    def _open(self, name: bytes, *, writable: bool) -> Opened:
        self._opened = None
        wire = self._connected()
        command = "SELECT" if writable else "EXAMINE"
        options = (b"(CONDSTORE)",) if "CONDSTORE" in wire.capabilities and not writable else ()
        try:
            said = self._through(lambda: wire.enter(command, name, *options, otherwise=_not_opened(name)))
        except FolderNotFound as error:
            if not _is_inbox(name):
                raise
            raise MailboxNotFound("The server has no INBOX for who signed in.") from error
        if writable and "READ-ONLY" in said:
            raise ItemRejected("The folder may only be read.")
        self._opened = self._described(name, said, writable=writable)
        return self._opened

    def _described(self, name: bytes, said: Untagged, *, writable: bool) -> Opened:
        uid_validity = number_in(said, "UIDVALIDITY")
        if not uid_validity or "UIDNOTSTICKY" in said:
            raise NoLastingIds("The server keeps no ids of messages.")
        exists = number_in(said, "EXISTS") or 0
        told_next = number_in(said, "UIDNEXT")
        uid_next = told_next or self._uid_after(exists)
        mailbox_id = (said.get("MAILBOXID") or [b""])[-1]
        flags_at = None if "NOMODSEQ" in said else number_in(said, "HIGHESTMODSEQ")
        object_id = mailbox_id.strip(b"()").decode("ascii", "replace") if isinstance(mailbox_id, bytes) else ""
        return Opened(name, writable, uid_validity, uid_next, exists, flags_at or None, object_id or None, bool(told_next))

    def _uid_after(self, exists: int) -> int:
        """What old servers do not say when they open a folder."""
        if not exists:
            return 1
        found, _ = fetched(self.ask("FETCH", b"%d" % exists, b"(UID)"))
        return max(found, default=0) + 1

    # ---- messages of the folder that is open

    def fetch(self, uids: Iterable[int], columns: bytes) -> dict[int, Fetched]:
        """What the server gives of the messages that are there. Raises ItemUnreadable where it refuses, or answers what cannot
        be read: one of them is the cause."""
        return self._fetched("UID", b"FETCH", set_of(uids), columns)

    def fetch_numbers(self, first: int, last: int, columns: bytes) -> dict[int, Fetched]:
        """Likewise, by sequence numbers; `columns` has to name UID. Without what the server says unasked of other messages."""
        found = self._fetched("FETCH", b"%d:%d" % (first, last), columns)
        return {uid: row for uid, row in found.items() if first <= row.number <= last}

    def search(self, *criteria: bytes) -> list[int]:
        """UIDs, ascending."""
        return found_uids(self.ask("UID", b"SEARCH", *criteria))

    def ask(self, command: str, *arguments: bytes, otherwise: type[SyncError] = Busy) -> Untagged:
        """As `Wire.ask`, on the connection that is open, or a new one where no folder is needed."""
        wire = self._connected()
        return self._through(lambda: wire.ask(command, *arguments, otherwise=otherwise))

    def _fetched(self, command: str, *arguments: bytes) -> dict[int, Fetched]:
        found, is_whole = fetched(self.ask(command, *arguments, otherwise=ItemUnreadable))
        if not is_whole:
            raise ItemUnreadable(f"{command}: an answer that cannot be read")
        return found

    # ---- the connection

    def _through[T](self, attempt: Callable[[], T]) -> T:
        try:
            return attempt()
        except Exception:
            if self._wire is not None and self._wire.is_broken:
                self._wire.close_at_once()
                self._forget_connection()
            raise

    def _connected(self) -> Wire:
        if self._wire is not None:
            return self._wire
        wire = Wire(self.server, self._timeout, allow_local_servers=self._allow_local_servers)
        try:
            self._let_in(wire)
        except BaseException as error:
            wire.close_at_once()
            self._former_round_trips += wire.round_trips
            if isinstance(error, ConnectionLost):  # there was no connection to lose yet
                raise Busy("The server hung up while signing in.") from error
            raise
        self._wire = wire
        return wire

    def _forget_connection(self) -> None:
        self._former_round_trips = self.round_trips
        self._wire = self._opened = None

    # ---- signing in

    def _let_in(self, wire: Wire) -> None:
        if isinstance(self._sign_in, Token):
            self._show_token(wire, self._sign_in)
        else:
            self._say_password(wire, self._sign_in)

    def _show_token(self, wire: Wire, sign_in: Token) -> None:
        """https://developers.google.com/workspace/gmail/imap/xoauth2-protocol, which Microsoft has as well. A refused token may
        have been taken back: it is replaced, once."""
        token = sign_in.tokens.token()
        try:
            self._show(wire, sign_in, token)
        except AuthenticationFailed:
            sign_in.tokens.forget()
            fresh = sign_in.tokens.token()
            if fresh == token:
                raise
            self._show(wire, sign_in, fresh)

    def _show(self, wire: Wire, sign_in: Token, token: str) -> None:
        message = f"user={sign_in.username}\x01auth=Bearer {token}\x01\x01".encode()
        wire.authenticate_at_once("XOAUTH2", message, profile_wide=sign_in.profile_wide)

    def _say_password(self, wire: Wire, sign_in: Password) -> None:
        """PLAIN takes every alphabet (RFC 4616), so it is preferred to LOGIN."""
        username, password = sign_in.username.encode(), sign_in.password.encode()
        if any(each in username + password for each in (b"\r", b"\n", b"\0")):
            raise AuthenticationFailed("The credentials hold a line end.", profile_wide=sign_in.profile_wide)
        by_sasl = "AUTH=PLAIN" in wire.capabilities
        if not by_sasl and "LOGINDISABLED" in wire.capabilities:
            raise SignInInTheClearRefused("The server takes no password over this connection (LOGINDISABLED).")
        gate = self._gates.at(self.server, sign_in)
        with gate.attempt(self._timeout.total_seconds()):
            if by_sasl:
                message = b"\0" + username + b"\0" + password
                wire.authenticate_at_once("PLAIN", message, profile_wide=sign_in.profile_wide)
            else:
                wire.log_in(username, password, profile_wide=sign_in.profile_wide)
            gate.passed()


def _not_opened(name: bytes) -> type[SyncError]:
    """What it means that a folder cannot be opened, where the server does not say why. Every mailbox has an INBOX."""
    return Busy if _is_inbox(name) else FolderNotFound


def _is_inbox(name: bytes) -> bool:
    return name.upper() == b"INBOX"
