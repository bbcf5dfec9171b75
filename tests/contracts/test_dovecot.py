"""What the contract suites take for granted about Dovecot as it is started here: every way of signing in, and a clean end."""

import imaplib
import os
import poplib
import ssl
import time
from contextlib import suppress
from datetime import timedelta

import pytest

from tests.contracts.incoming_email import NOON
from tests.dovecot import PASSWORD, Dovecot, DovecotMissing, Maildir, needs_dovecot

RAW = b"Message-ID: <one@fabrikam.example>\r\n\r\nHello\r\n"


@pytest.fixture
def maildir(dovecot: Dovecot) -> Maildir:
    return dovecot.add_mailbox()


@pytest.fixture
def trusting(dovecot: Dovecot) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(dovecot.certificate_file))


def xoauth2(username: str, token: str) -> bytes:
    return f"user={username}\x01auth=Bearer {token}\x01\x01".encode()


def test_mail_that_is_delivered_is_served_with_the_time_it_came(dovecot: Dovecot, maildir: Maildir) -> None:
    maildir.deliver(RAW, NOON)
    maildir.deliver(RAW, NOON, stamped=False)
    with imaplib.IMAP4(dovecot.host, dovecot.imap_port) as imap:
        imap.login(maildir.username, PASSWORD)
        assert imap.select() == ("OK", [b"2"])
        _, (about, *_) = imap.fetch("1", "(INTERNALDATE)")
        _, ((_, whole), *_) = imap.fetch("2", "(BODY.PEEK[])")
    assert b"22-Nov-2026 12:00:00 +0000" in about
    assert whole == RAW


def test_pop3_signs_in_over_tls_by_stls_and_with_apop(dovecot: Dovecot, maildir: Maildir, trusting: ssl.SSLContext) -> None:
    over_tls = poplib.POP3_SSL("localhost", dovecot.pop3s_port, context=trusting)
    stls = poplib.POP3("localhost", dovecot.pop3_port)
    stls.stls(trusting)
    plain = poplib.POP3("localhost", dovecot.pop3_port)
    for connection in (over_tls, stls):
        connection.user(maildir.username)
        assert connection.pass_(PASSWORD).startswith(b"+OK")
        connection.quit()
    assert plain.apop(maildir.username, PASSWORD).startswith(b"+OK")
    plain.quit()


def test_a_token_signs_in_and_one_that_expired_does_not(dovecot: Dovecot, maildir: Maildir) -> None:
    with imaplib.IMAP4(dovecot.host, dovecot.imap_port) as imap:
        token = dovecot.token(maildir.username)
        assert imap.authenticate("XOAUTH2", lambda _: xoauth2(maildir.username, token))[0] == "OK"
    with imaplib.IMAP4(dovecot.host, dovecot.imap_port) as imap:
        expired = dovecot.token(maildir.username, timedelta(hours=-1))
        with pytest.raises(imaplib.IMAP4.error, match="AUTHENTICATIONFAILED"):
            imap.authenticate("XOAUTH2", lambda asked: b"" if asked else xoauth2(maildir.username, expired))


def test_every_identity_is_another_one_after_a_restore(dovecot: Dovecot, maildir: Maildir) -> None:
    maildir.deliver(RAW, NOON)
    before = uidls(dovecot, maildir)
    maildir.forget_identities()
    assert uidls(dovecot, maildir) != before


def uidls(dovecot: Dovecot, maildir: Maildir) -> list[bytes]:
    pop3 = poplib.POP3(dovecot.host, dovecot.pop3_port)
    pop3.user(maildir.username)
    pop3.pass_(PASSWORD)
    _, lines, _ = pop3.uidl()
    pop3.quit()
    return lines


def test_nothing_is_left_when_it_ends() -> None:
    needs_dovecot()
    with Dovecot() as server:
        pid, folder = server.pid, server.folder
        assert len(processes_of(pid)) > 1
    ended_by = time.monotonic() + 10  # the one that writes the log ends a moment after all others
    while processes_of(pid) and time.monotonic() < ended_by:
        time.sleep(0.05)
    assert processes_of(pid) == []
    assert not folder.exists()


def processes_of(session: int) -> list[int]:
    """Those that were started by the one that leads the session."""
    found = []
    for pid in (int(entry.name) for entry in os.scandir("/proc") if entry.name.isdigit()):
        with suppress(OSError):  # it has ended since
            if os.getsid(pid) == session:
                found.append(pid)
    return found


def test_without_dovecot_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.dovecot.dovecot_program", lambda: None)
    with pytest.raises(DovecotMissing, match="apt-get install"), Dovecot():
        pass
    with pytest.raises(pytest.skip.Exception, match="apt-get install"):
        needs_dovecot()
