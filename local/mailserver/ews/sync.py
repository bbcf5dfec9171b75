"""SyncFolderItems and SyncFolderHierarchy: what is new since an opaque state ([MS-OXWSSYNC])."""

import base64
import binascii
import hashlib
import json
from dataclasses import dataclass
from datetime import datetime
from typing import Self

from local.mailserver.contents import Change, ChangeKind, Folder
from local.mailserver.ews import envelope, folders
from local.mailserver.ews.call import Call
from local.mailserver.ews.envelope import NAMES
from local.mailserver.ews.errors import ResponseError, SoapFault
from local.mailserver.ews.ids import item_id_element
from local.mailserver.ews.shapes import Shape, read_shape
from local.mailserver.ews.text import flag
from local.mailserver.faults import FaultKind
from local.mailserver.web import Stream

MAX_CHANGES = 512
"""Most changes of one reply; the schema allows no more to be asked for."""
_INVALID = b"<m:SyncState/><m:IncludesLastItemInRange>true</m:IncludesLastItemInRange>"


@dataclass(frozen=True, slots=True)
class SyncState:
    """How far a client has read a folder. `oldest` is set while the first listing is under way: where it has come to."""

    folder: str
    epoch: int
    position: int
    oldest: tuple[datetime, int] | None = None

    def encode(self) -> str:
        oldest = [self.oldest[0].isoformat(), self.oldest[1]] if self.oldest else None
        content = json.dumps([self.folder, self.epoch, self.position, oldest]).encode()
        return base64.b64encode(hashlib.sha256(content).digest()[:8] + content).decode()

    @classmethod
    def decode(cls, text: str) -> Self:
        """Raises ResponseError for what this server did not issue."""
        try:
            decoded = base64.b64decode(text, validate=True)
            content = decoded[8:]
            folder, epoch, position, oldest = json.loads(content)
        except (binascii.Error, ValueError):
            raise ResponseError("ErrorInvalidSyncStateData") from None
        if hashlib.sha256(content).digest()[:8] != decoded[:8]:
            raise ResponseError("ErrorInvalidSyncStateData")
        return cls(folder, epoch, position, (datetime.fromisoformat(oldest[0]), oldest[1]) if oldest else None)


def sync_folder_items(call: Call) -> list[bytes | Stream]:
    try:
        content = _changes(call)
    except ResponseError as error:
        call.codes.append(error.code)
        without = call.faults.hit(FaultKind.ERROR_WITHOUT_SYNC_STATE, call.target, call.operation)
        return envelope.failure(call.operation, error, b"" if without else _INVALID)
    call.codes.append("NoError")
    return envelope.success(call.operation, *content)


def _changes(call: Call) -> list[bytes | Stream]:
    limit = _limit(call)
    shape = read_shape(call.find("m:ItemShape"), in_list=True)
    folder = call.folder(call.required("m:SyncFolderId")[0])
    with folder.mailbox.lock:
        state = _state(call, folder)
        if state is None or state.oldest is not None:
            return _listing(folder, state, shape, limit, _ignored(call))
        return _news(folder, state, shape, limit, _ignored(call))


def _limit(call: Call) -> int:
    text = call.element.findtext("m:MaxChangesReturned", "", NAMES)
    if not text.strip().isdigit() or not 1 <= int(text) <= MAX_CHANGES:
        raise SoapFault("ErrorSchemaValidation", f"MaxChangesReturned is '{text}'; it has to be from 1 to {MAX_CHANGES}.")
    return int(text)


def _ignored(call: Call) -> set[str]:
    return {element.get("Id", "") for element in call.element.iterfind("m:Ignore/t:ItemId", NAMES)}


def _state(call: Call, folder: Folder) -> SyncState | None:
    if call.faults.hit(FaultKind.INVALID_SYNC_STATE, call.target, call.operation) is not None:
        raise ResponseError("ErrorInvalidSyncStateData")
    text = call.element.findtext("m:SyncState", "", NAMES).strip()
    if not text:
        return None
    state = SyncState.decode(text)
    if state.folder != folder.id or state.epoch != folder.epoch:
        raise ResponseError("ErrorInvalidSyncStateData")
    return state


def _listing(folder: Folder, state: SyncState | None, shape: Shape, limit: int, ignored: set[str]) -> list[bytes | Stream]:
    """The items that are there, newest first. What comes or goes meanwhile is news after the position of the first page."""
    position = folder.mailbox.clock if state is None else state.position
    oldest = state.oldest if state is not None else None
    page, is_all = folder.listing(position, oldest, limit)
    following = SyncState(folder.id, folder.epoch, position, None if is_all else page[-1].place)
    out = _head(following, is_all and not folder.has_changed_after(position))
    for item in page:
        if item.id not in ignored:
            out.append(b"<t:Create>")
            shape.render(item, out)
            out.append(b"</t:Create>")
    return [*out, b"</m:Changes>"]


def _news(folder: Folder, state: SyncState, shape: Shape, limit: int, ignored: set[str]) -> list[bytes | Stream]:
    changes, position, is_last = folder.changes_after(state.position, limit)
    out = _head(SyncState(folder.id, folder.epoch, position), is_last)
    for change in changes:
        if change.item_id not in ignored:
            _render(change, shape, out)
    return [*out, b"</m:Changes>"]


def _head(state: SyncState, is_last: bool) -> list[bytes | Stream]:
    last = b"true" if is_last else b"false"
    return [
        b"<m:SyncState>%b</m:SyncState><m:IncludesLastItemInRange>%b</m:IncludesLastItemInRange><m:Changes>"
        % (state.encode().encode(), last)
    ]


def _render(change: Change, shape: Shape, out: list[bytes | Stream]) -> None:
    if change.item is None:
        out.append(f'<t:Delete><t:ItemId Id="{change.item_id}"/></t:Delete>'.encode())
        return
    if change.kind is ChangeKind.READ_FLAG:
        read = flag("IsRead", change.item.is_read)
        out.append(b"<t:ReadFlagChange>%b%b</t:ReadFlagChange>" % (item_id_element(change.item), read))
        return
    tag = b"Create" if change.kind is ChangeKind.CREATED else b"Update"
    out.append(b"<t:%b>" % tag)
    shape.render(change.item, out)
    out.append(b"</t:%b>" % tag)


def sync_folder_hierarchy(call: Call) -> list[bytes | Stream]:
    try:
        content = _folder_changes(call)
    except ResponseError as error:
        call.codes.append(error.code)
        rest = b"<m:SyncState/><m:IncludesLastFolderInRange>true</m:IncludesLastFolderInRange>"
        return envelope.failure(call.operation, error, rest)
    call.codes.append("NoError")
    return envelope.success(call.operation, content)


def _folder_changes(call: Call) -> bytes:
    target = call.find("m:SyncFolderId")
    if target is not None and len(target):
        root = call.folder(target[0])
    elif call.acting_as is not None:
        root = call.open(call.acting_as).top
    else:
        raise ResponseError("ErrorNonExistentMailbox")
    shape = folders.read_folder_shape(call)
    with root.mailbox.lock:
        state = _state(call, root)
        known = root.folders_below_at(state.position) if state is not None else set()
        following = SyncState(root.id, root.epoch, root.mailbox.clock)
        present = list(root.mailbox.descendants(root))
        changes = b"".join(_folder_change(folder, folder.id in known, state, shape) for folder in present)
        gone = known - {folder.id for folder in present}
        changes += b"".join(f'<t:Delete><t:FolderId Id="{folder_id}"/></t:Delete>'.encode() for folder_id in sorted(gone))
    return (
        b"<m:SyncState>%b</m:SyncState><m:IncludesLastFolderInRange>true</m:IncludesLastFolderInRange><m:Changes>%b</m:Changes>"
        % (following.encode().encode(), changes)
    )


def _folder_change(folder: Folder, is_known: bool, state: SyncState | None, shape: folders.FolderShape) -> bytes:
    if is_known and state is not None and folder.changed <= state.position:
        return b""
    tag = b"Update" if is_known else b"Create"
    return b"<t:%b>%b</t:%b>" % (tag, folders.rendered(folder, shape), tag)
