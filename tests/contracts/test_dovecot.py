"""What the contract suites take for granted about Dovecot as it is started here: every way of signing in."""

import imaplib
import poplib
import ssl
from datetime import timedelta

import pytest

from tests.contracts.incoming_email import NOON
from tests.dovecot import PASSWORD, Dovecot, DovecotMailbox

RAW = b"Message-ID: <one@fabrikam.example>\r\n\r\nHello\r\n"


@pytest.fixture
def maildir(dovecot: Dovecot) -> DovecotMailbox:
    return dovecot.add_mailbox()


@pytest.fixture
def trusting(dovecot: Dovecot) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(dovecot.certificate_file))


def xoauth2(username: str, token: str) -> bytes:
    return f"user={username}\x01auth=Bearer {token}\x01\x01".encode()


def test_mail_that_is_delivered_is_served_with_the_time_it_came(dovecot: Dovecot, maildir: DovecotMailbox) -> None:
    maildir.deliver(RAW, NOON)
    maildir.deliver(RAW, NOON, stamped=False)
    with imaplib.IMAP4(dovecot.host, dovecot.imap_port) as imap:
        imap.login(maildir.username, PASSWORD)
        assert imap.select() == ("OK", [b"2"])
        _, (about, *_) = imap.fetch("1", "(INTERNALDATE)")
        _, (whole, *_) = imap.fetch("2", "(BODY.PEEK[])")
    assert isinstance(about, bytes)
    assert b"22-Nov-2026 12:00:00 +0000" in about
    assert isinstance(whole, tuple)
    assert whole[1] == RAW


def test_pop3_signs_in_over_tls_by_stls_and_with_apop(
    dovecot: Dovecot, maildir: DovecotMailbox, trusting: ssl.SSLContext
) -> None:
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


def test_a_token_signs_in_and_one_that_expired_does_not(dovecot: Dovecot, maildir: DovecotMailbox) -> None:
    with imaplib.IMAP4(dovecot.host, dovecot.imap_port) as imap:
        token = dovecot.token(maildir.username)
        assert imap.authenticate("XOAUTH2", lambda _: xoauth2(maildir.username, token))[0] == "OK"
    with imaplib.IMAP4(dovecot.host, dovecot.imap_port) as imap:
        expired = dovecot.token(maildir.username, timedelta(hours=-1))
        with pytest.raises(imaplib.IMAP4.error, match="AUTHENTICATIONFAILED"):
            imap.authenticate("XOAUTH2", lambda asked: b"" if asked else xoauth2(maildir.username, expired))


def test_every_identity_is_another_one_after_a_restore(dovecot: Dovecot, maildir: DovecotMailbox) -> None:
    maildir.deliver(RAW, NOON)
    before = uidls(dovecot, maildir)
    maildir.forget_identities()
    assert uidls(dovecot, maildir) != before


def uidls(dovecot: Dovecot, maildir: DovecotMailbox) -> list[bytes]:
    pop3 = poplib.POP3(dovecot.host, dovecot.pop3_port)
    pop3.user(maildir.username)
    pop3.pass_(PASSWORD)
    _, lines, _ = pop3.uidl()
    pop3.quit()
    return lines
