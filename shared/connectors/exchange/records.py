"""Elements of EWS replies become our own records, in one pass over each element's children.

A column that cannot be read is left out: a broken date or size of one item never costs the page. Of a message, what
cannot be left out (its elements are not what the schema says) makes that one message unreadable. Knows no connection.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from lxml.etree import _Element

from shared.domain.choices import Priority, SenderOrigin
from shared.domain.email import Address, ChangeKind, IncomingMessage, ItemRef, ListedItem
from shared.domain.errors import ItemUnreadable
from shared.domain.ids import normalised_address, normalised_message_id

T = "{http://schemas.microsoft.com/exchange/services/2006/types}"
M = "{http://schemas.microsoft.com/exchange/services/2006/messages}"

AUTH_AS = "X-MS-Exchange-Organization-AuthAs"
SENDER_SMTP_ADDRESS = 0x5D01
"""PidTagSenderSmtpAddress, the address behind Sender where that is an X.500 name."""
FROM_SMTP_ADDRESS = 0x5D02
"""PidTagSentRepresentingSmtpAddress, likewise for From."""

_MOST_REFERENCES = 1000
_ANGLE_BRACKETED = re.compile(r"<([^<>]+)>")

type Fields = dict[str, Any]
type Reader = Callable[[Fields, _Element], None]


# ---- single values


def time_of(text: str | None) -> datetime | None:
    """An xs:dateTime as aware UTC; one without a zone is UTC, since no time zone was asked for. None if it is no time."""
    try:
        moment = datetime.fromisoformat((text or "").strip())
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def number_of(text: str | None) -> int:
    """A size in bytes; 0 if it is none."""
    try:
        return max(0, int(text or 0))
    except ValueError:
        return 0


def message_ids(text: str | None) -> tuple[str, ...]:
    """The Message-IDs of In-Reply-To or References, normalised, in order. A thousand at most, the last ones."""
    if not text:
        return ()
    found = _ANGLE_BRACKETED.findall(text) or text.split()
    normalised = (normalised_message_id(each) for each in found[-_MOST_REFERENCES:])
    return tuple(each for each in normalised if each)


def _origin(text: str | None) -> SenderOrigin:
    if not text:
        return SenderOrigin.UNKNOWN
    return SenderOrigin.INTERNAL if text.strip().lower() == "internal" else SenderOrigin.EXTERNAL


# ---- addresses


@dataclass(frozen=True, slots=True)
class _Mailbox:
    """t:Mailbox as the server gives it: `address` is an X.500 name where `is_smtp` is False."""

    name: str
    address: str
    is_smtp: bool

    def resolved(self, smtp_address: str | None) -> Address | None:
        """With the item's own SMTP address in place of an X.500 name. A mailbox without any address stands by its name."""
        address = self.address if self.is_smtp else smtp_address or self.address
        if address or self.name:
            return Address(address or self.name, self.name)
        return None


def _mailbox(element: _Element) -> _Mailbox:
    name = address = routing = ""
    for child in element:
        tag = child.tag
        if tag == _EMAIL_ADDRESS:
            address = (child.text or "").strip()
        elif tag == _NAME:
            name = (child.text or "").strip()
        elif tag == _ROUTING_TYPE:
            routing = (child.text or "").upper()
    return _Mailbox(name, address, is_smtp=bool(address) and routing != "EX" and not address.startswith("/"))


_NAME = T + "Name"
_EMAIL_ADDRESS = T + "EmailAddress"
_ROUTING_TYPE = T + "RoutingType"
_MAILBOX = T + "Mailbox"


def _recipients(element: _Element) -> tuple[Address, ...]:
    resolved = (_mailbox(child).resolved(None) for child in element if child.tag == _MAILBOX)
    return tuple(address for address in resolved if address)


# ---- readers, one per element


def _text(key: str) -> Reader:
    def read(fields: Fields, element: _Element) -> None:
        fields[key] = element.text

    return read


def _one_mailbox(key: str) -> Reader:
    def read(fields: Fields, element: _Element) -> None:
        if len(element):
            fields[key] = _mailbox(element[0])

    return read


def _many_mailboxes(key: str) -> Reader:
    def read(fields: Fields, element: _Element) -> None:
        fields[key] = _recipients(element)

    return read


def _extended(fields: Fields, element: _Element) -> None:
    """t:ExtendedProperty. The server writes names and tags in its own case."""
    path, value = element[0], element[-1]
    if tag := path.get("PropertyTag"):
        fields[f"property {int(tag, 16):#06x}"] = value.text
    elif name := path.get("PropertyName"):
        fields[f"header {name.lower()}"] = value.text


_AUTH_AS_FIELD = f"header {AUTH_AS.lower()}"
_SENDER_SMTP_FIELD = f"property {SENDER_SMTP_ADDRESS:#06x}"
_FROM_SMTP_FIELD = f"property {FROM_SMTP_ADDRESS:#06x}"


def _item_id(fields: Fields, element: _Element) -> None:
    fields["id"] = element.get("Id")


def _body(fields: Fields, element: _Element) -> None:
    fields["body_html" if element.get("BodyType") == "HTML" else "body_text"] = element.text or ""


def _attachments(fields: Fields, element: _Element) -> None:
    fields["attachments"] = tuple(_attachment(child) for child in element)


_LISTED: Mapping[str, Reader] = {
    T + "ItemId": _item_id,
    T + "ItemClass": _text("item_class"),
    T + "DateTimeReceived": _text("received"),
    T + "Size": _text("size"),
    T + "IsDraft": _text("is_draft"),
    T + "IsFromMe": _text("is_from_me"),
    T + "InternetMessageId": _text("message_id"),
    T + "From": _one_mailbox("from"),
    T + "ExtendedProperty": _extended,
}

_FETCHED: Mapping[str, Reader] = {
    T + "ItemId": _item_id,
    T + "Subject": _text("subject"),
    T + "Body": _body,
    T + "Attachments": _attachments,
    T + "DateTimeReceived": _text("received"),
    T + "DateTimeSent": _text("sent"),
    T + "Size": _text("size"),
    T + "Importance": _text("importance"),
    T + "InReplyTo": _text("in_reply_to"),
    T + "InternetMessageId": _text("message_id"),
    T + "References": _text("references"),
    T + "ConversationIndex": _text("conversation_index"),
    T + "From": _one_mailbox("from"),
    T + "Sender": _one_mailbox("sender"),
    T + "ToRecipients": _many_mailboxes("to"),
    T + "CcRecipients": _many_mailboxes("cc"),
    T + "ExtendedProperty": _extended,
}


def _fields(element: _Element, readers: Mapping[str, Reader]) -> Fields:
    fields: Fields = {}
    for child in element:
        reader = readers.get(child.tag)
        if reader is not None:
            reader(fields, child)
    return fields


# ---- a page

_KINDS: Mapping[str, ChangeKind] = {
    T + "Create": ChangeKind.CREATED,
    T + "Update": ChangeKind.UPDATED,
    T + "Delete": ChangeKind.DELETED,
    T + "ReadFlagChange": ChangeKind.READ_FLAG,
}

_CLASSES: Mapping[str, str] = {
    T + "MeetingRequest": "IPM.Schedule.Meeting.Request",
    T + "MeetingResponse": "IPM.Schedule.Meeting.Resp",
    T + "MeetingCancellation": "IPM.Schedule.Meeting.Canceled",
    T + "CalendarItem": "IPM.Appointment",
    T + "Contact": "IPM.Contact",
    T + "DistributionList": "IPM.DistList",
    T + "Task": "IPM.Task",
    T + "PostItem": "IPM.Post",
}
"""Item class by element, where the server leaves the column out."""


def listed_item(change: _Element, folder: str) -> ListedItem:
    """One child of m:Changes. Raises LookupError, TypeError where it names no item: then the reply is no reply."""
    kind = _KINDS[change.tag]
    item = change[0]
    if kind is ChangeKind.DELETED or kind is ChangeKind.READ_FLAG:
        return ListedItem(ItemRef(_required_id(item.get("Id")), folder), kind)
    fields = _fields(item, _LISTED)
    sender = fields.get("from")
    origin = _origin(fields.get(_AUTH_AS_FIELD))
    return ListedItem(
        ItemRef(_required_id(fields.get("id")), folder),
        kind,
        fields.get("item_class") or _CLASSES.get(item.tag, "IPM.Note"),
        normalised_message_id(fields.get("message_id")),
        _sender_address(sender, fields.get(_FROM_SMTP_FIELD)),
        origin,
        time_of(fields.get("received")),
        number_of(fields.get("size")),
        fields.get("is_draft") == "true",
        # What never went through transport carries no origin. IsFromMe alone also marks mail to oneself, and what claims so.
        fields.get("is_from_me") == "true" and origin is SenderOrigin.UNKNOWN,
    )


def _required_id(value: str | None) -> str:
    if not value:
        raise LookupError("an item without an id")
    return value


def _sender_address(sender: _Mailbox | None, smtp_address: str | None) -> str | None:
    address = sender.address if sender and sender.is_smtp else smtp_address or (sender.address if sender else None)
    return normalised_address(address) if address else None


# ---- a message


@dataclass(frozen=True, slots=True)
class AttachmentEntry:
    """An attachment as GetItem describes it. `tag` is FileAttachment, ItemAttachment or ReferenceAttachment."""

    id: str
    tag: str
    name: str
    content_type: str | None
    content_id: str | None
    size: int
    is_inline: bool
    location: str
    """Of a ReferenceAttachment: where its content is."""


def _attachment(element: _Element) -> AttachmentEntry:
    found: dict[str, _Element] = {child.tag: child for child in element}

    def text(name: str) -> str | None:
        child = found.get(T + name)
        return None if child is None else child.text

    content_id = (text("ContentId") or "").strip().removeprefix("<").removesuffix(">")
    return AttachmentEntry(
        id=_required_id(found[T + "AttachmentId"].get("Id")),
        tag=str(element.tag).removeprefix(T),
        name=text("Name") or "",
        content_type=text("ContentType"),
        content_id=content_id or None,
        size=number_of(text("Size")),
        is_inline=text("IsInline") == "true",
        location=text("AttachLongPathName") or "",
    )


@dataclass(frozen=True, slots=True)
class Fetched:
    """A message of GetItem, without its attachments' content."""

    message: IncomingMessage
    attachments: tuple[AttachmentEntry, ...]


_PRIORITIES: Mapping[str | None, Priority] = {"Low": Priority.LOW, "High": Priority.HIGH}


def fetched(item: _Element, ref: ItemRef) -> Fetched:
    """The message that the child of m:Items is. Raises ItemUnreadable."""
    try:
        return _fetched(_fields(item, _FETCHED), ref)
    except (LookupError, TypeError, ValueError) as error:
        raise ItemUnreadable(f"GetItem: the item is not what the schema says ({type(error).__name__})") from error


def _fetched(fields: Fields, ref: ItemRef) -> Fetched:
    sent = time_of(fields.get("sent"))
    received = time_of(fields.get("received")) or sent
    if received is None:
        raise ItemUnreadable("GetItem: the item has no time of receipt")
    in_reply_to = message_ids(fields.get("in_reply_to"))
    message = IncomingMessage(
        ref=ref,
        received=received,
        subject=fields.get("subject") or "",
        message_id=normalised_message_id(fields.get("message_id")),
        in_reply_to=in_reply_to[0] if in_reply_to else None,
        references=message_ids(fields.get("references")),
        sender=_from_or_sender(fields),
        to=fields.get("to", ()),
        cc=fields.get("cc", ()),
        sent=sent,
        priority=_PRIORITIES.get(fields.get("importance"), Priority.NORMAL),
        body_html=fields.get("body_html"),
        body_text=fields.get("body_text"),
        conversation_index=fields.get("conversation_index") or None,
        sender_origin=_origin(fields.get(_AUTH_AS_FIELD)),
        size=number_of(fields.get("size")),
    )
    return Fetched(message, fields.get("attachments", ()))


def _from_or_sender(fields: Fields) -> Address | None:
    for key, smtp_field in (("from", _FROM_SMTP_FIELD), ("sender", _SENDER_SMTP_FIELD)):
        mailbox: _Mailbox | None = fields.get(key)
        if mailbox and (address := mailbox.resolved(fields.get(smtp_field))):
            return address
    return None


# ---- an attached message


@dataclass(frozen=True, slots=True)
class Embedded:
    """What GetAttachment says of an attached item."""

    tag: str
    identity: str


def embedded(item: _Element) -> Embedded:
    """The item within t:ItemAttachment. Its identity does not depend on how the server writes its MIME form."""
    fields = _fields(item, _FETCHED)
    sender = _from_or_sender(fields)
    message_id = normalised_message_id(fields.get("message_id"))
    described = "\n".join((sender.address if sender else "", fields.get("sent") or "", fields.get("subject") or ""))
    return Embedded(str(item.tag).removeprefix(T), message_id or described)
