"""SendItem, and what CreateItem does when it sends: a draft leaves, its copy is a new item ([MS-OXWSMSG] 3.1.4.7)."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from lxml import etree

from local.mailserver import sending
from local.mailserver.composing import address_field
from local.mailserver.contents import Folder, Item
from local.mailserver.ews.call import Call
from local.mailserver.ews.errors import ResponseError, SoapFault
from local.mailserver.ews.ids import version_of
from local.mailserver.ews.items import item_id_of
from local.mailserver.ews.responses import each
from local.mailserver.message import Address, Message, spooled
from local.mailserver.model import Mailbox, NoSuchMailbox
from local.mailserver.rights import Right
from local.mailserver.transport import Notice, Submission
from local.mailserver.web import Stream

_RECEIPT = Notice(frozenset({"SUCCESS", "FAILURE"}))


def send_item(call: Call) -> list[bytes | Stream]:
    saves, named = call.element.get("SaveItemToFolder"), call.find("m:SavedItemFolderId")
    if saves not in ("true", "false", "1", "0"):
        raise SoapFault("ErrorSchemaValidation", "SaveItemToFolder is true or false.")
    keeps_copy = saves in ("true", "1")
    if named is not None and not keeps_copy:
        raise SoapFault("ErrorInvalidSendItemSaveSettings")

    def send(wanted: etree._Element) -> list[bytes | Stream]:
        with call.held_item(item_id_of(wanted)) as item:
            mailbox = item.folder.mailbox
            _check_version(item, wanted.get("ChangeKey"))
            if not item.is_draft:
                raise ResponseError("ErrorInvalidItemForOperationSendItem")
            folder = _folder(call, mailbox, named) if keeps_copy else None
            leaving = leave(call, mailbox, item.message, item.properties, item.categories, folder)
            mailbox.remove(item.id)
        mail(call, leaving)
        return []

    return each(call, call.required("m:ItemIds"), send)


def _folder(call: Call, mailbox: Mailbox, named: etree._Element | None) -> Folder:
    if named is None or not len(named):
        return mailbox.folder("sentitems")
    return call.target_folder(named[0], missing="ErrorFolderNotFound")


def _check_version(item: Item, key: str | None) -> None:
    if not key:
        raise ResponseError("ErrorChangeKeyRequiredForWriteOperations")
    try:
        known = version_of(key)
    except ValueError:
        raise ResponseError("ErrorInvalidChangeKey") from None
    if known != item.version:
        raise ResponseError("ErrorStaleObject")


def refuse_large(call: Call, message: Message) -> None:
    """Raises ResponseError."""
    if message.size > call.backend.limits.largest_message:
        raise ResponseError("ErrorMessageSizeExceeded")


@dataclass(frozen=True, slots=True)
class Leaving:
    """A message that has left its mailbox."""

    submission: Submission
    time: datetime


def mail(call: Call, leaving: Leaving) -> None:
    """Holds no mailbox meanwhile: those of the recipients are written, and they may be sending as well."""
    call.backend.transport.take(leaving.submission, leaving.time)


def leave(
    call: Call,
    mailbox: Mailbox,
    message: Message,
    properties: Mapping[str, tuple[str, ...]],
    categories: tuple[str, ...],
    folder: Folder | None,
) -> Leaving:
    """The message of a mailbox is to be mailed; `folder` gets its copy. Raises ResponseError, before it does anything."""
    refuse_large(call, message)
    recipients = _recipients(message)
    if len(recipients) > call.backend.limits.most_recipients:
        raise ResponseError("ErrorInvalidRecipients", "The message has too many recipients.")
    sender, right = _sender(call, mailbox, message)
    now = datetime.now(UTC)
    whole = sending.completed(sending.without_date(message.raw[message.start : message.end]), mailbox, now)
    if right is Right.SEND_ON_BEHALF:
        actor = call.acting_as
        name = actor.name if actor is not None else ""
        whole = address_field("Sender", [Address(name, sender)]) + sending.without_sender(whole)
    if folder is not None:
        folder.mailbox.add_item(
            Message(spooled(whole)),
            folder.id,
            now,
            is_read=True,
            is_from_me=True,
            through_transport=False,
            item_class=message.item_class,
            categories=categories,
            properties=properties,
        )
    wants_receipt = message.header("Return-Receipt-To") is not None
    return Leaving(
        Submission(
            head="ews",
            sender=sender,
            recipients=recipients,
            raw=sending.without_blind(whole),
            username=call.account.username,
            is_internal=True,
            notices={address.lower(): _RECEIPT for address in recipients} if wants_receipt else {},
        ),
        now,
    )


def _recipients(message: Message) -> list[str]:
    """Raises ResponseError."""
    recipients = sending.recipients_of(message)
    if not recipients:
        raise ResponseError("ErrorMissingRecipients")
    for address in recipients:
        local, _, domain = address.rpartition("@")
        if not local or not domain or " " in address:
            raise ResponseError("ErrorInvalidRecipients")
    return recipients


def _sender(call: Call, mailbox: Mailbox, message: Message) -> tuple[str, Right]:
    """The sender of the envelope, and by which right he sends as the author of the message. Raises ResponseError."""
    author = message.author
    address = author.address if author is not None else mailbox.address
    try:
        address = call.store.mailbox(address).address
    except NoSuchMailbox:
        raise ResponseError("ErrorSendAsDenied") from None
    right = call.backend.rights.of(call.names, address)
    if right is None:
        raise ResponseError("ErrorSendAsDenied")
    own = call.acting_as.address if call.acting_as is not None else address
    return (address if right is Right.SEND_AS else own), right
