"""Maildrops on a scripted POP3 server, and what tests of the connector do with them."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest

from shared.connectors.internet.connection import Security, Server
from shared.connectors.internet.gates import Gates
from shared.connectors.internet.sign_in import Password, SignIn
from shared.connectors.pop3.mail import Pop3Mail
from shared.connectors.pop3.session import Session
from shared.domain.choices import AuthenticationProtocol
from shared.domain.email import IncomingMessage, ItemRef, ListedItem
from shared.domain.errors import (
    ItemError,
    SyncError,
)
from shared.domain.folders import INBOX
from tests.unit.connectors.scripted_pop3 import Maildrop, Said, ScriptedPop3

SOON = timedelta(seconds=30)
ANNA = Password("anna", "secret", profile_wide=False)


def a_mail(name: str, text: str = "Hello", hour: int = 12) -> bytes:
    return (
        f"Received: from a by b; Sun, 22 Nov 2026 {hour}:00:00 +0000\r\nFrom: bert@fabrikam.example\r\n"
        f"Message-ID: <{name}@fabrikam.example>\r\n\r\n{text}\r\n"
    ).encode()


def a_maildrop(count: int = 3) -> Maildrop:
    return Maildrop({f"u{number}": a_mail(str(number)) for number in range(1, count + 1)})


@contextmanager
def opened(
    server: ScriptedPop3,
    who: SignIn = ANNA,
    gates: Gates | None = None,
    *,
    timeout: timedelta = SOON,
    security: Security = Security.NONE,
    protocol: AuthenticationProtocol = AuthenticationProtocol.BASIC,
) -> Iterator[Pop3Mail]:
    at = Server("127.0.0.1", server.port, security)
    gate = gates.at(at, who) if gates is not None and isinstance(who, Password) else None
    session = Session(at, who, gate, protocol, timeout, allow_local_servers=True)
    try:
        yield Pop3Mail(session)
    finally:
        session.close()


@contextmanager
def serving(maildrop: Maildrop | None = None, *, line_end: bytes = b"\r\n", **script: Said) -> Iterator[ScriptedPop3]:
    """Replies by command; `greeting` is that to a connection."""
    said = {"" if name == "greeting" else name: reply for name, reply in script.items()}
    with ScriptedPop3(maildrop or a_maildrop(), said, line_end).running() as server:
        yield server


def everything(mail: Pop3Mail, watermark: str | None = None, limit: int = 512) -> tuple[list[ListedItem], str]:
    items: list[ListedItem] = []
    while True:
        page = mail.changes(INBOX, watermark, limit)
        items += page.items
        watermark = page.watermark
        if not page.more:
            return items, watermark


def polled(server: ScriptedPop3, watermark: str | None = None) -> tuple[list[ListedItem], str]:
    with opened(server) as mail:
        return everything(mail, watermark)


def fetched(mail: Pop3Mail, *uidls: str) -> list[IncomingMessage | ItemError]:
    refs = [ItemRef(uidl, INBOX.id) for uidl in uidls]
    outcomes = list(mail.fetch(refs))
    assert [ref for ref, _ in outcomes] == refs
    return [outcome for _, outcome in outcomes]


def names(items: list[ListedItem]) -> list[str]:
    return [(item.message_id or "?").partition("@")[0] for item in items]


def failure(server: ScriptedPop3, **others: object) -> SyncError:
    with opened(server, **others) as mail, pytest.raises(SyncError) as raised:  # type: ignore[arg-type]  # as `opened` takes them
        mail.changes(INBOX, None)
    return raised.value
