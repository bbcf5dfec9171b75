"""GetFolder and FindFolder ([MS-OXWSFOLD], [MS-OXWSSRCH])."""

from lxml import etree

from local.mailserver.ews import envelope
from local.mailserver.ews.call import Call
from local.mailserver.ews.envelope import NAMES
from local.mailserver.ews.errors import ResponseError
from local.mailserver.ews.ids import change_key
from local.mailserver.ews.text import element
from local.mailserver.model import Folder
from local.mailserver.web import Stream

_RIGHTS = (
    b"<t:EffectiveRights><t:CreateAssociated>true</t:CreateAssociated><t:CreateContents>true</t:CreateContents>"
    b"<t:CreateHierarchy>true</t:CreateHierarchy><t:Delete>true</t:Delete><t:Modify>true</t:Modify><t:Read>true</t:Read>"
    b"<t:ViewPrivateItems>true</t:ViewPrivateItems></t:EffectiveRights>"
)


def folder_id(folder: Folder) -> bytes:
    return f'<t:FolderId Id="{folder.id}" ChangeKey="{change_key(folder.changed)}"/>'.encode()


def rendered(folder: Folder, shape: str) -> bytes:
    """A folder; IdOnly shows its ids, every other shape all that there is."""
    if shape == "IdOnly":
        return b"<t:Folder>%b</t:Folder>" % folder_id(folder)
    mailbox, parent = folder.mailbox, folder.parent
    parent_id = f'<t:ParentFolderId Id="{parent.id}" ChangeKey="{change_key(parent.changed)}"/>'.encode() if parent else b""
    unread = sum(1 for item in folder.items.values() if not item.is_read)
    return b"".join(
        [
            b"<t:Folder>",
            folder_id(folder),
            parent_id,
            b"<t:FolderClass>IPF.Note</t:FolderClass>" if folder.well_known not in ("root", "msgfolderroot") else b"",
            element("DisplayName", folder.name),
            f"<t:TotalCount>{len(folder.items)}</t:TotalCount>".encode(),
            f"<t:ChildFolderCount>{len(mailbox.children(folder))}</t:ChildFolderCount>".encode(),
            _RIGHTS,
            element("DistinguishedFolderId", folder.well_known or ""),
            f"<t:UnreadCount>{unread}</t:UnreadCount></t:Folder>".encode(),
        ]
    )


def _shape(call: Call) -> str:
    wanted = call.element.findtext("m:FolderShape/t:BaseShape", "Default", NAMES)
    more = call.find("m:FolderShape/t:AdditionalProperties")
    return "Default" if more is not None else wanted


def get_folder(call: Call) -> list[bytes | Stream]:
    out: list[bytes | Stream] = []
    for wanted in call.required("m:FolderIds"):
        out += _one_folder(call, wanted)
    return out


def _one_folder(call: Call, wanted: etree._Element) -> list[bytes | Stream]:
    try:
        folder = call.folder(wanted)
        with folder.mailbox.lock:
            content = b"<m:Folders>%b</m:Folders>" % rendered(folder, _shape(call))
    except ResponseError as error:
        call.codes.append(error.code)
        return envelope.failure(call.operation, error, b"<m:Folders/>")
    call.codes.append("NoError")
    return envelope.success(call.operation, content)


def find_folder(call: Call) -> list[bytes | Stream]:
    out: list[bytes | Stream] = []
    for parent in call.required("m:ParentFolderIds"):
        out += _found_under(call, parent)
    return out


def _found_under(call: Call, wanted: etree._Element) -> list[bytes | Stream]:
    try:
        parent = call.folder(wanted)
        with parent.mailbox.lock:
            deep = call.element.get("Traversal") == "Deep"
            found = list(parent.mailbox.descendants(parent)) if deep else parent.mailbox.children(parent)
            folders = b"".join(rendered(folder, _shape(call)) for folder in found)
    except ResponseError as error:
        call.codes.append(error.code)
        return envelope.failure(call.operation, error)
    call.codes.append("NoError")
    count = str(len(found)).encode()
    content = (
        b'<m:RootFolder IndexedPagingOffset="%b" TotalItemsInView="%b" IncludesLastItemInRange="true">'
        b"<t:Folders>%b</t:Folders></m:RootFolder>"
    )
    return envelope.success(call.operation, content % (count, count, folders))
