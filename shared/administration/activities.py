"""Email activities: listed by mailbox, queue, party and regarding, read with all their content, attachments streamed."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

from shared.administration.failures import RecordNotFound
from shared.domain.choices import OwnerKind
from shared.domain.email import (
    Annotation,
    Attachment,
    EmailActivity,
    EmailContent,
    ListOf,
    Sighting,
    StoredActivity,
    TimelineEntry,
)
from shared.domain.ids import ActivityId, MailboxId, OwnerId
from shared.domain.listings import whose_record
from shared.domain.records import RecordRef
from shared.ports import Slice, Stores


@dataclass(frozen=True, slots=True)
class WholeEmail:
    """An email activity with its content, and the mailboxes it was seen in."""

    activity: EmailActivity
    etag: str
    content: EmailContent
    sightings: Sequence[Sighting]
    annotations: Sequence[Annotation]
    """What delivery reports said about it later."""


class Activities:
    def __init__(self, stores: Stores) -> None:
        self._stores = stores

    def of_mailbox(self, mailbox_id: MailboxId, continuation: str | None = None, limit: int = 50) -> Slice[TimelineEntry]:
        """Newest first; a part may have fewer than `limit`. Raises RecordNotFound, and InvalidRecord where the continuation is
        none of this list."""
        if self._stores.mailboxes.get(mailbox_id) is None:
            raise RecordNotFound(f"there is no mailbox {mailbox_id}")
        return self._present(self._stores.timeline.list(ListOf.MAILBOX, mailbox_id, continuation, limit))

    def of_queue(self, queue: OwnerId, continuation: str | None = None, limit: int = 50) -> Slice[TimelineEntry]:
        """The queue's items, newest first; a part may have fewer than `limit`. Raises RecordNotFound, InvalidRecord."""
        if self._stores.owners.get(OwnerKind.QUEUE, queue) is None:
            raise RecordNotFound(f"there is no queue {queue}")
        return self._present(self._stores.timeline.list(ListOf.QUEUE, queue, continuation, limit))

    def of_party(self, record: RecordRef, continuation: str | None = None, limit: int = 50) -> Slice[TimelineEntry]:
        """Emails in which a record (a contact, a user ...) takes part, newest first; a part may have fewer than `limit`. Raises
        InvalidRecord."""
        return self._present(
            self._stores.timeline.list(ListOf.PARTY, whose_record(record.type, record.id), continuation, limit)
        )

    def of_regarding(self, record: RecordRef, continuation: str | None = None, limit: int = 50) -> Slice[TimelineEntry]:
        """Emails about a record, newest first; a part may have fewer than `limit`. Raises InvalidRecord.

        The rows of the list are hints: each is confirmed against the email itself.
        """
        part = self._stores.timeline.list(ListOf.REGARDING, whose_record(record.type, record.id), continuation, limit)
        found = self._stores.activities.find([entry.activity_id for entry in part.items])
        confirmed = [each for each in part.items if each.activity_id in found and _is_about(found[each.activity_id], record)]
        return Slice(confirmed, part.continuation)

    def _present(self, part: Slice[TimelineEntry]) -> Slice[TimelineEntry]:
        """Without the rows of deleted emails, which go: a run that read an email just before it was deleted wrote them then."""
        found = self._stores.activities.find([entry.activity_id for entry in part.items])
        deleted = {activity_id for activity_id, stored in found.items() if stored.record.deleted_on is not None}
        if deleted:
            self._stores.timeline.remove([entry for entry in part.items if entry.activity_id in deleted])
        return Slice([entry for entry in part.items if entry.activity_id not in deleted], part.continuation)

    def get(self, activity_id: ActivityId) -> WholeEmail:
        """Raises RecordNotFound, also of one that was deleted."""
        stored = self._stores.activities.get(activity_id)
        if stored is None or stored.record.deleted_on is not None:
            raise RecordNotFound(f"there is no activity {activity_id}")
        return WholeEmail(
            stored.record,
            stored.etag,
            self.content(activity_id),
            self._stores.activities.sightings(activity_id),
            self._stores.activities.annotations(activity_id),
        )

    def content(self, activity_id: ActivityId) -> EmailContent:
        """Raises RecordNotFound."""
        content = self._stores.activities.content(activity_id)
        if content is None:
            raise RecordNotFound(f"there is no activity {activity_id}")
        return content

    def attachment(self, activity_id: ActivityId, number: int) -> tuple[Attachment, Iterator[bytes]]:
        """An attachment and its content in chunks; `number` counts from 0. Raises RecordNotFound, before the first chunk."""
        attachments = self.content(activity_id).attachments
        if not 0 <= number < len(attachments):
            raise RecordNotFound(f"activity {activity_id} has {len(attachments)} attachments, counted from 0")
        attachment = attachments[number]
        if attachment.upload is not None:
            raise RecordNotFound(f"attachment {number} was not uploaded completely yet")
        try:
            chunks = iter(self._stores.blobs.read(attachment.blob))
            first = next(chunks, b"")
        except KeyError as error:
            raise RecordNotFound(f"the content of attachment {number} is not there any more") from error
        return attachment, chain((first,), chunks)


def _is_about(stored: StoredActivity, record: RecordRef) -> bool:
    return stored.record.regarding == record and stored.record.deleted_on is None
