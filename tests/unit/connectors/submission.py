"""What tests of the SMTP connector do with a scripted server."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from math import inf

import pytest

from shared.connectors.internet.connection import Security, Server
from shared.connectors.internet.gates import Gates
from shared.connectors.internet.sign_in import Password, SignIn
from shared.connectors.smtp.connection import Connection
from shared.connectors.smtp.mail import SmtpMail
from shared.connectors.smtp.session import Session
from shared.domain.email import Address
from shared.domain.errors import SyncError
from shared.domain.outgoing import OutgoingMessage
from tests.unit.connectors.outgoing_messages import a_message
from tests.unit.connectors.scripted_smtp import MODERN, PLAIN, Said, ScriptedSmtp

SOON = timedelta(seconds=30)
WHO = Password("anna", "secret", profile_wide=False)

ABILITIES = pytest.mark.parametrize("abilities", [PLAIN, MODERN], ids=["one by one", "pipelining"])


def to(*names: str) -> OutgoingMessage:
    return a_message(to=tuple(Address(f"{name}@x.example") for name in names))


def connection_over(wire: socket.socket) -> Connection:
    connection = Connection.__new__(Connection)
    connection.sock, connection._seconds, connection._until = wire, 30.0, inf
    return connection


@contextmanager
def opened(
    server: ScriptedSmtp,
    who: SignIn | None = WHO,
    gates: Gates | None = None,
    *,
    timeout: timedelta = SOON,
    security: Security = Security.NONE,
) -> Iterator[SmtpMail]:
    at = Server("127.0.0.1", server.port, security)
    gate = gates.at(at, who) if gates is not None and isinstance(who, Password) else None
    session = Session(at, who, gate, timeout, "contoso.example", allow_local_servers=True)
    try:
        yield SmtpMail(session)
    finally:
        session.close()


@contextmanager
def serving(**script: Said) -> Iterator[ScriptedSmtp]:
    """Replies by command."""
    with ScriptedSmtp(script).running() as server:
        yield server


def failure(server: ScriptedSmtp, message: OutgoingMessage | None = None, **others: object) -> SyncError:
    with opened(server, **others) as mail, pytest.raises(SyncError) as raised:  # type: ignore[arg-type]  # as `opened` takes them
        mail.send(message or a_message())
    return raised.value
