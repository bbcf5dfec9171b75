"""The organisation's settings, tracking rules, folder trees and shares of connections in memory."""

from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from threading import RLock

from shared.domain.errors import AlreadyExists, Changed
from shared.domain.folders import KnownTree
from shared.domain.ids import MailboxId
from shared.domain.organisation import OrganisationSettings, StoredSettings
from shared.domain.records import FolderTrackingRule, StoredRule
from shared.stores.codec import Plain, codec_of
from shared.stores.entities import rule_row
from shared.stores.limits import checked_id, storable_tree
from shared.stores.memory.configuration import MemoryMailboxes
from shared.stores.memory.rows import Row, check_etag, row
from shared.stores.sharing import Claims, claimed


class MemoryOrganisation:
    def __init__(self) -> None:
        self._lock = RLock()
        self._row: Row[OrganisationSettings] | None = None

    def get(self) -> StoredSettings:
        with self._lock:
            found = self._row
        return StoredSettings(OrganisationSettings(), None) if found is None else StoredSettings(found.record, found.etag)

    def put(self, settings: OrganisationSettings, etag: str | None) -> StoredSettings:
        with self._lock:
            if self._row is not None or etag is not None:
                check_etag(self._row, etag or "", "the settings")
            self._row = row(settings)
            return self.get()

    def snapshot(self) -> dict[str, Plain]:
        with self._lock:
            return {} if self._row is None else {"settings": codec_of(OrganisationSettings).plain(self._row.record)}


class MemoryTrackingRules:
    def __init__(self, mailboxes: MemoryMailboxes) -> None:
        self._mailboxes = mailboxes
        self._lock = RLock()
        self._rows: dict[MailboxId, dict[str, Row[FolderTrackingRule]]] = {}

    def list(self, mailbox_id: MailboxId) -> Sequence[StoredRule]:
        with self._lock:
            return [_stored(found) for _, found in sorted(self._rows.get(mailbox_id, {}).items())]

    def get(self, mailbox_id: MailboxId, folder_id: str) -> StoredRule | None:
        with self._lock:
            found = self._rows.get(mailbox_id, {}).get(rule_row(folder_id))
            return None if found is None else _stored(found)

    def put(self, rule: FolderTrackingRule, etag: str | None) -> StoredRule:
        what = f"the rule of mailbox {rule.mailbox_id} for folder {rule.folder_name}"
        if etag is None:
            with suppress(Changed):  # of a mailbox that is not there nothing is read
                self._mailboxes.note_rules(checked_id(rule.mailbox_id, "mailbox_id"))
        with self._lock:
            rules = self._rows.setdefault(checked_id(rule.mailbox_id, "mailbox_id"), {})
            key = rule_row(rule.folder_id)
            if etag is not None:
                check_etag(rules.get(key), etag, what)
            elif key in rules:
                raise AlreadyExists(what)
            rules[key] = row(rule)
            return _stored(rules[key])

    def delete(self, mailbox_id: MailboxId, folder_id: str, etag: str) -> None:
        with self._lock:
            rules, key = self._rows.get(mailbox_id, {}), rule_row(folder_id)
            if key in rules:
                check_etag(rules[key], etag, f"the rule of mailbox {mailbox_id} for folder {folder_id}")
                del rules[key]

    def snapshot(self) -> dict[str, Plain]:
        with self._lock:
            return {
                mailbox_id: {key: codec_of(FolderTrackingRule).plain(found.record) for key, found in rules.items()}
                for mailbox_id, rules in self._rows.items()
            }


class MemoryFolderTrees:
    def __init__(self) -> None:
        self._lock = RLock()
        self._trees: dict[MailboxId, KnownTree] = {}

    def get(self, mailbox_id: MailboxId) -> KnownTree | None:
        with self._lock:
            return self._trees.get(mailbox_id)

    def put(self, mailbox_id: MailboxId, tree: KnownTree) -> None:
        with self._lock:
            self._trees[checked_id(mailbox_id, "mailbox_id")] = storable_tree(tree)

    def delete(self, mailbox_id: MailboxId) -> None:
        with self._lock:
            self._trees.pop(mailbox_id, None)

    def snapshot(self) -> dict[str, Plain]:
        with self._lock:
            return {mailbox_id: codec_of(KnownTree).plain(tree) for mailbox_id, tree in self._trees.items()}


class MemoryShares:
    def __init__(self) -> None:
        self._lock = RLock()
        self._claims: dict[str, Claims] = {}

    def claim(
        self, identity: str, worker: str, wanted: int, limit: int, now: datetime, until: datetime, in_use: int = 0
    ) -> int:
        with self._lock:
            before = self._claims.get(identity, {})
            self._claims[identity], given = claimed(before, worker, wanted, limit, now, until, in_use)
            return given

    def snapshot(self) -> dict[str, Plain]:
        with self._lock:
            return {
                identity: {worker: claim.given for worker, claim in claims.items()} for identity, claims in self._claims.items()
            }


def _stored(found: Row[FolderTrackingRule]) -> StoredRule:
    return StoredRule(found.record, found.etag)
