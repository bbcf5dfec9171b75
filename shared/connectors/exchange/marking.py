"""Marks and moves items: the EWS operations that change what a person sees in the mailbox, under the server's own names."""

from collections.abc import Collection
from copy import deepcopy

from lxml import etree
from lxml.etree import _Element

from shared.connectors.exchange.operation import Operation, element, item_ids, only
from shared.connectors.exchange.records import M
from shared.connectors.exchange.services import GetItem
from shared.connectors.exchange.values import T
from shared.connectors.exchange.xml import writable
from shared.domain.email import ItemRef

_CATEGORIES_SHAPE = element(
    '<m:ItemShape><t:BaseShape>IdOnly</t:BaseShape><t:AdditionalProperties><t:FieldURI FieldURI="item:Categories"/>'
    "</t:AdditionalProperties></m:ItemShape>"
)
_CATEGORIES = '<t:FieldURI FieldURI="item:Categories"/>'
_REMOVE = element(f"<t:DeleteItemField>{_CATEGORIES}</t:DeleteItemField>")
_SET = element(f"<t:SetItemField>{_CATEGORIES}<t:Message><t:Categories/></t:Message></t:SetItemField>")


class GetCategories(GetItem):
    """The categories of one item, and the version they were read in."""

    def of(self, ref: ItemRef) -> tuple[tuple[str, ...], str | None]:
        """Raises ItemGone."""
        message = only(self.ask(self.payload(deepcopy(_CATEGORIES_SHAPE), item_ids([ref]))))
        self.check(message)
        item = message.find(f"{M}Items/*")
        if item is None:
            return (), None
        item_id = item.find(f"{T}ItemId")
        names = tuple(each.text for each in item.iterfind(f"{T}Categories/{T}String") if each.text)
        return names, item_id.get("ChangeKey") if item_id is not None else None


class UpdateItem(Operation):
    """https://learn.microsoft.com/exchange/client-developer/web-service-reference/updateitem-operation"""

    SERVICE_NAME = "UpdateItem"

    def categorize(self, ref: ItemRef, add: Collection[str], remove: Collection[str]) -> None:
        """Asks nothing more where the item has them already. Raises ItemGone; Busy where somebody changed it meanwhile."""
        present, change_key = GetCategories(self.account).of(ref)
        wanted = _changed(present, add, remove)
        if wanted != present:
            self.check(only(self.ask(self.request(ref, change_key, wanted))))

    def request(self, ref: ItemRef, change_key: str | None, categories: Collection[str]) -> _Element:
        """Exchange keeps no empty list of categories: then the field is removed."""
        changes = etree.Element(f"{M}ItemChanges")
        change = etree.SubElement(changes, f"{T}ItemChange")
        version = {"ChangeKey": change_key} if change_key else {}
        etree.SubElement(change, f"{T}ItemId", {"Id": writable(ref.id), **version})
        etree.SubElement(change, f"{T}Updates").append(_update(categories))
        # What a person changed since the categories were read is not written over; without a version nobody could tell.
        resolution = "NeverOverwrite" if change_key else "AlwaysOverwrite"
        return self.payload(changes, MessageDisposition="SaveOnly", ConflictResolution=resolution, SuppressReadReceipts="true")


def _update(categories: Collection[str]) -> _Element:
    if not categories:
        return deepcopy(_REMOVE)
    update = deepcopy(_SET)
    for name in categories:
        etree.SubElement(update[1][0], f"{T}String").text = writable(name)
    return update


def _changed(present: tuple[str, ...], add: Collection[str], remove: Collection[str]) -> tuple[str, ...]:
    """Exchange tells categories apart without their case."""
    gone = {name.lower() for name in remove}
    kept = tuple(name for name in present if name.lower() not in gone)
    known = {name.lower() for name in kept}
    return (*kept, *(name for name in add if name.lower() not in known))


class MoveItem(Operation):
    """https://learn.microsoft.com/exchange/client-developer/web-service-reference/moveitem-operation"""

    SERVICE_NAME = "MoveItem"

    def move(self, ref: ItemRef, folder: str) -> ItemRef:
        """Where the item is then: another id than before. Raises ItemGone, FolderNotFound."""
        new_ids = etree.Element(f"{M}ReturnNewItemIds")
        new_ids.text = "true"
        message = only(self.ask(self.payload(self.folder_id("ToFolderId", folder), item_ids([ref]), new_ids)))
        self.check(message)
        moved = message.find(f"{M}Items/*/{T}ItemId")
        return ItemRef(moved.get("Id", ref.id) if moved is not None else ref.id, folder)
