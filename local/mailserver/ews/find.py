"""FindItem: the items of folders, filtered, sorted, in pages ([MS-OXWSSRCH]), by the fields that mail programs filter by."""

from collections.abc import Callable
from typing import Any

from lxml import etree

from local.mailserver.contents import Item
from local.mailserver.ews import envelope, extended
from local.mailserver.ews.call import Call
from local.mailserver.ews.envelope import NAMES
from local.mailserver.ews.errors import ResponseError
from local.mailserver.ews.paging import paged
from local.mailserver.ews.restrictions import Value, restriction_of, value_of
from local.mailserver.ews.shapes import Shape, read_shape
from local.mailserver.web import Stream

_VALUES: dict[str, Callable[[Item], Value | None]] = {
    "item:DateTimeReceived": lambda item: item.received,
    "item:DateTimeSent": lambda item: item.message.sent,
    "item:DateTimeCreated": lambda item: item.created,
    "item:HasAttachments": lambda item: bool(item.message.attachments),
    "item:ItemClass": lambda item: item.item_class,
    "item:Size": lambda item: item.message.size,
    "item:Subject": lambda item: item.message.subject,
    "message:InternetMessageId": lambda item: item.message.message_id,
    "message:IsRead": lambda item: item.is_read,
}


def find_item(call: Call) -> list[bytes | Stream]:
    shape = read_shape(call.required("m:ItemShape"), in_list=True)
    out: list[bytes | Stream] = []
    for parent in call.required("m:ParentFolderIds"):
        try:
            content = _found(call, parent, shape)
        except ResponseError as error:
            call.codes.append(error.code)
            out += envelope.failure(call.operation, error)
        else:
            call.codes.append("NoError")
            out += envelope.success(call.operation, *content)
    return out


def _found(call: Call, parent: etree._Element, shape: Shape) -> list[bytes | Stream]:
    if call.find("m:QueryString") is not None:
        raise ResponseError("ErrorInvalidOperation", "Searches by query string are not served.")
    folder = call.folder(parent)
    with folder.mailbox.lock:
        test = restriction_of(call, _VALUES, extended.value_of)
        matching = [item for item in folder.newest_first() if test(item)]
        _sort(call, matching)
        page, attributes = paged(call.find("m:IndexedPageItemView"), matching)
        out: list[bytes | Stream] = [b"<m:RootFolder%b><t:Items>" % attributes]
        for item in page:
            shape.render(item, out)
    return [*out, b"</t:Items></m:RootFolder>"]


def _sort(call: Call, items: list[Item]) -> None:
    """By the last order first: sorting is stable. What lacks the property goes last."""
    for order in reversed(call.element.findall("m:SortOrder/t:FieldOrder", NAMES)):
        value = value_of(order, _VALUES, extended.value_of)
        keyed = [(value(item), item) for item in items]
        present = [(key, item) for key, item in keyed if key is not None]
        present.sort(key=_first, reverse=order.get("Order") == "Descending")
        items[:] = [item for _, item in present] + [item for key, item in keyed if key is None]


def _first(pair: tuple[Any, Item]) -> Any:  # noqa: ANN401  # one field has values of one type, and they can be compared
    return pair[0]
