"""The EWS operations on folders, and the search for items of one, under the server's own names."""

from collections.abc import Iterator, Sequence
from copy import deepcopy

from lxml import etree
from lxml.etree import _Element

from shared.connectors.exchange.operation import Operation, element, of_folder, only
from shared.connectors.exchange.records import M
from shared.connectors.exchange.values import T
from shared.connectors.exchange.xml import MalformedReply, writable
from shared.domain.email import ItemRef
from shared.domain.errors import ItemError
from shared.domain.folders import INBOX, Folder, TreeFolder

PAGE_FOLDERS = 500
"""Folders asked for at once; Exchange gives no more than a thousand."""

MOST_FOLDERS = 20_000
"""More than any mailbox has: a server that says without end that there are more is left then."""

_FOLDER_SHAPE = element(
    "<m:FolderShape><t:BaseShape>IdOnly</t:BaseShape><t:AdditionalProperties>"
    '<t:FieldURI FieldURI="folder:DisplayName"/><t:FieldURI FieldURI="folder:FolderClass"/>'
    '<t:FieldURI FieldURI="folder:ParentFolderId"/></t:AdditionalProperties></m:FolderShape>'
)
_RIGHTS_SHAPE = element(
    '<m:FolderShape><t:BaseShape>IdOnly</t:BaseShape><t:AdditionalProperties><t:FieldURI FieldURI="folder:EffectiveRights"/>'
    "</t:AdditionalProperties></m:FolderShape>"
)
_ID_SHAPE = element("<m:ItemShape><t:BaseShape>IdOnly</t:BaseShape></m:ItemShape>")
_LATEST_FIRST = element(
    '<m:SortOrder><t:FieldOrder Order="Descending"><t:FieldURI FieldURI="item:DateTimeReceived"/></t:FieldOrder></m:SortOrder>'
)
_OF_MESSAGE = element(
    '<m:Restriction><t:IsEqualTo><t:FieldURI FieldURI="message:InternetMessageId"/><t:FieldURIOrConstant><t:Constant Value=""/>'
    "</t:FieldURIOrConstant></t:IsEqualTo></m:Restriction>"
)
_MAIL = "IPF.NOTE"


class FindFolder(Operation):
    """https://learn.microsoft.com/exchange/client-developer/web-service-reference/findfolder-operation"""

    SERVICE_NAME = "FindFolder"

    def below_inbox(self) -> Sequence[TreeFolder]:
        """The folders of mail below the Inbox, at any depth."""
        found = [*self._pages(INBOX.id, "Deep")]
        ids = {folder.id for folder in found}
        return [TreeFolder(each.id, each.name, each.parent if each.parent in ids else None) for each in found]

    def beside_inbox(self, name: str) -> str | None:
        """The id of the folder of that name which stands beside the Inbox. Exchange compares names without their case."""
        return next((each.id for each in self._pages("msgfolderroot", "Shallow") if each.name.lower() == name.lower()), None)

    def of_mail(self) -> Sequence[str]:
        """The ids of all folders of mail."""
        return [folder.id for folder in self._pages("msgfolderroot", "Deep")]

    def _pages(self, parent: str, traversal: str) -> Iterator[TreeFolder]:
        offset = 0
        while offset < MOST_FOLDERS:
            message = only(self.ask(self._request(parent, traversal, offset)))
            self.check(message)
            root = message.find(f"{M}RootFolder")
            folders = root.find(f"{T}Folders") if root is not None else None
            if root is None or folders is None:
                raise MalformedReply(f"{self.SERVICE_NAME}: the reply has no folders")
            yield from (folder for child in folders if (folder := _folder_of(child)))
            if root.get("IncludesLastItemInRange") != "false" or not len(folders):
                return
            offset += len(folders)

    def _request(self, parent: str, traversal: str, offset: int) -> _Element:
        view = etree.Element(
            f"{M}IndexedPageFolderView", MaxEntriesReturned=str(PAGE_FOLDERS), Offset=str(offset), BasePoint="Beginning"
        )
        return self.payload(deepcopy(_FOLDER_SHAPE), view, self.folder_id("ParentFolderIds", parent), Traversal=traversal)


def _folder_of(child: _Element) -> TreeFolder | None:
    """None of a folder that holds no mail of its own, as search folders do. One without a class holds mail."""
    if child.tag == f"{T}SearchFolder":
        return None
    folder_id, parent = child.find(f"{T}FolderId"), child.find(f"{T}ParentFolderId")
    found = folder_id.get("Id") if folder_id is not None else None
    folder_class = (child.findtext(f"{T}FolderClass") or _MAIL).upper()
    if not found or not f"{folder_class}.".startswith(f"{_MAIL}."):
        return None
    return TreeFolder(found, child.findtext(f"{T}DisplayName") or "", parent.get("Id") if parent is not None else None)


class GetFolder(Operation):
    """https://learn.microsoft.com/exchange/client-developer/web-service-reference/getfolder-operation"""

    SERVICE_NAME = "GetFolder"

    def takes_items(self, folder: Folder) -> bool:
        """Whether who signs in may create items there. Raises FolderNotFound, which is also said where he may not look."""
        message = only(self.ask(self.payload(deepcopy(_RIGHTS_SHAPE), self.folder_id("FolderIds", folder.id))))
        try:
            self.check(message)
        except ItemError as error:
            raise of_folder(error) from error
        return message.findtext(f"{M}Folders/*/{T}EffectiveRights/{T}CreateContents") != "false"


class CreateFolder(Operation):
    """https://learn.microsoft.com/exchange/client-developer/web-service-reference/createfolder-operation"""

    SERVICE_NAME = "CreateFolder"

    def beside_inbox(self, name: str) -> str | None:
        """The id of the new folder; None where one of that name was created meanwhile."""
        folders = etree.Element(f"{M}Folders")
        etree.SubElement(etree.SubElement(folders, f"{T}Folder"), f"{T}DisplayName").text = writable(name)
        message = only(self.ask(self.payload(self.folder_id("ParentFolderId", "msgfolderroot"), folders)))
        if message.findtext(f"{M}ResponseCode") == "ErrorFolderExists":
            return None
        self.check(message)
        created = message.find(f"{M}Folders/{T}Folder/{T}FolderId")
        return created.get("Id") if created is not None else None


class FindItem(Operation):
    """https://learn.microsoft.com/exchange/client-developer/web-service-reference/finditem-operation"""

    SERVICE_NAME = "FindItem"

    def latest(self, folder: Folder, count: int) -> Sequence[ItemRef]:
        """The items received last, newest first. Raises FolderNotFound."""
        return self._found(folder.id, count, deepcopy(_LATEST_FIRST))

    def of_message(self, folder: str, message_id: str) -> Sequence[ItemRef]:
        """The items with this (normalised) Message-ID, at most two of them. Raises FolderNotFound."""
        wanted = deepcopy(_OF_MESSAGE)
        wanted[0][1][0].set("Value", writable(f"<{message_id}>"))
        return self._found(folder, 2, wanted)

    def _found(self, folder: str, count: int, chosen: _Element) -> Sequence[ItemRef]:
        ids = (each.find(f"{T}ItemId") for each in self.items(folder, count, chosen, _ID_SHAPE))
        return [ItemRef(each.get("Id", ""), folder) for each in ids if each is not None and each.get("Id")][:count]

    def items(self, folder: str, count: int, chosen: _Element, shape: _Element) -> Iterator[_Element]:
        """Those of a folder that a restriction leaves, or in the order asked for. Raises FolderNotFound."""
        view = etree.Element(f"{M}IndexedPageItemView", MaxEntriesReturned=str(count), Offset="0", BasePoint="Beginning")
        parts = (deepcopy(shape), view, chosen, self.folder_id("ParentFolderIds", folder))
        try:
            message = only(self.ask(self.payload(*parts, Traversal="Shallow")))
            self.check(message)
        except ItemError as error:
            raise of_folder(error) from error
        return message.iterfind(f"{M}RootFolder/{T}Items/*")
