"""What a server makes of a message, however broken it is."""

import re
from datetime import UTC, datetime

import pytest

from local.mailserver import delivery
from local.mailserver.message import Address, Message, spooled, with_headers
from tests.unit.mailserver.messages import a_file, a_message, an_attached_message, with_attachments


def test_headers_are_unfolded_and_decoded() -> None:
    message = Message(a_message(subject="=?utf-8?B?w4RuZGVy?=\r\n =?utf-8?Q?ung_f=C3=BCr?= you"))
    assert message.subject == "Änderung für you"


@pytest.mark.parametrize("raw_subject", ["Größe".encode(), "Größe".encode("cp1252")])
def test_bytes_in_headers_are_read_as_utf_8_or_windows_1252(raw_subject: bytes) -> None:
    assert Message(b"Subject: " + raw_subject + b"\r\n\r\n").subject == "Größe"


def test_an_encoded_comma_does_not_split_an_address() -> None:
    message = Message(b"To: =?utf-8?Q?Adler=2C_Anna?= <anna@contoso.example>, Ben <ben@contoso.example>\r\n\r\n")
    assert message.addresses("To") == [Address("Adler, Anna", "anna@contoso.example"), Address("Ben", "ben@contoso.example")]


def test_from_and_sender_stand_in_for_each_other() -> None:
    assert Message(b"Sender: s@x.example\r\n\r\n").author == Address("", "s@x.example")
    assert Message(b"From: f@x.example\r\n\r\n").sender == Address("", "f@x.example")
    assert Message(b"\r\nno headers").author is None


@pytest.mark.parametrize("date", ["yesterday", "", "Mon, 99 Foo 2026", "Fri, 31 Dec 9999 23:00:00 -1400"])
def test_a_hopeless_date_is_none(date: str) -> None:
    assert Message(f"Date: {date}\r\n\r\n".encode()).sent is None


def test_the_date_is_in_utc() -> None:
    assert Message(a_message()).sent == datetime(2026, 11, 2, 9, tzinfo=UTC)


def test_html_and_its_plain_alternative_are_both_the_body() -> None:
    message = Message(
        b"Content-Type: multipart/alternative; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\nplain\r\n"
        b"--b\r\nContent-Type: text/html\r\n\r\n<p>rich</p>\r\n--b--\r\n"
    )
    assert (message.bodies.text, message.bodies.html) == ("plain", "<p>rich</p>")
    assert message.attachments == ()


def test_a_second_text_is_an_attachment() -> None:
    message = Message(with_attachments(b"Content-Type: text/plain\r\n\r\nfooter of a list", a_file("a.pdf", b"PDF")))
    assert message.bodies.text == "See attached"
    assert [(each.name, each.content()) for each in message.attachments] == [
        ("ATT00001.txt", b"footer of a list"),
        ("a.pdf", b"PDF"),
    ]


def test_an_inline_picture_has_its_content_id_and_is_inline() -> None:
    head = b"Content-Type: image/png; name=logo.png\r\nContent-ID: <logo@1>\r\nContent-Transfer-Encoding: base64\r\n"
    picture = head + b"\r\niVBORw0KGgo="
    (attachment,) = Message(with_attachments(picture)).attachments
    assert (attachment.content_id, attachment.is_inline, attachment.size) == ("logo@1", True, 8)


def test_an_attached_message_is_a_message() -> None:
    (attachment,) = Message(with_attachments(an_attached_message(a_message(subject="Inner")))).attachments
    assert attachment.is_message
    assert attachment.name == "Inner"


def test_names_in_every_encoding_are_decoded() -> None:
    parts = [
        b"Content-Disposition: attachment; filename*=utf-8''%C3%84pfel.pdf\r\n\r\nx",
        b"Content-Disposition: attachment; filename==?utf-8?Q?=C3=84pfel.pdf?=\r\n\r\nx",
        'Content-Disposition: attachment; filename="Äpfel.pdf"\r\n\r\nx'.encode(),
    ]
    assert [each.name for each in Message(with_attachments(*parts)).attachments] == ["Äpfel.pdf"] * 3


@pytest.mark.parametrize(
    ("content_type", "content", "item_class"),
    [
        ('text/calendar; method="REQUEST"', "BEGIN:VCALENDAR", "IPM.Schedule.Meeting.Request"),
        ("text/calendar", "BEGIN:VCALENDAR\r\nMETHOD:CANCEL", "IPM.Schedule.Meeting.Canceled"),
        ("text/calendar; method=REPLY", "ATTENDEE;PARTSTAT=ACCEPTED:mailto:a", "IPM.Schedule.Meeting.Resp.Pos"),
        ("text/calendar", "BEGIN:VCALENDAR", "IPM.Note"),
        ("application/pkcs7-mime", "x", "IPM.Note.SMIME"),
        ("application/octet-stream; name=smime.P7M", "x", "IPM.Note.SMIME"),
        ("application/octet-stream; name=other.bin", "x", "IPM.Note"),
        ("multipart/signed; boundary=b", "--b\r\n\r\nx\r\n--b--", "IPM.Note.SMIME.MultipartSigned"),
        ("multipart/encrypted; boundary=b", "--b\r\n\r\nx\r\n--b--", "IPM.Note"),
        ("text/plain", "x", "IPM.Note"),
    ],
)
def test_the_item_class_tells_what_a_message_is(content_type: str, content: str, item_class: str) -> None:
    assert Message(f"Content-Type: {content_type}\r\n\r\n{content}\r\n".encode()).item_class == item_class


def test_a_signed_message_is_its_body_and_one_attachment_with_all_that_was_signed() -> None:
    """[MS-OXOSMIME] 2.1.3.1"""
    kind = 'Content-Type: multipart/signed; protocol="application/pkcs7-signature"; boundary=s'
    inner = with_attachments(a_file("offer.pdf", b"offer"), text="signed text").partition(b"MIME-Version: 1.0\r\n")[2]
    signature = b"Content-Type: application/pkcs7-signature; name=smime.p7s\r\n\r\nsignature"
    entity = b"--s\r\n" + inner + b"\r\n--s\r\n" + signature + b"\r\n--s--\r\n"
    message = Message(f"Subject: Offer\r\n{kind}\r\n\r\n".encode() + entity)
    assert message.bodies.text == "signed text"
    (attachment,) = message.attachments
    assert (attachment.name, attachment.content_type, attachment.is_message) == ("smime.p7m", "multipart/signed", False)
    assert attachment.content() == kind.encode() + b"\r\n\r\n" + entity


@pytest.mark.parametrize(
    ("report", "item_class"),
    [
        ("delivery-status", "REPORT.IPM.Note.NDR"),
        ("disposition-notification", "REPORT.IPM.Note.IPNRN"),
    ],
)
def test_reports_have_classes_of_their_own(report: str, item_class: str) -> None:
    raw = (
        f"Content-Type: multipart/report; report-type={report}; boundary=b\r\n\r\n--b\r\n\r\nsorry\r\n"
        f"--b\r\nContent-Type: message/{report}\r\n\r\nAction: failed\r\n--b--\r\n"
    )
    assert Message(raw.encode()).item_class == item_class


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\x00\xff\xfe",
        b"no header at all",
        b"Content-Type: multipart/mixed\r\n\r\nno boundary",
        b"Content-Type: multipart/mixed; boundary=never\r\n\r\nnever used",
        b"Content-Type: text/plain; charset=klingon\r\n\r\n\xe4",
        b"Content-Type: ;;;=\r\nContent-Transfer-Encoding: base64\r\n\r\n!!!!",
        b"Content-Disposition: attachment; filename*0*=x''%%%; filename*1=\r\n\r\n",
        b"Subject: =?utf-8?B?broken?=\r\nFrom: @@@ <<<>>>, ,;\r\n\r\n",
        b"Content-Type: message/rfc822\r\n\r\n" * 100,
    ],
)
def test_nothing_is_too_broken(raw: bytes) -> None:
    message = Message(raw)
    assert isinstance(message.subject, str)
    assert isinstance(message.bodies.as_text() + message.bodies.as_html(), str)
    assert all(each.size >= 0 and each.name for each in message.attachments)
    assert message.item_class


def test_a_large_message_is_mapped_and_reads_the_same() -> None:
    raw = with_attachments(a_file("large.bin", bytes(2_000_000)))
    mapped = spooled(raw)
    assert not isinstance(mapped, bytes)
    (attachment,) = Message(mapped).attachments
    assert attachment.content() == bytes(2_000_000)
    assert attachment.size == 2_000_000


def test_transport_takes_out_what_only_it_may_say() -> None:
    forged = a_message(headers="X-MS-Exchange-Organization-AuthAs: Internal\r\n folded\r\nX-Keep: yes\r\n")
    stamped = Message(delivery.stamped(forged, datetime(2026, 11, 2, tzinfo=UTC), internal=False))
    assert [value for name, value in stamped.headers if name == "X-MS-Exchange-Organization-AuthAs"] == ["Anonymous"]
    assert stamped.header("X-Keep") == "yes"
    assert stamped.header("Received") is not None
    assert stamped.bodies.text == "Good morning\r\n"


@pytest.mark.parametrize("start", [b"From carla Mon Nov  2 10:00:00 2026\r\n", b"  \r\n", b" ", b"\r\n", b"no header\r\n"])
def test_a_stamp_does_not_run_into_what_a_broken_message_begins_with(start: bytes) -> None:
    stamped = Message(with_headers(start + b"Subject: Hi\r\n\r\ntext", [("X-Stamp", "mine")]))
    assert stamped.header("X-Stamp") == "mine"


def test_only_matching_headers_are_taken_out() -> None:
    raw = with_headers(a_message(), [], removed=re.compile(rb"^Subject:[^\n]*\n", re.MULTILINE))
    assert Message(raw).header("Subject") is None
    assert Message(raw).message_id == "<offer-1@supplier.example>"
