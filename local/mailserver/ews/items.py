"""GetItem and DeleteItem ([MS-OXWSCORE])."""

from collections.abc import Callable

from lxml import etree

from local.mailserver.ews import envelope
from local.mailserver.ews.call import Call
from local.mailserver.ews.errors import ResponseError, SoapFault
from local.mailserver.ews.shapes import read_shape
from local.mailserver.web import Stream

_DISPOSALS = ("HardDelete", "SoftDelete", "MoveToDeletedItems")


def _each_item(call: Call, rest: bytes, act: Callable[[str], list[bytes | Stream]]) -> list[bytes | Stream]:
    """One response message for each id of the request, in order; an error of one leaves the others alone."""
    out: list[bytes | Stream] = []
    for wanted in call.required("m:ItemIds"):
        try:
            content = act(_item_id(wanted))
        except ResponseError as error:
            call.codes.append(error.code)
            out += envelope.failure(call.operation, error, rest)
        else:
            call.codes.append("NoError")
            out += envelope.success(call.operation, *content)
    return out


def _item_id(element: etree._Element) -> str:
    if etree.QName(element).localname != "ItemId":
        raise ResponseError("ErrorInvalidOperation", "Only ItemId is served.")
    return element.get("Id", "")


def get_item(call: Call) -> list[bytes | Stream]:
    shape = read_shape(call.required("m:ItemShape"))

    def show(item_id: str) -> list[bytes | Stream]:
        out: list[bytes | Stream] = [b"<m:Items>"]
        shape.render(call.readable_item(item_id), out)
        return [*out, b"</m:Items>"]

    return _each_item(call, b"<m:Items/>", show)


def delete_item(call: Call) -> list[bytes | Stream]:
    disposal = call.element.get("DeleteType")
    if disposal not in _DISPOSALS:
        raise SoapFault("ErrorSchemaValidation", f"DeleteType is none of {', '.join(_DISPOSALS)}.")

    def delete(item_id: str) -> list[bytes | Stream]:
        item = call.item(item_id)
        mailbox = item.folder.mailbox
        if disposal == "MoveToDeletedItems" and item.folder.well_known != "deleteditems":
            mailbox.move(item_id, "deleteditems")
        else:
            mailbox.remove(item_id)
        return []

    return _each_item(call, b"", delete)
