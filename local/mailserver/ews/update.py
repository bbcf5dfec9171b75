"""UpdateItem: what a mail client changes of an item that stays where it is ([MS-OXWSCORE] 3.1.4.9).

Served are the categories and the read flag. A change key that is not the current one is a conflict: NeverOverwrite refuses it,
AutoResolve and AlwaysOverwrite write all the same. AutoResolve needs a change key to see a conflict at all.
"""

from collections.abc import Callable

from lxml import etree

from local.mailserver.contents import Item
from local.mailserver.ews.call import Call
from local.mailserver.ews.envelope import NAMES, T
from local.mailserver.ews.errors import ResponseError, SoapFault
from local.mailserver.ews.ids import version_of
from local.mailserver.ews.items import NO_ITEMS, item_id_of, items_with_id
from local.mailserver.ews.responses import each
from local.mailserver.web import Stream

_RESOLUTIONS = ("NeverOverwrite", "AutoResolve", "AlwaysOverwrite")
_NO_CONFLICT = b"<m:ConflictResults><t:Count>0</t:Count></m:ConflictResults>"

type Change = Callable[[Item], object]


def update_item(call: Call) -> list[bytes | Stream]:
    resolution = call.element.get("ConflictResolution", "")
    if resolution not in _RESOLUTIONS:
        raise SoapFault("ErrorSchemaValidation", f"ConflictResolution is none of {', '.join(_RESOLUTIONS)}.")
    disposition = call.element.get("MessageDisposition")
    if disposition is None:
        raise SoapFault("ErrorMessageDispositionRequired")
    if disposition != "SaveOnly":
        raise SoapFault("ErrorInvalidOperation", "Sending by UpdateItem is not served.")

    def update(change: etree._Element) -> list[bytes | Stream]:
        identity, updates = change[0], change.find("t:Updates", NAMES)
        if updates is None or not len(updates):
            raise ResponseError("ErrorIncorrectUpdatePropertyCount")
        changes = [_change(each) for each in updates]
        with call.held_item(item_id_of(identity)) as item:
            _check_version(item, identity.get("ChangeKey"), resolution)
            for apply in changes:
                apply(item)
            return [items_with_id(item), _NO_CONFLICT]

    return each(call, call.required("m:ItemChanges"), update, NO_ITEMS)


def _check_version(item: Item, key: str | None, resolution: str) -> None:
    if key is None:
        if resolution == "AlwaysOverwrite":
            return
        raise ResponseError("ErrorChangeKeyRequiredForWriteOperations")
    try:
        known = version_of(key)
    except ValueError:
        raise ResponseError("ErrorInvalidChangeKey") from None
    if resolution == "NeverOverwrite" and known != item.version:
        raise ResponseError("ErrorIrresolvableConflict")


def _change(update: etree._Element) -> Change:
    """What one SetItemField or DeleteItemField does. Raises ResponseError for what cannot be written here."""
    kind, path = etree.QName(update).localname, update.find("t:FieldURI", NAMES)
    uri = path.get("FieldURI", "") if path is not None else ""
    if uri == "item:Categories":
        return _categories(update, kind)
    if uri == "message:IsRead" and kind == "SetItemField":
        return _is_read(update)
    raise ResponseError("ErrorInvalidPropertyDelete" if kind == "DeleteItemField" else "ErrorInvalidPropertySet")


def _categories(update: etree._Element, kind: str) -> Change:
    if kind == "DeleteItemField":
        return lambda item: item.folder.mailbox.categorize(item.id, ())
    named = [each.text or "" for each in _value(update, "Categories").iterfind("t:String", NAMES)]
    if kind == "AppendToItemField":
        return lambda item: item.folder.mailbox.categorize(item.id, (*item.categories, *named))
    return lambda item: item.folder.mailbox.categorize(item.id, named)


def _is_read(update: etree._Element) -> Change:
    is_read = (_value(update, "IsRead").text or "").strip() in ("true", "1")
    return lambda item: item.folder.mailbox.mark_read(item.id, is_read)


def _value(update: etree._Element, name: str) -> etree._Element:
    """The only property of the item in the request, which has to be the one that its path names."""
    properties = list(update[1]) if len(update) > 1 else []
    if len(properties) != 1:
        raise ResponseError("ErrorIncorrectUpdatePropertyCount")
    if properties[0].tag != f"{{{T}}}{name}":
        raise ResponseError("ErrorUpdatePropertyMismatch")
    return properties[0]
