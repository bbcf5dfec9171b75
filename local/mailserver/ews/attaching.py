"""CreateAttachment: a draft gets attachments, and another change key by that ([MS-OXWSATT] 3.1.4.1)."""

from lxml import etree

from local.mailserver.bodies import Attachment
from local.mailserver.composing import with_entities
from local.mailserver.contents import Item
from local.mailserver.ews import submission
from local.mailserver.ews.attachments import NO_ATTACHMENTS
from local.mailserver.ews.call import Call
from local.mailserver.ews.drafts import entity_of
from local.mailserver.ews.errors import SoapFault
from local.mailserver.ews.fields import attachment_tag
from local.mailserver.ews.ids import attachment_prefix, attachment_suffix, change_key
from local.mailserver.ews.responses import each
from local.mailserver.message import Address, Message, spooled
from local.mailserver.web import Stream


def create_attachment(call: Call) -> list[bytes | Stream]:
    parent = call.find("m:ParentItemId")
    if parent is None:
        raise SoapFault("ErrorSchemaValidation", "The element ParentItemId is missing.")
    parent_id = parent.get("Id", "")

    def attach(element: etree._Element) -> list[bytes | Stream]:
        with call.held_item(parent_id) as item:
            owner = item.folder.mailbox
            entity = entity_of(element, Address(owner.name, owner.address))
            message = Message(spooled(with_entities(item.message.raw[item.message.start : item.message.end], [entity])))
            submission.refuse_large(call, message)
            owner.rewrite(item.id, message)
            return [_identity(item)]

    return each(call, call.required("m:Attachments"), attach, NO_ATTACHMENTS)


def _identity(item: Item) -> bytes:
    """Of the attachment that came last."""
    return b"<m:Attachments>%b</m:Attachments>" % attached(item, item.message.attachments[-1])


def attached(item: Item, attachment: Attachment) -> bytes:
    """What a request that attaches answers of an attachment: its id, with the change key that the item has now."""
    tag = attachment_tag(attachment)
    identity = attachment_prefix(item.id) + attachment_suffix(attachment.number)
    root = f'RootItemId="{item.id}" RootItemChangeKey="{change_key(item.version)}"'
    return b'<t:%b><t:AttachmentId Id="%b" %b/></t:%b>' % (tag, identity.encode(), root.encode(), tag)
