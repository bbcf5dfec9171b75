"""GetAttachment: files as base64, messages as items ([MS-OXWSATT])."""

import base64
from dataclasses import replace

from local.mailserver import mime
from local.mailserver.bodies import Attachment
from local.mailserver.contents import Item
from local.mailserver.ews import envelope
from local.mailserver.ews.call import Call
from local.mailserver.ews.errors import ResponseError
from local.mailserver.ews.fields import attachment_metadata, attachment_tag
from local.mailserver.ews.ids import attachment_prefix, item_and_path
from local.mailserver.ews.shapes import Shape, read_shape
from local.mailserver.faults import FaultKind
from local.mailserver.message import Message
from local.mailserver.web import Stream

NO_ATTACHMENTS = b"<m:Attachments/>"


def get_attachment(call: Call) -> list[bytes | Stream]:
    shape = read_shape(call.find("m:AttachmentShape"), with_id=False)
    out: list[bytes | Stream] = []
    for wanted in call.required("m:AttachmentIds"):
        try:
            content = _attachment(call, wanted.get("Id", ""), shape)
        except ResponseError as error:
            call.codes.append(error.code)
            out += envelope.failure(call.operation, error, NO_ATTACHMENTS)
        else:
            call.codes.append("NoError")
            out += envelope.success(call.operation, b"<m:Attachments>", *content, b"</m:Attachments>")
    return out


def _attachment(call: Call, attachment_id: str, shape: Shape) -> list[bytes | Stream]:
    item, attachment = _found(call, attachment_id)
    tag = attachment_tag(attachment)
    metadata = attachment_metadata(attachment, attachment_prefix(item.id))
    content = _message(item, attachment, attachment_id, shape) if attachment.is_message else _file(attachment)
    return [b"<t:%b>%b" % (tag, metadata), *content, b"</t:%b>" % tag]


def _found(call: Call, attachment_id: str) -> tuple[Item, Attachment]:
    """The attachment, and the item (perhaps itself attached) that it is attached to."""
    try:
        item_id, path = item_and_path(attachment_id)
    except ValueError:
        raise ResponseError("ErrorInvalidAttachmentId") from None
    item = call.readable_item(item_id)
    unreadable = call.faults.hit(FaultKind.UNREADABLE_ATTACHMENT, item.folder.mailbox.address, call.operation, item_id)
    if unreadable is not None:
        raise ResponseError(unreadable.code or "ErrorCorruptData")
    for number in path[:-1]:
        inner = _at(item, number)
        item = _attached_item(item, inner, attachment_prefix(item.id) + base64.b64encode(number.to_bytes(3, "big")).decode())
    return item, _at(item, path[-1])


def _at(item: Item, number: int) -> Attachment:
    if number >= len(item.message.attachments):
        raise ResponseError("ErrorItemNotFound")
    return item.message.attachments[number]


def _attached_item(item: Item, attachment: Attachment, identity: str) -> Item:
    part = attachment.message_part
    if part is None:
        raise ResponseError("ErrorInvalidAttachmentId")
    message = Message(part.buffer, part.start, part.end)
    received = message.sent or item.received
    return replace(item, id=identity, message=message, item_class=message.item_class, received=received, is_draft=False)


def _message(item: Item, attachment: Attachment, attachment_id: str, shape: Shape) -> list[bytes | Stream]:
    out: list[bytes | Stream] = []
    shape.render(_attached_item(item, attachment, attachment_id), out)
    return out


def _file(attachment: Attachment) -> list[bytes | Stream]:
    content: bytes | Stream
    if attachment.encoded is not None:
        content = attachment.encoded
    else:
        decoded = attachment.content()
        content = mime.base64_stream(decoded, 0, len(decoded))
    return [b"<t:IsContactPhoto>false</t:IsContactPhoto><t:Content>", content, b"</t:Content>"]
