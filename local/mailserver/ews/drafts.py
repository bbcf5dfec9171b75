"""What a client describes as a new message, as the message that it is: CreateItem, and messages attached to others.

Only properties that Exchange lets clients set ([MS-OXWSCORE] 2.2.4.24, [MS-OXWSMSG] 2.2.4.1); what comes of them is in the MIME
form, but for categories, the read flag, and properties that only this protocol knows.
"""

import binascii
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from lxml import etree

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
from local.mailserver.ews import extended
from local.mailserver.ews.envelope import NAMES
from local.mailserver.ews.errors import ResponseError, SoapFault
from local.mailserver.message import Address, fields_named, with_headers

_TRUE = ("true", "1")
_UNSENT = 0x8
_RECIPIENTS = {
    "ToRecipients": "To",
    "CcRecipients": "Cc",
    "BccRecipients": "Bcc",
    "ReplyTo": "Reply-To",
    "From": "From",
    "Sender": "Sender",
}
_IDENTIFIERS = {"InReplyTo": "In-Reply-To", "InternetMessageId": "Message-ID", "References": "References"}
_SENSITIVITIES = {"Personal": "Personal", "Private": "Private", "Confidential": "Company-Confidential"}
_ORDER = (
    *("MimeContent", "ItemClass", "Subject", "Sensitivity", "Body", "Attachments", "Categories", "Importance", "InReplyTo"),
    *("ReminderDueBy", "ReminderIsSet", "ReminderMinutesBeforeStart", "ExtendedProperty", "Culture", "Flag", "Sender"),
    *("ToRecipients", "CcRecipients", "BccRecipients", "IsReadReceiptRequested", "IsDeliveryReceiptRequested", "From"),
    *("InternetMessageId", "IsRead", "IsResponseRequested", "References", "ReplyTo"),
)
"""What may be set, in the order of ItemType and MessageType: the schema allows no other."""
_ELSEWHERE = frozenset({"MimeContent", "Body", "Attachments", "Categories", "ExtendedProperty", "IsRead", "ItemClass"})
_WITHOUT_EFFECT = frozenset(
    {"Culture", "Flag", "IsResponseRequested", "ReminderDueBy", "ReminderIsSet", "ReminderMinutesBeforeStart"}
)
"""Properties that may be set, and that nobody here asks for."""


@dataclass(frozen=True, slots=True)
class Draft:
    """A message that is to be stored or sent."""

    raw: bytes
    categories: tuple[str, ...] = ()
    properties: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    is_read: bool = True
    is_unsent: bool = True
    item_class: str = ""


def draft_of(element: etree._Element, owner: Address) -> Draft:
    """What a Message element describes. Raises ResponseError, SoapFault."""
    if etree.QName(element).localname != "Message":
        raise ResponseError("ErrorInvalidOperation", "Only messages can be created here.")
    _check_order(element)
    properties, of_message = extended.written(element)
    fields = [*_fields(element, owner), *of_message]
    stated = properties.pop(extended.MESSAGE_FLAGS, None)
    return Draft(
        raw=_message(element, fields),
        categories=tuple(each.text or "" for each in element.iterfind("t:Categories/t:String", NAMES)),
        properties=properties,
        is_read=element.findtext("t:IsRead", "true", NAMES) in _TRUE,
        is_unsent=stated is None or bool(int(stated[0]) & _UNSENT),
        item_class=element.findtext("t:ItemClass", "", NAMES),
    )


def _check_order(element: etree._Element) -> None:
    names = [etree.QName(each).localname for each in element]
    known = [_ORDER.index(name) for name in names if name in _ORDER]
    if known != sorted(known):
        raise SoapFault("ErrorSchemaValidation", "The properties of the item are not in the order of the schema.")


def entity_of(element: etree._Element, owner: Address) -> bytes:
    """What a FileAttachment or ItemAttachment element describes. Raises ResponseError."""
    if etree.QName(element).localname == "FileAttachment":
        return file_entity(
            File(
                name=element.findtext("t:Name", "", NAMES),
                content=_decoded(element.findtext("t:Content", "", NAMES)),
                content_type=element.findtext("t:ContentType", "", NAMES) or "application/octet-stream",
                content_id=element.findtext("t:ContentId", "", NAMES),
                content_location=element.findtext("t:ContentLocation", "", NAMES),
                is_inline=element.findtext("t:IsInline", "false", NAMES) in _TRUE,
            )
        )
    message = element.find("t:Message", NAMES)
    if message is None:
        raise ResponseError("ErrorInvalidOperation", "Only files and messages can be attached here.")
    return message_entity(draft_of(message, owner).raw)


def _message(element: etree._Element, fields: list[tuple[str, bytes]]) -> bytes:
    attached = element.find("t:Attachments", NAMES)
    files = [entity_of(each, Address("", "")) for each in attached] if attached is not None else []
    content = element.findtext("t:MimeContent", None, NAMES)
    if content is None:
        body = element.find("t:Body", NAMES)
        text = (body.text or "") if body is not None else ""
        is_html = body is not None and body.get("BodyType") == "HTML"
        return composed([each for _, each in fields], text, is_html=is_html, files=files)
    raw = _decoded(content)
    if fields:
        replaced = fields_named("|".join(re.escape(name) for name in {name for name, _ in fields}))
        raw = b"".join(each for _, each in fields) + with_headers(raw, [], removed=replaced)
    return with_entities(raw, files) if files else raw


def _decoded(content: str) -> bytes:
    try:
        return binascii.a2b_base64("".join(content.split()), strict_mode=True) if content else b""
    except binascii.Error:
        raise ResponseError("ErrorInvalidRequest", "The content is no base64.") from None


def _fields(element: etree._Element, owner: Address) -> Iterator[tuple[str, bytes]]:
    for each in element:
        name, text = etree.QName(each).localname, each.text or ""
        if name in _RECIPIENTS:
            addresses = [_address(mailbox) for mailbox in each.iterfind("t:Mailbox", NAMES)]
            if addresses:
                yield _RECIPIENTS[name], address_field(_RECIPIENTS[name], addresses)
        elif name in _IDENTIFIERS:
            if text.strip():
                yield _IDENTIFIERS[name], identifier_field(_IDENTIFIERS[name], text)
        elif name == "Subject":
            yield "Subject", header_field("Subject", text)
        elif name == "Importance" and text in ("Low", "High"):
            yield "Importance", header_field("Importance", text)
        elif name == "Sensitivity" and text in _SENSITIVITIES:
            yield "Sensitivity", header_field("Sensitivity", _SENSITIVITIES[text])
        elif name == "IsReadReceiptRequested" and text in _TRUE:
            yield "Disposition-Notification-To", address_field("Disposition-Notification-To", [_author(element) or owner])
        elif name == "IsDeliveryReceiptRequested" and text in _TRUE:
            yield "Return-Receipt-To", address_field("Return-Receipt-To", [_author(element) or owner])
        elif not _is_known(name):
            raise ResponseError("ErrorInvalidPropertySet", f"{name} cannot be set.")


def _is_known(name: str) -> bool:
    receipts = ("Importance", "Sensitivity", "IsReadReceiptRequested", "IsDeliveryReceiptRequested")
    return name in _ELSEWHERE or name in _WITHOUT_EFFECT or name in receipts


def _author(element: etree._Element) -> Address | None:
    mailbox = element.find("t:From/t:Mailbox", NAMES)
    return _address(mailbox) if mailbox is not None else None


def _address(mailbox: etree._Element) -> Address:
    address = mailbox.findtext("t:EmailAddress", "", NAMES).strip()
    return Address(mailbox.findtext("t:Name", "", NAMES).strip(), address)
