"""The SMTP head answers what a test wants it to: refusals by address and command, quotas, broken connections, slowness."""

import smtplib
import time
from collections.abc import Iterator

import pytest

from local.mailserver import FaultKind, Habit, MailServer
from local.mailserver.message import Message
from tests.unit.mailserver.conftest import ANNA, BEN
from tests.unit.mailserver.messages import a_message

CUSTOMER = "carla@supplier.example"
OTHER = "otto@supplier.example"


@pytest.fixture
def client(server: MailServer) -> Iterator[smtplib.SMTP]:
    client = connected(server)
    yield client
    client.close()


def connected(server: MailServer) -> smtplib.SMTP:
    client = smtplib.SMTP("127.0.0.1", server.smtp_port, timeout=20)
    try:
        client.login(ANNA, "anna's password")
    except smtplib.SMTPException:
        client.close()
        raise
    return client


def send(client: smtplib.SMTP, *to: str, sender: str = ANNA) -> dict[str, tuple[int, bytes]]:
    return client.sendmail(sender, list(to), a_message())


def outcome(client: smtplib.SMTP, *to: str) -> tuple[int, str]:
    try:
        refused = send(client, *to)
    except smtplib.SMTPRecipientsRefused as error:
        refused = error.recipients
    except smtplib.SMTPResponseException as error:
        words = error.smtp_error
        return error.smtp_code, words.decode() if isinstance(words, bytes) else words
    return next(((code, words.decode()) for code, words in refused.values()), (250, ""))


@pytest.mark.parametrize("code", ["450 4.2.1", "452 4.2.2", "550 5.1.1", "552 5.2.2"])
def test_one_recipient_is_refused_as_often_as_wanted(server: MailServer, client: smtplib.SMTP, code: str) -> None:
    server.faults.add(FaultKind.ERROR, CUSTOMER, operation="RCPT", code=code, text="Not him", count=2)
    for _ in range(2):
        assert send(client, CUSTOMER, OTHER) == {CUSTOMER: (int(code[:3]), f"{code[4:]} Not him".encode())}
    assert send(client, CUSTOMER) == {}
    assert [each.recipients for each in server.accepted()] == [(OTHER,), (OTHER,), (CUSTOMER,)]


@pytest.mark.parametrize("operation", ["MAIL", "RCPT", "DATA", "Message"])
def test_every_recipient_is_refused(server: MailServer, client: smtplib.SMTP, operation: str) -> None:
    server.faults.add(FaultKind.ERROR, operation=operation, code="554 5.7.1", text="No spam please", count=1)
    assert outcome(client, CUSTOMER) == (554, "5.7.1 No spam please")
    assert server.accepted() == []
    client.rset()
    assert outcome(client, CUSTOMER)[0] == 250
    assert [asked.status for asked in server.requests.of(operation)] == [554, 354 if operation == "DATA" else 250]


def test_a_message_is_refused_for_the_sake_of_its_recipient(server: MailServer, client: smtplib.SMTP) -> None:
    server.faults.add(FaultKind.ERROR, CUSTOMER, operation="Message", code="554 5.7.1")
    assert outcome(client, OTHER, CUSTOMER)[0] == 554
    assert outcome(client, OTHER)[0] == 250


def test_a_sender_has_a_quota(server: MailServer, client: smtplib.SMTP) -> None:
    server.faults.add(FaultKind.ERROR, ANNA, operation="MAIL", code="550 5.4.5", text="Daily quota exceeded", after=2)
    assert [outcome(client, BEN)[0] for _ in range(4)] == [250, 250, 550, 550]
    server.faults.clear(mailbox=ANNA)
    assert outcome(client, BEN)[0] == 250


def test_who_comes_for_the_first_time_is_greylisted(server: MailServer, client: smtplib.SMTP) -> None:
    server.set_habits([Habit.SMTP_GREYLISTS])
    assert outcome(client, BEN)[0] == 450
    assert send(client, BEN, CUSTOMER) == {CUSTOMER: (450, b"4.7.1 Greylisted, please try again later")}
    assert send(client, BEN, CUSTOMER) == {}


@pytest.mark.parametrize("operation", ["MAIL", "RCPT", "DATA", "Message"])
@pytest.mark.parametrize("kind", [FaultKind.UNAVAILABLE, FaultKind.TOO_MANY_REQUESTS])
def test_the_server_closes_the_channel_in_mid_session(
    server: MailServer, client: smtplib.SMTP, operation: str, kind: FaultKind
) -> None:
    server.faults.add(kind, operation=operation, count=1)
    assert outcome(client, BEN)[0] == 421
    with pytest.raises(smtplib.SMTPServerDisconnected):
        client.noop()
    assert server.accepted() == []


def test_the_server_is_not_available(server: MailServer) -> None:
    server.faults.add(FaultKind.UNAVAILABLE, operation="Connect", count=1)
    server.faults.add(FaultKind.ERROR, operation="Connect", code="554", text="No service here", count=1)
    for code in (421, 554):
        with pytest.raises(smtplib.SMTPConnectError) as refused:
            smtplib.SMTP("127.0.0.1", server.smtp_port, timeout=20)
        assert refused.value.smtp_code == code


def test_signing_in_is_refused(server: MailServer) -> None:
    server.faults.add(FaultKind.UNAUTHORIZED, ANNA, operation="AUTH", count=3)
    with pytest.raises(smtplib.SMTPAuthenticationError) as refused:
        connected(server)
    assert refused.value.smtp_code == 535
    server.faults.clear()
    server.faults.add(FaultKind.ERROR, ANNA, operation="AUTH", code="454 4.7.0", text="Try again", count=3)
    with pytest.raises(smtplib.SMTPAuthenticationError) as later:
        connected(server)
    assert later.value.smtp_code == 454


@pytest.mark.parametrize(
    ("kind", "operation", "is_accepted"),
    [
        (FaultKind.CONNECTION_RESET, "MAIL", False),
        (FaultKind.CONNECTION_RESET, "DATA", False),
        (FaultKind.CONNECTION_RESET, "Transfer", False),
        (FaultKind.CONNECTION_RESET, "Message", False),
        (FaultKind.REPLY_LOST, "Message", True),
    ],
)
def test_the_connection_breaks_before_or_after_the_effect(
    server: MailServer, client: smtplib.SMTP, kind: FaultKind, operation: str, is_accepted: bool
) -> None:
    server.faults.add(kind, operation=operation, count=1)
    with pytest.raises((smtplib.SMTPServerDisconnected, OSError)):
        client.sendmail(ANNA, [BEN], a_message(text="x" * 500_000))
    again = connected(server)
    assert len(server.accepted()) == len(server.items(BEN)) == int(is_accepted)
    assert send(again, BEN) == {}
    again.close()


def test_the_connection_ends_while_nobody_speaks(server: MailServer, client: smtplib.SMTP) -> None:
    server.faults.add(FaultKind.HANG_UP, operation="Message", seconds=0.1, count=1)
    assert send(client, BEN) == {}
    assert client.sock is not None
    assert client.sock.recv(1) == b"", "the server has ended it"
    with pytest.raises(smtplib.SMTPServerDisconnected):
        send(client, BEN)
    assert len(server.accepted()) == 1


def test_an_answer_takes_its_time(server: MailServer, client: smtplib.SMTP) -> None:
    server.faults.add(FaultKind.SLOW_REPLY, operation="Message", seconds=0.2, count=1)
    started = time.monotonic()
    assert send(client, BEN) == {}
    assert time.monotonic() - started >= 0.2


def test_an_answer_is_nonsense(server: MailServer, client: smtplib.SMTP) -> None:
    server.faults.add(FaultKind.NONSENSE_REPLY, operation="Message", count=1)
    with pytest.raises(smtplib.SMTPDataError) as refused:
        send(client, BEN)
    assert refused.value.smtp_code == -1


def test_a_recipient_is_accepted_and_bounces(server: MailServer, client: smtplib.SMTP) -> None:
    server.faults.add(FaultKind.BOUNCES, CUSTOMER, code="552 5.2.2", text="Mailbox full", count=1)
    assert send(client, CUSTOMER, OTHER) == {}
    (item,) = server.items(ANNA)
    report = server.store.mailbox(ANNA).item(item).message
    assert report.item_class == "REPORT.IPM.Note.NDR"
    assert status_of(report).count("Final-Recipient") == 1
    assert f"Final-Recipient: rfc822;{CUSTOMER}\r\nAction: failed\r\nStatus: 5.2.2\r\n" in status_of(report)
    assert "Diagnostic-Code: smtp;552 5.2.2 Mailbox full" in status_of(report)


def status_of(report: Message) -> str:
    return report.root.parts[1].content().decode()


def test_who_is_not_here_bounces_later_where_the_server_is_so(server: MailServer, client: smtplib.SMTP) -> None:
    server.set_habits([Habit.SMTP_BOUNCES_LATER])
    client.sendmail(ANNA, ["nobody@contoso.example", BEN], a_message("Offer", message_id="<7@contoso.example>"))
    (item,) = server.items(ANNA)
    report = server.store.mailbox(ANNA).item(item).message
    assert (report.subject, report.in_reply_to) == ("Undeliverable: Offer", "<7@contoso.example>")
    assert "Status: 5.1.10" in status_of(report)
    assert b"Subject: Offer" in report.root.parts[2].content()
    assert len(server.items(BEN)) == 1
    client.sendmail("", ["nobody@contoso.example"], a_message())
    assert len(server.items(ANNA)) == 1, "reports have no sender, and are not reported on"


@pytest.mark.parametrize(
    ("notify", "actions"),
    [
        ("SUCCESS,FAILURE", ["delivered", "relayed"]),
        ("SUCCESS", ["delivered", "relayed"]),
        ("FAILURE,DELAY", []),
        ("NEVER", []),
        (None, []),
    ],
)
def test_success_is_reported_to_who_asks(
    server: MailServer, client: smtplib.SMTP, notify: str | None, actions: list[str]
) -> None:
    client.mail(ANNA, ["ENVID=e-1", "RET=HDRS"])
    for recipient in (BEN, CUSTOMER):
        code, _ = client.rcpt(recipient, [f"NOTIFY={notify}", f"ORCPT=rfc822;{recipient}"] if notify else [])
        assert code == 250
    assert client.data(a_message())[0] == 250
    reports = [server.store.mailbox(ANNA).item(item).message for item in reversed(server.items(ANNA))]
    assert [status_of(report).partition("Action: ")[2].split()[0] for report in reports] == actions
    assert all("Original-Envelope-Id: e-1\r\n" in status_of(report) for report in reports)
    assert all("Original-Recipient: rfc822;" in status_of(report) for report in reports)
    if notify:
        assert server.requests.of("RCPT", BEN)[0].parameters == f"NOTIFY={notify} ORCPT=rfc822;{BEN}"


def test_failure_is_not_reported_to_who_does_not_want_it(server: MailServer, client: smtplib.SMTP) -> None:
    server.faults.add(FaultKind.BOUNCES, CUSTOMER)
    client.mail(ANNA)
    client.rcpt(CUSTOMER, ["NOTIFY=NEVER"])
    client.data(a_message())
    assert server.items(ANNA) == []
    assert client.rcpt(CUSTOMER, ["NOTIFY=NEVER,SUCCESS"])[0] == 503
    client.mail(ANNA)
    assert client.rcpt(CUSTOMER, ["NOTIFY=NEVER,SUCCESS"])[0] == 501
