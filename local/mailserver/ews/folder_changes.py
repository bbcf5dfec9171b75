"""CreateFolder, UpdateFolder, MoveFolder and DeleteFolder ([MS-OXWSFOLD])."""

from collections.abc import Callable
from functools import partial

from lxml import etree

from local.mailserver.contents import MAIL, Folder
from local.mailserver.ews.call import Call
from local.mailserver.ews.envelope import NAMES
from local.mailserver.ews.errors import ResponseError
from local.mailserver.ews.folders import ID_ONLY, rendered
from local.mailserver.ews.ids import version_of
from local.mailserver.ews.items import disposal_of
from local.mailserver.ews.responses import each
from local.mailserver.model import DistinguishedFolder, FolderExists, FolderLoop, FolderRefused, NoSuchFolder
from local.mailserver.web import Stream

_NO_FOLDERS = b"<m:Folders/>"
_CLASSES = {"CalendarFolder": "IPF.Appointment", "ContactsFolder": "IPF.Contact", "TasksFolder": "IPF.Task"}
"""Folder classes that elements of the request say by themselves."""


def create_folder(call: Call) -> list[bytes | Stream]:
    parent = call.required("m:ParentFolderId")[0]

    def create(wanted: etree._Element) -> list[bytes | Stream]:
        below = call.target_folder(parent, "ErrorParentFolderNotFound")
        name = wanted.findtext("t:DisplayName", "", NAMES)
        kind = wanted.findtext("t:FolderClass", _CLASSES.get(etree.QName(wanted).localname, MAIL), NAMES)
        return _with_id(_allowed(partial(below.mailbox.add_folder, name, below.id, kind)))

    return each(call, call.required("m:Folders"), create, _NO_FOLDERS)


def update_folder(call: Call) -> list[bytes | Stream]:
    """The display name is what can be changed."""

    def update(change: etree._Element) -> list[bytes | Stream]:
        folder, updates = call.folder(change[0]), change.find("t:Updates", NAMES)
        _require_key(change[0])
        names = [_new_name(each) for each in (updates if updates is not None else ())]
        if folder.well_known is not None:
            raise ResponseError("ErrorFolderSavePropertyError")
        for name in names:
            _allowed(partial(folder.mailbox.rename_folder, folder.id, name))
        return _with_id(folder)

    return each(call, call.required("m:FolderChanges"), update, _NO_FOLDERS)


def _new_name(update: etree._Element) -> str:
    path = update.find("t:FieldURI", NAMES)
    uri, kind = (path.get("FieldURI", "") if path is not None else ""), etree.QName(update).localname
    if kind != "SetFolderField" or uri != "folder:DisplayName":
        raise ResponseError("ErrorInvalidPropertyDelete" if kind == "DeleteFolderField" else "ErrorInvalidPropertySet")
    return update[1].findtext("t:DisplayName", "", NAMES) if len(update) > 1 else ""


def _require_key(identity: etree._Element) -> None:
    key = identity.get("ChangeKey")
    if key is None:
        raise ResponseError("ErrorChangeKeyRequiredForWriteOperations")
    try:
        version_of(key)
    except ValueError:
        raise ResponseError("ErrorInvalidChangeKey") from None


def move_folder(call: Call) -> list[bytes | Stream]:
    target = call.required("m:ToFolderId")[0]

    def move(wanted: etree._Element) -> list[bytes | Stream]:
        folder, below = call.folder(wanted), call.target_folder(target)
        if below.mailbox is not folder.mailbox:
            raise ResponseError("ErrorCrossMailboxMoveCopy")
        change = partial(folder.mailbox.move_folder, folder.id, below.id)
        return _with_id(_allowed(change, distinguished="ErrorMoveDistinguishedFolder"))

    return each(call, call.required("m:FolderIds"), move, _NO_FOLDERS)


def delete_folder(call: Call) -> list[bytes | Stream]:
    disposal = disposal_of(call)

    def delete(wanted: etree._Element) -> list[bytes | Stream]:
        folder = call.folder(wanted)
        mailbox = folder.mailbox
        discard = mailbox.discard_folder if disposal == "MoveToDeletedItems" else mailbox.remove_folder
        _allowed(partial(discard, folder.id), distinguished="ErrorDeleteDistinguishedFolder")
        return []

    return each(call, call.required("m:FolderIds"), delete)


def _with_id(folder: Folder) -> list[bytes | Stream]:
    return [b"<m:Folders>%b</m:Folders>" % rendered(folder, ID_ONLY)]


def _allowed[T](change: Callable[[], T], distinguished: str = "ErrorAccessDenied") -> T:
    """The outcome of a change, or what EWS says of its refusal."""
    try:
        return change()
    except FolderExists:
        raise ResponseError("ErrorFolderExists") from None
    except DistinguishedFolder:
        raise ResponseError(distinguished) from None
    except FolderLoop:
        raise ResponseError("ErrorMoveCopyFailed") from None
    except FolderRefused:
        raise ResponseError("ErrorFolderSave") from None
    except NoSuchFolder:
        raise ResponseError("ErrorFolderNotFound") from None  # somebody was faster
