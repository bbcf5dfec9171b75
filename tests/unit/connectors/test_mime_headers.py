"""MIME: headers as mail has them, and not only as the standards would have them."""

import base64
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.connectors.mime import read_envelope, received_of
from shared.connectors.mime.addresses import addresses
from shared.domain.choices import Priority, SenderOrigin
from shared.domain.email import Address, Envelope
from tests.unit.connectors.mime_messages import RECEIVED, REF, raw, raw_of, read


def envelope(**headers: str | bytes) -> Envelope:
    without = tuple(name.replace("_", "-").title() for name in headers)
    return read_envelope(raw(without=without, **headers), REF, received=RECEIVED)


@pytest.mark.parametrize(
    ("written", "subject"),
    [
        ("=?utf-8?Q?Gr=C3=BC=C3=9Fe?=", "Grüße"),
        ("=?iso-8859-1?q?Gr=FC=DFe?= aus =?utf-8?b?S8O2bG4=?=", "Grüße aus Köln"),
        ("=?utf-8?q?a?=\r\n =?utf-8?q?b?=", "ab"),
        ("Re: =?utf-8?q?a?= b", "Re: a b"),
        ("=?utf-8?q?Gr=C3?= =?utf-8?q?=BC=C3=9Fe?=", "Grüße"),  # a character in two words
        ("=?utf-8?q?with space?=", "with space"),
        ("=?utf-8*en?q?language?=", "language"),
        ('"=?utf-8?q?quoted?="', '"quoted"'),
        ("=?utf-8?q?=?=", "="),
        ("=?utf-8?q?open", "=?utf-8?q?open"),
        ("=?nonsense?q?Gr=C3=BC=C3=9Fe?=", "Grüße"),
        ("=?utf-8?q?Gr=FC=DFe?=", "Grüße"),  # the label is wrong
        ("=?idna?q?abc?=", "abc"),
        ("=?utf-8?b?R3LDvMOf?=e =?utf-8?x?what?=", "Grüße =?utf-8?x?what?="),
        ("日本語 =?iso-2022-jp?b?GyRCRnxLXBsoQg==?=", "日本語 日本"),
        ("Grüße", "Grüße"),
        ("Grüße".encode("latin-1"), "Grüße"),
        ("one\n two\n\tthree", "one two three"),
        (b"a\x00b\x08c\x1bd", "abcd"),
        ("", ""),
        ("   ", ""),
    ],
)
def test_a_subject_reads_as_its_writer_meant_it(written: str | bytes, subject: str) -> None:
    assert envelope(Subject=written).subject == subject


@pytest.mark.parametrize(
    ("written", "sender"),
    [
        ("bert@fabrikam.example", Address("bert@fabrikam.example", "bert@fabrikam.example")),
        ("Bert Baker <bert@fabrikam.example>", Address("bert@fabrikam.example", "Bert Baker")),
        ('"Baker, Bert" <bert@fabrikam.example>', Address("bert@fabrikam.example", "Baker, Bert")),
        ("=?utf-8?q?B=C3=A4r?= <bert@fabrikam.example>", Address("bert@fabrikam.example", "Bär")),
        ('"=?utf-8?q?B=C3=A4r=2C_Bert?=" <bert@fabrikam.example>', Address("bert@fabrikam.example", "Bär, Bert")),
        ("Bär <bär@grün.example>", Address("bär@grün.example", "Bär")),
        ("bert@fabrikam.example (Bert Baker)", Address("bert@fabrikam.example", "Bert Baker")),
        ("<bert@fabrikam.example", Address("bert@fabrikam.example", "bert@fabrikam.example")),
        ("Bert Baker", Address("Bert Baker", "Bert Baker")),
        ("Bert bert@fabrikam.example", Address("bert@fabrikam.example", "Bert")),
        ("'bert@fabrikam.example'", Address("bert@fabrikam.example", "bert@fabrikam.example")),
        ("=?utf-8?q?B=C3=A4r_=3Cbert=40fabrikam.example=3E?=", Address("bert@fabrikam.example", "Bär")),
        ('"Bert Baker"@fabrikam.example', Address('"Bert Baker"@fabrikam.example', '"Bert Baker"@fabrikam.example')),
        ("(((((" * 500 + "@ Bert", Address("@ Bert", "@ Bert")),
        ("one@x.example, two@x.example", Address("one@x.example", "one@x.example")),
    ],
)
def test_a_sender_is_an_address_with_a_name(written: str, sender: Address) -> None:
    assert envelope(From=written).sender == sender


def test_recipients_are_the_members_of_groups_and_of_all_fields() -> None:
    message = raw(without=("To",)).replace(b"Subject", b"To: a@x, b@x\r\nTo: Team: c@x, D <d@x>;\r\nTo: nobody:;\r\nSubject", 1)
    assert [each.address for each in read(message).to] == ["a@x", "b@x", "c@x", "d@x"]


def test_where_from_is_missing_the_sender_is_sender() -> None:
    message = raw(without=("From",), sender="Office <office@x.example>")
    assert read(message).sender == Address("office@x.example", "Office")
    assert read(raw(without=("From",))).sender is None


@given(
    name=st.lists(st.text("ABCabc019", min_size=1, max_size=4), max_size=3),
    local=st.text("ab.+-_'", min_size=1, max_size=6),
    domain=st.text("ab.-", min_size=1, max_size=6),
)
def test_plain_addresses_are_read_as_all_others(name: list[str], local: str, domain: str) -> None:
    written = f"{' '.join(name)} <{local}@{domain}>".strip()
    assert addresses([written]) == addresses([f" {written}"])


def test_ids_are_normalised() -> None:
    message = envelope(message_id=" <A@x> ", in_reply_to="<b@x> <c@x>", references="<1@x>\r\n <2@x>\tjunk <3@x>")
    assert (message.message_id, message.in_reply_to, message.references) == ("A@x", "b@x", ("1@x", "2@x", "3@x"))


def test_ids_without_brackets_count_too() -> None:
    message = envelope(message_id="a@x", in_reply_to="b@x", references="1@x 2@x")
    assert (message.message_id, message.in_reply_to, message.references) == ("a@x", "b@x", ("1@x", "2@x"))


@pytest.mark.parametrize(
    ("written", "sent"),
    [
        ("Sun, 22 Nov 2026 10:00:00 +0100", datetime(2026, 11, 22, 9, tzinfo=UTC)),
        ("22 Nov 26 10:00 GMT (comment)", datetime(2026, 11, 22, 10, tzinfo=UTC)),
        ("Sun, 22 Nov 2026 10:00:00 -0000", datetime(2026, 11, 22, 10, tzinfo=UTC)),
        ("yesterday", None),
        ("Sun, 32 Nov 2026 10:00:00 +0000", None),
        ("", None),
    ],
)
def test_dates_are_aware_and_nonsense_is_none(written: str, sent: datetime | None) -> None:
    assert envelope(Date=written).sent == sent


@pytest.mark.parametrize(
    ("header", "received"),
    [
        (
            b"Received: from a by b; Sun, 22 Nov 2026 10:00:05 +0000\r\n"
            b"Received: from c by a; Sun, 22 Nov 2026 09:00:00 +0000\r\n"
            b"Date: Sun, 22 Nov 2026 08:00:00 +0000\r\n\r\n",
            datetime(2026, 11, 22, 10, 0, 5, tzinfo=UTC),
        ),
        (b"Received: from a by b\r\nDate: Sun, 22 Nov 2026 08:00:00 +0000\r\n", datetime(2026, 11, 22, 8, tzinfo=UTC)),
        (b"Subject: nothing\r\n\r\n", None),
        (b"", None),
    ],
)
def test_a_message_came_when_the_topmost_server_says_so(header: bytes, received: datetime | None) -> None:
    assert received_of(header) == received
    assert read_envelope(header, REF).received == (received or datetime(1970, 1, 1, tzinfo=UTC))


@pytest.mark.parametrize(
    ("headers", "priority"),
    [
        ({}, Priority.NORMAL),
        ({"Importance": "High"}, Priority.HIGH),
        ({"Importance": "low", "X-Priority": "1"}, Priority.LOW),
        ({"X-Priority": "1 (Highest)"}, Priority.HIGH),
        ({"X-Priority": "5"}, Priority.LOW),
        ({"X-MSMail-Priority": "Low"}, Priority.LOW),
        ({"Priority": "urgent"}, Priority.HIGH),
        ({"Priority": "non-urgent"}, Priority.LOW),
        ({"X-Priority": "3", "Importance": "what"}, Priority.NORMAL),
    ],
)
def test_importance_is_read_however_it_is_written(headers: dict[str, str], priority: Priority) -> None:
    assert read(raw_of(headers)).priority is priority


def test_a_thread_index_is_the_conversation_index() -> None:
    index = base64.b64encode(bytes(range(27))).decode()
    assert envelope(thread_index=f"{index[:20]}\r\n {index[20:]}").conversation_index == index
    assert envelope(thread_index="AQ==").conversation_index is None


def test_judged_headers_are_given_as_they_stand_first() -> None:
    message = raw(auto_submitted="auto-replied", x_loop="a@x", x_other="b").replace(b"Subject", b"X-Loop: b@x\r\nSubject", 1)
    assert read(message).headers == {"auto-submitted": "auto-replied", "x-loop": "b@x"}


def test_what_strangers_say_of_where_mail_comes_from_is_not_believed() -> None:
    assert envelope(X_MS_Exchange_Organization_AuthAs="Internal").sender_origin is SenderOrigin.UNKNOWN


def test_size_and_categories_are_what_the_server_says() -> None:
    message = read_envelope(raw(), REF, received=RECEIVED, size=17, categories=("Blue",))
    assert (message.size, message.categories, message.received, message.ref) == (17, ("Blue",), RECEIVED, REF)


def test_the_header_block_alone_says_what_it_says_with_its_body() -> None:
    whole = raw("Hello", cc="x@y", in_reply_to="<1@x>", references="<0@x>", auto_submitted="no")
    header, _, _ = whole.partition(b"Hello")
    alone, message = read_envelope(header, REF, received=RECEIVED, size=len(whole)), read(whole)
    assert alone == Envelope(**{name: getattr(message, name) for name in Envelope.__dataclass_fields__})


@pytest.mark.parametrize("line_end", [b"\r\n", b"\n"])
@pytest.mark.parametrize("before", [b"", b"From bert Mon Nov 22 10:00:00 2026\n", b" continues nothing\r\n"])
def test_headers_are_found_after_what_others_put_before_them(before: bytes, line_end: bytes) -> None:
    message = read(before + raw("Hello").replace(b"\r\n", line_end))
    assert (message.subject, message.body_text) == ("Offer", "Hello")


def test_a_field_with_space_before_its_colon_is_one() -> None:
    assert read_envelope(b"From : bert@x\r\nSubject \t: S\r\n\r\n", REF).subject == "S"
    assert read_envelope(b"Subject: S\r\nFrom : bert@x\r\n\r\n", REF).sender == Address("bert@x", "bert@x")


def test_a_line_that_is_no_field_begins_the_body() -> None:
    message = read(b"Subject: S\r\nno field\r\nTo: a@x\r\n\r\nHello")
    assert (message.subject, message.to, message.body_text) == ("S", (), "no field\r\nTo: a@x\r\n\r\nHello")


def test_a_line_of_white_space_within_a_field_continues_it() -> None:
    assert read(b"Subject: one\r\n \r\n two\r\n\r\nHello").subject == "one two"
