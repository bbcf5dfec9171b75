"""Folders as XML, and GetFolder and FindFolder ([MS-OXWSFOLD], [MS-OXWSSRCH])."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from lxml import etree

from local.mailserver.contents import Folder
from local.mailserver.ews import envelope
from local.mailserver.ews.call import Call
from local.mailserver.ews.envelope import NAMES
from local.mailserver.ews.errors import ResponseError, SoapFault
from local.mailserver.ews.ids import change_key
from local.mailserver.ews.paging import paged
from local.mailserver.ews.restrictions import Value, restriction_of
from local.mailserver.ews.text import element
from local.mailserver.web import Stream

_RIGHTS = (
    b"<t:EffectiveRights><t:CreateAssociated>true</t:CreateAssociated><t:CreateContents>true</t:CreateContents>"
    b"<t:CreateHierarchy>true</t:CreateHierarchy><t:Delete>true</t:Delete><t:Modify>true</t:Modify><t:Read>true</t:Read>"
    b"<t:ViewPrivateItems>true</t:ViewPrivateItems></t:EffectiveRights>"
)
_TAGS = {"IPF.Appointment": b"CalendarFolder", "IPF.Contact": b"ContactsFolder", "IPF.Task": b"TasksFolder"}
"""Elements that folders of other classes than mail are written as."""
_UNCLASSED = ("root", "msgfolderroot")


def folder_id(folder: Folder) -> bytes:
    return f'<t:FolderId Id="{folder.id}" ChangeKey="{change_key(folder.changed)}"/>'.encode()


def folder_tag(folder: Folder) -> bytes:
    return _TAGS.get(folder.kind, b"Folder")


def _parent_id(folder: Folder) -> bytes:
    parent = folder.parent
    return f'<t:ParentFolderId Id="{parent.id}" ChangeKey="{change_key(parent.changed)}"/>'.encode() if parent else b""


def _unread_count(folder: Folder) -> bytes:
    if folder_tag(folder) in (b"CalendarFolder", b"ContactsFolder"):
        return b""  # these have no such element
    return b"<t:UnreadCount>%d</t:UnreadCount>" % sum(1 for item in folder.items.values() if not item.is_read)


_FIELDS: Mapping[str, Callable[[Folder], bytes]] = {
    "folder:FolderId": folder_id,
    "folder:ParentFolderId": _parent_id,
    "folder:FolderClass": lambda folder: element("FolderClass", "" if folder.well_known in _UNCLASSED else folder.kind),
    "folder:DisplayName": lambda folder: element("DisplayName", folder.name),
    "folder:TotalCount": lambda folder: b"<t:TotalCount>%d</t:TotalCount>" % len(folder.items),
    "folder:ChildFolderCount": lambda folder: (
        b"<t:ChildFolderCount>%d</t:ChildFolderCount>" % len(folder.mailbox.children(folder))
    ),
    "folder:EffectiveRights": lambda _: _RIGHTS,
    "folder:DistinguishedFolderId": lambda folder: element("DistinguishedFolderId", folder.well_known or ""),
    "folder:UnreadCount": _unread_count,
}
"""By URI, in the order of FolderType."""
_BASES = {
    "IdOnly": ("folder:FolderId",),
    "Default": (
        "folder:FolderId",
        "folder:DisplayName",
        "folder:TotalCount",
        "folder:ChildFolderCount",
        "folder:UnreadCount",
    ),
    "AllProperties": tuple(_FIELDS),
}
_VALUES: Mapping[str, Callable[[Folder], Value | None]] = {
    "folder:DisplayName": lambda folder: folder.name,
    "folder:FolderClass": lambda folder: folder.kind,
    "folder:TotalCount": lambda folder: len(folder.items),
    "folder:ChildFolderCount": lambda folder: len(folder.mailbox.children(folder)),
}


@dataclass(frozen=True, slots=True)
class FolderShape:
    """The fields of a folder that a request wants to see, by URI."""

    fields: frozenset[str]


ID_ONLY = FolderShape(frozenset(_BASES["IdOnly"]))


def read_folder_shape(call: Call) -> FolderShape:
    """Raises SoapFault."""
    base = call.element.findtext("m:FolderShape/t:BaseShape", "", NAMES)
    if base not in _BASES:
        raise SoapFault("ErrorSchemaValidation", f"BaseShape {base} is none of {', '.join(_BASES)}.")
    more = call.element.iterfind("m:FolderShape/t:AdditionalProperties/t:FieldURI", NAMES)
    return FolderShape(frozenset((*_BASES[base], *(path.get("FieldURI", "") for path in more))))


def rendered(folder: Folder, shape: FolderShape) -> bytes:
    tag = folder_tag(folder)
    content = b"".join(render(folder) for uri, render in _FIELDS.items() if uri in shape.fields)
    return b"<t:%b>%b</t:%b>" % (tag, content, tag)


def get_folder(call: Call) -> list[bytes | Stream]:
    shape = read_folder_shape(call)
    out: list[bytes | Stream] = []
    for wanted in call.required("m:FolderIds"):
        out += _one_folder(call, wanted, shape)
    return out


def _one_folder(call: Call, wanted: etree._Element, shape: FolderShape) -> list[bytes | Stream]:
    try:
        folder = call.folder(wanted)
        with folder.mailbox.lock:
            content = b"<m:Folders>%b</m:Folders>" % rendered(folder, shape)
    except ResponseError as error:
        call.codes.append(error.code)
        return envelope.failure(call.operation, error, b"<m:Folders/>")
    call.codes.append("NoError")
    return envelope.success(call.operation, content)


def find_folder(call: Call) -> list[bytes | Stream]:
    shape = read_folder_shape(call)
    out: list[bytes | Stream] = []
    for parent in call.required("m:ParentFolderIds"):
        out += _found_under(call, parent, shape)
    return out


def _found_under(call: Call, wanted: etree._Element, shape: FolderShape) -> list[bytes | Stream]:
    try:
        parent = call.folder(wanted)
        with parent.mailbox.lock:
            test = restriction_of(call, _VALUES)
            deep = call.element.get("Traversal") == "Deep"
            below = list(parent.mailbox.descendants(parent)) if deep else parent.mailbox.children(parent)
            page, attributes = paged(call.find("m:IndexedPageFolderView"), [folder for folder in below if test(folder)])
            folders = b"".join(rendered(folder, shape) for folder in page)
    except ResponseError as error:
        call.codes.append(error.code)
        return envelope.failure(call.operation, error)
    call.codes.append("NoError")
    return envelope.success(call.operation, b"<m:RootFolder%b><t:Folders>%b</t:Folders></m:RootFolder>" % (attributes, folders))
