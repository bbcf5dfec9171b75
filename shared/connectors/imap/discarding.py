"""Deletes messages for good, and none but those: marked as deleted and expunged by UID (UIDPLUS, RFC 4315).

EXPUNGE alone removes whatever anybody marked, so without UIDPLUS it is used only while nothing else is marked. Gmail takes a
message that is expunged out of the folder and keeps it: there it is moved to the Trash, which Gmail empties.
"""

from collections.abc import Iterable, Mapping, Sequence

from shared.connectors.imap.answers import set_of, sets_of
from shared.connectors.imap.folders import Folders
from shared.connectors.imap.places import place_of, uids_of
from shared.connectors.imap.session import Session
from shared.connectors.imap.wire import quoted
from shared.domain.email import ItemRef
from shared.domain.errors import FolderNotFound, ItemError, ItemRejected

_DELETED = b"(\\Deleted)"


class Discarding:
    """Deletes messages of one mailbox."""

    def __init__(self, session: Session, folders: Folders) -> None:
        self._session = session
        self._folders = folders

    def discard(self, refs: Sequence[ItemRef]) -> Mapping[ItemRef, ItemError]:
        """Those that the server keeps, with the reason. What is gone already counts as deleted."""
        kept: dict[ItemRef, ItemError] = {}
        for folder_id in dict.fromkeys(ref.folder for ref in refs):
            own = [ref for ref in refs if ref.folder == folder_id and _is_message(ref)]
            try:
                kept |= self._discard_from(folder_id, own)
            except FolderNotFound:
                continue
            except ItemError as error:
                kept |= dict.fromkeys(own, error)
        return kept

    def _discard_from(self, folder_id: str, refs: Sequence[ItemRef]) -> Mapping[ItemRef, ItemError]:
        """Raises ItemRejected where the server refuses it for all of them."""
        by_uid = uids_of(refs, self._folders.select(folder_id).uid_validity)
        kept: dict[ItemRef, ItemError] = {}
        for part in sets_of(by_uid):
            reason = self._remove(part)
            present = self._session.search(b"UID", set_of(part))
            kept |= {by_uid[uid]: reason for uid in present if uid in by_uid}
        return kept

    def _remove(self, uids: Sequence[int]) -> ItemError:
        """Removes what it can; returns why the server keeps those that are still there."""
        session = self._session
        if session.can("X-GM-EXT-1"):
            return self._move_to_trash(uids)
        by_uid = session.can("UIDPLUS")
        session.ask("UID", b"STORE", set_of(uids), b"+FLAGS.SILENT", _DELETED, otherwise=ItemRejected)
        if by_uid:
            session.ask("UID", b"EXPUNGE", set_of(uids), otherwise=ItemRejected)
        elif self._others_are_marked(uids):
            return ItemRejected(
                "The message is marked as deleted, and still there: the server can only remove all that is marked, and others"
                " marked other messages."
            )
        else:
            session.ask("EXPUNGE", otherwise=ItemRejected)
        return ItemRejected("The server did not remove the message.")

    def _move_to_trash(self, uids: Iterable[int]) -> ItemError:
        trash = self._folders.trash()
        if trash is None:
            return ItemRejected("Gmail shows no folder Trash over IMAP, and only archives what is expunged: let it show that.")
        self._session.ask("UID", b"MOVE", set_of(uids), quoted(trash), otherwise=ItemRejected)
        return ItemRejected("The server did not move the message to the trash.")

    def _others_are_marked(self, uids: Iterable[int]) -> bool:
        return bool(set(self._session.search(b"DELETED")) - set(uids))


def _is_message(ref: ItemRef) -> bool:
    """What is no id of a message is nothing that is there."""
    try:
        place_of(ref)
    except ItemError:
        return False
    return True
