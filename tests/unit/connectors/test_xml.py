import tracemalloc
from base64 import b64encode
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.connectors.exchange.xml import ContentAbsent, MalformedReply, content, parsed, without_forbidden

NAMES = ["{urn:t}Content"]


def reply(text: str, before: str = "") -> bytes:
    return f'<s:E xmlns:s="urn:s" xmlns:t="urn:t"><t:Name>{before}</t:Name><t:Content>{text}</t:Content></s:E>'.encode()


def cut(data: bytes, size: int) -> Iterator[bytes]:
    return (data[start : start + size] for start in range(0, len(data), size))


@given(st.binary(max_size=400), st.integers(1, 50), st.sampled_from(["", "\r\n", " "]))
@settings(max_examples=200)
def test_content_survives_any_cutting_and_line_breaks(data: bytes, size: int, separator: str) -> None:
    text = b64encode(data).decode()
    lines = separator.join(text[start : start + 19] for start in range(0, len(text), 19))
    assert b"".join(content(cut(reply(lines), size), NAMES)) == data


@given(st.integers(1, 30))
def test_forbidden_characters_beside_the_content_do_no_harm(size: int) -> None:
    odd = "a\x01b&#x1F;&#11;&#xD83D;&#x20;c"
    assert b"".join(content(cut(reply("QUJD", odd), size), NAMES)) == b"ABC"


def test_only_the_first_element_counts() -> None:
    twice = b'<a xmlns:t="urn:t"><t:Content>QUJD</t:Content><t:Content>REVG</t:Content></a>'
    assert b"".join(content([twice], NAMES)) == b"ABC"


def test_an_empty_element_is_empty_content() -> None:
    assert list(content([b'<t:Content xmlns:t="urn:t"/>'], NAMES)) == []


def test_a_reply_without_the_element_hands_itself_over() -> None:
    error = b'<a><ResponseCode xmlns="urn:m">ErrorItemNotFound</ResponseCode></a>'
    with pytest.raises(ContentAbsent) as raised:
        list(content(cut(error, 7), NAMES))
    assert raised.value.reply == error


def test_what_is_cut_short_is_never_taken_for_whole() -> None:
    whole = reply("QUJD" * 1000)
    for end in (len(whole) - 1, len(whole) // 2, 10, 0):
        with pytest.raises(MalformedReply):
            list(content([whole[:end]], NAMES))
        with pytest.raises(MalformedReply):
            parsed(whole[:end])


def test_text_that_is_not_base64_is_told() -> None:
    with pytest.raises(ValueError, match="base64"):
        list(content([reply("QUJDx")], NAMES))


@pytest.mark.parametrize("declaration", ['<!ENTITY b "c">', '<!ENTITY b SYSTEM "file:///etc/passwd">'])
def test_a_document_type_is_refused(declaration: str) -> None:
    document = f"<!DOCTYPE a [{declaration}]><a>&b;</a>".encode()
    with pytest.raises(MalformedReply):
        parsed(document)
    with pytest.raises(MalformedReply):
        list(content([document], NAMES))


def test_characters_that_xml_forbids_are_left_out() -> None:
    root = parsed("<a>\x00ä&#x1;b&#65;\x0b&#xFFFF;&#x1F642;</a>".encode())
    assert root.text == "äbA🙂"
    assert without_forbidden(b"&amp;&#9;&#x10FFFF;") == b"&amp;&#9;&#x10FFFF;"


def test_memory_does_not_grow_with_the_content() -> None:
    def large() -> Iterator[bytes]:
        yield b'<t:Content xmlns:t="urn:t">'
        for _ in range(400):
            yield b"QUJD" * (1 << 14)
        yield b"</t:Content>"

    tracemalloc.start()
    size = sum(len(chunk) for chunk in content(large(), NAMES))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert size == 400 * 3 * (1 << 14)
    assert peak < 2 << 20
