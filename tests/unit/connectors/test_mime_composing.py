"""Composed messages: what goes in is what is read, lines are legal, nothing is smuggled in, and memory is bounded."""

import re
import tracemalloc
from collections.abc import Iterator
from dataclasses import replace
from email import message_from_bytes, policy
from email.headerregistry import ContentDispositionHeader
from email.message import EmailMessage
from email.utils import parsedate_to_datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from shared.connectors.mime.composing import IN_MEMORY, compose
from shared.connectors.mime.words import visible
from shared.connectors.mime.written_fields import LINE, one_line
from shared.domain.choices import Priority
from shared.domain.email import Address
from shared.domain.errors import AttachmentLost, DeliveryPostponed, DeliveryRefused
from shared.domain.outgoing import OutgoingAttachment, OutgoingMessage
from tests.unit.connectors.mime_messages import content
from tests.unit.connectors.outgoing_messages import ANNA, BERT, DATE, a_message, an_attachment, octets, read_back

ANYTHING = st.text(st.characters(exclude_categories=["Cs"]), max_size=200)
HOSTILE = st.text(st.sampled_from('a\r\n:;,<>@"\\()=?_- \t\0ü\u2028\x85日'), max_size=60)
NAMES = ANYTHING | HOSTILE
BODIES = ANYTHING | st.lists(ANYTHING | st.sampled_from([".", "--", "From me", " ", "x" * 1200, "=_", "a \t"])).map("\n".join)


def parsed(message: OutgoingMessage, **abilities: bool) -> EmailMessage:
    read = message_from_bytes(octets(message, **abilities), policy=policy.default)
    assert isinstance(read, EmailMessage)
    return read


def seen(text: str) -> str:
    """What readers see of a name: white space is one space."""
    return " ".join(visible(one_line(text)).split())


def filename(part: EmailMessage) -> str | None:
    """As its header has it: `get_filename` takes quotes that belong to the name off as well."""
    header = part["Content-Disposition"]
    assert isinstance(header, ContentDispositionHeader)
    return header.params.get("filename")


def of_text(text: str) -> str:
    lines = re.split("\r\n|\r|\n", visible(text))
    return "\n".join(lines).removesuffix("\n")


def said(text: str | None) -> str:
    return (text or "").replace("\r\n", "\n").removesuffix("\n")


def assert_legal(written: bytes) -> None:
    assert written.endswith(b"\r\n")
    lines = written.split(b"\r\n")
    assert not any(b"\r" in line or b"\n" in line or b"\0" in line for line in lines)
    assert max(map(len, lines)) <= 998


@given(subject=NAMES, name=NAMES, other=NAMES, text=BODIES, html=st.none() | BODIES, file=NAMES, data=st.binary(max_size=300))
def test_what_goes_in_is_what_is_read(
    subject: str, name: str, other: str, text: str, html: str | None, file: str, data: bytes
) -> None:
    message = a_message(
        subject=subject,
        from_=Address(ANNA.address, name),
        to=(Address(BERT.address, other), Address("carl@contoso.example", name)),
        body_text=text,
        body_html=html,
        attachments=(an_attachment(data, file),),
    )
    assert_legal(octets(message))
    read = read_back(message)
    assert seen(read.subject) == seen(subject)
    assert read.sender is not None
    assert (read.sender.address, seen(read.sender.name)) == (ANNA.address, seen(name) or ANNA.address)
    assert [each.address for each in read.to] == [BERT.address, "carl@contoso.example"]
    assert [seen(each.name) for each in read.to] == [seen(other) or BERT.address, seen(name) or "carl@contoso.example"]
    assert said(read.body_text if html is None else read.body_html) == of_text(text if html is None else html)
    assert [content(each) for each in read.attachments] == [data]
    assert seen(read.attachments[0].name) == (seen(file[:255]) or "attachment")


@given(subject=NAMES, text=BODIES, html=BODIES)
def test_the_standard_library_reads_the_same(subject: str, text: str, html: str) -> None:
    read = parsed(a_message(subject=subject, body_text=text or "x", body_html=html, attachments=(an_attachment(b"x"),)))
    assert not any(each.defects for each in read.walk())
    bodies = {each.get_content_type(): each for each in read.walk()}
    if text.strip():
        assert said(bodies["text/plain"].get_content()) == of_text(text)
    assert said(bodies["text/html"].get_content()) == of_text(html)
    assert [each.get_content() for each in read.iter_attachments()] == [b"x"]


FIELDS = ("From", "Sender", "To", "Cc", "Subject", "Date", "Message-ID", "In-Reply-To", "References", "Thread-Index",
    "Importance", "X-Priority", "Priority", "Disposition-Notification-To", "MIME-Version", "Content-Type",
    "Content-Transfer-Encoding")  # fmt: skip
BREAKS = [
    "\r\nBcc: eve@evil.example",
    "\nX: y",
    "\r\n\r\nbody",
    "\rX: y",
    "\0",
    "\x0bX: y",
    "\u2028X: y",
    "\x85X: y",
    "\x0cX: y",
]


@pytest.mark.parametrize("smuggled", BREAKS)
def test_nothing_makes_another_field(smuggled: str) -> None:
    bad = f"a{smuggled}"
    message = a_message(
        message_id=f"{bad}@contoso.example",
        from_=Address(ANNA.address, bad),
        sender=Address("carl@contoso.example", bad),
        to=(Address(f"b{smuggled}@x.example", bad), BERT),
        cc=(Address(f"<b>{smuggled}", bad),),
        bcc=(Address("eve@contoso.example"),),
        subject=bad,
        in_reply_to=bad,
        references=(bad, "good@x"),
        conversation_index=bad,
        read_receipt=True,
        attachments=(an_attachment(b"x", bad, f"text/plain{smuggled}", content_id=bad, is_inline=True),),
    )
    read = parsed(message)
    assert set(read.keys()) <= set(FIELDS)
    assert len(read.keys()) == len(set(read.keys()))
    assert [each.get_content_type() for each in read.iter_parts()] == [
        "text/plain",
        read_back(message).attachments[0].content_type,
    ]
    assert all(
        set(part.keys()) <= {"Content-Type", "Content-Transfer-Encoding", "Content-Disposition"} for part in read.iter_parts()
    )
    assert_legal(octets(message))


@pytest.mark.parametrize(
    "content_type", ["multipart/mixed", "message/partial", "text", "", "a/b c", "x/y; boundary=z", "message/rfc822/x"]
)
def test_a_content_type_changes_nothing_about_the_structure(content_type: str) -> None:
    message = a_message(attachments=(an_attachment(b"\xff\n", content_type=content_type),))
    assert [part.get_content_maintype() for part in parsed(message).iter_parts() if part.is_multipart()] == []
    assert b"multipart/" not in octets(message).partition(b"\r\n\r\n")[2]
    read = read_back(message)
    assert [content(each) for each in read.attachments] == [b"\xff\n"]
    assert not read.attachments[0].is_message


@pytest.mark.parametrize("hidden", ["a=0D=0AX-Evil:_1", "=0A=0AX-Evil", "=22;_filename=3D=22b", "=00", "a"])
def test_a_name_that_looks_encoded_is_that_name(hidden: str) -> None:
    message = a_message(attachments=(an_attachment(b"x", f"=?utf-8?q?{hidden}?=.pdf"),))
    assert_legal(octets(message))
    assert [each.name for each in read_back(message).attachments] == [f"=?utf-8?q?{hidden}?=.pdf"]


@given(NAMES | st.text(st.sampled_from("ab\"\\;%'*=?ö日😀 ("), max_size=300))
@example('""')
@example('"ö"')
def test_a_name_of_any_kind_comes_back_from_lines_of_ordinary_length(name: str) -> None:
    message = a_message(attachments=(an_attachment(b"x", name),))
    assert_legal(octets(message))
    assert max(map(len, octets(message).split(b"\r\n"))) <= LINE
    expected = one_line(name)[:255].strip() or "attachment"
    assert [filename(each) for each in parsed(message).iter_attachments()] == [expected]
    assert [seen(each.name) for each in read_back(message).attachments] == [seen(expected)]


def test_nobody_is_told_who_gets_a_blind_copy() -> None:
    written = octets(a_message(to=(), bcc=(Address("eve@contoso.example"),)))
    assert b"eve" not in written
    assert b"\r\nTo: undisclosed-recipients:;\r\n" in written


def test_the_same_message_gives_the_same_octets() -> None:
    message = a_message(body_html="<p>ü</p>", attachments=(an_attachment(b"x" * 5000),))
    assert octets(message) == octets(message)
    assert octets(message) != octets(replace(message, message_id="other@contoso.example"))


def test_the_header_says_what_is_wanted() -> None:
    message = a_message(
        sender=Address("carl@contoso.example", "Carl"),
        cc=(Address("dora@contoso.example"),),
        in_reply_to="offer@fabrikam.example",
        references=tuple(f"{number}-{'x' * 40}@fabrikam.example" for number in range(30)),
        conversation_index="AdxYRkmQ" * 30,
        priority=Priority.HIGH,
        read_receipt=True,
    )
    head, _, _ = octets(message).partition(b"\r\n\r\n")
    assert max(map(len, head.split(b"\r\n"))) <= 78
    fields = parsed(message)
    assert fields["Sender"] == "Carl <carl@contoso.example>"
    assert (fields["Importance"], fields["X-Priority"], fields["Priority"]) == ("high", "1", "urgent")
    assert fields["Disposition-Notification-To"] == "Anna Adams <anna@contoso.example>"
    assert parsedate_to_datetime(fields["Date"]) == DATE
    read = read_back(message)
    assert read.message_id == message.message_id
    assert read.in_reply_to == message.in_reply_to
    assert read.references == message.references
    assert read.conversation_index == message.conversation_index
    assert read.priority is Priority.HIGH
    assert [each.address for each in read.cc] == ["dora@contoso.example"]


@pytest.mark.parametrize("text", ["x" * 2000, "word " * 100, "a " + "x" * 100, "ü" * 500])
def test_long_subjects_and_names_are_folded(text: str) -> None:
    message = a_message(subject=text, to=(Address(BERT.address, text), Address("c@x.example", text)))
    head, _, _ = octets(message).partition(b"\r\n\r\n")
    assert max(map(len, head.split(b"\r\n"))) <= 78
    assert read_back(message).subject == text.strip()
    assert [each.name for each in read_back(message).to] == [text.strip()] * 2


def test_what_looks_like_an_encoded_word_stays_as_it_is_written() -> None:
    text = "=?utf-8?q?Eve?="
    read = read_back(a_message(subject=text, to=(Address(BERT.address, text),)))
    assert (read.subject, read.to[0].name) == (text, text)


@pytest.mark.parametrize("text", ["x" * 1200 + "\n", "x" * 100 + "\n", "short\n" + "y" * 5000, "trailing space \n" + "z" * 100])
def test_long_lines_of_plain_text_are_broken_and_come_back_whole(text: str) -> None:
    message = a_message(body_text=text)
    assert max(map(len, octets(message).split(b"\r\n"))) <= 78
    assert said(read_back(message).body_text) == of_text(text)


def test_long_references_keep_the_first_and_the_last() -> None:
    ids = tuple(f"{number}-{'x' * 200}@fabrikam.example" for number in range(100))
    read = read_back(a_message(references=ids))
    assert read.references[0] == ids[0]
    assert read.references[1:] == ids[-(len(read.references) - 1) :]
    assert 20 < len(read.references) < 50


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=1200))
def test_a_message_id_that_no_header_can_carry_gets_another_form(message_id: str) -> None:
    message = a_message(message_id=message_id)
    with compose(message) as composed:
        assert read_back(message).message_id == composed.message_id
        if message_id.isascii() and message_id.isalnum() and len(message_id) < 900:
            assert composed.message_id == message_id


def test_a_message_id_of_a_domain_beyond_ascii_has_it_as_dns_has() -> None:
    with compose(a_message(message_id="0f2c@bücher.example")) as composed:
        assert composed.message_id == "0f2c@xn--bcher-kva.example"


def test_addresses_beyond_ascii_are_written_as_the_server_takes_them() -> None:
    message = a_message(to=(Address("info@bücher.example", "Bücher"), Address("jörg@bücher.example", "Jörg"), BERT))
    plain = octets(message)
    assert plain.isascii()
    assert [each.address for each in read_back(message).to if "@" in each.address] == [
        "info@xn--bcher-kva.example",
        BERT.address,
    ]
    assert [each.address for each in read_back(message, utf8=True).to] == [
        "info@xn--bcher-kva.example",
        "jörg@xn--bcher-kva.example",
        BERT.address,
    ]
    with compose(message, utf8=True) as composed:
        assert composed.is_eight_bit


@pytest.mark.parametrize(("address", "status"), [("jörg@x.example", "5.6.7"), ("anna", "5.1.7"), ("a\r\nb@x.example", "5.1.7")])
def test_a_sender_that_no_header_can_carry_is_refused(address: str, status: str) -> None:
    with pytest.raises(DeliveryRefused) as raised:
        octets(a_message(from_=Address(address)))
    assert raised.value.status_code == status


def test_pictures_stand_beside_the_html_that_shows_them() -> None:
    picture = an_attachment(b"png", "logo.png", "image/png", content_id="logo@x", is_inline=True)
    message = a_message(body_html='<img src="cid:logo@x">', attachments=(picture, an_attachment(b"pdf")))
    kinds = [part.get_content_type() for part in parsed(message).walk()]
    assert kinds == [
        "multipart/mixed",
        "multipart/alternative", "text/plain",
        "multipart/related", "text/html", "image/png",
        "application/pdf",
    ]  # fmt: skip
    read = read_back(message)
    assert [(each.name, each.content_id, each.is_inline) for each in read.attachments] == [
        ("logo.png", "logo@x", True),
        ("offer.pdf", None, False),
    ]


def test_only_what_there_is_becomes_a_part() -> None:
    assert parsed(a_message()).get_content_type() == "text/plain"
    assert parsed(a_message(body_text=" \n", body_html="<p>x</p>")).get_content_type() == "text/html"
    assert parsed(a_message(body_html="<p>x</p>")).get_content_type() == "multipart/alternative"


ATTACHED = b"From: eve@x.example\nSubject: inner\n\n--=_mixed_guess\nHello\n"


def attached(content: bytes) -> OutgoingAttachment:
    return an_attachment(content, "mail.eml", "message/rfc822")


def test_an_attached_message_stays_one() -> None:
    read = read_back(a_message(attachments=(attached(ATTACHED),)))
    (only,) = read.attachments
    assert only.is_message
    assert content(only) == ATTACHED.replace(b"\n", b"\r\n")


def test_an_attached_message_of_8_bits_goes_where_the_server_takes_them() -> None:
    raw = ATTACHED + "Grüße\n".encode()
    message = a_message(attachments=(attached(raw),))
    with compose(message, eight_bit=True) as composed:
        assert composed.is_eight_bit
    assert content(read_back(message, eight_bit=True).attachments[0]) == raw.replace(b"\n", b"\r\n")
    (otherwise,) = read_back(message).attachments
    assert octets(message).isascii()
    assert (otherwise.content_type, otherwise.name, content(otherwise)) == ("application/octet-stream", "mail.eml", raw)


@pytest.mark.parametrize("illegal", [b"a\rb\n", b"x" * 999, b"x" * 300_000 + b"\n", b"\0\n"])
def test_an_attached_message_that_mail_cannot_carry_goes_as_octets(illegal: bytes) -> None:
    message = a_message(attachments=(attached(ATTACHED + illegal),))
    assert_legal(octets(message))
    (only,) = read_back(message).attachments
    assert (only.is_message, content(only)) == (False, ATTACHED + illegal)


def test_no_line_of_an_attached_message_ends_the_part_that_it_stands_in() -> None:
    outer = octets(a_message(attachments=(an_attachment(b"x"),)))
    inner = a_message(attachments=(attached(outer), an_attachment(b"y")))  # of the same Message-ID
    read = read_back(inner)
    assert content(read.attachments[0]) == outer
    assert [content(each) for each in read.attachments[1:]] == [b"y"]
    again = octets(inner)
    thrice = read_back(a_message(attachments=(attached(again),)))
    assert content(thrice.attachments[0]) == again


def test_a_text_that_looks_like_a_boundary_ends_nothing() -> None:
    boundary = re.findall(rb'boundary="([^"]+)"', octets(a_message(attachments=(an_attachment(b"x"),))))[0].decode()
    read = read_back(a_message(body_text=f"--{boundary}\n--{boundary}--\n", attachments=(an_attachment(b"x"),)))
    assert said(read.body_text) == f"--{boundary}\n--{boundary}--"
    assert len(read.attachments) == 1


def test_a_lost_attachment_is_told() -> None:
    def chunks() -> Iterator[bytes]:
        yield b"x"
        raise KeyError("blob")

    with pytest.raises(AttachmentLost):
        octets(a_message(attachments=(OutgoingAttachment("a", "a/b", 2, chunks),)))


def test_a_large_email_for_which_there_is_no_room_waits_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", "/dev/null")  # no file can be made there
    assert octets(a_message())
    with pytest.raises(DeliveryPostponed):
        octets(a_message(attachments=(an_attachment(b"x" * IN_MEMORY),)))


def test_a_large_attachment_is_never_in_memory() -> None:
    size, piece = 100 << 20, b"x" * (4 << 20)

    def chunks() -> Iterator[bytes]:
        for _ in range(size // len(piece)):
            yield piece

    message = a_message(attachments=(OutgoingAttachment("large.bin", "application/octet-stream", size, chunks),))
    tracemalloc.start()
    try:
        with compose(message) as composed:
            assert sum(map(len, composed.chunks())) == composed.size > size * 4 // 3
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 20 << 20
