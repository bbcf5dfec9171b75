"""MAPI properties that EWS serves by tag or by name in a property set ([MS-OXPROPS]): headers, tags of mail, clients' own.

What a client writes goes where the message has a field for it; everything else is kept with the item as it was written.
"""

import base64
import binascii
from collections.abc import Callable, Mapping
from itertools import chain

from lxml import etree

from local.mailserver.composing import header_field, identifier_field
from local.mailserver.contents import Item
from local.mailserver.conversation import conversation_index
from local.mailserver.ews.envelope import NAMES
from local.mailserver.ews.errors import ResponseError, SoapFault
from local.mailserver.ews.fields import Renderer
from local.mailserver.ews.text import attribute, escaped, instant

_READ, _UNSENT, _HAS_ATTACHMENTS, _FROM_ME = 0x1, 0x8, 0x10, 0x20


def _message_flags(item: Item) -> str:
    flags = (
        (_READ, item.is_read),
        (_UNSENT, item.is_draft),
        (_HAS_ATTACHMENTS, bool(item.message.attachments)),
        (_FROM_ME, item.is_from_me),
    )
    return str(sum(bit for bit, is_set in flags if is_set))


def _transport_headers(item: Item) -> str | None:
    return item.message.header_block if item.through_transport else None


def _address(which: str, part: str) -> Callable[[Item], str | None]:
    return lambda item: getattr(getattr(item.message, which), part, None) or None


_TAGS: dict[int, Callable[[Item], str | None]] = {
    0x001A: lambda item: item.item_class,
    0x0037: lambda item: item.message.subject,
    0x0039: lambda item: instant(item.message.sent) if item.message.sent else None,
    0x0042: _address("author", "name"),
    0x0071: lambda item: base64.b64encode(conversation_index(item.message)).decode(),
    0x007D: _transport_headers,
    0x0C1A: _address("sender", "name"),
    0x0C1F: _address("sender", "address"),
    0x0E04: lambda item: "; ".join(each.name or each.address for each in item.message.addresses("To")),
    0x0E06: lambda item: instant(item.received),
    0x0E07: _message_flags,
    0x0E08: lambda item: str(item.message.size),
    0x1035: lambda item: item.message.message_id,
    0x1039: lambda item: item.message.references,
    0x1042: lambda item: item.message.in_reply_to,
    0x3007: lambda item: instant(item.created),
    0x300B: lambda item: base64.b64encode(item.number.to_bytes(16, "big")).decode(),
    0x5D01: _address("sender", "address"),
    0x5D02: _address("author", "address"),
}
"""By property tag; what is not served here is absent, as any property may be."""


MESSAGE_FLAGS = "0x0e07"
"""PidTagMessageFlags: what a client states of a message that it stores."""

_HEADERS: dict[str, tuple[str, Callable[[str, str], bytes]]] = {
    "0x0037": ("Subject", header_field),
    "0x0070": ("Thread-Topic", header_field),
    "0x0071": ("Thread-Index", identifier_field),
    "0x1035": ("Message-ID", identifier_field),
    "0x1039": ("References", identifier_field),
    "0x1042": ("In-Reply-To", identifier_field),
}
"""Properties that are fields of the message."""

_SETS = {
    "PublicStrings": "00020329-0000-0000-c000-000000000046",
    "InternetHeaders": "00020386-0000-0000-c000-000000000046",
    "Common": "00062008-0000-0000-c000-000000000046",
    "Address": "00062004-0000-0000-c000-000000000046",
    "Appointment": "00062002-0000-0000-c000-000000000046",
    "CalendarAssistant": "11000e07-b51b-40d6-af21-caa85edab1d0",
    "Meeting": "6ed8da90-450b-101b-98da-00aa003f1305",
    "Task": "00062003-0000-0000-c000-000000000046",
    "UnifiedMessaging": "4442858e-a9e3-4e80-b900-317a210cc15b",
    "Sharing": "00062040-0000-0000-c000-000000000046",
}
"""Property sets that have names."""


def renderer_of(path: etree._Element) -> Renderer:
    """The renderer of an ExtendedFieldURI element. Raises SoapFault."""
    attributes = _attributes(path)
    values_of = _values_of(attributes)
    names = chain.from_iterable((b" ", name.encode(), b'="', attribute(value), b'"') for name, value in attributes.items())
    uri = b"<t:ExtendedFieldURI" + b"".join(names) + b"/>"
    is_list = attributes.get("PropertyType", "").endswith("Array")

    def render(item: Item) -> bytes:
        values = values_of(item)
        if values is None:
            return b""
        content = b"".join(b"<t:Value>%b</t:Value>" % escaped(value) for value in values)
        return b"<t:ExtendedProperty>%b%b</t:ExtendedProperty>" % (
            uri,
            b"<t:Values>%b</t:Values>" % content if is_list else content,
        )

    return render


def value_of(path: etree._Element) -> Callable[[Item], str | None]:
    """What an ExtendedFieldURI element means of an item, to be searched by. Raises SoapFault."""
    values_of = _values_of(_attributes(path))

    def value(item: Item) -> str | None:
        values = values_of(item)
        return values[0] if values else None

    return value


def written(element: etree._Element) -> tuple[dict[str, tuple[str, ...]], list[tuple[str, bytes]]]:
    """The ExtendedProperty elements of a new item: what is kept with it, and the fields of the message by name.

    Raises ResponseError, SoapFault.
    """
    kept, fields = dict[str, tuple[str, ...]](), list[tuple[str, bytes]]()
    for each in element.iterfind("t:ExtendedProperty", NAMES):
        path = each.find("t:ExtendedFieldURI", NAMES)
        if path is None:
            raise SoapFault("ErrorSchemaValidation", "An ExtendedProperty has an ExtendedFieldURI.")
        attributes = _attributes(path)
        values = tuple(value.text or "" for value in each.iterfind(".//t:Value", NAMES))
        key = _key(attributes)
        if attributes.get("PropertyType") in ("Binary", "BinaryArray"):
            _refuse_no_base64(values)
        if attributes.get("DistinguishedPropertySetId") == "InternetHeaders":
            name = attributes.get("PropertyName", "")
            fields += [(name, header_field(name, value)) for value in values]
        elif key in _HEADERS:
            name, make = _HEADERS[key]
            fields += [(name, make(name, value)) for value in values]
        else:
            kept[key] = values
    return kept, fields


def _refuse_no_base64(values: tuple[str, ...]) -> None:
    try:
        for value in values:
            base64.b64decode(value, validate=True)
    except binascii.Error:
        raise ResponseError("ErrorInvalidExtendedPropertyValue") from None


def _attributes(path: etree._Element) -> dict[str, str]:
    return {str(name): str(value) for name, value in path.attrib.items()}


def _key(attributes: Mapping[str, str]) -> str:
    """One name of a property, however a client names it. Raises SoapFault."""
    tag = attributes.get("PropertyTag")
    if tag:
        try:
            return f"{int(tag, 0):#06x}"
        except ValueError:
            raise SoapFault("ErrorSchemaValidation", f"PropertyTag '{tag}' is no property tag.") from None
    distinguished = attributes.get("DistinguishedPropertySetId", "")
    in_set = attributes.get("PropertySetId", "").lower() or _SETS.get(distinguished, "")
    name = attributes.get("PropertyName") or attributes.get("PropertyId")
    if not in_set or not name or "PropertyType" not in attributes:
        raise SoapFault("ErrorInvalidExtendedProperty", "A property has a tag, or a set, a name or an id, and a type.")
    return f"{in_set}/{name}/{attributes['PropertyType']}"


def _values_of(attributes: Mapping[str, str]) -> Callable[[Item], tuple[str, ...] | None]:
    if attributes.get("DistinguishedPropertySetId") == "InternetHeaders":
        return _single(_header(attributes.get("PropertyName", "")))
    if not attributes.get("PropertyTag") and not attributes.get("PropertyName") and not attributes.get("PropertyId"):
        return lambda _: None
    key = _key(attributes)
    computed = _TAGS.get(int(key, 16)) if key.startswith("0x") else None
    return _single(computed) if computed is not None else lambda item: item.properties.get(key)


def _single(value_of: Callable[[Item], str | None]) -> Callable[[Item], tuple[str, ...] | None]:
    def values(item: Item) -> tuple[str, ...] | None:
        value = value_of(item)
        return None if value is None else (value,)

    return values


def _header(name: str) -> Callable[[Item], str | None]:
    """A header as a named property, such as transport leaves it at arriving mail; names ignore case.

    Of what a client puts there by itself only those that are for programs are kept (X-...).
    """
    is_own = name.lower().startswith("x-")

    def value(item: Item) -> str | None:
        return item.message.header_once(name) if item.through_transport or is_own else None

    return value
