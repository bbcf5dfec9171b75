"""Folder-level tracking rules: which folders of a mailbox are tracked, and what their mail is about.

The limits are the model's (configure-exchange-folder-level-tracking-rules): Exchange only, 25 folders of a mailbox, users'
mailboxes, unless a rule says that it is meant for a queue.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

from shared.administration import rules
from shared.administration.address_book import record_type
from shared.administration.auditing import Auditing, Trail
from shared.administration.failures import NotPossibleNow, RecordNotFound
from shared.administration.profile_rules import EXCHANGE
from shared.administration.writing import Put, check_etag, persistently
from shared.domain.audit import Caller, ChangeAction
from shared.domain.choices import OwnerKind
from shared.domain.configuration import Mailbox
from shared.domain.errors import InvalidRecord
from shared.domain.ids import MailboxId
from shared.domain.ranges import FOLDER_ID, FOLDER_NAME, RULES_OF_A_MAILBOX
from shared.domain.records import FolderTrackingRule, RecordRef, StoredRule
from shared.messages import Queue, RelinkFolder
from shared.ports import Clock, Stores

WRITTEN_BY_THEN = timedelta(seconds=10)
"""After which a rule that was announced is looked for."""
ANNOUNCED_FOR = timedelta(hours=1)
"""What is not written by then never will be."""

type Edit = Callable[[FolderTrackingRule], FolderTrackingRule]


class TrackingRuleAdministration:
    def __init__(self, stores: Stores, clock: Clock, auditing: Auditing) -> None:
        self._stores = stores
        self._clock = clock
        self._auditing = auditing

    def list(self, mailbox_id: MailboxId) -> Sequence[StoredRule]:
        """Raises RecordNotFound."""
        self._mailbox(mailbox_id)
        return self._stores.tracking_rules.list(mailbox_id)

    def get(self, mailbox_id: MailboxId, folder_id: str) -> StoredRule:
        """Raises RecordNotFound."""
        stored = self._stores.tracking_rules.get(mailbox_id, folder_id)
        if stored is None:
            raise RecordNotFound(f"the mailbox {mailbox_id} has no rule for this folder")
        return stored

    def put(self, rule: FolderTrackingRule, caller: Caller, etag: str | None = None) -> Put[StoredRule]:
        """Creates or replaces; the same again changes nothing.

        Raises RecordNotFound, InvalidRecord, NotPossibleNow, Changed.
        """
        trail = self._trail(caller, rule.mailbox_id, rule.folder_id)

        def attempt() -> Put[StoredRule]:
            stored = self._stores.tracking_rules.get(rule.mailbox_id, rule.folder_id)
            check_etag(stored.etag if stored else None, etag)
            return self._write(stored, rule, trail)

        return persistently(attempt, etag)

    def change(self, mailbox_id: MailboxId, folder_id: str, edit: Edit, caller: Caller, etag: str | None = None) -> StoredRule:
        """As `put`, from the present rule on."""
        trail = self._trail(caller, mailbox_id, folder_id)

        def attempt() -> StoredRule:
            stored = self.get(mailbox_id, folder_id)
            check_etag(stored.etag, etag)
            edited = replace(edit(stored.record), mailbox_id=mailbox_id, folder_id=folder_id)
            return self._write(stored, edited, trail).stored

        return persistently(attempt, etag)

    def delete(self, mailbox_id: MailboxId, folder_id: str, caller: Caller, etag: str | None = None) -> None:
        """Mail that was tracked stays tracked. What is not there counts as deleted. Raises Changed."""
        trail = self._trail(caller, mailbox_id, folder_id)

        def attempt() -> None:
            stored = self._stores.tracking_rules.get(mailbox_id, folder_id)
            if stored is None:
                return
            check_etag(stored.etag, etag)
            trail.note(ChangeAction.DELETED, stored.record, None, stored.etag)
            self._stores.tracking_rules.delete(mailbox_id, folder_id, stored.etag)

        persistently(attempt, etag)

    def tried(self, rule: FolderTrackingRule) -> FolderTrackingRule:
        """As it would be stored; nothing is written. Raises what `put` raises, but for how many rules the mailbox has."""
        return self._checked(self._stores.tracking_rules.get(rule.mailbox_id, rule.folder_id), rule)

    def _checked(self, stored: StoredRule | None, given: FolderTrackingRule) -> FolderTrackingRule:
        """What stands already is not questioned again. Raises RecordNotFound, InvalidRecord, NotPossibleNow."""
        rule = _valid_rule(given)
        if stored is None or stored.record != rule:
            mailbox = self._mailbox(rule.mailbox_id)
            _check_owner(rule, mailbox)
            self._check_server(mailbox)
        return rule

    def _trail(self, caller: Caller, mailbox_id: MailboxId, folder_id: str) -> Trail:
        return self._auditing.trail(caller, f"rule:{mailbox_id}:{folder_id}")

    def _mailbox(self, mailbox_id: MailboxId) -> Mailbox:
        stored = self._stores.mailboxes.get(mailbox_id)
        if stored is None:
            raise RecordNotFound(f"there is no mailbox {mailbox_id}")
        return stored.record

    def _write(self, stored: StoredRule | None, given: FolderTrackingRule, trail: Trail) -> Put[StoredRule]:
        """Raises RecordNotFound, InvalidRecord, NotPossibleNow, Changed, AlreadyExists."""
        rule = self._checked(stored, given)
        if stored is not None and stored.record == rule:
            return Put(stored, created=False)
        if stored is None:
            self._check_room(rule.mailbox_id, 1)
            trail.note(ChangeAction.CREATED, None, rule)
            self._announce(None, rule)
            return Put(self._create(rule, trail), created=True)
        trail.note(ChangeAction.CHANGED, stored.record, rule, stored.etag)
        self._announce(stored.record, rule)
        return Put(self._stores.tracking_rules.put(rule, stored.etag), created=False)

    def _announce(self, present: FolderTrackingRule | None, rule: FolderTrackingRule) -> None:
        """Has the mail that lies in the folder already linked anew, where the rule comes to say what it is about. Sent before
        the rule is written, so that no interruption loses it; whoever takes it waits until the rule says so."""
        says_so_already = present is not None and _says(present) == _says(rule)
        if rule.regarding is None or not rule.active or rule.from_now_on or says_so_already:
            return
        message = RelinkFolder(
            id=uuid4().hex,
            mailbox_id=rule.mailbox_id,
            folder_id=rule.folder_id,
            regarding_type=rule.regarding.type,
            regarding_id=rule.regarding.id,
            until=(self._clock() + ANNOUNCED_FOR).isoformat(),
        )
        self._stores.queues.send(Queue.RELINK_FOLDER, message.to_json(), WRITTEN_BY_THEN)

    def _check_server(self, mailbox: Mailbox) -> None:
        profile = None if mailbox.profile_id is None else self._stores.profiles.get(mailbox.profile_id)
        if profile is not None and profile.record.server_type not in EXCHANGE:
            raise NotPossibleNow(
                "folders are tracked on Exchange servers only", "Give the mailbox a profile of an Exchange server first."
            )

    def _create(self, rule: FolderTrackingRule, trail: Trail) -> StoredRule:
        """Rules that are created at the same moment may all find the last place free: then they all give way."""
        created = self._stores.tracking_rules.put(rule, None)
        try:
            self._check_room(rule.mailbox_id, 0)
        except NotPossibleNow:
            trail.note(ChangeAction.DELETED, rule, None)
            self._stores.tracking_rules.delete(rule.mailbox_id, rule.folder_id, created.etag)
            raise
        return created

    def _check_room(self, mailbox_id: MailboxId, wanted: int) -> None:
        if len(self._stores.tracking_rules.list(mailbox_id)) + wanted > RULES_OF_A_MAILBOX:
            raise NotPossibleNow(
                f"the mailbox has {RULES_OF_A_MAILBOX} rules already", "Delete one of them, or track their common folder."
            )


def _says(rule: FolderTrackingRule) -> tuple[RecordRef | None, bool]:
    """What the mail of which folders is about."""
    return (rule.regarding if rule.active else None, rule.include_subfolders)


def _valid_rule(rule: FolderTrackingRule) -> FolderTrackingRule:
    """The rule as it is stored. Raises InvalidRecord."""
    return replace(
        rule,
        folder_id=rules.text("folder_id", rule.folder_id, FOLDER_ID.high),
        folder_name=rules.text("folder_name", rule.folder_name, FOLDER_NAME.high),
        regarding=None if rule.regarding is None else _valid_regarding(rule.regarding),
    )


def _valid_regarding(regarding: RecordRef) -> RecordRef:
    """Any record can be what mail is about, also one that has no addresses and is not in the address book."""
    return RecordRef(record_type("regarding/type", regarding.type), rules.identifier("regarding/id", regarding.id))


def _check_owner(rule: FolderTrackingRule, mailbox: Mailbox) -> None:
    if mailbox.owner is None:
        raise NotPossibleNow("folders of a forward mailbox are not tracked", "Choose the mailbox of a user.")
    if mailbox.owner.kind is OwnerKind.QUEUE and not rule.for_queue:
        raise InvalidRecord(
            "for_queue", "the mailbox is a queue's", "Choose the mailbox of a user, or set for_queue to true if it is meant."
        )
