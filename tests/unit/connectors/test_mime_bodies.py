"""MIME: what a message says, and what it carries."""

from base64 import b64encode
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from shared.connectors.mime.attached import with_readable
from shared.domain.email import IncomingMessage
from tests.unit.connectors.mime_messages import RECEIVED, REF, content, multipart, raw, read

PLAIN = "Content-Type: text/plain; charset=utf-8\n\nGrüße"
HTML = "Content-Type: text/html; charset=utf-8\n\n<p>Grüße</p>"
FOOTER = "Content-Type: text/plain\n\nA list"
PICTURE = (
    "Content-Type: image/png; name=logo.png\nContent-ID: <logo@x>\nContent-Transfer-Encoding: base64\n"
    "Content-Disposition: inline; filename=logo.png\n\niVBORw==\n"
)
FILE = (
    "Content-Type: application/pdf\nContent-Transfer-Encoding: base64\n"
    "Content-Disposition: attachment; filename=offer.pdf\n\nJVBERg==\n"
)


def names(message: IncomingMessage) -> list[str]:
    return [attachment.name for attachment in message.attachments]


def nested(kind: str, *parts: str) -> str:
    body = "".join(f"--inner-{kind}\n{part}\n" for part in parts)
    return f'Content-Type: multipart/{kind}; boundary="inner-{kind}"\n\n{body}--inner-{kind}--\n'


def test_text_alone_is_the_body() -> None:
    message = read(raw("Hello\nAnna\n"))
    assert (message.body_text, message.body_html, message.attachments) == ("Hello\r\nAnna\r\n", None, ())


def test_html_alone_leaves_the_text_to_be_derived() -> None:
    message = read(raw("<p>Hello", content_type="text/html"))
    assert (message.body_html, message.body_text) == ("<p>Hello", None)


def test_of_alternatives_the_html_counts_as_with_exchange() -> None:
    message = read(multipart(PLAIN, HTML, kind="alternative"))
    assert (message.body_html, message.body_text, message.attachments) == ("<p>Grüße</p>", None, ())


def test_text_before_alternatives_is_the_body_and_they_are_attachments() -> None:
    """As lists and gateways have it that write a text in front of a message."""
    notice = "Content-Type: text/plain\n\nFrom outside"
    message = read(multipart(notice, nested("alternative", PLAIN, HTML)))
    assert (message.body_text, message.body_html) == ("From outside", None)
    assert [content(each).decode() for each in message.attachments] == ["Grüße", "<p>Grüße</p>"]


def test_text_behind_alternatives_is_an_attachment() -> None:
    message = read(multipart(nested("alternative", PLAIN, HTML), nested("related", nested("alternative", FOOTER, HTML))))
    assert message.body_html == "<p>Grüße</p>"
    assert [content(each).decode() for each in message.attachments] == ["A list", "<p>Grüße</p>"]


def test_a_message_without_a_body_says_nothing() -> None:
    message = read(multipart(FILE))
    assert (message.body_html, message.body_text, names(message)) == (None, "", ["offer.pdf"])


def test_a_header_alone_is_a_message() -> None:
    message = read(b"From: bert@fabrikam.example\r\nSubject: Offer")
    assert (message.subject, message.body_text) == ("Offer", "")


def test_nothing_is_a_message() -> None:
    message = read(b"")
    assert (message.subject, message.sender, message.body_text, message.attachments) == ("", None, "", ())


def test_pictures_within_the_text_are_inline_and_files_are_not() -> None:
    message = read(multipart(nested("related", nested("alternative", PLAIN, HTML), PICTURE), FILE))
    assert message.body_html == "<p>Grüße</p>"
    assert [(a.name, a.content_type, a.content_id, a.is_inline, content(a)) for a in message.attachments] == [
        ("logo.png", "image/png", "logo@x", True, b"\x89PNG"),
        ("offer.pdf", "application/pdf", None, False, b"%PDF"),
    ]


def test_a_picture_that_is_called_an_attachment_is_not_inline_though_the_text_shows_it() -> None:
    (attachment,) = read(multipart(HTML, PICTURE.replace("inline", "attachment"), kind="related")).attachments
    assert (attachment.content_id, attachment.is_inline) == ("logo@x", False)


def test_texts_after_the_first_are_attachments() -> None:
    message = read(multipart(PLAIN, "Content-Type: text/plain\n\nfooter", HTML))
    assert (message.body_text, message.body_html) == ("Grüße", None)
    assert [(a.name, content(a)) for a in message.attachments] == [
        ("ATT00001.txt", b"footer"),
        ("ATT00002.htm", "<p>Grüße</p>".encode()),
    ]


def test_a_text_that_is_called_an_attachment_is_one() -> None:
    message = read(multipart("Content-Type: text/plain\nContent-Disposition: attachment; filename=a.txt\n\nlog", PLAIN))
    assert (message.body_text, names(message)) == ("Grüße", ["a.txt"])


def test_lines_broken_within_words_are_joined() -> None:
    text = "日本 \n語の文\n> 引用 \n> 文\n-- \nA\n".encode().replace(b"\n", b"\r\n")
    message = read(raw(text, content_type="text/plain; charset=utf-8; format=flowed; delsp=yes"))
    assert message.body_text == "日本語の文\r\n> 引用文\r\n-- \r\nA\r\n"


def test_flowed_text_is_left_as_it_came() -> None:
    message = read(raw("one \ntwo\n", content_type="text/plain; format=flowed"))
    assert message.body_text == "one \r\ntwo\r\n"


def test_uuencoded_files_within_the_text_are_left_alone() -> None:
    text = "Hello\nbegin 644 a.txt\n#86)C\n`\nend\n"
    message = read(raw(text))
    assert message.body_text == text.replace("\n", "\r\n")
    assert not message.attachments


def test_an_attached_message_is_one_and_is_called_by_its_subject() -> None:
    inner = "Message-ID: <inner@x>\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\n\nHello"
    (attachment,) = read(multipart(PLAIN, f"Content-Type: message/rfc822\n\n{inner}")).attachments
    assert (attachment.name, attachment.is_message, attachment.identity) == ("Grüße", True, "inner@x")
    assert content(attachment) == inner.replace("\n", "\r\n").encode()
    assert attachment.size == len(content(attachment))


def test_an_attached_message_without_an_id_is_known_by_sender_time_and_subject() -> None:
    inner = "From: dora@x\nDate: Sun, 22 Nov 2026 10:00:00 +0100\nSubject: S\n\n"
    (attachment,) = read(multipart(PLAIN, f"Content-Type: message/rfc822\n\n{inner}")).attachments
    assert attachment.identity == "dora@x\n2026-11-22T09:00:00Z\nS"


def test_messages_of_a_digest_need_not_say_so() -> None:
    message = read(multipart("\nSubject: first\n\n1", "\nSubject: second\n\n2", kind="digest"))
    assert [(a.name, a.is_message) for a in message.attachments] == [("first", True), ("second", True)]


@pytest.mark.parametrize("encoded", [False, True])
def test_an_attached_message_can_be_read_as_the_message_that_it_is(encoded: bool) -> None:
    inner = multipart(
        "Content-Type: message/rfc822\n\nSubject: innermost\n\nHi", PLAIN, subject="inner", received="from x by y; ?"
    ).replace(b"=b", b"=inner")
    headers = "Content-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\n"
    part = headers + b64encode(inner).decode() if encoded else f"Content-Type: message/rfc822\n\n{inner.decode()}"
    (attachment,) = read(multipart(part.replace("\r\n", "\n"))).attachments
    assert attachment.message is not None
    for message in (attachment.message(), attachment.message()):
        assert (message.ref, message.subject, message.body_text, message.size) == (REF, "inner", "Grüße", attachment.size)
        assert message.received == datetime(2026, 11, 22, 9, 59, tzinfo=UTC)
        (innermost,) = message.attachments
        assert innermost.message is not None
        assert (innermost.message().subject, innermost.message().body_text) == ("innermost", "Hi")


def test_an_attached_message_without_a_time_came_with_the_one_that_carries_it() -> None:
    (attachment,) = read(multipart("Content-Type: message/rfc822\n\nSubject: inner\n\n")).attachments
    assert attachment.message is not None
    assert attachment.message().received == RECEIVED


@pytest.mark.parametrize("size", [10, 3 << 20])
def test_a_message_attached_in_pieces_reads_as_one_attached_in_mime(size: int) -> None:
    """Where it does not say when it came, it came with the one that it is attached to."""
    inner = b"From: carol@fabrikam.example\r\nSubject: Inner\r\nContent-Type: application/x\r\n\r\n" + b"x" * size
    head, tail = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: message/rfc822\r\n\r\n", b"\r\n--b--"
    carrier = read(head + inner + tail)
    (attached,) = carrier.attachments
    in_pieces = replace(attached, message=None, chunks=lambda: iter((inner[:7], inner[7:])))
    (readable,) = with_readable(replace(carrier, attachments=(in_pieces,))).attachments
    assert attached.message is not None
    assert readable.message is not None
    one, other = attached.message(), readable.message()
    assert (other.received, other.subject, other.ref) == (RECEIVED, "Inner", REF)
    assert (one.received, one.subject, one.ref) == (RECEIVED, "Inner", REF)
    assert [content(each) for each in one.attachments] == [content(each) for each in other.attachments] == [b"x" * size]
