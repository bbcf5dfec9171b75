"""Messages that the server puts together are what they were described as, to the standard library and to itself."""

from email import message_from_bytes
from email.message import EmailMessage
from email.policy import SMTP
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local.mailserver.composing import (
    File,
    address_field,
    composed,
    file_entity,
    header_field,
    identifier_field,
    message_entity,
    with_entities,
)
from local.mailserver.message import Address, Message
from tests.unit.mailserver.messages import a_file, a_message, with_attachments

TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=200)
LONG_NAME = "Übersicht der Preise für das kommende Jahr " * 6 + ".txt"
ADDED = file_entity(File("added.txt", b"added"))


def parsed(raw: bytes) -> EmailMessage:
    return message_from_bytes(raw, policy=SMTP)


@given(subject=TEXT, name=TEXT, text=st.text(st.characters(exclude_categories=["Cs"]), max_size=2000))
def test_text_in_any_script_arrives_as_it_was_written(subject: str, name: str, text: str) -> None:
    fields = [header_field("Subject", subject), address_field("To", [Address(name, "b@x.example"), Address("", "c@x.example")])]
    raw = composed([*fields, identifier_field("References", "<1@x> " * 60)], text, is_html=False)
    message = Message(raw)
    assert max(map(len, raw.splitlines())) <= 998
    assert raw.replace(b"\r\n", b"").count(b"\r") == raw.replace(b"\r\n", b"").count(b"\n") == 0
    assert message.subject.split() == subject.split()
    assert [each.address for each in message.addresses("To")] == ["b@x.example", "c@x.example"]
    assert message.addresses("To")[0].name.split() == name.split()
    assert message.bodies.as_text() == text
    assert parsed(raw).get_content_type() == "text/plain"


def test_a_line_break_in_a_field_begins_no_other_field() -> None:
    fields = [
        header_field("Subject", "Offer\r\nBcc: spy@x.example"),
        address_field("To", [Address("B\r\nBcc: spy@x.example", "b@x.example\r\nBcc: spy@x.example")]),
        identifier_field("Message-ID", "<1@x>\r\nBcc: spy@x.example"),
    ]
    raw = composed(
        fields, "text", is_html=False, files=[file_entity(File('a"\r\nBcc: x', b"", "text/plain\r\nBcc: x", "c\r\nBcc: x"))]
    )
    assert parsed(raw)["Bcc"] is None
    assert Message(raw).header("Bcc") is None
    assert b"\nBcc" not in raw


def test_html_has_a_text_beside_it() -> None:
    message = parsed(composed([], "<p>Grüße</p><p>&amp; mehr</p>", is_html=True))
    plain, html = (cast(EmailMessage, message.get_body((kind,))) for kind in ("plain", "html"))
    assert plain.get_content().split() == ["Grüße", "&", "mehr"]
    assert html.get_content() == "<p>Grüße</p><p>&amp; mehr</p>"


def test_files_are_attached_with_their_names_and_their_bytes() -> None:
    files = (
        File(LONG_NAME, bytes(range(256)) * 40, "application/pdf"),
        File("logo.png", b"picture", "image/png", "logo@1", "logo.png", is_inline=True),
        File("", b""),
    )
    raw = composed([], "text", is_html=False, files=[*map(file_entity, files), message_entity(a_message("Inner"))])
    assert max(map(len, raw.splitlines())) <= 998
    long, logo, empty, inner = Message(raw).attachments
    assert (long.name, long.content(), long.is_inline) == (LONG_NAME, files[0].content, False)
    assert (logo.content_id, logo.content_location, logo.is_inline) == ("logo@1", "logo.png", True)
    assert empty.content() == b""
    assert inner.name == "Inner"
    assert [part.get_content_type() for part in parsed(raw).iter_attachments()] == [
        "application/pdf",
        "image/png",
        "application/octet-stream",
        "message/rfc822",
    ]


@pytest.mark.parametrize(
    ("raw", "text", "names"),
    [
        (a_message(), "Good morning\r\n", []),
        (a_message().replace(b"\r\n", b"\n"), "Good morning\n", []),
        (with_attachments(a_file("a.txt", b"a"), text="Hello"), "Hello", ["a.txt"]),
        (with_attachments(a_file("a.txt", b"a"), text="Hello").removesuffix(b"--\r\n"), "Hello", ["a.txt"]),
        (composed([header_field("Subject", "Offer")], "<b>Hi</b>", is_html=True), "Hi", []),
        (
            b"Subject: Offer\r\nMIME-Version: 1.0\r\nContent-Type: text/plain;\r\n charset=latin-1\r\n\r\nGr\xfc\xdfe",
            "Grüße",
            [],
        ),
        (b"Subject: Offer", "", []),
        (b"Subject: Offer\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\nno parts", "no parts", []),
    ],
)
def test_a_message_gets_one_more_attachment_and_loses_nothing(raw: bytes, text: str, names: list[str]) -> None:
    for times in (1, 2):
        raw = with_entities(raw, [ADDED])
        message = Message(raw)
        assert message.subject == "Offer"
        assert message.bodies.as_text() == text
        assert [each.name for each in message.attachments] == names + ["added.txt"] * times
        assert message.attachments[-1].content() == b"added"
        assert raw.count(b"MIME-Version: 1.0\r\n") == 1
        assert parsed(raw).get_content_type() == "multipart/mixed"


def test_what_has_no_fields_gets_an_attachment_too() -> None:
    for raw in (b"", b"\r\n", b"\r\nonly text"):
        message = Message(with_entities(raw, [ADDED]))
        assert [each.name for each in message.attachments] == ["added.txt"]
        assert message.bodies.as_text() == raw.removeprefix(b"\r\n").decode()
