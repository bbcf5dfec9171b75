"""MIME: winmail.dat becomes what it carries; what does not add up stays as it came."""

import struct
import time
from base64 import b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.connectors.mime.tnef import Broken, unpacked
from tests.unit.connectors.mime_messages import content, multipart, read

TEXT = "Content-Type: text/plain\n\nHello"
CODE_PAGE = (1, 0x00069007)
PROPERTIES = (1, 0x00069003)
BODY = (1, 0x0002800C)
NEXT = (2, 0x00069002)
TITLE = (2, 0x00018010)
CONTENT = (2, 0x0006800F)
ATTACHED = (2, 0x00069005)
MESSAGE = bytes.fromhex("0703020000000000c000000000000046")


def tnef(*attributes: tuple[tuple[int, int], bytes]) -> bytes:
    """[MS-OXTNEF] 2.1.1."""
    written = (
        struct.pack("<BII", level, identity, len(value)) + value + struct.pack("<H", sum(value) & 0xFFFF)
        for (level, identity), value in attributes
    )
    return struct.pack("<IH", 0x223E9F78, 1) + b"".join(written)


def properties(*written: bytes) -> bytes:
    return struct.pack("<I", len(written)) + b"".join(written)


def variable(identity: int, kind: int, value: bytes, *, named: bytes = b"") -> bytes:
    padding = b"\0" * (-len(value) % 4)
    return struct.pack("<HH", kind, identity) + named + struct.pack("<II", 1, len(value)) + value + padding


def number(identity: int, value: int) -> bytes:
    return struct.pack("<HHI", 0x03, identity, value)


def part(packed: bytes, headers: str = "Content-Type: application/ms-tnef; name=winmail.dat") -> str:
    return f"{headers}\nContent-Transfer-Encoding: base64\n\n{b64encode(packed).decode()}"


FILE = ((NEXT, b"\0" * 14), (TITLE, b"offer.pdf\0"), (CONTENT, b"%PDF\0\0"))
HTML = (PROPERTIES, properties(number(0x3FDE, 65001), variable(0x1013, 0x102, "<p>Grüße\0".encode())))


def test_its_attachments_are_those_of_the_message() -> None:
    message = read(multipart(TEXT, part(tnef(*FILE))))
    assert message.body_text == "Hello"
    (attachment,) = message.attachments
    assert (attachment.name, attachment.size, content(attachment)) == ("offer.pdf", 6, b"%PDF\0\0")
    assert attachment.content_type == "application/octet-stream"


def test_its_html_is_the_body() -> None:
    message = read(multipart(TEXT, part(tnef(HTML))))
    assert (message.body_html, message.body_text, message.attachments) == ("<p>Grüße", None, ())


def test_beside_the_html_of_the_message_its_own_is_kept_too() -> None:
    """A person attached a winmail.dat that came from somebody else, or two."""
    of_message = "Content-Type: text/html\n\n<p>Look at this"
    message = read(multipart(of_message, part(tnef(HTML, *FILE))))
    assert message.body_html == "<p>Look at this"
    assert [each.name for each in message.attachments] == ["offer.pdf", "winmail.dat"]
    same = read(multipart(part(tnef(HTML)), part(tnef(HTML)), kind="mixed"))
    assert (same.body_html, same.attachments) == ("<p>Grüße", ())


def test_its_text_is_the_body_where_there_is_no_other() -> None:
    packed = tnef((CODE_PAGE, struct.pack("<II", 1252, 0)), (BODY, "Grüße\0".encode("cp1252")))
    assert read(multipart(part(packed))).body_text == "Grüße"
    assert read(multipart(TEXT, part(packed))).body_text == "Hello"


def test_properties_say_more_of_an_attachment() -> None:
    described = properties(
        variable(0x8001, 0x1F, "n".encode("utf-16-le"), named=b"\0" * 16 + struct.pack("<II", 0, 7)),
        variable(0x8002, 0x1F, b"", named=b"\0" * 16 + struct.pack("<II", 1, 6) + b"name\0\0\0\0"),
        struct.pack("<HHII", 0x1003, 0x4000, 2, 1) + struct.pack("<I", 2),
        struct.pack("<HHI", 0x0B, 0x7FFE, 1),
        variable(0x3707, 0x1F, "Größe.png\0".encode("utf-16-le")),
        variable(0x370E, 0x1E, b"Image/PNG\0"),
        variable(0x3712, 0x1E, b"<logo@x>\0"),
    )
    (attachment,) = read(multipart(TEXT, part(tnef(*FILE, (ATTACHED, described))))).attachments
    assert (attachment.name, attachment.content_type) == ("Größe.png", "image/png")
    assert (attachment.content_id, attachment.is_inline) == ("logo@x", True)


def test_an_attached_message_is_kept_as_the_tnef_that_it_is() -> None:
    inner = tnef(HTML)
    described = properties(variable(0x3001, 0x1E, b"Offer\0"), variable(0x3701, 0x0D, MESSAGE + inner))
    (attachment,) = read(multipart(TEXT, part(tnef((NEXT, b"\0" * 14), (ATTACHED, described))))).attachments
    assert (attachment.name, attachment.content_type, content(attachment)) == ("Offer", "application/ms-tnef", inner)


def test_a_body_that_only_outlook_can_read_is_not_lost() -> None:
    packed = tnef((PROPERTIES, properties(variable(0x1009, 0x102, b"LZFu"))), *FILE)
    assert [each.name for each in read(multipart(part(packed))).attachments] == ["offer.pdf", "winmail.dat"]
    assert [each.name for each in read(multipart(TEXT, part(packed))).attachments] == ["offer.pdf"]


def test_it_is_known_by_its_name_where_its_type_was_lost() -> None:
    headers = "Content-Type: application/octet-stream; name=WINMAIL.DAT"
    assert [each.name for each in read(multipart(TEXT, part(tnef(*FILE), headers))).attachments] == ["offer.pdf"]


@pytest.mark.parametrize(
    "packed",
    [
        b"",
        b"no tnef at all",
        tnef(*FILE)[:-4],
        tnef((PROPERTIES, struct.pack("<I", 3_000_000_000))),
        tnef((PROPERTIES, struct.pack("<IHHI", 1, 0x1048, 0x4000, 4_000_000_000) + b"\0" * 64)),
        tnef((PROPERTIES, properties(struct.pack("<HHII", 0x102, 0x1013, 1, 4_000_000_000)))),
        tnef((PROPERTIES, properties(struct.pack("<HHI", 0x77, 0x1013, 1)))),
        tnef(*[(NEXT, b"")] * 6000),
    ],
)
def test_what_does_not_add_up_stays_as_it_came(packed: bytes) -> None:
    started = time.thread_time()
    (attachment,) = read(multipart(TEXT, part(packed))).attachments
    assert (attachment.name, content(attachment)) == ("winmail.dat", packed)
    assert time.thread_time() - started < 1


@given(st.binary(max_size=300), st.integers(0, 200))
def test_any_bytes_are_unpacked_or_broken(noise: bytes, at: int) -> None:
    good = tnef(HTML, *FILE)
    for packed in (noise, good[: at + 6] + noise, good[: at + 6] + noise + good[at + 6 + len(noise) :]):
        try:
            found = unpacked(packed)
        except Broken:
            continue
        assert all(len(each.content) <= len(packed) for each in found.attachments)
