"""GetItem, DeleteItem, MoveItem and CopyItem ([MS-OXWSCORE])."""

from collections.abc import Callable

from lxml import etree

from local.mailserver.contents import Item
from local.mailserver.ews.call import Call
from local.mailserver.ews.errors import ResponseError, SoapFault
from local.mailserver.ews.ids import item_id_element
from local.mailserver.ews.responses import each
from local.mailserver.ews.shapes import item_tag, read_shape
from local.mailserver.model import Mailbox
from local.mailserver.web import Stream

DISPOSALS = ("HardDelete", "SoftDelete", "MoveToDeletedItems")
NO_ITEMS = b"<m:Items/>"


def item_id_of(element: etree._Element) -> str:
    """Raises ResponseError."""
    if etree.QName(element).localname != "ItemId":
        raise ResponseError("ErrorInvalidOperation", "Only ItemId is served.")
    return element.get("Id", "")


def items_with_id(item: Item, more: bytes = b"") -> bytes:
    """What a request that writes answers of an item: its id, with the change key that it has now."""
    tag = item_tag(item)
    return b"<m:Items><t:%b>%b%b</t:%b></m:Items>" % (tag, item_id_element(item), more, tag)


def disposal_of(call: Call) -> str:
    """Raises SoapFault."""
    disposal = call.element.get("DeleteType", "")
    if disposal not in DISPOSALS:
        raise SoapFault("ErrorSchemaValidation", f"DeleteType is none of {', '.join(DISPOSALS)}.")
    return disposal


def get_item(call: Call) -> list[bytes | Stream]:
    shape = read_shape(call.required("m:ItemShape"))

    def show(wanted: etree._Element) -> list[bytes | Stream]:
        item = call.readable_item(item_id_of(wanted))
        with item.folder.mailbox.lock:
            out: list[bytes | Stream] = [b"<m:Items>"]
            shape.render(item, out)
        return [*out, b"</m:Items>"]

    return each(call, call.required("m:ItemIds"), show, NO_ITEMS)


def delete_item(call: Call) -> list[bytes | Stream]:
    disposal = disposal_of(call)

    def delete(wanted: etree._Element) -> list[bytes | Stream]:
        with call.held_item(item_id_of(wanted)) as item:
            mailbox = item.folder.mailbox
            if disposal == "MoveToDeletedItems" and item.folder.well_known != "deleteditems":
                mailbox.move(item.id, "deleteditems")
            else:
                mailbox.remove(item.id)
        return []

    return each(call, call.required("m:ItemIds"), delete)


def move_item(call: Call) -> list[bytes | Stream]:
    return _put_elsewhere(call, Mailbox.move)


def copy_item(call: Call) -> list[bytes | Stream]:
    return _put_elsewhere(call, Mailbox.copy)


def _put_elsewhere(call: Call, put: Callable[[Mailbox, str, str], Item]) -> list[bytes | Stream]:
    target = call.required("m:ToFolderId")[0]
    with_ids = call.element.findtext("{*}ReturnNewItemIds", "true") in ("true", "1")

    def act(wanted: etree._Element) -> list[bytes | Stream]:
        with call.held_item(item_id_of(wanted)) as item:
            mailbox, folder = item.folder.mailbox, call.target_folder(target)
            if folder.mailbox is not mailbox:
                raise ResponseError("ErrorCrossMailboxMoveCopy")
            anew = put(mailbox, item.id, folder.id)
            return [items_with_id(anew) if with_ids else NO_ITEMS]

    return each(call, call.required("m:ItemIds"), act, NO_ITEMS)
