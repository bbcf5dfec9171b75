"""Folder-level tracking rules: a partition for each mailbox, a row for each folder."""

from collections.abc import Sequence
from contextlib import suppress

from shared.domain.errors import AlreadyExists, Changed
from shared.domain.ids import MailboxId
from shared.domain.records import FolderTrackingRule, StoredRule
from shared.ports import Mailboxes
from shared.stores.entities import rule_row
from shared.stores.limits import checked_id
from shared.stores.tables.gateway import Entity, RowMissing, Verb, operation, rows_of
from shared.stores.tables.table import Table, columns_of, record_of


class TableTrackingRules:
    def __init__(self, table: Table, mailboxes: Mailboxes) -> None:
        self._table = table
        self._mailboxes = mailboxes

    def list(self, mailbox_id: MailboxId) -> Sequence[StoredRule]:
        return [_stored(found) for found in self._table.rows(rows_of(mailbox_id))]

    def get(self, mailbox_id: MailboxId, folder_id: str) -> StoredRule | None:
        found = self._table.get(mailbox_id, rule_row(folder_id))
        return None if found is None else _stored(found)

    def put(self, rule: FolderTrackingRule, etag: str | None) -> StoredRule:
        verb = Verb.INSERT if etag is None else Verb.REPLACE
        partition = checked_id(rule.mailbox_id, "mailbox_id")
        write = operation(verb, partition, rule_row(rule.folder_id), columns_of(rule), etag)
        what = f"the rule of mailbox {rule.mailbox_id} for folder {rule.folder_name}"
        if etag is None:
            with suppress(Changed):  # of a mailbox that is not there nothing is read
                self._mailboxes.note_rules(rule.mailbox_id)
        try:
            return StoredRule(rule, self._table.write(write))
        except AlreadyExists as error:
            raise AlreadyExists(what) from error
        except Changed as error:
            raise Changed(f"{what} was changed since it was read") from error

    def delete(self, mailbox_id: MailboxId, folder_id: str, etag: str) -> None:
        partition, row = mailbox_id, rule_row(folder_id)
        if self._table.get(partition, row) is None:
            return
        try:
            self._table.write(operation(Verb.DELETE, partition, row, etag=etag))
        except RowMissing:
            return
        except Changed as error:
            raise Changed(f"the rule of mailbox {mailbox_id} was changed since it was read") from error


def _stored(found: Entity) -> StoredRule:
    return StoredRule(record_of(FolderTrackingRule, found), found.etag)
