"""Email activities: listed by mailbox, read with what never changes about them, attachments streamed."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

from shared.administration.failures import RecordNotFound
from shared.domain.email import (
    Attachment,
    EmailActivity,
    EmailContent,
    ListOf,
    Sighting,
    TimelineEntry,
)
from shared.domain.ids import ActivityId, MailboxId
from shared.ports import Slice, Stores


@dataclass(frozen=True, slots=True)
class WholeEmail:
    """An email activity with its content, and the mailboxes it was seen in."""

    activity: EmailActivity
    content: EmailContent
    sightings: Sequence[Sighting]


class Activities:
    def __init__(self, stores: Stores) -> None:
        self._stores = stores

    def of_mailbox(self, mailbox_id: MailboxId, continuation: str | None = None, limit: int = 50) -> Slice[TimelineEntry]:
        """Newest first. Raises RecordNotFound, and InvalidRecord where the continuation is none of this list."""
        if self._stores.mailboxes.get(mailbox_id) is None:
            raise RecordNotFound(f"there is no mailbox {mailbox_id}")
        return self._stores.timeline.list(ListOf.MAILBOX, mailbox_id, continuation, limit)

    def get(self, activity_id: ActivityId) -> WholeEmail:
        """Raises RecordNotFound."""
        stored = self._stores.activities.get(activity_id)
        if stored is None:
            raise RecordNotFound(f"there is no activity {activity_id}")
        return WholeEmail(stored.record, self.content(activity_id), self._stores.activities.sightings(activity_id))

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
        try:
            chunks = iter(self._stores.blobs.read(attachment.blob))
            first = next(chunks, b"")
        except KeyError as error:
            raise RecordNotFound(f"the content of attachment {number} is not there any more") from error
        return attachment, chain((first,), chunks)
