"""What the contract suites take for granted about Exim as it is started here: what it offers, refuses, delivers and reports."""

import base64
import smtplib
import ssl
from collections.abc import Iterator

import pytest

from shared.connectors.reports import delivery_report
from shared.domain.email import RecipientReport
from tests.exim import (
    FULL,
    GONE,
    GREYLISTED,
    LARGEST_MESSAGE,
    PASSWORD,
    POSTPONED_SUBJECT,
    REFUSED_SUBJECT,
    Exim,
)
from tests.maildir import Maildir, an_unused_address


@pytest.fixture
def anna(exim: Exim) -> Maildir:
    return exim.add_mailbox()


@pytest.fixture
def bert(exim: Exim) -> Maildir:
    return exim.add_mailbox()


@pytest.fixture
def smtp(exim: Exim, anna: Maildir) -> Iterator[smtplib.SMTP]:
    """Anna's, signed in."""
    with smtplib.SMTP(exim.host, exim.port, local_hostname="contoso.example") as signed_in:
        signed_in.login(anna.username, PASSWORD)
        yield signed_in


def a_message(subject: str = "Offer", message_id: str = "one@contoso.example") -> bytes:
    return f"Message-ID: <{message_id}>\r\nSubject: {subject}\r\n\r\nHello\r\n".encode()


def without_trace(raw: bytes) -> bytes:
    """As it was given to Exim: from its first field on."""
    return raw[raw.index(b"Message-ID:") :]


def xoauth2(username: str, token: str) -> str:
    return base64.b64encode(f"user={username}\x01auth=Bearer {token}\x01\x01".encode()).decode()


def test_everything_that_a_sender_makes_use_of_is_offered(smtp: smtplib.SMTP) -> None:
    smtp.ehlo()
    offered = set(smtp.esmtp_features)
    assert {"size", "8bitmime", "smtputf8", "dsn", "pipelining", "starttls", "auth"} <= offered
    assert smtp.esmtp_features["size"] == str(LARGEST_MESSAGE)
    assert set(smtp.esmtp_features["auth"].split()) == {"PLAIN", "LOGIN", "XOAUTH2"}


def test_tls_from_the_start_and_by_starttls_with_the_certificate_of_its_own(exim: Exim) -> None:
    trusting = ssl.create_default_context(cafile=str(exim.certificate_file))
    with smtplib.SMTP_SSL("localhost", exim.tls_port, context=trusting) as over_tls:
        assert over_tls.noop()[0] == 250
    with smtplib.SMTP("localhost", exim.port) as in_the_clear:
        in_the_clear.starttls(context=trusting)
        assert in_the_clear.noop()[0] == 250


@pytest.mark.parametrize("way", ["PLAIN", "LOGIN"])
def test_a_password_signs_in_and_a_wrong_one_does_not(exim: Exim, anna: Maildir, way: str) -> None:
    for password, answer in (("wrong", 535), (PASSWORD, 235)):
        with smtplib.SMTP(exim.host, exim.port) as smtp:
            smtp.ehlo()
            smtp.user, smtp.password = anna.username, password
            try:
                code, _ = smtp.auth(way, smtp.auth_plain if way == "PLAIN" else smtp.auth_login)
            except smtplib.SMTPAuthenticationError as error:
                code = error.smtp_code
            assert code == answer


def test_a_token_signs_in_and_another_one_does_not(exim: Exim, anna: Maildir) -> None:
    with smtplib.SMTP(exim.host, exim.port) as smtp:
        smtp.ehlo()
        assert smtp.docmd("AUTH", f"XOAUTH2 {xoauth2(anna.username, 'another')}")[0] == 535
        assert smtp.docmd("AUTH", f"XOAUTH2 {xoauth2(anna.username, exim.token)}")[0] == 235


def test_who_has_no_mailbox_does_not_sign_in(exim: Exim) -> None:
    with smtplib.SMTP(exim.host, exim.port) as smtp, pytest.raises(smtplib.SMTPAuthenticationError):
        smtp.login("nobody@contoso.example", PASSWORD)


def test_nobody_sends_who_did_not_sign_in_or_as_somebody_unknown(exim: Exim, smtp: smtplib.SMTP, anna: Maildir) -> None:
    with (
        smtplib.SMTP(exim.host, exim.port) as stranger,
        pytest.raises(smtplib.SMTPSenderRefused, match="Authentication required"),
    ):
        stranger.sendmail(anna.username, [anna.username], a_message())
    with pytest.raises(smtplib.SMTPSenderRefused, match=r"5\.7\.60 .* may not send as") as refused:
        smtp.sendmail("nobody@contoso.example", [anna.username], a_message())
    assert refused.value.smtp_code == 550


def test_what_is_sent_arrives_as_it_is_below_the_trace(smtp: smtplib.SMTP, anna: Maildir, bert: Maildir) -> None:
    raw = a_message() + b"..dots\r\n.\r\n" + b"x" * 900 + "\r\nGrüße\r\n".encode()
    smtp.sendmail(anna.username, [bert.username], raw, mail_options=["BODY=8BITMIME"])
    (arrived,) = bert.arrived(1)
    assert without_trace(arrived) == raw
    assert f"Return-path: <{anna.username}>\r\nEnvelope-to: {bert.username}\r\n".encode() in arrived[: -len(raw)]


@pytest.mark.parametrize(
    ("address", "code", "words"),
    [
        ("nobody@contoso.example", 550, b"5.1.1"),
        ("nobody@adatum.example", 550, b"5.1.1"),
        (GREYLISTED, 451, b"4.7.1"),
        (FULL, 452, b"4.2.2"),
    ],
)
def test_recipients_are_refused_when_they_are_named(
    smtp: smtplib.SMTP, anna: Maildir, bert: Maildir, address: str, code: int, words: bytes
) -> None:
    refused = smtp.sendmail(anna.username, [bert.username, address], a_message())
    assert refused[address][0] == code
    assert words in refused[address][1]
    bert.arrived(1)


@pytest.mark.parametrize(("subject", "code"), [(REFUSED_SUBJECT, 550), (POSTPONED_SUBJECT, 451)])
def test_a_message_is_refused_when_it_is_there(smtp: smtplib.SMTP, anna: Maildir, subject: str, code: int) -> None:
    with pytest.raises(smtplib.SMTPDataError) as refused:
        smtp.sendmail(anna.username, [anna.username], a_message(subject))
    assert refused.value.smtp_code == code


def test_what_is_too_large_is_refused_before_it_is_sent(smtp: smtplib.SMTP, anna: Maildir) -> None:
    smtp.ehlo()
    code, words = smtp.mail(anna.username, [f"SIZE={LARGEST_MESSAGE + 1}"])
    assert (code, b"exceeds" in words) == (552, True)


def test_a_bounce_names_the_message_and_the_recipient(smtp: smtplib.SMTP, anna: Maildir, bert: Maildir) -> None:
    assert smtp.sendmail(anna.username, [bert.username, GONE], a_message(message_id="bounces@contoso.example")) == {}
    (bounce,) = anna.arrived(1)
    report = delivery_report([bounce])
    assert report is not None
    assert report.original_message_id == "bounces@contoso.example"
    assert [(each.address, each.action, each.status) for each in report.recipients] == [(GONE, "failed", "5.0.0")]


def test_success_is_reported_to_who_asks_for_it(smtp: smtplib.SMTP, anna: Maildir, bert: Maildir) -> None:
    raw = a_message(message_id="asked@contoso.example")
    smtp.ehlo()
    smtp.sendmail(anna.username, [bert.username], raw, mail_options=["RET=HDRS"], rcpt_options=["NOTIFY=SUCCESS,FAILURE"])
    report = delivery_report([anna.arrived(1)[0]])
    assert report is not None
    assert report.original_message_id == "asked@contoso.example"
    assert [(each.address, each.action) for each in report.recipients] == [(bert.username, "delivered")]
    assert isinstance(report.recipients[0], RecipientReport)


def test_addresses_beyond_ascii_have_mailboxes(exim: Exim, smtp: smtplib.SMTP, anna: Maildir) -> None:
    jürgen = exim.add_mailbox(f"jürgen.{an_unused_address()}")
    smtp.ehlo()
    smtp.sendmail(anna.username, [jürgen.username], a_message(), mail_options=["SMTPUTF8", "BODY=8BITMIME"])
    assert without_trace(jürgen.arrived(1)[0]) == a_message()


def test_after_so_many_messages_it_ends_the_connection() -> None:
    Exim.needed()
    with Exim(per_connection=2) as server, smtplib.SMTP(server.host, server.port) as smtp:
        anna = server.add_mailbox()
        smtp.login(anna.username, PASSWORD)
        for _ in range(2):
            smtp.sendmail(anna.username, [anna.username], a_message())
        with pytest.raises(smtplib.SMTPResponseException) as refused:
            smtp.sendmail(anna.username, [anna.username], a_message())
        assert refused.value.smtp_code == 421
