"""CreateItem: messages are saved as drafts, or sent at once ([MS-OXWSMSG] 3.1.4.1)."""

from lxml import etree

from local.mailserver.contents import Folder
from local.mailserver.ews import submission
from local.mailserver.ews.attaching import attached
from local.mailserver.ews.call import Call
from local.mailserver.ews.drafts import Draft, draft_of
from local.mailserver.ews.errors import ResponseError, SoapFault
from local.mailserver.ews.items import NO_ITEMS, items_with_id
from local.mailserver.ews.responses import each
from local.mailserver.message import Address, Message, spooled
from local.mailserver.model import Mailbox
from local.mailserver.web import Stream

_DISPOSITIONS = ("SaveOnly", "SendOnly", "SendAndSaveCopy")


def create_item(call: Call) -> list[bytes | Stream]:
    disposition = call.element.get("MessageDisposition")
    if disposition is None:
        raise SoapFault("ErrorMessageDispositionRequired")
    if disposition not in _DISPOSITIONS:
        raise SoapFault("ErrorSchemaValidation", f"MessageDisposition is none of {', '.join(_DISPOSITIONS)}.")

    def create(element: etree._Element) -> list[bytes | Stream]:
        mailbox, folder = _place(call, disposition)
        draft = draft_of(element, Address(mailbox.name, mailbox.address))
        message = Message(spooled(draft.raw))
        call.break_writing(mailbox, message.message_id)
        submission.refuse_large(call, message)
        if disposition == "SaveOnly" and folder is not None:
            with mailbox.lock:
                return [_saved(folder, message, draft)]
        submission.mail(call, submission.leave(call, mailbox, message, draft.properties, draft.categories, folder))
        return [NO_ITEMS]

    return each(call, call.required("m:Items"), create, NO_ITEMS)


def _place(call: Call, disposition: str) -> tuple[Mailbox, Folder | None]:
    """The mailbox that the message is of, and the folder that it, or its copy, is put into. Raises ResponseError."""
    named = call.find("m:SavedItemFolderId")
    if named is not None and len(named):
        folder = call.target_folder(named[0], missing="ErrorFolderNotFound")
        return folder.mailbox, folder if disposition != "SendOnly" else None
    if call.acting_as is None:
        raise ResponseError("ErrorNonExistentMailbox", "No mailbox with such guid.")
    mailbox = call.open(call.acting_as)
    if disposition == "SendOnly":
        return mailbox, None
    return mailbox, mailbox.folder("drafts" if disposition == "SaveOnly" else "sentitems")


def _saved(folder: Folder, message: Message, draft: Draft) -> bytes:
    item = folder.mailbox.add_item(
        message,
        folder.id,
        is_read=draft.is_read,
        is_draft=draft.is_unsent,
        through_transport=False,
        item_class=draft.item_class,
        categories=draft.categories,
        properties=draft.properties,
    )
    attachments = b"".join(attached(item, each) for each in message.attachments)
    return items_with_id(item, b"<t:Attachments>%b</t:Attachments>" % attachments if attachments else b"")
