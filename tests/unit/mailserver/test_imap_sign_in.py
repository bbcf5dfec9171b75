"""Signing in to IMAP, its states, and the server misbehaving on purpose."""

import base64
import imaplib
import time

import pytest
from imapclient import IMAPClient
from imapclient.exceptions import IMAPClientAbortError, IMAPClientError, LoginError

from local.mailserver import FaultKind, Habit, MailServer
from tests.unit.mailserver.conftest import ANNA, BEN, trusting
from tests.unit.mailserver.imap_clients import PASSWORD, Lines, connected, selected, signed_in
from tests.unit.mailserver.messages import a_message


def xoauth2(username: str, token: str) -> str:
    return base64.b64encode(f"user={username}\x01auth=Bearer {token}\x01\x01".encode()).decode()


@pytest.fixture
def token(server: MailServer) -> str:
    server.add_application("app-1", "secret", impersonation=[ANNA])
    account = server.accounts.application("app-1")
    assert account is not None
    return server.accounts.issue_token(account)[0]


def test_passwords_and_tokens_open_a_mailbox(server: MailServer, token: str) -> None:
    with connected(server) as client:
        client.plain_login(ANNA, PASSWORD)
        client.select_folder("INBOX")
    with connected(server) as client:
        client.oauth2_login(ANNA, token)
        client.select_folder("INBOX")
    with imaplib.IMAP4("127.0.0.1", server.imap_port, timeout=20) as plain:
        plain.authenticate("XOAUTH2", lambda _: f"user={ANNA}\x01auth=Bearer {token}\x01\x01".encode())
        assert plain.select()[0] == "OK"
    with Lines(server, sign_in=False) as lines:
        assert lines.ask(f"AUTHENTICATE XOAUTH2 {xoauth2(ANNA, token)}")[-1].startswith("OK [CAPABILITY ")


def test_a_bad_token_is_challenged_with_its_error_before_it_is_refused(server: MailServer, token: str) -> None:
    for username, sent in ((ANNA, "invented"), (BEN, token)):
        with Lines(server, sign_in=False) as lines:
            lines.send(f"t AUTHENTICATE XOAUTH2 {xoauth2(username, sent)}".encode())
            assert b'"status": "401"' in base64.b64decode(lines.line().removeprefix("+ "))
            lines.send(b"")
            assert lines.answer()[-1].startswith("NO [AUTHENTICATIONFAILED]")
    with connected(server) as client, pytest.raises(LoginError):
        client.oauth2_login(ANNA, "invented")


def test_who_cannot_sign_in_is_told_why(server: MailServer) -> None:
    with connected(server) as client, pytest.raises(LoginError, match="AUTHENTICATIONFAILED"):
        client.login(ANNA, "wrong")
    server.set_mailbox_enabled(ANNA, False)
    with connected(server) as client, pytest.raises(LoginError, match="AUTHORIZATIONFAILED"):
        client.login(ANNA, PASSWORD)


def test_a_name_and_a_password_may_be_literals(server: MailServer) -> None:
    server.set_password(ANNA, 'pa"ss\\wörd')
    with Lines(server, sign_in=False) as lines:
        secret = 'pa"ss\\wörd'.encode()
        assert lines.ask(b"LOGIN %b {%d+}\r\n%b" % (ANNA.encode(), len(secret), secret))[-1].startswith("OK")


def test_commands_have_their_state(server: MailServer) -> None:
    with Lines(server, sign_in=False) as lines:
        assert lines.greeting.startswith(b"* OK [CAPABILITY IMAP4rev1 ")
        assert "AUTH=XOAUTH2" in lines.ask("CAPABILITY")[0]
        for command in ("SELECT INBOX", "UID FETCH 1 FLAGS", "STARTTLS", "AUTHENTICATE PLAIN !!!"):
            assert lines.ask(command)[-1].startswith("BAD")
        assert lines.ask("AUTHENTICATE GSSAPI")[-1].startswith("NO")
        lines.send(b"t AUTHENTICATE PLAIN")
        assert lines.line().startswith("+")
        lines.send(b"*")
        assert lines.answer()[-1].startswith("BAD")
        assert lines.ask("ID NIL")[0].startswith("* ID (")
        assert lines.ask(f'LOGIN {ANNA} "{PASSWORD}"')[-1].startswith("OK")
        for command in (f"LOGIN {ANNA} again", "FETCH 1 FLAGS", "CLOSE"):
            assert lines.ask(command)[-1].startswith("BAD")
        assert lines.ask("ENABLE CONDSTORE QRESYNC") == ["* ENABLED CONDSTORE", "OK ENABLE completed."]
        assert lines.ask("LOGOUT")[0].startswith("* BYE")
        assert lines.line() == ""


@pytest.mark.parametrize(("kind", "code"), [(FaultKind.SERVER_BUSY, "UNAVAILABLE"), (FaultKind.TOO_MANY_REQUESTS, "LIMIT")])
def test_a_server_that_is_busy_says_so_and_recovers(server: MailServer, kind: FaultKind, code: str) -> None:
    server.deliver(a_message(), [ANNA])
    server.faults.add(kind, ANNA, operation="FETCH", count=1, after=1)
    with selected(server) as client:
        client.fetch([1], ["FLAGS"])
        with pytest.raises(IMAPClientError, match=code):
            client.fetch([1], ["FLAGS"])
        assert client.fetch([1], ["FLAGS"])


def test_a_server_that_is_unavailable_hangs_up(server: MailServer) -> None:
    server.faults.add(FaultKind.UNAVAILABLE, ANNA, operation="SELECT", count=1)
    with Lines(server) as lines:
        assert lines.ask("SELECT INBOX")[0].startswith("* BYE [UNAVAILABLE]")
        assert lines.line() == ""
    server.faults.add(FaultKind.UNAVAILABLE, operation="Connect", count=1)
    with Lines(server, sign_in=False) as lines:
        assert lines.greeting.startswith(b"* BYE [UNAVAILABLE]")


def test_credentials_may_be_refused_for_a_while(server: MailServer) -> None:
    server.faults.add(FaultKind.UNAUTHORIZED, ANNA, operation="LOGIN", count=1)
    with connected(server) as client:
        with pytest.raises(LoginError, match="AUTHENTICATIONFAILED"):
            client.login(ANNA, PASSWORD)
        client.login(ANNA, PASSWORD)


def test_a_connection_breaks_before_or_after_the_command_was_carried_out(server: MailServer) -> None:
    (item,) = server.deliver(a_message(), [ANNA])
    for kind, left in ((FaultKind.CONNECTION_RESET, [item]), (FaultKind.REPLY_LOST, [])):
        server.faults.add(kind, ANNA, operation="EXPUNGE", count=1)
        with selected(server) as client:
            client.add_flags([1], [b"\\Deleted"])
            with pytest.raises((OSError, IMAPClientAbortError)):
                client.uid_expunge([1])
        assert server.items(ANNA) == left
    assert [asked.status for asked in server.requests.of("EXPUNGE", ANNA)] == [0, 1, 0]


def test_replies_are_cut_garbled_and_late(server: MailServer) -> None:
    server.deliver(a_message(), [ANNA])
    server.faults.add(FaultKind.SLOW_REPLY, ANNA, operation="NOOP", seconds=0.3)
    server.faults.add(FaultKind.TRUNCATED_REPLY, ANNA, operation="FETCH")
    server.faults.add(FaultKind.NONSENSE_REPLY, ANNA, operation="SEARCH")
    with selected(server) as client:
        began = time.monotonic()
        client.noop()
        assert time.monotonic() - began >= 0.3
        with pytest.raises(IMAPClientAbortError):
            client.fetch([1], ["BODY.PEEK[]"])
    with selected(server) as client, pytest.raises(IMAPClientAbortError, match="unexpected response"):
        client.search()


def test_one_message_cannot_be_read_and_the_others_can(server: MailServer) -> None:
    unreadable = server.deliver(a_message(), [ANNA])[0]
    server.deliver(a_message(), [ANNA])
    server.faults.add(FaultKind.UNREADABLE_ITEM, item=unreadable, code="SERVERBUG")
    with Lines(server) as lines:
        lines.ask("SELECT INBOX")
        answer = lines.ask("UID FETCH 1:2 (BODY.PEEK[TEXT])")
        assert [line for line in answer if line.startswith("*")] == ["* 2 FETCH (UID 2 BODY[TEXT] {14}"]
        assert answer[-1].startswith("NO [SERVERBUG]")
        assert lines.ask("UID FETCH 1:2 (RFC822.SIZE BODY.PEEK[HEADER])")[-1].startswith("OK")


def test_one_message_cannot_be_changed_and_the_others_can(server: MailServer) -> None:
    unwritable, other = (server.deliver(a_message(), [ANNA])[0] for _ in range(2))
    server.faults.add(FaultKind.UNWRITABLE_ITEM, item=unwritable, operation="STORE")
    number = server.faults.add(FaultKind.UNWRITABLE_ITEM, item=unwritable, operation="EXPUNGE")
    with Lines(server) as lines:
        lines.ask("SELECT INBOX")
        assert lines.ask("UID STORE 1:2 +FLAGS.SILENT (Tracked)") == ["NO Some messages could not be handled."]
        assert (server.categories(ANNA, unwritable), server.categories(ANNA, other)) == ([], ["Tracked"])
        server.faults.clear()
        server.faults.add(FaultKind.UNWRITABLE_ITEM, item=unwritable, operation="EXPUNGE")
        lines.ask("UID STORE 1:2 +FLAGS.SILENT (\\Deleted)")
        assert lines.ask("UID EXPUNGE 1:2") == ["* 2 EXPUNGE", "NO Some messages could not be handled."]
    assert server.items(ANNA) == [unwritable]
    assert number


def test_a_folder_may_be_gone(server: MailServer) -> None:
    server.faults.add(FaultKind.FOLDER_GONE, ANNA, operation="SELECT", count=1)
    with signed_in(server) as client:
        with pytest.raises(IMAPClientError, match="does not exist"):
            client.select_folder("INBOX")
        client.select_folder("INBOX")


def test_what_was_asked_is_in_the_journal(server: MailServer) -> None:
    with Lines(server) as lines:
        lines.ask("SELECT Nowhere")
        lines.ask("LOGOUT")
    asked = [(entry.operation, entry.mailbox, entry.status, entry.code) for entry in server.requests.of(head="imap")]
    assert asked == [
        ("Connect", None, 1, "OK"),
        ("LOGIN", ANNA, 1, "OK"),
        ("SELECT", ANNA, -1, "NONEXISTENT"),
        ("LOGOUT", ANNA, 1, "OK"),
    ]


def test_tls_from_the_first_byte(protected: MailServer) -> None:
    client = IMAPClient("localhost", protected.imaps_port, ssl_context=trusting(protected), timeout=20)
    assert not client.has_capability("STARTTLS")
    client.login(ANNA, PASSWORD)
    client.logout()


def test_tls_on_request_and_nobody_signs_in_before_where_the_server_wants_it(protected: MailServer) -> None:
    protected.set_habits([Habit.CLEARTEXT_REFUSED])
    client = IMAPClient("localhost", protected.imap_port, ssl=False, timeout=20)
    assert client.has_capability("LOGINDISABLED")
    assert not client.has_capability("AUTH=PLAIN")
    with pytest.raises(LoginError, match="PRIVACYREQUIRED"):
        client.login(ANNA, PASSWORD)
    client.starttls(trusting(protected))
    assert client.has_capability("AUTH=PLAIN")
    client.login(ANNA, PASSWORD)
    client.logout()
