"""An IMAP server that does as a test says: one folder that tests change at will, and answers that no decent server gives.

For what neither the local mail server nor Dovecot can be brought to do; what they do is tested with them.
"""

import re
import socket
import threading
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from shared.connectors.imap.mail import ImapMail
from shared.connectors.imap.session import Session
from shared.connectors.internet.connection import Security, Server
from shared.connectors.internet.gates import Gates
from shared.connectors.internet.sign_in import Password, SignIn

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
DECENT = "IMAP4rev1 SASL-IR AUTH=PLAIN UIDPLUS CONDSTORE"

type Reply = Callable[[bytes], bytes | None]
"""The whole answer to a command line, `TAG` for its tag; None leaves it to the server, b"" hangs up."""


@dataclass(slots=True)
class Message:
    raw: bytes
    flags: set[str] = field(default_factory=set)
    changed: int = 0
    received: datetime = NOON


@dataclass
class OddServer:
    capabilities: str = DECENT
    greeting: str = "* OK [CAPABILITY {capabilities}] ready"
    messages: dict[int, Message] = field(default_factory=dict)
    uid_validity: int = 7
    uid_next: int = 1
    tells_next: bool = True
    state: int = 1
    """HIGHESTMODSEQ."""
    folders: list[str] = field(default_factory=lambda: ['(\\HasNoChildren) "/" INBOX'])
    said: list[bytes] = field(default_factory=list)
    """What clients said, without tags."""
    reply: Reply = lambda _: None
    noise: bytes = b""
    """Said before and behind every answer."""
    connections: int = 0
    port: int = 0

    # ---- the folder

    def deliver(self, name: str, *flags: str, gap: int = 0, raw: bytes | None = None, received: datetime = NOON) -> int:
        uid = self.uid_next + gap
        self.uid_next = uid + 1
        self.state += 1
        header = f"From: bert@fabrikam.example\r\nSubject: {name}\r\nMessage-ID: <{name}@fabrikam.example>\r\n\r\n"
        self.messages[uid] = Message(header.encode() + b"Hello\r\n" if raw is None else raw, set(flags), self.state, received)
        return uid

    def flag(self, uid: int, *flags: str, off: bool = False) -> None:
        message = self.messages[uid]
        message.flags = message.flags - set(flags) if off else message.flags | set(flags)
        self.state += 1
        message.changed = self.state

    def remove(self, uid: int) -> None:
        del self.messages[uid]
        self.state += 1

    # ---- serving

    def serve(self, client: socket.socket) -> None:
        self.connections += 1
        with client, suppress(OSError), client.makefile("rb") as lines:
            client.sendall(self.greeting.format(capabilities=self.capabilities).encode() + b"\r\n")
            view: list[int] = []
            asked = b""
            for line in lines:
                tag, _, command = (asked + line).strip().partition(b" ")
                asked = tag + b" " + command + b" " if command == b"AUTHENTICATE PLAIN" else b""
                if asked:
                    client.sendall(b"+ \r\n")
                    continue
                self.said.append(command)
                answer = self.reply(command)
                if answer is None:
                    view = sorted(self.messages) if command.startswith((b"EXAMINE", b"SELECT")) else view
                    answer = self.noise + self._answer(command, view) + self.noise + b"TAG OK done\r\n"
                if not answer:
                    return
                client.sendall(answer.replace(b"TAG", tag))
                if command == b"LOGOUT":
                    return

    def _answer(self, command: bytes, view: list[int]) -> bytes:
        name, _, rest = command.partition(b" ")
        if name == b"UID":
            name, _, rest = rest.partition(b" ")
            return self._by_uid(name, rest, view)
        match name:
            case b"CAPABILITY" | b"AUTHENTICATE" | b"LOGIN":
                return f"* CAPABILITY {self.capabilities}\r\n".encode()
            case b"EXAMINE" | b"SELECT":
                return self._opened(len(view))
            case b"FETCH":
                first, _, last = rest.partition(b" ")[0].partition(b":")
                chosen = view[int(first) - 1 : int(last or first)]
                return self._fetched(chosen, rest, view)
            case b"LIST":
                return b"".join(f"* LIST {folder}\r\n".encode() for folder in self.folders)
            case b"EXPUNGE":
                for uid in [uid for uid, message in self.messages.items() if "\\Deleted" in message.flags]:
                    self.remove(uid)
        return b""

    def _opened(self, exists: int) -> bytes:
        states = f"* OK [HIGHESTMODSEQ {self.state}] states\r\n" if "CONDSTORE" in self.capabilities else ""
        following = f"* OK [UIDNEXT {self.uid_next}] next\r\n" if self.tells_next else ""
        opened = f"* {exists} EXISTS\r\n* OK [UIDVALIDITY {self.uid_validity}] ids\r\n"
        return (opened + following + states).encode()

    def _by_uid(self, name: bytes, rest: bytes, view: list[int]) -> bytes:
        uids, _, more = rest.partition(b" ")
        chosen = [] if name == b"SEARCH" else [uid for uid in _among(view, uids) if uid in self.messages]
        match name:
            case b"FETCH":
                return self._fetched(chosen, rest, view)
            case b"SEARCH":
                return b"* SEARCH" + b"".join(b" %d" % uid for uid in self._found(rest.split(), view)) + b"\r\n"
            case b"STORE":
                for uid in chosen:
                    self.flag(uid, more.decode().partition("(")[2].rstrip(")"))
            case b"EXPUNGE":
                for uid in chosen:
                    if "\\Deleted" in self.messages[uid].flags:
                        self.remove(uid)
            case b"MOVE":
                for uid in chosen:
                    self.remove(uid)
        return b""

    def _found(self, criteria: list[bytes], view: list[int]) -> list[int]:
        uids = _among(view, criteria[criteria.index(b"UID") + 1]) if b"UID" in criteria else view
        changed = int(criteria[criteria.index(b"MODSEQ") + 1]) if b"MODSEQ" in criteria else 0
        return [
            uid
            for uid in uids
            if (message := self.messages.get(uid)) is not None
            and message.changed >= changed
            and (b"DELETED" not in criteria or "\\Deleted" in message.flags)
        ]

    def _fetched(self, uids: list[int], asked: bytes, view: list[int]) -> bytes:
        return b"".join(self._row(uid, asked, bisect_left(view, uid) + 1) for uid in uids if uid in self.messages)

    def _row(self, uid: int, asked: bytes, number: int) -> bytes:
        message = self.messages[uid]
        row = f"* {number} FETCH (UID {uid}"
        if b"FLAGS" in asked:
            row += f" FLAGS ({' '.join(sorted(message.flags))})"
        if b"INTERNALDATE" in asked:
            row += f' INTERNALDATE "{message.received:%d-%b-%Y %H:%M:%S %z}"'
        if b"RFC822.SIZE" in asked:
            row += f" RFC822.SIZE {len(message.raw)}"
        body = re.search(rb"BODY\.PEEK(\[.*\])<(\d+)\.(\d+)>", asked)
        if body is None:
            return row.encode() + b")\r\n"
        content = message.raw if body[1] == b"[]" else message.raw.partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
        start, length = int(body[2]), int(body[3])
        part = content[start : start + length]
        return row.encode() + b" BODY%s<%d> {%d}\r\n%s)\r\n" % (body[1], start, len(part), part)


def _among(view: list[int], sequence_set: bytes) -> list[int]:
    """Those of the view that a command names, each once."""
    runs = (run.partition(b":") for run in sequence_set.split(b","))
    parts = (view[bisect_left(view, int(first)) : bisect_right(view, int(last or first))] for first, _, last in runs)
    return sorted({uid for part in parts for uid in part})


@contextmanager
def serving(server: OddServer) -> Iterator[OddServer]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server.port = listener.getsockname()[1]
        serving = True

        def accept() -> None:
            with suppress(OSError):
                while serving:
                    client, _ = listener.accept()
                    threading.Thread(target=server.serve, args=(client,), name="odd", daemon=True).start()

        thread = threading.Thread(target=accept, name="odd", daemon=True)
        thread.start()
        try:
            yield server
        finally:
            serving = False
            with suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            thread.join(5)


SOMEBODY = Password("anna@contoso.example", "secret", profile_wide=False)


def a_session(server: OddServer, sign_in: SignIn = SOMEBODY, seconds: float = 60, gates: Gates | None = None) -> Session:
    location = Server("127.0.0.1", server.port, Security.NONE)
    return Session(location, sign_in, timedelta(seconds=seconds), gates or Gates(), allow_local_servers=True)


@contextmanager
def a_mailbox_on(server: OddServer, sign_in: SignIn = SOMEBODY, seconds: float = 60) -> Iterator[ImapMail]:
    session = a_session(server, sign_in, seconds)
    try:
        yield ImapMail(session)
    finally:
        session.close()
