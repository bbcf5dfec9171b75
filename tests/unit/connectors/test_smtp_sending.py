"""Sending to SMTP servers as they are: what is accepted, refused, put off, and lost on the way, and what is certain then."""

import socket
from collections.abc import Callable
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.email import Address
from shared.domain.errors import (
    DeliveryError,
    DeliveryPostponed,
    DeliveryRefused,
    EmailTooLarge,
    RecipientsRefused,
    SendAsDenied,
    SendingQuotaSpent,
    SyncError,
    Throttled,
)
from tests.unit.connectors.outgoing_messages import a_message, an_attachment, octets
from tests.unit.connectors.scripted_smtp import MODERN, PLAIN, Said
from tests.unit.connectors.submission import ABILITIES, connection_over, failure, opened, serving, to


def by_name(**replies: bytes) -> Callable[[str], bytes]:
    """Replies to RCPT by the name of the recipient."""
    return lambda arguments: replies.get(arguments.removeprefix("TO:<").partition("@")[0], b"250 2.1.5 ok\r\n")


@ABILITIES
def test_what_is_sent_arrives_as_it_was_composed(abilities: bytes) -> None:
    message = a_message(
        body_text=".\n..\nHello.\n.", cc=(Address("carl@contoso.example"),), bcc=(Address("eve@contoso.example"),)
    )
    with serving(EHLO=abilities) as server:
        with opened(server) as mail:
            receipt = mail.send(message)
        (taken,) = server.taken
        assert taken.content == octets(message)
        assert taken.mail == f"FROM:<anna@contoso.example> SIZE={len(taken.content)}"
        assert taken.rcpts == ["TO:<bert@fabrikam.example>", "TO:<carl@contoso.example>", "TO:<eve@contoso.example>"]
    assert receipt.server_id == "4XyZ"
    assert receipt.detail == "250 2.0.0 Ok: queued as 4XyZ"
    assert (receipt.refused, receipt.waiting, receipt.message_id) == ((), (), None)


def test_a_large_email_arrives_in_pieces_with_its_dots() -> None:
    message = a_message(body_text=(".\n" + "." * 70 + "\n") * 40_000, attachments=(an_attachment(bytes(range(256)) * 20_000),))
    with serving() as server:
        with opened(server) as mail:
            mail.send(message)
        assert server.taken[0].content == octets(message)


@given(st.lists(st.sampled_from([b"a", b".", b"\r\n", b"\r", b"\n.", b"\r\n.", b"..", b".\r\n"]), min_size=1, max_size=8))
def test_dots_are_doubled_wherever_the_pieces_end(pieces: list[bytes]) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        connection_over(ours).give([*pieces, b"\r\n"])
        said = theirs.recv(1000)
    content = b"".join(pieces) + b"\r\n"
    assert said == (b"\r\n" + content).replace(b"\r\n.", b"\r\n..")[2:] + b".\r\n"


def test_one_connection_serves_the_whole_run() -> None:
    with serving() as server:
        with opened(server) as mail:
            for _ in range(3):
                mail.send(a_message())
        assert server.count("greeting") == server.count("AUTH") == server.count("QUIT") == 1
        assert len(server.taken) == 3


def test_only_what_the_server_offers_is_asked_of_it() -> None:
    message = a_message(delivery_receipt=True, message_id="a+b@contoso.example")
    with serving(EHLO=MODERN) as server:
        with opened(server) as mail:
            mail.send(message)
        assert server.taken[0].mail.endswith(" RET=HDRS ENVID=a+2Bb@contoso.example")
        assert server.taken[0].rcpts == ["TO:<bert@fabrikam.example> NOTIFY=SUCCESS,FAILURE,DELAY"]
    with serving(EHLO=PLAIN) as server:
        with opened(server) as mail:
            mail.send(message)
        assert "ENVID" not in server.taken[0].mail
        assert server.taken[0].rcpts == ["TO:<bert@fabrikam.example>"]


def test_who_writes_for_somebody_else_is_told_of_failures() -> None:
    with serving() as server:
        with opened(server) as mail:
            mail.send(a_message(sender=Address("dora@contoso.example")))
        assert server.taken[0].mail.startswith("FROM:<dora@contoso.example>")


@pytest.mark.parametrize(("local", "told"), [("a=+b", " ENVID=a+3D+2Bb@x.example"), ("a" * 200, "")])
def test_an_envelope_id_is_escaped_and_never_too_long(local: str, told: str) -> None:
    with serving() as server:
        with opened(server) as mail:
            mail.send(a_message(message_id=f"{local}@x.example", delivery_receipt=True))
        assert server.taken[0].mail.partition(" RET=HDRS")[2] == told


def test_a_message_of_8_bits_is_announced() -> None:
    attached = an_attachment("Subject: x\r\n\r\nGrüße\r\n".encode(), "m.eml", "message/rfc822")
    with serving(EHLO=MODERN) as server:
        with opened(server) as mail:
            mail.send(a_message(attachments=(attached,)))
        assert server.taken[0].mail.endswith(" BODY=8BITMIME")
    with serving(EHLO=PLAIN) as server:
        with opened(server) as mail:
            mail.send(a_message(attachments=(attached,)))
        assert server.taken[0].content.isascii()


def test_addresses_beyond_ascii_go_where_the_server_takes_them() -> None:
    message = a_message(to=(Address("jörg@bücher.example"), Address("info@bücher.example")))
    with serving(EHLO=MODERN) as server:
        with opened(server) as mail:
            assert mail.send(message).refused == ()
        assert server.taken[0].mail.endswith(" BODY=8BITMIME SMTPUTF8")
        assert server.taken[0].rcpts == ["TO:<jörg@xn--bcher-kva.example>", "TO:<info@xn--bcher-kva.example>"]
    with serving(EHLO=PLAIN) as server:
        with opened(server) as mail:
            receipt = mail.send(message)
        assert server.taken[0].rcpts == ["TO:<info@xn--bcher-kva.example>"]
        assert [(each.address, each.status_code) for each in receipt.refused] == [("jörg@bücher.example", "5.6.7")]
        assert receipt.waiting == ()


@pytest.mark.parametrize(
    "address", ["", "anna", "a b@x.example", "a@x.example>\r\nRCPT TO:<eve@x.example", "a@x.example> NOTIFY=NEVER", "@", "a@"]
)
def test_what_is_no_address_is_refused_here(address: str) -> None:
    with serving() as server:
        error = failure(server, a_message(to=(Address(address),)))
        assert type(error) is RecipientsRefused
        assert error.refused[0].status_code == "5.1.3"
        assert server.count("MAIL") == 0


def test_an_email_to_nobody_is_refused() -> None:
    with serving() as server:
        assert type(failure(server, a_message(to=()))) is RecipientsRefused


# ---- recipients


@ABILITIES
def test_recipients_are_accepted_and_refused_one_by_one(abilities: bytes) -> None:
    refuse = by_name(b=b"550 5.1.1 no such user\r\n", c=b"450-4.7.1 Greylisted,\r\n450 4.7.1 try again in 300 seconds\r\n")
    with serving(EHLO=abilities, RCPT=refuse) as server:
        with opened(server) as mail:
            receipt = mail.send(to("a", "b", "c", "d"))
        assert server.taken[0].rcpts == ["TO:<a@x.example>", "TO:<d@x.example>"]
    assert [(each.address, each.status_code, each.detail) for each in receipt.refused] == [
        ("b@x.example", "5.1.1", "550 5.1.1 no such user"),
        ("c@x.example", "4.7.1", "450 4.7.1 Greylisted, try again in 300 seconds"),
    ]
    assert receipt.waiting == (2,)
    assert receipt.retry_after == timedelta(minutes=5)
    assert not receipt.may_be_twice


def test_later_it_goes_to_those_who_wait_alone_and_says_the_same() -> None:
    message = to("a", "b", "c")
    waiting = a_message(to=message.to, waiting=(2,))
    with serving() as server:
        with opened(server) as mail:
            mail.send(waiting)
        assert server.taken[0].rcpts == ["TO:<c@x.example>"]
        assert server.taken[0].content == octets(message)


@ABILITIES
def test_where_all_are_refused_nothing_is_sent(abilities: bytes) -> None:
    with serving(EHLO=abilities, RCPT=b"550 5.1.1 no such user\r\n") as server:
        with opened(server) as mail:
            with pytest.raises(RecipientsRefused) as raised:
                mail.send(to("a", "b"))
            assert [each.address for each in raised.value.refused] == ["a@x.example", "b@x.example"]
            assert raised.value.status_code == "5.1.1"
            server.script["RCPT"] = b"250 ok\r\n"
            mail.send(to("c"))
        assert [taken.rcpts for taken in server.taken] == [["TO:<c@x.example>"]]
        assert server.count("RSET") == 1
        assert server.count("greeting") == 1


def test_a_server_that_takes_content_for_nobody_is_given_none() -> None:
    with serving(RCPT=b"550 5.1.1 no such user\r\n", DATA=b"354 go on\r\n") as server:
        with opened(server) as mail:
            with pytest.raises(RecipientsRefused):
                mail.send(to("a"))
            server.script["RCPT"] = b"250 ok\r\n"
            mail.send(to("c"))
        assert [taken.rcpts for taken in server.taken] == [["TO:<c@x.example>"]]
        assert server.count("greeting") == 2


@ABILITIES
def test_where_one_of_the_refused_may_be_taken_later_the_email_waits(abilities: bytes) -> None:
    refuse = by_name(a=b"550 5.1.1 no\r\n", b=b"451 4.3.0 greylisted for 5 minutes\r\n")
    with serving(EHLO=abilities, RCPT=refuse, DATA=b"503 5.5.1 no valid recipients\r\n") as server:
        error = failure(server, to("a", "b"))
    assert type(error) is DeliveryPostponed
    assert (error.status_code, error.retry_after) == ("4.3.0", timedelta(minutes=5))
    assert [each.address for each in error.refused] == ["a@x.example", "b@x.example"]


class Crowded:
    """Takes so many recipients in one transaction."""

    def __init__(self, most: int, reply: bytes = b"452 4.5.3 too many recipients\r\n") -> None:
        self.most, self.reply, self.now = most, reply, 0

    def mail(self, _: str) -> bytes:
        self.now = 0
        return b"250 ok\r\n"

    def rcpt(self, _: str) -> bytes:
        self.now += 1
        return b"250 ok\r\n" if self.now <= self.most else self.reply


@ABILITIES
@pytest.mark.parametrize(
    "reply",
    [
        b"452 4.5.3 too many recipients\r\n",
        b"452 too many\r\n",
        b"552 too many recipients\r\n",
        b"451 4.3.0 Multiple destination domains per transaction is unsupported.\r\n",
    ],
)
def test_those_who_are_too_many_get_it_in_another_transaction(abilities: bytes, reply: bytes) -> None:
    crowded = Crowded(2, reply)
    with serving(EHLO=abilities, MAIL=crowded.mail, RCPT=crowded.rcpt) as server:
        with opened(server) as mail:
            receipt = mail.send(to("a", "b", "c", "d", "e"))
        assert [len(taken.rcpts) for taken in server.taken] == [2, 2, 1]
        assert len({taken.content for taken in server.taken}) == 1
    assert (receipt.refused, receipt.waiting) == ((), ())


def test_hundreds_of_recipients_do_not_choke_the_connection() -> None:
    names = [f"recipient-with-a-long-name-{number}" for number in range(2000)]
    with serving(RCPT=b"250 2.1.5 " + b"x" * 400 + b"\r\n") as server:
        with opened(server) as mail:
            mail.send(to(*names))
        assert len(server.taken[0].rcpts) == 2000


def in_the_second(kind: str) -> tuple[dict[str, Said], list[int]]:
    """A server that takes one recipient at a time, and the second of them not."""
    crowded, contents = Crowded(1), [0]

    def content(_: str) -> bytes | None:
        contents[0] += 1
        if contents[0] == 1:
            return b"250 2.0.0 ok\r\n"
        return {"lost": None, "put off": b"451 4.3.0 later\r\n", "refused": b"554 5.6.0 no\r\n"}[kind]

    return {"MAIL": crowded.mail, "RCPT": crowded.rcpt, "content": content}, contents


@pytest.mark.parametrize(
    ("kind", "waiting", "may_be_twice", "status"),
    [("lost", (1, 2), True, "4.0.0"), ("put off", (1, 2), False, "4.3.0"), ("refused", (), False, "5.6.0")],
)
def test_what_fails_after_some_have_it_is_told_of_the_others(
    kind: str, waiting: tuple[int, ...], may_be_twice: bool, status: str
) -> None:
    script, contents = in_the_second(kind)
    with serving(**script) as server, opened(server) as mail:
        receipt = mail.send(to("a", "b", "c"))
    assert (receipt.waiting, receipt.may_be_twice) == (waiting, may_be_twice)
    assert [(each.address, each.status_code) for each in receipt.refused] == [("b@x.example", status), ("c@x.example", status)]
    assert contents == [2]


# ---- what is said of the email


WHOLE = [
    (b"451 4.7.1 Greylisting in action, please come back in 00:15:00\r\n", DeliveryPostponed),
    (b"452 4.3.1 Insufficient system storage\r\n", DeliveryPostponed),
    (b"450 try again\r\n", DeliveryPostponed),
    (b"503 5.5.1 nested MAIL command\r\n", DeliveryPostponed),
    (b"451 4.7.500 Server busy. Please try again later\r\n", Throttled),
    (b"432 4.3.2 STOREDRV.ClientSubmit; sender thread limit exceeded\r\n", Throttled),
    (b"550 5.2.252 Sender throttled due to continuous send as denied errors.\r\n", SendAsDenied),
    (b"550 5.2.251 Sender throttled due to continuous mailbox full errors.\r\n", Throttled),
    (b"550 5.4.5 Daily user sending limit exceeded. gsmtp\r\n", SendingQuotaSpent),
    (b"454 4.7.0 daily user sending quota exceeded\r\n", SendingQuotaSpent),
    (b"554 5.2.0 STOREDRV.Submission.Exception:SubmissionQuotaExceededException.MapiException\r\n", SendingQuotaSpent),
    (b"550 5.7.60 SMTP; Client does not have permissions to send as this sender\r\n", SendAsDenied),
    (b"554 5.2.252 SendAsDenied; anna not allowed to send as bert\r\n", SendAsDenied),
    (b"553 5.7.1 <bert@x.example>: Sender address rejected: not owned by user anna\r\n", SendAsDenied),
    (b"552 5.3.4 Message size exceeds fixed limit\r\n", EmailTooLarge),
    (b"552 5.2.3 Your message exceeded Google's message size limits.\r\n", EmailTooLarge),
    (b"552 too large\r\n", EmailTooLarge),
    (b"552 5.7.0 This message was blocked because its content presents a potential security issue.\r\n", DeliveryRefused),
    (b"554 5.7.1 spam\r\n", DeliveryRefused),
    (b"550 5.7.26 This mail is unauthenticated: authentication with SPF or DKIM failed\r\n", DeliveryRefused),
    (b"550 5.7.1 You are not allowed to send mail to this group from outside\r\n", DeliveryRefused),
]  # fmt: skip


@ABILITIES
@pytest.mark.parametrize("stage", ["MAIL", "DATA", "content"])
@pytest.mark.parametrize(("reply", "kind"), WHOLE)
def test_why_an_email_is_not_taken_says_what_to_do(abilities: bytes, stage: str, reply: bytes, kind: type[SyncError]) -> None:
    with serving(EHLO=abilities, **{stage: reply}) as server:
        with opened(server) as mail:
            with pytest.raises(SyncError) as raised:
                mail.send(a_message())
            assert type(raised.value) is kind
            if isinstance(raised.value, DeliveryError):
                assert str(raised.value) == reply.decode().strip()
            else:
                assert str(raised.value).endswith(" ".join(part for part in reply.decode().split()[:2] if part[0].isdigit()))
            server.script |= {"MAIL": b"250 ok\r\n", "DATA": b"354 ok\r\n", "content": b"250 ok\r\n"}
            mail.send(a_message())
        assert len(server.taken) == 1
        assert server.count("greeting") == 1, "a refusal says nothing about the connection"


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (b"553 5.7.1 <anna@x.example>: Sender address rejected: not owned by user bert\r\n", SendAsDenied),
        (b"550 5.4.5 Daily user sending limit exceeded.\r\n", SendingQuotaSpent),
        (b"552 5.2.2 mailbox full\r\n", RecipientsRefused),
        (b"550 5.1.1 The email account that you tried to reach does not exist.\r\n", RecipientsRefused),
        (b"452 4.2.2 The email account that you tried to reach is over quota.\r\n", DeliveryPostponed),
        (b"452 4.5.3 too many recipients\r\n", DeliveryPostponed),
        (b"554 5.7.1 <x@y.example>: Relay access denied\r\n", RecipientsRefused),
    ],
)
def test_servers_say_it_of_the_recipient_too(reply: bytes, kind: type[SyncError]) -> None:
    with serving(RCPT=reply, DATA=b"503 5.5.1 no valid recipients\r\n") as server:
        assert type(failure(server)) is kind


def test_a_spent_quota_is_tried_again_within_hours() -> None:
    with serving(content=b"550 5.4.5 Daily user sending limit exceeded.\r\n") as server:
        error = failure(server)
    assert isinstance(error, SendingQuotaSpent)
    assert error.retry_after == timedelta(hours=1)


def test_an_email_that_is_too_large_is_not_given_to_the_server() -> None:
    with serving(EHLO=PLAIN.replace(b"100000000", b"5000")) as server:
        with opened(server) as mail:
            with pytest.raises(EmailTooLarge) as raised:
                mail.send(a_message(attachments=(an_attachment(b"x" * 5000),)))
            assert raised.value.status_code == "5.3.4"
            mail.send(a_message())
        assert server.count("MAIL") == 1


@pytest.mark.parametrize("size", [b"SIZE", b"SIZE 0", b"SIZE x", b"SIZE " + b"9" * 5000])
def test_a_size_that_says_nothing_is_no_limit(size: bytes) -> None:
    with serving(EHLO=PLAIN.replace(b"SIZE 100000000", size)) as server:
        with opened(server) as mail:
            mail.send(a_message())
        assert len(server.taken) == 1


def test_exchange_says_by_which_message_id_others_know_the_email() -> None:
    reply = b"250 2.6.0 <other@mail.example> [InternalId=17, Hostname=mx.example] Queued mail for delivery\r\n"
    with serving(content=reply) as server, opened(server) as mail:
        receipt = mail.send(a_message())
    assert (receipt.server_id, receipt.message_id) == ("17", "other@mail.example")
    with serving(content=reply.replace(b"other@mail.example", b"0f2c@contoso.example")) as server, opened(server) as mail:
        assert mail.send(a_message()).message_id is None
