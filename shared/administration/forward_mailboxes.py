"""Forward mailboxes: mailboxes without owner that collect what server rules forward, under an id of the client's choice.

They are read, approved and switched like any other mailbox; here they are put in place and deleted.
"""

from uuid import UUID

from shared.administration import rules
from shared.administration.consenting import Consenting
from shared.administration.failures import NotPossibleNow
from shared.administration.mailbox_records import MailboxRecords, taken
from shared.administration.mailbox_rules import check_mailbox_secrets
from shared.administration.mailboxes import CHANGEABLE
from shared.administration.standing import MailboxStanding
from shared.administration.writing import NewSecrets, Put, check_etag, persistently
from shared.domain.audit import Caller, ChangeAction
from shared.domain.configuration import Mailbox, StoredMailbox
from shared.domain.errors import InvalidRecord
from shared.domain.ids import MailboxId
from shared.ports import Stores

FORWARD_CHANGEABLE = ("name", *CHANGEABLE)

_DERIVED = 5
"""Version of the UUIDs that mailboxes of owners have."""

_NOTHING: NewSecrets = {}


class ForwardMailboxes:
    def __init__(self, stores: Stores, records: MailboxRecords, consents: Consenting) -> None:
        self._stores = stores
        self._records = records
        self._consents = consents

    def put(
        self, mailbox: Mailbox, caller: Caller, secrets: NewSecrets = _NOTHING, etag: str | None = None
    ) -> Put[MailboxStanding]:
        """Creates or replaces; the same again changes nothing. Of `mailbox` the id and the FORWARD_CHANGEABLE fields count.

        Raises InvalidRecord, NotPossibleNow where the id is that of an owner's mailbox, Changed.
        """
        check_mailbox_secrets(secrets)
        _check_id(mailbox.id)
        trail = self._records.trail(caller, mailbox.id)

        def attempt() -> Put[StoredMailbox]:
            stored = self._stores.mailboxes.get(mailbox.id)
            check_etag(stored.etag if stored else None, etag)
            if stored is None:
                return Put(self._records.create(self._new(mailbox, secrets), trail), created=True)
            _check_is_forward(stored.record)
            record = self._records.valid(stored.record, taken(stored.record, mailbox, FORWARD_CHANGEABLE), secrets)
            return Put(self._records.replace(stored, record, trail), created=False)

        stored, created = persistently(attempt, etag)
        return Put(self._records.standing(stored), created)

    def delete(self, mailbox_id: MailboxId, caller: Caller, etag: str | None = None) -> None:
        """With the folders that are remembered of it; the consent of its owner is withdrawn, its activities stay. What is not
        there counts as deleted, so that a repetition completes one that was interrupted. Raises NotPossibleNow for an owner's
        mailbox, Changed."""
        trail = self._records.trail(caller, mailbox_id)

        def attempt() -> None:
            stored = self._stores.mailboxes.get(mailbox_id)
            if stored is None:
                self._forget(mailbox_id, caller)
                return
            check_etag(stored.etag, etag)
            _check_is_forward(stored.record)
            trail.note(ChangeAction.DELETED, stored.record, None, stored.etag)
            self._stores.mailboxes.delete(mailbox_id, stored.etag)
            self._forget(mailbox_id, caller)

        persistently(attempt, etag)

    def _forget(self, mailbox_id: MailboxId, caller: Caller) -> None:
        self._stores.folder_trees.delete(mailbox_id)
        self._consents.end(mailbox_id, caller)

    def _new(self, mailbox: Mailbox, secrets: NewSecrets) -> Mailbox:
        blank = Mailbox(mailbox.id, mailbox.name, mailbox.address, owner=None, approval=self._records.new_approval(None))
        return self._records.valid(None, taken(blank, mailbox, FORWARD_CHANGEABLE), secrets)


def _check_id(mailbox_id: MailboxId) -> None:
    """An id that might be derived from an owner is refused: that owner would find its mailbox taken."""
    rules.identifier("id", mailbox_id)
    try:
        version = UUID(mailbox_id).version
    except ValueError:
        return
    if version == _DERIVED:
        raise InvalidRecord("id", "ids of this form belong to mailboxes of users and queues", "Choose another id.")


def _check_is_forward(mailbox: Mailbox) -> None:
    owner = mailbox.owner
    if owner is not None:
        raise NotPossibleNow(
            f"the mailbox belongs to the {owner.kind.value} {owner.id}", f"Change or delete the {owner.kind.value} {owner.id}."
        )
