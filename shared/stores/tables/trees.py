"""Folder trees: a row for each mailbox, and a blob for the folders where they do not fit into it."""

from collections.abc import Mapping
from uuid import uuid4

from shared.domain.folders import KnownTree
from shared.domain.ids import MailboxId
from shared.stores.codec import Column
from shared.stores.entities import TREE, tree_blob
from shared.stores.limits import TEXT_UNITS, checked_id, storable_tree, units
from shared.stores.tables.gateway import Entity, Verb, operation
from shared.stores.tables.repeating import until_unchanged
from shared.stores.tables.table import Table, columns_of, record_of
from shared.stores.text_blobs import TextBlobs

_FOLDERS = "folders"
_BLOB = "folders_blob"


class TableFolderTrees:
    def __init__(self, table: Table, texts: TextBlobs) -> None:
        self._table = table
        self._texts = texts

    def get(self, mailbox_id: MailboxId) -> KnownTree | None:
        """None also where the blob is lost: the tree is read again then."""
        row = self._table.get(mailbox_id, TREE)
        while row is not None:
            try:
                return self._tree(row)
            except KeyError:
                now = self._table.get(mailbox_id, TREE)
                row = None if now is None or now.etag == row.etag else now
        return None

    def put(self, mailbox_id: MailboxId, tree: KnownTree) -> None:
        checked_id(mailbox_id, "mailbox_id")
        columns = columns_of(storable_tree(tree))
        if units(folders := str(columns[_FOLDERS])) > TEXT_UNITS:
            del columns[_FOLDERS]
            columns[_BLOB] = blob = tree_blob(mailbox_id, uuid4().hex)
            self._texts.put(blob, folders)
        until_unchanged(lambda: self._write(mailbox_id, columns))

    def delete(self, mailbox_id: MailboxId) -> None:
        """The blob goes first: what leads to it is there until it is gone."""
        until_unchanged(lambda: self._delete(mailbox_id))

    def _delete(self, mailbox_id: MailboxId) -> None:
        """Raises Changed when somebody came in between."""
        row = self._table.get(mailbox_id, TREE)
        if row is None:
            return
        if (blob := _blob_of(row)) is not None:
            self._texts.delete(blob)
        self._table.write(operation(Verb.DELETE, mailbox_id, TREE, etag=row.etag))

    def _tree(self, row: Entity) -> KnownTree:
        """Raises KeyError when another tree has taken its place."""
        if (blob := _blob_of(row)) is None:
            return record_of(KnownTree, row)
        folders = {_FOLDERS: self._texts.read(blob)}
        return record_of(KnownTree, Entity(row.partition, row.row, row.etag, {**row.columns, **folders}))

    def _write(self, mailbox_id: MailboxId, columns: Mapping[str, Column]) -> None:
        """Raises Changed, AlreadyExists when another one came in between."""
        before = self._table.get(mailbox_id, TREE)
        if before is None:
            self._table.write(operation(Verb.INSERT, mailbox_id, TREE, columns))
            return
        self._table.write(operation(Verb.REPLACE, mailbox_id, TREE, columns, before.etag))
        if (outdated := _blob_of(before)) is not None:
            self._texts.delete(outdated)


def _blob_of(row: Entity) -> str | None:
    blob = row.columns.get(_BLOB)
    return None if blob is None else str(blob)
