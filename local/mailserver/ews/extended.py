"""MAPI properties that EWS serves by tag or by name in a property set ([MS-OXPROPS]): headers, and the tags of mail."""

import base64
from collections.abc import Callable
from itertools import chain

from lxml import etree

from local.mailserver.contents import Item
from local.mailserver.conversation import conversation_index
from local.mailserver.ews.errors import SoapFault
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


def renderer_of(path: etree._Element) -> Renderer:
    """The renderer of an ExtendedFieldURI element."""
    attributes = {str(name): str(value) for name, value in path.attrib.items()}
    value_of = _value_of(attributes)
    names = chain.from_iterable((b" ", name.encode(), b'="', attribute(value), b'"') for name, value in attributes.items())
    uri = b"<t:ExtendedFieldURI" + b"".join(names) + b"/>"

    def render(item: Item) -> bytes:
        value = value_of(item)
        if value is None:
            return b""
        return b"<t:ExtendedProperty>%b<t:Value>%b</t:Value></t:ExtendedProperty>" % (uri, escaped(value))

    return render


def _value_of(attributes: dict[str, str]) -> Callable[[Item], str | None]:
    if attributes.get("DistinguishedPropertySetId") == "InternetHeaders":
        return _header(attributes.get("PropertyName", ""))
    tag = attributes.get("PropertyTag")
    if not tag:
        return _absent
    try:
        return _TAGS.get(int(tag, 0), _absent)
    except ValueError:
        raise SoapFault("ErrorSchemaValidation", f"PropertyTag '{tag}' is no property tag.") from None


def _header(name: str) -> Callable[[Item], str | None]:
    """A header as a named property, such as transport leaves it at arriving mail; names ignore case."""

    def value(item: Item) -> str | None:
        if not item.through_transport:
            return None
        return item.message.header_once(name)

    return value


def _absent(_: Item) -> None:
    return None
