"""Sending to SMTP servers that are slow, hang up or fall silent: what is certain then, and when it ends."""

import socket
import time
from collections.abc import Callable
from datetime import timedelta
from threading import Event, Thread

import pytest

from shared.connectors.smtp.errors import NotWelcome
from shared.domain.email import Address
from shared.domain.errors import (
    Busy,
    DeliveryPostponed,
    DeliveryUnknown,
    EmailTooLarge,
    NoAnswer,
    SendingQuotaSpent,
    SyncError,
    Throttled,
    TransientError,
    Unreachable,
)
from shared.domain.outgoing import OutgoingMessage
from tests.unit.connectors.outgoing_messages import a_message, an_attachment
from tests.unit.connectors.scripted_smtp import MODERN, PLAIN, ScriptedSmtp
from tests.unit.connectors.submission import ABILITIES, connection_over, failure, opened, serving, to

PATIENT = timedelta(minutes=10)
"""Of who waits longer for one reply than for all of them."""


class PassingTime:
    """What the connector takes for `monotonic`: it passes where a test says so, and nobody waits."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now

    def before(self, reply: bytes | None, seconds: float) -> Callable[[str], bytes | None]:
        """How a server replies that takes so long."""

        def answer(_: str) -> bytes | None:
            self.now += seconds
            return reply

        return answer


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> PassingTime:
    passing = PassingTime()
    for module in ("connection", "mail", "session", "transaction"):
        monkeypatch.setattr(f"shared.connectors.smtp.{module}.monotonic", passing)
    return passing


# ---- slow servers


@ABILITIES
def test_a_server_that_is_slow_with_each_recipient_gets_the_email_for_those_it_took(
    abilities: bytes, clock: PassingTime, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Within two minutes: the reply to the ninth comes after them."""
    monkeypatch.setattr("shared.connectors.smtp.connection._AT_ONCE", 2)
    message = to(*(f"r{number}" for number in range(12)))
    slowly = clock.before(b"250 ok\r\n", 15)
    with serving(EHLO=abilities, RCPT=slowly) as server, opened(server, timeout=PATIENT) as mail:
        receipt = mail.send(message)
        (taken,) = server.taken
        assert len(taken.rcpts) == 9
        assert receipt.waiting == (9, 10, 11), "everybody else gets it later"
        assert {each.status_code for each in receipt.refused} == {"4.0.0"}
        mail.send(a_message())
        assert server.count("greeting") == 1, "the connection is sound"


@ABILITIES
def test_a_server_that_is_slow_to_refuse_is_not_given_the_email(
    abilities: bytes, clock: PassingTime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared.connectors.smtp.connection._AT_ONCE", 2)
    with serving(EHLO=abilities, RCPT=clock.before(b"550 5.1.1 nobody\r\n", 30)) as server:
        error = failure(server, to(*"abcdefgh"), timeout=PATIENT)
        assert isinstance(error, DeliveryPostponed)
        assert {each.status_code for each in error.refused} == {"5.1.1", "4.5.3"}
        assert len(error.refused) == 8
        assert server.taken == []


@ABILITIES
def test_an_email_has_a_time_all_in_all(abilities: bytes, clock: PassingTime, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shared.connectors.smtp.mail._LONGEST_GIVING", timedelta(minutes=1))
    slowly = clock.before(b"250 ok\r\n", 5)
    with serving(EHLO=abilities, RCPT=slowly) as server, opened(server, timeout=PATIENT) as mail:
        mail.check()
        for _ in range(2):  # on a connection that was used before, and on a fresh one
            with pytest.raises(NoAnswer):
                mail.send(to(*(f"r{number}" for number in range(20))))
    assert server.taken == []


def test_the_time_of_one_email_is_not_that_of_what_follows(clock: PassingTime) -> None:
    with serving() as server, opened(server) as mail:
        mail.send(a_message())
        clock.now += 3_600
        mail.check()
        mail.send(a_message())
        assert server.count("greeting") == 1


def test_no_second_connection_is_tried_when_the_time_is_over(clock: PassingTime) -> None:
    with serving(MAIL=clock.before(None, 150)) as server, opened(server, timeout=PATIENT) as mail:
        mail.check()
        with pytest.raises(Unreachable):
            mail.send(a_message())
        assert server.count("greeting") == 1


def test_content_has_a_time_all_in_all_whatever_the_server_reads() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:

        def read() -> None:
            while theirs.recv(20_000):
                time.sleep(0.05)

        reader = Thread(target=read)
        reader.start()
        connection, begun = connection_over(ours), time.monotonic()
        with pytest.raises(TimeoutError), connection.within(begun + 0.4):
            connection.give([b"x" * 20_000_000])
        assert time.monotonic() - begun < 20, "at this pace it takes 50"
        ours.shutdown(socket.SHUT_RDWR)
        theirs.shutdown(socket.SHUT_RDWR)
        reader.join()


# ---- losses


@pytest.mark.parametrize("stage", ["MAIL", "RCPT", "DATA"])
@ABILITIES
def test_after_a_connection_lost_before_the_end_it_is_certain_that_nothing_was_accepted(abilities: bytes, stage: str) -> None:
    with serving(EHLO=abilities, **{stage: lambda _: None}) as server, opened(server) as mail:
        for _ in range(2):
            with pytest.raises(Unreachable):
                mail.send(a_message())
        assert server.taken == []
        assert server.count("greeting") == 2, "on a fresh connection it is tried once"
        del server.script[stage]
        mail.send(a_message())
        assert len(server.taken) == 1


@pytest.mark.parametrize("ended", [b"250 ok\r\n", b"250 ok\r\n421 4.4.2 idle too long\r\n"])
@ABILITIES
def test_a_connection_that_the_server_ended_meanwhile_is_nobodys_fault(abilities: bytes, ended: bytes) -> None:
    with serving(EHLO=abilities, content=ended) as server, opened(server) as mail:
        for _ in range(3):
            server.closes_after.append("content")
            mail.send(a_message())
        assert len(server.taken) == server.count("greeting") == 3


@ABILITIES
def test_a_connection_lost_after_the_end_leaves_open_what_happened(abilities: bytes) -> None:
    with serving(EHLO=abilities, content=lambda _: None) as server, opened(server) as mail:
        mail.check()
        with pytest.raises(DeliveryUnknown):
            mail.send(a_message())
        assert server.count("content") == 1, "it is not tried again by itself"
        server.script["content"] = b"250 ok\r\n"
        mail.send(a_message())


def test_an_answer_that_does_not_come_leaves_open_what_happened(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shared.connectors.smtp.mail.LONGEST_SENDING", timedelta(seconds=0.5))
    with serving(content=b"") as server:
        begun = time.monotonic()
        assert type(failure(server, timeout=timedelta(minutes=1))) is DeliveryUnknown
        assert time.monotonic() - begun < 30


def test_the_answer_may_take_longer_than_other_replies() -> None:
    def later(_: str) -> bytes:
        time.sleep(1.3)
        return b"250 ok\r\n"

    with serving(content=later) as server, opened(server, timeout=timedelta(seconds=1)) as mail:
        mail.send(a_message())
        assert len(server.taken) == 1


@pytest.mark.parametrize(
    ("stage", "reply", "kind"),
    [
        ("MAIL", b"421 4.3.2 shutting down\r\n", Throttled),
        ("MAIL", b"421 later\r\n", Busy),
        ("RCPT", b"421 4.7.0 too many errors\r\n", Unreachable),
        ("RCPT", b"421 4.7.0 Try again later, your sending limit is reached\r\n", SendingQuotaSpent),
        ("DATA", b"421 4.7.0 Rate limit exceeded\r\n", Throttled),
        ("content", b"421 4.3.0 Temporary System Problem.\r\n", Unreachable),
    ],
)
def test_a_server_that_hangs_up_says_why(stage: str, reply: bytes, kind: type[SyncError]) -> None:
    with serving(**{stage: reply}) as server:
        server.closes_after.append(stage)
        assert type(failure(server)) is kind
        assert server.taken == []


def test_what_the_server_says_while_it_is_given_the_email_counts() -> None:
    heard = Event()
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            connection, _ = listening.accept()
            with connection, connection.makefile("rb") as lines:
                connection.sendall(b"220 ready\r\n")
                for line in lines:
                    name = line.split()[0].upper()
                    connection.sendall({b"EHLO": b"250 x\r\n", b"DATA": b"354 go on\r\n"}.get(name, b"250 ok\r\n"))
                    if name == b"DATA":
                        connection.sendall(b"552 5.3.4 Message size exceeds fixed limit\r\n")
                        connection.shutdown(socket.SHUT_WR)
                        heard.wait(60)
                        return

        thread = Thread(target=serve)
        thread.start()
        server = ScriptedSmtp(port=listening.getsockname()[1])
        large = a_message(attachments=(an_attachment(b"x" * 30_000_000),))
        error = failure(server, large, who=None, timeout=timedelta(seconds=1))
        heard.set()
        thread.join()
    assert type(error) is EmailTooLarge


@pytest.mark.parametrize("stage", ["MAIL", "RCPT", "DATA"])
def test_what_is_no_smtp_breaks_the_connection(stage: str) -> None:
    with serving(**{stage: b"what?\r\n"}) as server:
        assert type(failure(server)) is Unreachable
        assert server.taken == []


@pytest.mark.parametrize("reply", [b"55\r\n", b"25 ok\r\n", b"5\r\n", b"354 go on\r\n", b"+50 ok\r\n"])
@pytest.mark.parametrize("stage", ["MAIL", "RCPT"])
def test_a_reply_that_answers_nothing_says_nothing_about_the_email(stage: str, reply: bytes) -> None:
    with serving(**{stage: reply}) as server:
        assert type(failure(server)) is Unreachable
        assert server.taken == []


def test_content_that_is_answered_with_a_request_for_more_may_be_accepted() -> None:
    with serving(content=b"354 go on\r\n") as server:
        assert type(failure(server)) is DeliveryUnknown


@pytest.mark.parametrize("extra", [b"250 2.0.0 ok\r\n", b"550 5.1.1 no\r\n", b"354 go on\r\n", b"what?\r\n"])
@ABILITIES
def test_what_a_server_says_unasked_refuses_no_email(abilities: bytes, extra: bytes) -> None:
    with serving(EHLO=abilities, content=b"250 2.0.0 ok\r\n" + extra) as server, opened(server) as mail:
        mail.send(a_message())
        mail.send(a_message())
        assert len(server.taken) == 2


@pytest.mark.parametrize(
    "message",
    [
        a_message(to=(Address("zoë@x.example"),)),
        a_message(attachments=(an_attachment("Subject: x\r\n\r\nö\r\n".encode(), content_type="message/rfc822"),)),
    ],
    ids=["SMTPUTF8", "8BITMIME"],
)
def test_another_server_of_the_same_name_that_takes_less_is_not_given_the_email(message: OutgoingMessage) -> None:
    with serving(EHLO=MODERN, DATA=lambda _: None) as server, opened(server) as mail:
        mail.check()
        server.script["EHLO"] = lambda _: PLAIN
        server.script["MAIL"] = lambda arguments: b"555 5.5.4 what?\r\n" if "UTF8" in arguments else b"250 ok\r\n"
        with pytest.raises(Unreachable):
            mail.send(message)
        assert server.count("MAIL") == 1
    assert server.taken == []


def test_a_server_that_goes_away_can_not_be_reached() -> None:
    with serving() as server:
        pass
    error = failure(server)
    assert isinstance(error, TransientError)
    assert not isinstance(error, NotWelcome)
