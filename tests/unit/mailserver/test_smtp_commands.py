"""What the SMTP head offers, takes and keeps: extensions, envelopes, and messages byte for byte."""

import smtplib
import socket
from collections.abc import Iterator

import pytest

from local.mailserver import Habit, MailServer
from tests.unit.mailserver.conftest import ANNA, BEN
from tests.unit.mailserver.messages import a_message

CUSTOMER = "carla@supplier.example"


@pytest.fixture
def client(server: MailServer) -> Iterator[smtplib.SMTP]:
    with smtplib.SMTP("127.0.0.1", server.smtp_port, timeout=20) as client:
        client.login(ANNA, "anna's password")
        yield client


def test_it_says_what_it_can(client: smtplib.SMTP) -> None:
    client.ehlo()
    assert set(client.esmtp_features) == {"size", "pipelining", "dsn", "auth", "8bitmime", "smtputf8", "enhancedstatuscodes"}
    assert client.esmtp_features["size"] == "157286400"
    assert client.esmtp_features["auth"].split() == ["LOGIN", "PLAIN", "XOAUTH2"]


@pytest.mark.parametrize("name", ["SIZE", "8BITMIME", "SMTPUTF8", "DSN", "AUTH", "PIPELINING"])
def test_every_extension_can_be_missing(server: MailServer, client: smtplib.SMTP, name: str) -> None:
    server.set_habits([f"smtp_without_{name.lower()}"])
    client.ehlo()
    assert not client.has_extn(name)


@pytest.mark.parametrize(
    ("habit", "option"), [("smtp_without_smtputf8", "SMTPUTF8"), ("smtp_without_dsn", "RET=HDRS"), (None, "XYZ=1")]
)
def test_what_is_not_offered_is_refused(server: MailServer, client: smtplib.SMTP, habit: str | None, option: str) -> None:
    server.set_habits([habit] if habit else [])
    code, words = client.mail(ANNA, [option])
    assert (code, words.split()[0]) == (555, b"5.5.4")


def test_a_server_of_old_knows_no_ehlo(server: MailServer) -> None:
    server.set_habits([Habit.SMTP_WITHOUT_EHLO])
    with smtplib.SMTP("127.0.0.1", server.smtp_port, timeout=20) as client:
        assert client.docmd("EHLO", "me")[0] == 500
        assert client.sendmail(CUSTOMER, [ANNA], a_message()) == {}
    assert server.requests.of("HELO")[0].status == 250


def test_what_was_accepted_is_there_with_its_envelope(server: MailServer, client: smtplib.SMTP) -> None:
    first = a_message("One", message_id="<1@contoso.example>", text=".\r\n..\r\nend.")
    client.sendmail(ANNA, [BEN, CUSTOMER], first)
    code, words = _data(client, a_message("Two", message_id="<2@contoso.example>"))
    one, two = server.accepted()
    assert (one.head, one.sender, one.recipients, one.username) == ("smtp", ANNA, (BEN, CUSTOMER), ANNA)
    assert bytes(one.octets) == first
    assert (one.message_id, one.subject) == ("<1@contoso.example>", "One")
    assert (code, one.queue_id == two.queue_id) == (250, False)
    assert f"<2@contoso.example> [InternalId={two.queue_id}, Hostname=".encode() in words
    assert server.accepted("<2@contoso.example>") == [two]
    assert len(server.items(BEN)) == 2
    server.reset()
    assert server.accepted() == []


def test_a_dot_that_is_not_doubled_is_lost(server: MailServer, client: smtplib.SMTP) -> None:
    """RFC 5321 section 4.5.2: servers delete it whatever follows, so a client that forgets to double it is found out."""
    client.mail(ANNA)
    client.rcpt(BEN)
    client.docmd("DATA")
    client.send(b"Message-ID: <1@contoso.example>\r\n\r\n.forgotten\r\n..doubled\r\n.\r\n")
    assert client.getreply()[0] == 250
    assert bytes(server.accepted()[0].octets).endswith(b"\r\nforgotten\r\n.doubled\r\n")


def test_a_message_gets_the_id_that_it_lacks_or_another(server: MailServer, client: smtplib.SMTP) -> None:
    client.mail(ANNA)
    client.rcpt(BEN)
    _, words = client.data(b"Subject: Nameless\r\n\r\ntext")
    server.set_habits([Habit.SMTP_REWRITES_MESSAGE_IDS])
    _, others = _data(client, a_message(message_id="<2@contoso.example>"))
    one, two = server.accepted()
    for accepted, said in ((one, words), (two, others)):
        assert accepted.message_id.encode() in said
        assert accepted.octets[:].count(b"Message-ID: ") == 1
    assert two.message_id not in ("<2@contoso.example>", one.message_id)


def _data(client: smtplib.SMTP, raw: bytes) -> tuple[int, bytes]:
    client.mail(ANNA)
    client.rcpt(BEN)
    return client.data(raw)


def test_names_beyond_ascii_need_the_extension(server: MailServer, client: smtplib.SMTP) -> None:
    recipient = "jürgen@weiß.example"
    client.command_encoding = "utf-8"
    client.mail(ANNA)
    assert client.rcpt(recipient)[0] == 553
    client.rset()
    client.mail(ANNA, ["SMTPUTF8", "BODY=8BITMIME"])
    assert client.rcpt(recipient)[0] == 250
    assert client.data("Subject: Grüße\r\n\r\nGrüße".encode())[0] == 250
    assert server.accepted()[0].recipients == (recipient,)
    assert [asked.parameters for asked in server.requests.of("MAIL")] == ["", "SMTPUTF8 BODY=8BITMIME"]


def test_size_is_refused_before_and_after_it_is_sent(server: MailServer, client: smtplib.SMTP) -> None:
    server.set_limits(largest_message=2000)
    assert client.mail(ANNA, ["SIZE=2001"]) == (552, b"5.3.4 Message size exceeds fixed maximum message size")
    client.mail(ANNA)
    client.rcpt(BEN)
    assert client.data(a_message(text="x" * 200_000))[0] == 552
    assert server.accepted() == []
    assert _data(client, a_message())[0] == 250, "the connection is as good as before"
    client.ehlo()
    assert client.esmtp_features["size"] == "2000"


def test_the_number_of_recipients_has_a_limit(server: MailServer, client: smtplib.SMTP) -> None:
    server.set_limits(most_recipients=1)
    assert client.sendmail(ANNA, [BEN, CUSTOMER], a_message()) == {CUSTOMER: (452, b"4.5.3 Too many recipients")}
    assert server.accepted()[0].recipients == (BEN,)


@pytest.mark.parametrize(
    ("command", "code"),
    [
        ("RCPT TO:<ben@contoso.example>", 503),
        ("DATA", 503),
        ("MAIL FROM:anna@contoso.example", 501),
        ("MAIL TO:<anna@contoso.example>", 501),
        ("MAIL FROM:<anna@contoso.example> SIZE=many", 501),
        ("AUTH PLAIN", 503),
        ("STARTTLS", 500),
        ("EXPN list", 500),
        ("VRFY anna", 252),
        ("NOOP", 250),
    ],
)
def test_commands_out_of_order_or_out_of_form_are_refused(client: smtplib.SMTP, command: str, code: int) -> None:
    assert client.docmd(*command.split(" ", 1))[0] == code


def test_commands_may_come_before_their_turn(server: MailServer) -> None:
    """RFC 2920: pipelining."""
    said = f"EHLO me\r\nMAIL FROM:<{CUSTOMER}>\r\nRCPT TO:<{ANNA}>\r\nDATA\r\n".encode() + a_message() + b".\r\nQUIT\r\n"
    with socket.create_connection(("127.0.0.1", server.smtp_port), timeout=20) as connection:
        connection.sendall(said)
        replies = b""
        while block := connection.recv(4096):
            replies += block
    assert [line[:3] for line in replies.splitlines() if line[3:4] == b" "] == [
        b"220",
        b"250",
        b"250",
        b"250",
        b"354",
        b"250",
        b"221",
    ]
    assert len(server.items(ANNA)) == 1


def test_a_message_that_is_not_finished_never_was(server: MailServer) -> None:
    with smtplib.SMTP("127.0.0.1", server.smtp_port, timeout=20) as client:
        client.ehlo()
        client.mail(CUSTOMER)
        client.rcpt(ANNA)
        client.docmd("DATA")
        client.send(a_message() + b"\r\n.")
        client.close()
    server.stop()
    assert server.accepted() == []
