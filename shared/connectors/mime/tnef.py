"""Takes winmail.dat apart ([MS-OXTNEF]): what Outlook sends instead of MIME when it believes the recipient to be Exchange.

Every count and length in it was written by a stranger, so all of them are held against what is there: anything that does not
add up makes the whole Broken, and it stays the attachment that it came as. Nothing is copied; contents are views.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace

from shared.connectors.mime.words import decoded_text, visible

LARGEST = 32 << 20
"""Bytes that are taken apart."""
MOST_ATTRIBUTES = 5000
MOST_PROPERTIES = 5000
"""Of one list; values of a property with several count each."""

_SIGNATURE = 0x223E9F78
_MESSAGE_PROPERTIES, _CODE_PAGE, _BODY = 0x9003, 0x9007, 0x800C
_NEXT_ATTACHMENT, _TITLE, _CONTENT, _ATTACHMENT_PROPERTIES = 0x9002, 0x8010, 0x800F, 0x9005

_TEXT, _HTML, _RTF, _INTERNET_CODE_PAGE = 0x1000, 0x1013, 0x1009, 0x3FDE
_DATA, _FILE_NAME, _LONG_FILE_NAME, _DISPLAY_NAME, _TYPE, _CONTENT_ID = 0x3701, 0x3704, 0x3707, 0x3001, 0x370E, 0x3712

_SEVERAL = 0x1000
_NAMED = 0x8000
_FIXED = {0x02: 2, 0x03: 4, 0x04: 4, 0x05: 8, 0x06: 8, 0x07: 8, 0x0A: 4, 0x0B: 2, 0x14: 8, 0x40: 8, 0x48: 16}
_OBJECT, _STRING, _UNICODE, _BINARY = 0x0D, 0x1E, 0x1F, 0x102
_MESSAGE = bytes.fromhex("0703020000000000c000000000000046")
"""What stands before the content of an object says what it is: IID_IMessage."""
_CHARSETS = {65001: "utf-8", 20127: "us-ascii", 50220: "iso-2022-jp", 51932: "euc-jp", 51949: "euc-kr", 20866: "koi8-r"}


class Broken(Exception):
    """It is no TNEF, or does not add up."""


@dataclass(frozen=True, slots=True)
class Enclosed:
    """An attachment. `content` of an attached message is TNEF again."""

    name: str = ""
    content_type: str = ""
    content_id: str | None = None
    content: bytes | memoryview = b""
    is_message: bool = False


@dataclass(frozen=True, slots=True)
class Unpacked:
    html: str | None
    text: str | None
    has_rtf: bool
    """Its body is there as compressed RTF, too or alone."""
    attachments: tuple[Enclosed, ...]


@dataclass(frozen=True, slots=True)
class _Property:
    id: int
    type: int
    value: memoryview


def unpacked(tnef: bytes) -> Unpacked:
    """Raises Broken."""
    try:
        return _unpacked(memoryview(tnef))
    except struct.error as error:
        raise Broken("cut short") from error


def _unpacked(data: memoryview) -> Unpacked:
    if len(data) > LARGEST or struct.unpack_from("<I", data)[0] != _SIGNATURE:
        raise Broken("no TNEF, or too much")
    charset = "cp1252"
    body: dict[int, str] = {}
    attachments: list[Enclosed] = []
    for name, value in _attributes(data):
        if name == _CODE_PAGE:
            charset = _charset(struct.unpack_from("<I", value)[0])
        elif name == _BODY:
            body[_TEXT] = decoded_text(bytes(value), charset)
        elif name == _MESSAGE_PROPERTIES:
            body |= _body(list(_properties(value)), charset)
        elif name == _NEXT_ATTACHMENT:
            attachments.append(Enclosed())
        elif attachments:
            attachments[-1] = _completed(attachments[-1], name, value, charset)
    html, text = _clean(body.get(_HTML)), _clean(body.get(_TEXT))
    return Unpacked(html or None, text or None, _RTF in body, tuple(attachments))


def _attributes(data: memoryview) -> Iterator[tuple[int, memoryview]]:
    """Level, id, length, content and checksum each; checksums are not looked at: programs write wrong ones."""
    position = 6
    for _ in range(MOST_ATTRIBUTES):
        if position >= len(data):
            return
        _, identity, length = struct.unpack_from("<BII", data, position)
        position += 9
        if position + length > len(data):
            raise Broken("an attribute is longer than what is there")
        yield identity & 0xFFFF, data[position : position + length]
        position += length + 2
    raise Broken("too many attributes")


def _completed(enclosed: Enclosed, name: int, value: memoryview, charset: str) -> Enclosed:
    if name == _TITLE:
        return enclosed if enclosed.name else replace(enclosed, name=_clean(decoded_text(bytes(value), charset)) or "")
    if name == _CONTENT:
        return replace(enclosed, content=value)
    if name == _ATTACHMENT_PROPERTIES:
        for each in _properties(value):
            enclosed = _with_property(enclosed, each, charset)
    return enclosed


def _with_property(enclosed: Enclosed, found: _Property, charset: str) -> Enclosed:
    if found.id == _DATA:
        if found.type == _OBJECT:
            kind, content = found.value[: len(_MESSAGE)], found.value[len(_MESSAGE) :]
            return replace(enclosed, content=content, is_message=kind == _MESSAGE)
        return replace(enclosed, content=found.value)
    text = _clean(_text(found, charset)) or ""
    if found.id == _LONG_FILE_NAME and text:
        return replace(enclosed, name=text)
    if found.id in (_FILE_NAME, _DISPLAY_NAME) and not enclosed.name:
        return replace(enclosed, name=text)
    if found.id == _TYPE and text.isascii() and text.count("/") == 1:
        return replace(enclosed, content_type=text.lower())
    if found.id == _CONTENT_ID:
        return replace(enclosed, content_id=text.strip("<>").strip() or None)
    return enclosed


def _body(properties: list[_Property], charset: str) -> dict[int, str]:
    page = next((each.value for each in properties if each.id == _INTERNET_CODE_PAGE and len(each.value) == 4), None)
    internet = charset if page is None else _charset(struct.unpack("<I", page)[0])
    body: dict[int, str] = {}
    for each in properties:
        if each.id == _RTF:
            body[_RTF] = ""
        elif each.id in (_TEXT, _HTML):
            body[each.id] = _text(each, internet if each.id == _HTML else charset)
    return body


def _properties(data: memoryview) -> Iterator[_Property]:
    """[MS-OXTNEF] 2.1.3.4. Of a property with several values, none is wanted."""
    (count,) = struct.unpack_from("<I", data)
    left, position = MOST_PROPERTIES, 4
    for _ in range(count):
        left -= 1
        kind, identity = struct.unpack_from("<HH", data, position)
        position = _after_name(data, position + 4) if identity >= _NAMED else position + 4
        has_several, kind = bool(kind & _SEVERAL), kind & ~_SEVERAL
        values = 1
        if has_several or kind not in _FIXED:
            (values,) = struct.unpack_from("<I", data, position)
            position += 4
        left -= values
        if left < 0:
            raise Broken("too many properties")
        for _ in range(values):
            value, position = _value(data, position, kind)
            if not has_several:
                yield _Property(identity, kind, value)
        position += -position % 4


def _after_name(data: memoryview, position: int) -> int:
    """A named property says of which set, and its number or name there."""
    is_text, length = struct.unpack_from("<II", data, position + 16)
    return position + 24 + (int(length) + -int(length) % 4 if is_text else 0)


def _value(data: memoryview, position: int, kind: int) -> tuple[memoryview, int]:
    if kind in _FIXED:
        length, stop = _FIXED[kind], position + _FIXED[kind]
    elif kind in (_OBJECT, _STRING, _UNICODE, _BINARY):
        (length,) = struct.unpack_from("<I", data, position)
        position += 4
        stop = position + length + -length % 4
    else:
        raise Broken("a property of no known type")
    if position + length > len(data):
        raise Broken("a property is longer than what is there")
    return data[position : position + length], stop


def _text(found: _Property, charset: str) -> str:
    return decoded_text(bytes(found.value), "utf-16-le" if found.type == _UNICODE else charset)


def _charset(code_page: int) -> str:
    if 28591 <= code_page <= 28605:
        return f"iso-8859-{code_page - 28590}"
    return _CHARSETS.get(code_page, f"cp{code_page}")


def _clean(text: str | None) -> str | None:
    return None if text is None else visible(text.rstrip("\0"))
