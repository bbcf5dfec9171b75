"""Elements of EWS replies become our own records, in one pass over each element's children.

A column that cannot be read is left out: a broken date or size of one item never costs the page. Of a message, what
cannot be left out (its elements are not what the schema says) makes that one message unreadable. Knows no connection.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from lxml.etree import _Element

from shared.connectors.exchange.values import (
    MailboxName,
    T,
    mailbox_name,
    number_of,
    origin_of,
    recipients,
    time_of,
)
from shared.connectors.message_ids import message_ids
from shared.domain.choices import Priority, SenderOrigin
from shared.domain.email import JUDGED_HEADERS, Address, ChangeKind, Envelope, IncomingMessage, ItemRef, ListedItem
from shared.domain.errors import ItemUnreadable
from shared.domain.ids import normalised_address, normalised_message_id

M = "{http://schemas.microsoft.com/exchange/services/2006/messages}"

AUTH_AS = "X-MS-Exchange-Organization-AuthAs"
SENDER_SMTP_ADDRESS = 0x5D01
"""PidTagSenderSmtpAddress, the address behind Sender where that is an X.500 name."""
FROM_SMTP_ADDRESS = 0x5D02
"""PidTagSentRepresentingSmtpAddress, likewise for From."""

type Fields = dict[str, Any]
type Reader = Callable[[Fields, _Element], None]


# ---- readers, one per element


def _text(key: str) -> Reader:
    def read(fields: Fields, element: _Element) -> None:
        fields[key] = element.text

    return read


def _one_mailbox(key: str) -> Reader:
    def read(fields: Fields, element: _Element) -> None:
        if len(element):
            fields[key] = mailbox_name(element[0])

    return read


def _many_mailboxes(key: str) -> Reader:
    def read(fields: Fields, element: _Element) -> None:
        fields[key] = recipients(element)

    return read


def _extended(fields: Fields, element: _Element) -> None:
    """t:ExtendedProperty. The server writes names and tags in its own case."""
    path, value = element[0], element[-1]
    if tag := path.get("PropertyTag"):
        fields[f"property {int(tag, 16):#06x}"] = value.text
    elif name := path.get("PropertyName"):
        fields[f"header {name.lower()}"] = value.text


_AUTH_AS_FIELD = f"header {AUTH_AS.lower()}"
_HEADER_FIELDS = tuple((name, f"header {name}") for name in JUDGED_HEADERS)
_SENDER_SMTP_FIELD = f"property {SENDER_SMTP_ADDRESS:#06x}"
_FROM_SMTP_FIELD = f"property {FROM_SMTP_ADDRESS:#06x}"


def _item_id(fields: Fields, element: _Element) -> None:
    fields["id"] = element.get("Id")


def _categories(fields: Fields, element: _Element) -> None:
    fields["categories"] = tuple(child.text for child in element if child.text)


def _body(fields: Fields, element: _Element) -> None:
    fields["body_html" if element.get("BodyType") == "HTML" else "body_text"] = element.text or ""


def _attachments(fields: Fields, element: _Element) -> None:
    fields["attachments"] = tuple(_attachment(child) for child in element)


_LISTED: Mapping[str, Reader] = {
    T + "ItemId": _item_id,
    T + "ItemClass": _text("item_class"),
    T + "DateTimeReceived": _text("received"),
    T + "Size": _text("size"),
    T + "Categories": _categories,
    T + "IsDraft": _text("is_draft"),
    T + "IsFromMe": _text("is_from_me"),
    T + "InternetMessageId": _text("message_id"),
    T + "From": _one_mailbox("from"),
    T + "ExtendedProperty": _extended,
}

_JUDGED: Mapping[str, Reader] = {
    T + "ItemId": _item_id,
    T + "ItemClass": _text("item_class"),
    T + "Subject": _text("subject"),
    T + "DateTimeReceived": _text("received"),
    T + "DateTimeSent": _text("sent"),
    T + "Size": _text("size"),
    T + "Categories": _categories,
    T + "InReplyTo": _text("in_reply_to"),
    T + "InternetMessageId": _text("message_id"),
    T + "References": _text("references"),
    T + "ConversationIndex": _text("conversation_index"),
    T + "From": _one_mailbox("from"),
    T + "Sender": _one_mailbox("sender"),
    T + "ToRecipients": _many_mailboxes("to"),
    T + "CcRecipients": _many_mailboxes("cc"),
    T + "BccRecipients": _many_mailboxes("bcc"),
    T + "ExtendedProperty": _extended,
}

_FETCHED: Mapping[str, Reader] = {
    **_JUDGED,
    T + "Body": _body,
    T + "Attachments": _attachments,
    T + "Importance": _text("importance"),
    T + "ReplyTo": _many_mailboxes("reply_to"),
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
    origin = origin_of(fields.get(_AUTH_AS_FIELD))
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
        fields.get("categories", ()),
    )


def _required_id(value: str | None) -> str:
    if not value:
        raise LookupError("an item without an id")
    return value


def _sender_address(sender: MailboxName | None, smtp_address: str | None) -> str | None:
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
    with _readable():
        fields = _fields(item, _FETCHED)
        message = IncomingMessage(
            **_judged(item, fields, ref),
            priority=_PRIORITIES.get(fields.get("importance"), Priority.NORMAL),
            body_html=fields.get("body_html"),
            body_text=fields.get("body_text"),
            reply_to=fields.get("reply_to", ()),
        )
        return Fetched(message, fields.get("attachments", ()))


def envelope(item: _Element, ref: ItemRef) -> Envelope:
    """As `fetched`, of what is outside of the message."""
    with _readable():
        return Envelope(**_judged(item, _fields(item, _JUDGED), ref))


@contextmanager
def _readable() -> Iterator[None]:
    try:
        yield
    except (LookupError, TypeError, ValueError) as error:
        raise ItemUnreadable(f"GetItem: the item is not what the schema says ({type(error).__name__})") from error


def _judged(item: _Element, fields: Fields, ref: ItemRef) -> Fields:
    """The fields of an Envelope."""
    sent = time_of(fields.get("sent"))
    received = time_of(fields.get("received")) or sent
    if received is None:
        raise ItemUnreadable("GetItem: the item has no time of receipt")
    in_reply_to = message_ids(fields.get("in_reply_to"))
    return {
        "ref": ref,
        "received": received,
        "subject": fields.get("subject") or "",
        "message_id": normalised_message_id(fields.get("message_id")),
        "in_reply_to": in_reply_to[0] if in_reply_to else None,
        "references": message_ids(fields.get("references")),
        "sender": _from_or_sender(fields),
        "to": fields.get("to", ()),
        "cc": fields.get("cc", ()),
        "bcc": fields.get("bcc", ()),
        "sent": sent,
        "conversation_index": fields.get("conversation_index") or None,
        "sender_origin": origin_of(fields.get(_AUTH_AS_FIELD)),
        "size": number_of(fields.get("size")),
        "item_class": fields.get("item_class") or _CLASSES.get(item.tag, "IPM.Note"),
        "headers": {name: value for name, key in _HEADER_FIELDS if (value := fields.get(key))},
        "categories": fields.get("categories", ()),
    }


def _from_or_sender(fields: Fields) -> Address | None:
    for key, smtp_field in (("from", _FROM_SMTP_FIELD), ("sender", _SENDER_SMTP_FIELD)):
        mailbox: MailboxName | None = fields.get(key)
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
