"""What people want of messages in a mailbox: track one, take it back, judge again, try again, give up.

A request is audited and queued; a queue function writes it into the ledger under the lease of the mailbox, and a run does it.
"""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from itertools import chain
from uuid import uuid4

from shared.administration.auditing import Auditing, Trail
from shared.administration.failures import NotPossibleNow, RecordNotFound
from shared.domain.audit import Caller, ChangeAction
from shared.domain.choices import Verdict, Workload
from shared.domain.errors import InvalidRecord
from shared.domain.ids import MailboxId, normalised_message_id, short_hash
from shared.domain.ledger import ItemKey
from shared.domain.operations import QuarantinedItem
from shared.domain.records import RecordRef
from shared.messages import ChangeItems, ItemTask, Queue
from shared.ports import Clock, Stores

LONGEST_NOTE = 500


class ItemRequests:
    def __init__(self, stores: Stores, clock: Clock, auditing: Auditing) -> None:
        self._stores = stores
        self._clock = clock
        self._auditing = auditing

    def track(self, mailbox_id: MailboxId, message_id: str, regarding: RecordRef | None, caller: Caller) -> ChangeItems:
        """Tracks a message that was seen in the mailbox, whatever its filters say; only the exclude list holds. Raises
        RecordNotFound, NotPossibleNow."""
        identity = self._seen(mailbox_id, message_id)
        message = ChangeItems(
            uuid4().hex,
            mailbox_id,
            ItemTask.TRACK,
            identity,
            regarding_type=None if regarding is None else regarding.type,
            regarding_id=None if regarding is None else regarding.id,
        )
        return self._request(message, caller, ChangeAction.TRACK_REQUESTED)

    def untrack(self, mailbox_id: MailboxId, message_id: str, caller: Caller) -> ChangeItems:
        """The message is left alone from now on; its activity stays. Raises RecordNotFound, NotPossibleNow."""
        identity = self._seen(mailbox_id, message_id)
        return self._request(
            ChangeItems(uuid4().hex, mailbox_id, ItemTask.UNTRACK, identity), caller, ChangeAction.UNTRACK_REQUESTED
        )

    def judge_again(self, mailbox_id: MailboxId, since: datetime, caller: Caller) -> ChangeItems:
        """Judges skipped messages received since then by the present settings. Raises RecordNotFound, InvalidRecord."""
        self._check_mailbox(mailbox_id)
        if since > self._clock():
            raise InvalidRecord("since", "the time lies in the future", "Name a time that has passed.")
        message = ChangeItems(uuid4().hex, mailbox_id, ItemTask.JUDGE, since=since.isoformat())
        return self._request(message, caller, ChangeAction.JUDGING_REQUESTED)

    # ---- quarantine

    def quarantined(self, mailbox_id: MailboxId, key: str) -> QuarantinedItem:
        """Raises RecordNotFound."""
        self._check_mailbox(mailbox_id)
        identity, _, server = key.partition(":")
        item = self._stores.quarantine.get(mailbox_id, ItemKey(identity, server))
        if item is None:
            raise RecordNotFound(f"mailbox {mailbox_id} has no quarantined item {key}")
        return item

    def raw(self, mailbox_id: MailboxId, key: str) -> Iterator[bytes]:
        """The message as it was received, in chunks. Raises RecordNotFound, before the first chunk."""
        blob = self.quarantined(mailbox_id, key).raw_blob
        if blob is None:
            raise RecordNotFound("the raw form of this item could not be read; its detail says why")
        try:
            chunks = iter(self._stores.blobs.read(blob))
            first = next(chunks, b"")
        except KeyError as error:
            raise RecordNotFound("the raw form of this item is not there any more") from error
        return chain((first,), chunks)

    def replay(self, mailbox_id: MailboxId, key: str | None, caller: Caller) -> ChangeItems:
        """Tries a quarantined item again, or all of the mailbox. Raises RecordNotFound."""
        self._check_mailbox(mailbox_id)
        message = ChangeItems(uuid4().hex, mailbox_id, ItemTask.REPLAY)
        if key is not None:
            item = self.quarantined(mailbox_id, key).key
            message = replace(message, identity=item.identity, server=item.server)
        return self._request(message, caller, ChangeAction.REPLAY_REQUESTED)

    def give_up(self, mailbox_id: MailboxId, key: str, note: str, caller: Caller) -> ChangeItems:
        """Removes an item from quarantine, with its raw form; `note` says why. Raises RecordNotFound, InvalidRecord."""
        if not note.strip() or len(note) > LONGEST_NOTE:
            raise InvalidRecord("reason", "a reason is missing or too long", f"Say why, in 1 to {LONGEST_NOTE} characters.")
        item = self.quarantined(mailbox_id, key).key
        message = ChangeItems(uuid4().hex, mailbox_id, ItemTask.GIVE_UP, item.identity, item.server, note=note.strip())
        return self._request(message, caller, ChangeAction.GIVEN_UP)

    # ---- asking

    def _seen(self, mailbox_id: MailboxId, message_id: str) -> str:
        """The identity of a message by which the ledger knows it."""
        self._check_mailbox(mailbox_id)
        identity = short_hash(normalised_message_id(message_id) or message_id)
        found = self._stores.ledger.find(mailbox_id, Workload.INCOMING, identity)
        if not found:
            raise RecordNotFound(f"no message with this Message-ID was seen in mailbox {mailbox_id}")
        if all(item.verdict is Verdict.QUARANTINED for item in found):
            raise NotPossibleNow("the message is quarantined", "Replay it from quarantine instead.")
        return identity

    def _request(self, message: ChangeItems, caller: Caller, action: ChangeAction) -> ChangeItems:
        self._trail(message, caller).note(action, None, message, message.id)
        self._stores.queues.send(Queue.CHANGE_ITEMS, message.to_json())
        return message

    def _trail(self, message: ChangeItems, caller: Caller) -> Trail:
        return self._auditing.trail(caller, f"mailbox:{message.mailbox_id}")

    def _check_mailbox(self, mailbox_id: MailboxId) -> None:
        if self._stores.mailboxes.get(mailbox_id) is None:
            raise RecordNotFound(f"there is no mailbox {mailbox_id}")
