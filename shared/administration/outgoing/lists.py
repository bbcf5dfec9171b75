"""What a mailbox has written, by status, and the attempts of an email. Rows are hints, confirmed against the email."""

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta

from shared.administration.failures import RecordNotFound
from shared.administration.outgoing.standing import EDITABLE, WAITING, delivery_of
from shared.domain.choices import EmailStatus
from shared.domain.delivery import Attempt, OutboxEntry
from shared.domain.email import EmailActivity, ListOf, StoredActivity, TimelineEntry
from shared.domain.ids import ActivityId, MailboxId
from shared.ports import Clock, Slice, Stores

STATUSES = (*EDITABLE, *WAITING, EmailStatus.SENT)

_ORPHANED_AFTER = timedelta(hours=1)
"""A row that no email confirms by then was left by a creation that did not come about, or by a sender before this one."""


class OutgoingLists:
    def __init__(self, stores: Stores, clock: Clock) -> None:
        self._stores = stores
        self._clock = clock

    def of_mailbox(
        self, mailbox_id: MailboxId, status: EmailStatus | None = None, continuation: str | None = None, limit: int = 50
    ) -> Slice[EmailActivity]:
        """Newest first, those that wait in the order in which they are sent; None: all that were not sent. What waits is listed
        by the mailbox that it goes through. A part may have fewer than `limit`. Raises RecordNotFound, and InvalidRecord where
        the continuation is none of this list."""
        if self._stores.mailboxes.get(mailbox_id) is None:
            raise RecordNotFound(f"there is no mailbox {mailbox_id}")
        if status in WAITING:
            return self._waiting(mailbox_id, status, continuation, limit)
        if status is EmailStatus.SENT:
            part = self._stores.timeline.list(ListOf.SENT, mailbox_id, continuation, limit)
            return self._confirmed(part, lambda email: email.status is EmailStatus.SENT)
        part = self._stores.timeline.list(ListOf.UNSENT, mailbox_id, continuation, limit)
        return self._confirmed(part, lambda email: email.status in (STATUSES[:-1] if status is None else (status,)))

    def attempts(self, activity_id: ActivityId) -> Sequence[Attempt]:
        """Oldest first, the one under way last. Raises RecordNotFound; NotPossibleNow for an email that was not written
        here."""
        stored = self._stores.activities.get(activity_id)
        if stored is None or stored.record.deleted_on is not None:
            raise RecordNotFound(f"there is no activity {activity_id}")
        delivery = delivery_of(stored.record)
        ended = self._stores.activities.attempts(activity_id)
        if delivery.attempt is None or delivery.attempted_on is None:
            return ended
        return [*ended, Attempt(activity_id, delivery.last_attempt, delivery.attempt, delivery.attempted_on)]

    def _waiting(
        self, mailbox_id: MailboxId, status: EmailStatus, continuation: str | None, limit: int
    ) -> Slice[EmailActivity]:
        part = self._stores.outbox.list(mailbox_id, continuation, limit)
        found = self._stores.activities.find({entry.activity_id for entry in part.items})
        announced = {entry.activity_id: found[entry.activity_id].record for entry in part.items if _is_announced(entry, found)}
        return Slice([email for email in announced.values() if email.status is status], part.continuation)

    def _confirmed(self, part: Slice[TimelineEntry], belongs: Callable[[EmailActivity], bool]) -> Slice[EmailActivity]:
        found = self._stores.activities.find([entry.activity_id for entry in part.items])
        confirmed = [entry for entry in part.items if _is_confirmed(entry, found.get(entry.activity_id))]
        orphaned_before = self._clock() - _ORPHANED_AFTER
        orphans = [entry for entry in part.items if entry not in confirmed and entry.time < orphaned_before]
        if orphans:
            self._stores.timeline.remove(orphans)
        emails = [found[entry.activity_id].record for entry in confirmed]
        return Slice([email for email in emails if belongs(email)], part.continuation)


def _is_confirmed(entry: TimelineEntry, stored: StoredActivity | None) -> bool:
    if stored is None or stored.record.deleted_on is not None:
        return False
    email = stored.record
    time = email.created_on if entry.list_of is ListOf.UNSENT else email.received
    return email.receiving_mailbox == entry.whose and time == entry.time


def _is_announced(entry: OutboxEntry, found: Mapping[ActivityId, StoredActivity]) -> bool:
    """An email may have further entries: of submissions that came to nothing, or of the time before it was put off."""
    if entry.activity_id not in found:
        return False
    email = found[entry.activity_id].record
    return email.deleted_on is None and email.delivery is not None and email.delivery.submission == entry.submission
