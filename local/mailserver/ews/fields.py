"""Item properties as XML: for every field URI that is served, how it is made of an item. In the order of the schema.

Fields of the content are rendered once per message and kept with it; fields of the copy (id, read flag) are made anew.
"""

import base64
from collections.abc import Callable

from local.mailserver import mime
from local.mailserver.bodies import Attachment
from local.mailserver.contents import Item
from local.mailserver.conversation import conversation_index, topic_hash
from local.mailserver.ews.ids import attachment_prefix, attachment_suffix, change_key, item_id_element
from local.mailserver.ews.text import attribute, element, escaped, flag, moment
from local.mailserver.message import Address, Message
from local.mailserver.web import Stream

type Rendered = bytes | list[bytes | Stream]
type Renderer = Callable[[Item], Rendered]

KEPT_UP_TO = 512 * 1024
"""Longer fragments are made anew each time; bytes."""


def kept(key: str, render: Callable[[Message], bytes]) -> Renderer:
    """Renders content once per message."""

    def renderer(item: Item) -> bytes:
        renderings = item.message.renderings
        fragment = renderings.get(key)
        if fragment is None:
            fragment = render(item.message)
            if len(fragment) <= KEPT_UP_TO:
                renderings[key] = fragment
        return fragment

    return renderer


def mime_content(item: Item) -> Rendered:
    message = item.message
    stream = mime.base64_stream(message.raw, message.start, message.end)
    return [b'<t:MimeContent CharacterSet="UTF-8">', stream, b"</t:MimeContent>"]


def body(kind: str) -> Renderer:
    """The body as Best, HTML or Text."""
    return kept(f"ews:body:{kind}", lambda message: b'<t:Body BodyType="%b">%b</t:Body>' % _body(message, kind))


def unique_body(kind: str) -> Renderer:
    return kept(f"ews:unique:{kind}", lambda message: b'<t:UniqueBody BodyType="%b">%b</t:UniqueBody>' % _body(message, kind))


def _body(message: Message, kind: str) -> tuple[bytes, bytes]:
    bodies = message.bodies
    if kind == "Text" or (kind == "Best" and bodies.html_part is None):
        return b"Text", escaped(bodies.as_text())
    return b"HTML", escaped(bodies.as_html())


def attachments(item: Item) -> bytes:
    """Metadata of the attachments. Kept with a mark where the ids of this copy go."""
    message = item.message
    if not message.attachments:
        return b""
    template = message.renderings.get("ews:attachments")
    if template is None:
        template = b"".join(map(_attachment, message.attachments))
        message.renderings["ews:attachments"] = template
    prefix = attachment_prefix(item.id).encode()
    return b"<t:Attachments>" + template.replace(b"\1", prefix) + b"</t:Attachments>"


def _attachment(attachment: Attachment) -> bytes:
    tag = attachment_tag(attachment)
    return b"<t:%b>%b</t:%b>" % (tag, attachment_metadata(attachment, "\1"), tag)


def attachment_tag(attachment: Attachment) -> bytes:
    return b"ItemAttachment" if attachment.is_message else b"FileAttachment"


def attachment_metadata(attachment: Attachment, prefix: str) -> bytes:
    """What GetItem and GetAttachment both say about an attachment."""
    identity = f'<t:AttachmentId Id="{prefix}{attachment_suffix(attachment.number)}"/>'.encode()
    return b"".join(
        [
            identity,
            b"<t:Name>%b</t:Name>" % escaped(attachment.name),
            element("ContentType", attachment.content_type),
            element("ContentId", attachment.content_id or ""),
            element("ContentLocation", attachment.content_location or ""),
            f"<t:Size>{attachment.size}</t:Size>".encode(),
            flag("IsInline", attachment.is_inline),
        ]
    )


def mailbox(address: Address) -> bytes:
    return b"<t:Mailbox>%b%b%b<t:MailboxType>Mailbox</t:MailboxType></t:Mailbox>" % (
        element("Name", address.name or address.address),
        element("EmailAddress", address.address),
        b"<t:RoutingType>SMTP</t:RoutingType>",
    )


def _single(tag: bytes, address: Address | None) -> bytes:
    return b"<t:%b>%b</t:%b>" % (tag, mailbox(address), tag) if address is not None else b""


def _recipients(tag: bytes, header: str) -> Callable[[Message], bytes]:
    def render(message: Message) -> bytes:
        addresses = message.addresses(header)
        return b"<t:%b>%b</t:%b>" % (tag, b"".join(map(mailbox, addresses)), tag) if addresses else b""

    return render


def _display(tag: str, header: str) -> Callable[[Message], bytes]:
    def render(message: Message) -> bytes:
        names = "; ".join(address.name or address.address for address in message.addresses(header))
        return b"<t:%b>%b</t:%b>" % (tag.encode(), escaped(names), tag.encode())

    return render


def internet_message_headers(item: Item) -> Rendered:
    """What arrived by mail has headers; what a client put there has none."""
    return _headers(item) if item.through_transport else b""


_headers = kept(
    "ews:headers",
    lambda message: (
        b"<t:InternetMessageHeaders>%b</t:InternetMessageHeaders>"
        % b"".join(
            b'<t:InternetMessageHeader HeaderName="%b">%b</t:InternetMessageHeader>' % (attribute(name), escaped(value))
            for name, value in message.headers
        )
        if message.headers
        else b""
    ),
)


def _conversation_id(message: Message) -> bytes:
    identity = base64.b64encode(b"\x00\x03\x24\x00" + topic_hash(message) * 2).decode()
    return f'<t:ConversationId Id="{identity}"/>'.encode()


def _folder_id(item: Item) -> bytes:
    return f'<t:ParentFolderId Id="{item.folder.id}" ChangeKey="{change_key(item.folder.changed)}"/>'.encode()


def _receiver(tag: bytes) -> Renderer:
    def render(item: Item) -> bytes:
        owner = item.folder.mailbox
        return _single(tag, Address(owner.name, owner.address)) if item.through_transport else b""

    return render


def _categories(item: Item) -> bytes:
    names = b"".join(b"<t:String>%b</t:String>" % escaped(name) for name in item.categories)
    return b"<t:Categories>%b</t:Categories>" % names if names else b""


_RIGHTS = (
    b"<t:EffectiveRights><t:CreateAssociated>false</t:CreateAssociated><t:CreateContents>false</t:CreateContents>"
    b"<t:CreateHierarchy>false</t:CreateHierarchy><t:Delete>true</t:Delete><t:Modify>true</t:Modify><t:Read>true</t:Read>"
    b"<t:ViewPrivateItems>true</t:ViewPrivateItems></t:EffectiveRights>"
)

ITEM_FIELDS: dict[str, Renderer] = {
    "item:MimeContent": mime_content,
    "item:ItemId": item_id_element,
    "item:ParentFolderId": _folder_id,
    "item:ItemClass": lambda item: element("ItemClass", item.item_class),
    "item:Subject": kept("ews:subject", lambda message: b"<t:Subject>%b</t:Subject>" % escaped(message.subject)),
    "item:Sensitivity": kept("ews:sensitivity", lambda message: element("Sensitivity", message.sensitivity)),
    "item:Body": body("Best"),
    "item:Attachments": attachments,
    "item:DateTimeReceived": lambda item: moment("DateTimeReceived", item.received),
    "item:Size": lambda item: f"<t:Size>{item.message.size}</t:Size>".encode(),
    "item:Categories": _categories,
    "item:Importance": kept("ews:importance", lambda message: element("Importance", message.importance)),
    "item:InReplyTo": kept("ews:in_reply_to", lambda message: element("InReplyTo", message.in_reply_to or "")),
    "item:IsSubmitted": lambda _: flag("IsSubmitted", False),
    "item:IsDraft": lambda item: flag("IsDraft", item.is_draft),
    "item:IsFromMe": lambda item: flag("IsFromMe", item.is_from_me),
    "item:IsResend": lambda _: flag("IsResend", False),
    "item:IsUnmodified": lambda item: flag("IsUnmodified", item.changed == item.entered),
    "item:InternetMessageHeaders": internet_message_headers,
    "item:DateTimeSent": lambda item: moment("DateTimeSent", item.message.sent or (None if item.is_draft else item.received)),
    "item:DateTimeCreated": lambda item: moment("DateTimeCreated", item.created),
    "item:DisplayCc": kept("ews:display_cc", _display("DisplayCc", "Cc")),
    "item:DisplayTo": kept("ews:display_to", _display("DisplayTo", "To")),
    "item:HasAttachments": kept(
        "ews:has_attachments", lambda message: flag("HasAttachments", any(not each.is_inline for each in message.attachments))
    ),
    "item:EffectiveRights": lambda _: _RIGHTS,
    "item:LastModifiedName": lambda item: element("LastModifiedName", item.folder.mailbox.name),
    "item:LastModifiedTime": lambda item: moment("LastModifiedTime", item.created),
    "item:IsAssociated": lambda _: flag("IsAssociated", False),
    "item:ConversationId": kept("ews:conversation_id", _conversation_id),
    "item:UniqueBody": unique_body("Best"),
    "item:Flag": lambda _: b"<t:Flag><t:FlagStatus>NotFlagged</t:FlagStatus></t:Flag>",
    "item:Preview": kept("ews:preview", lambda message: element("Preview", message.bodies.as_text()[:255])),
    "item:TextBody": kept(
        "ews:text", lambda message: b'<t:TextBody BodyType="Text">%b</t:TextBody>' % escaped(message.bodies.as_text())
    ),
}
"""Fields of every item, by URI, in the order of ItemType."""

EXTENDED_AFTER = "item:HasAttachments"
"""Where ItemType has its ExtendedProperty elements."""

MESSAGE_FIELDS: dict[str, Renderer] = {
    "message:Sender": kept("ews:sender", lambda message: _single(b"Sender", message.sender)),
    "message:ToRecipients": kept("ews:to", _recipients(b"ToRecipients", "To")),
    "message:CcRecipients": kept("ews:cc", _recipients(b"CcRecipients", "Cc")),
    "message:BccRecipients": kept("ews:bcc", _recipients(b"BccRecipients", "Bcc")),
    "message:IsReadReceiptRequested": kept(
        "ews:read_receipt",
        lambda message: flag("IsReadReceiptRequested", message.header("Disposition-Notification-To") is not None),
    ),
    "message:IsDeliveryReceiptRequested": kept(
        "ews:delivery_receipt",
        lambda message: flag("IsDeliveryReceiptRequested", message.header("Return-Receipt-To") is not None),
    ),
    "message:ConversationIndex": kept(
        "ews:conversation_index",
        lambda message: element("ConversationIndex", base64.b64encode(conversation_index(message)).decode()),
    ),
    "message:ConversationTopic": kept(
        "ews:conversation_topic", lambda message: element("ConversationTopic", message.conversation_topic)
    ),
    "message:From": kept("ews:from", lambda message: _single(b"From", message.author)),
    "message:InternetMessageId": kept("ews:message_id", lambda message: element("InternetMessageId", message.message_id or "")),
    "message:IsRead": lambda item: flag("IsRead", item.is_read),
    "message:IsResponseRequested": lambda _: flag("IsResponseRequested", False),
    "message:References": kept("ews:references", lambda message: element("References", message.references or "")),
    "message:ReplyTo": kept("ews:reply_to", _recipients(b"ReplyTo", "Reply-To")),
    "message:ReceivedBy": _receiver(b"ReceivedBy"),
    "message:ReceivedRepresenting": _receiver(b"ReceivedRepresenting"),
}
"""Fields that messages have beside those of items, by URI, in the order of MessageType."""
