"""Servers that say what no decent server says: bounded in bytes and time, and each refusal is what our caller does next."""

import socket
import threading
import time
from collections.abc import Iterator
from datetime import timedelta

import pytest

from shared.connectors.gate import RefusedBefore
from shared.connectors.imap.errors import ConnectionLost, NoLastingIds, NotLetIn, SignInInTheClearRefused
from shared.connectors.imap.session import Session
from shared.connectors.internet.connection import Security, Server
from shared.connectors.internet.gates import Gates
from shared.connectors.internet.sign_in import Password, SignIn, Token
from shared.domain.errors import (
    AuthenticationFailed,
    Busy,
    Disabled,
    FolderNotFound,
    MailboxNotFound,
    NoAnswer,
    NoMailServer,
    NoTls,
    SyncError,
    Throttled,
    TransientError,
)
from shared.domain.folders import INBOX, Folder
from tests.unit.connectors.odd_imap_server import DECENT, SOMEBODY, OddServer, a_mailbox_on, a_session, serving

MIB = 1 << 20


@pytest.fixture
def server() -> Iterator[OddServer]:
    with serving(OddServer()) as running:
        yield running


def failure(server: OddServer, sign_in: SignIn = SOMEBODY, folder: Folder = INBOX, seconds: float = 60) -> SyncError:
    with pytest.raises(SyncError) as raised, a_mailbox_on(server, sign_in, seconds) as mail:
        mail.changes(folder, None)
    return raised.value


# ---- bounds


@pytest.mark.parametrize("length", [b"20000000", b"99999999999"])
def test_a_literal_of_absurd_length_is_not_waited_for(server: OddServer, length: bytes) -> None:
    server.deliver("one")
    server.reply = lambda line: b"* 1 FETCH (UID 1 BODY[] {%s}\r\n" % length if b"FETCH" in line else None
    started = time.monotonic()
    assert type(failure(server)) is not NoAnswer
    assert time.monotonic() - started < 30


@pytest.mark.parametrize(
    "endless", [b"x", b"* 1 X\r\n", b"* OK still here %s\r\n" % (b"x" * 2000)], ids=["a line", "short lines", "lines"]
)
def test_an_endless_answer_is_left(server: OddServer, endless: bytes) -> None:
    server.reply = lambda line: (
        endless * ((4 if len(endless) == 7 else 40) * MIB // len(endless)) if line.startswith(b"EXAMINE") else None
    )
    assert type(failure(server)) is ConnectionLost


def test_an_answer_that_trickles_in_is_not_waited_for(server: OddServer) -> None:
    """Each byte comes in time; all of them never would."""

    def trickle(client: socket.socket) -> None:
        with client:
            try:
                for _ in range(200):
                    client.sendall(b"* OK ")
                    time.sleep(0.1)
            except OSError:
                return

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=lambda: trickle(listener.accept()[0]), daemon=True)
        thread.start()
        server.port = listener.getsockname()[1]
        started = time.monotonic()
        assert isinstance(failure(server, seconds=0.5), NoAnswer)
        assert time.monotonic() - started < 15, "all of it takes 20"
        thread.join(5)


def test_what_is_said_unasked_about_a_message_is_not_taken_for_another(server: OddServer) -> None:
    """Sequence number 2 is not UID 2; and what came before a command is no answer to it."""
    for name in ("one", "two"):
        server.deliver(name, gap=1)
    server.noise = (
        b"* 2 FETCH (FLAGS (\\Deleted Wrong))\r\n* 1 FETCH (FLAGS (Wrong) UID 999)\r\n* 3 EXPUNGE\r\n* VANISHED 1\r\n"
    )
    with a_mailbox_on(server) as mail:
        page = mail.changes(INBOX, None)
        assert [(item.ref.id, item.categories) for item in page.items] == [("7:4", ()), ("7:2", ())]
        assert [type(outcome).__name__ for _, outcome in mail.fetch([item.ref for item in page.items])] == [
            "IncomingMessage"
        ] * 2


# ---- who answers


@pytest.mark.parametrize(
    ("greeting", "kind"),
    [
        ("220 smtp.contoso.example ESMTP", NoMailServer),
        ("HTTP/1.1 400 Bad Request", NoMailServer),
        ("* OK [CAPABILITY POP3] ready", NoMailServer),
        ("* PREAUTH [CAPABILITY IMAP4rev1] you are root", NoMailServer),
        ("* BYE [UNAVAILABLE] come back later", Busy),
        ("* BYE [LIMIT] too many connections", Throttled),
        ("* BYE Too many connections from your address", Throttled),
        ("* BYE", Busy),
    ],
)
def test_a_greeting_tells_who_is_there(server: OddServer, greeting: str, kind: type[SyncError]) -> None:
    server.greeting = greeting
    assert type(failure(server)) is kind
    assert not any(line.startswith((b"LOGIN", b"AUTHENTICATE")) for line in server.said)


def test_a_server_that_says_what_it_can_only_when_asked_is_asked(server: OddServer) -> None:
    server.greeting = "* OK ready"
    server.deliver("one")
    with a_mailbox_on(server) as mail:
        assert len(mail.changes(INBOX, None).items) == 1
    assert server.said[0] == b"CAPABILITY"


def test_without_starttls_nobody_signs_in(server: OddServer) -> None:
    location = Server("127.0.0.1", server.port, Security.UPGRADE)
    session = Session(location, SOMEBODY, timedelta(seconds=5), Gates(), allow_local_servers=True)
    with pytest.raises(NoTls):
        session.examine(b"INBOX")
    assert server.said == []


# ---- signing in


def refusing(server: OddServer, text: bytes, *commands: bytes) -> None:
    server.reply = lambda line: b"TAG %s\r\n" % text if line.startswith(commands) else None


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        (b"NO [AUTHENTICATIONFAILED] Invalid credentials (Failure)", AuthenticationFailed),
        (b"NO LOGIN failed.", AuthenticationFailed),
        (b"NO [EXPIRED] That password isn't valid any more", AuthenticationFailed),
        (b"NO [ALERT] Application-specific password required", AuthenticationFailed),
        (b"NO [AUTHORIZATIONFAILED] No such authorization-ID", NotLetIn),
        (b"NO [UNAVAILABLE] User's backend down for maintenance", Busy),
        (b"NO [CONTACTADMIN] call us", Disabled),
        (b"NO [PRIVACYREQUIRED] Connection offers no privacy", SignInInTheClearRefused),
        (b"NO [LIMIT] slow down", Throttled),
        (b"NO [ALERT] Too many simultaneous connections. (Failure)", Throttled),
        (b"NO Temporary authentication failure", Throttled),
        (b"BAD User is authenticated but not connected.", NotLetIn),
        (b"BAD Command Argument Error. 12", Busy),
        (b"NO [SERVERBUG] Internal error occurred.", Busy),
        (b"NO Server Unavailable. 21", Busy),
    ],
)
def test_a_refused_sign_in_says_what_to_do(server: OddServer, text: bytes, kind: type[SyncError]) -> None:
    refusing(server, text, b"AUTHENTICATE")
    error = failure(server)
    assert type(error) is kind
    assert b"anna" not in str(error).encode()
    assert len([line for line in server.said if line.startswith(b"AUTHENTICATE")]) == 1


def test_a_server_that_hangs_up_during_sign_in_is_busy(server: OddServer) -> None:
    server.reply = lambda line: b"" if line.startswith(b"AUTHENTICATE") else None
    assert type(failure(server)) is Busy


def test_a_password_that_was_refused_is_not_tried_by_the_next_mailbox(server: OddServer) -> None:
    refusing(server, b"NO [AUTHENTICATIONFAILED] no", b"AUTHENTICATE")
    gates = Gates()
    for kind in (AuthenticationFailed, RefusedBefore):
        with pytest.raises(kind):
            a_session(server, gates=gates).examine(b"INBOX")
    assert sum(line.startswith(b"AUTHENTICATE") for line in server.said) == 1


@pytest.mark.parametrize(
    ("capabilities", "said"),
    [
        ("IMAP4rev1 AUTH=PLAIN SASL-IR", [b"AUTHENTICATE PLAIN AGFubmEAc8OkY3JldCI="]),
        ("IMAP4rev1 AUTH=PLAIN SASL-IR LOGINDISABLED", [b"AUTHENTICATE PLAIN AGFubmEAc8OkY3JldCI="]),
        ("IMAP4rev1", ['LOGIN "anna" "säcret\\""'.encode()]),
    ],
)
def test_a_password_of_every_alphabet_is_said_as_the_server_takes_it(
    server: OddServer, capabilities: str, said: list[bytes]
) -> None:
    server.capabilities = capabilities
    with a_mailbox_on(server, Password("anna", 'säcret"', profile_wide=False)) as mail:
        mail.changes(INBOX, None)
    assert server.said[:1] == said


def test_a_server_that_does_not_take_it_at_once_is_told_when_it_asks(server: OddServer) -> None:
    server.capabilities = "IMAP4rev1 AUTH=PLAIN"
    with a_mailbox_on(server) as mail:
        assert mail.changes(INBOX, None).items == ()
    assert server.said[0] == b"AUTHENTICATE PLAIN AGFubmFAY29udG9zby5leGFtcGxlAHNlY3JldA=="


def test_a_server_that_takes_no_passwords_hears_none(server: OddServer) -> None:
    server.capabilities = "IMAP4rev1 AUTH=XOAUTH2 LOGINDISABLED"
    assert type(failure(server)) is SignInInTheClearRefused
    assert server.said == []


@pytest.mark.parametrize("password", ["a\r\nb", "a\nA1 DELETE INBOX", "a\0b"])
def test_a_password_with_line_ends_says_no_command(server: OddServer, password: str) -> None:
    server.capabilities = "IMAP4rev1"
    assert isinstance(failure(server, Password("anna", password, profile_wide=True)), AuthenticationFailed)
    assert server.said == []


class FreshTokens:
    """A new one each time that the former was forgotten."""

    def __init__(self) -> None:
        self.forgotten = 0

    def token(self) -> str:
        return f"token{self.forgotten}"

    def forget(self) -> None:
        self.forgotten += 1


def xoauth2(line: bytes, good: bytes) -> bytes | None:
    import base64

    if not line.startswith(b"AUTHENTICATE"):
        return None
    said = base64.b64decode(line.split()[2])
    assert said.startswith(b"user=anna\x01auth=Bearer token")
    return None if good in said else b"TAG NO AUTHENTICATE failed.\r\n"


def test_a_refused_token_is_replaced_once(server: OddServer) -> None:
    server.reply = lambda line: xoauth2(line, b"token1\x01\x01")
    tokens = FreshTokens()
    with a_mailbox_on(server, Token("anna", tokens, profile_wide=True)) as mail:
        assert mail.changes(INBOX, None).items == ()
    assert tokens.forgotten == 1


def test_a_token_that_is_refused_again_is_the_credentials_failure(server: OddServer) -> None:
    server.reply = lambda line: xoauth2(line, b"another")
    error = failure(server, Token("anna", FreshTokens(), profile_wide=True))
    assert isinstance(error, AuthenticationFailed)
    assert error.profile_wide
    assert len(server.said) == 2


# ---- folders and commands


@pytest.mark.parametrize(
    ("text", "inbox", "other"),
    [
        (b"NO [NONEXISTENT] no such mailbox", MailboxNotFound, FolderNotFound),
        (b"NO Mailbox doesn't exist", Busy, FolderNotFound),
        (b"NO [NOPERM] not yours", NotLetIn, NotLetIn),
        (b"NO [SERVERBUG] Internal error occurred.", Busy, Busy),
        (b"NO Server Unavailable. 15", Busy, Busy),
        (b"NO internal error", Busy, Busy),
        (b"NO [INUSE] in use", Busy, Busy),
        (b"NO [UNAVAILABLE] later", Busy, Busy),
        (b"NO [OVERQUOTA] bandwidth", Throttled, Throttled),
        (b"BAD sorry", Busy, FolderNotFound),
    ],
)
def test_a_folder_that_does_not_open_says_why(
    server: OddServer, text: bytes, inbox: type[SyncError], other: type[SyncError]
) -> None:
    refusing(server, text, b"EXAMINE")
    assert type(failure(server)) is inbox
    assert type(failure(server, folder=Folder("name:Projects", "Projects"))) is other


@pytest.mark.parametrize("said", [b"* 1 EXISTS\r\n", b"* OK [UIDVALIDITY 7] ids\r\n* OK [UIDNOTSTICKY] none\r\n"])
def test_a_server_that_keeps_no_ids_is_called_that(server: OddServer, said: bytes) -> None:
    server.reply = lambda line: said + b"TAG OK done\r\n" if line.startswith(b"EXAMINE") else None
    assert type(failure(server)) is NoLastingIds


@pytest.mark.parametrize("bye", [b"* BYE [UNAVAILABLE] shutting down\r\n", b"* BYE idle for too long\r\n", b""])
def test_after_a_goodbye_the_next_call_connects_anew(server: OddServer, bye: bytes) -> None:
    server.deliver("one")
    with a_mailbox_on(server) as mail:
        mail.changes(INBOX, None)
        server.reply = lambda line: bye if line.startswith(b"EXAMINE") else None
        with pytest.raises(TransientError):
            mail.changes(INBOX, None)
        server.reply = lambda _: None
        assert len(mail.changes(INBOX, None).items) == 1
    assert server.connections == 2


def test_nothing_is_opened_for_writing_nor_read_in_a_way_that_marks(server: OddServer) -> None:
    for name in ("one", "two"):
        server.deliver(name)
    with a_mailbox_on(server) as mail:
        refs = [item.ref for item in mail.changes(INBOX, None).items]
        assert len(list(mail.fetch(refs))) == len(list(mail.envelopes(refs))) == 2
        assert b"".join(mail.raw(refs[0]))
        mail.latest(INBOX, 2)
    assert not any(line.startswith(b"SELECT") or b"BODY[" in line or b"RFC822 " in line for line in server.said)


def test_every_round_trip_is_counted(server: OddServer) -> None:
    session = a_session(server)
    session.examine(b"INBOX")
    session.close()
    session.examine(b"INBOX")
    assert session.round_trips == 2 * 3
    session.close()


def test_what_a_decent_server_can_is_known_after_signing_in(server: OddServer) -> None:
    """Many say more to who signed in."""
    server.greeting = "* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN SASL-IR] ready"
    session = a_session(server)
    assert session.can("UIDPLUS")
    assert "UIDPLUS" in DECENT
    session.close()
