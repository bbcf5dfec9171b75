"""Copies of the attachments of what is forwarded: a forward does not lose them with the original.

The draft announces them as uploads, then their content is copied: so whatever is copied lies below the folder of a draft that
is there. Who was cut off finds in the draft what is missing; the same creation again, by its key, brings it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from uuid import UUID, uuid5

from shared.administration.failures import RecordNotFound
from shared.administration.outgoing.answers import Answers, Continued, writable
from shared.administration.outgoing.attached import content_blob, with_content
from shared.administration.outgoing.standing import advance, read
from shared.administration.writing import persistently
from shared.domain.drafts import Answered, AnswerKind
from shared.domain.email import Attachment, StoredActivity
from shared.domain.errors import InvalidRecord
from shared.domain.ids import ActivityId
from shared.ports import Stores

_COPIES = UUID("5d0c6f0e-7f0b-5b0f-9a39-1d5b8f4e2c77")

type _Copied = Mapping[str, tuple[str, str]]
"""Blob and hash of what was copied, by the upload by which the draft announced it."""


class Copies:
    def __init__(self, stores: Stores, answers: Answers) -> None:
        self._stores = stores
        self._answers = answers

    def announced(self, continued: Continued, draft: ActivityId) -> tuple[Attachment, ...]:
        """Raises InvalidRecord where the content of one is not there any more."""
        if continued.kind is not AnswerKind.FORWARD:
            return ()
        originals = continued.content.attachments
        for each in originals:
            self._chunks(each, offset=each.size)
        return tuple(
            replace(writable(each), sha256="", blob="", upload=_upload(draft, continued.email.id, place))
            for place, each in enumerate(originals)
        )

    def complete(self, draft: StoredActivity, answered: Answered) -> StoredActivity:
        """The draft with the content of what it announces. Raises InvalidRecord, RecordNotFound, NotPossibleNow."""
        if answered.kind is not AnswerKind.FORWARD or not draft.record.attachment_count:
            return draft
        present = read(self._stores.activities, draft.record.id).content.attachments
        missing = {each.upload for each in present} - {None}
        if not missing:
            return draft
        copied: dict[str, tuple[str, str]] = {}
        for place, original in enumerate(self._answers.read(answered).content.attachments):
            if (upload := _upload(draft.record.id, answered.activity_id, place)) in missing:
                blob = content_blob(draft.record, upload, original.sha256)
                self._stores.blobs.write(blob, self._chunks(original))
                copied[upload] = blob, original.sha256
        return self._named(draft.record.id, copied)

    def _named(self, draft: ActivityId, copied: _Copied) -> StoredActivity:
        """The draft that names what was copied; what it does not announce any more goes again."""
        needless = {blob for blob, _ in copied.values()}

        def attempt() -> StoredActivity:
            stored = read(self._stores.activities, draft)
            before = stored.content.attachments
            after = tuple(with_content(each, *of) if (of := copied.get(each.upload or "")) else each for each in before)
            needless.difference_update(each.blob for each in after)
            if after == before:
                return stored.activity
            return advance(self._stores.activities, stored, stored.activity.record, replace(stored.content, attachments=after))

        try:
            taken = persistently(attempt, None)
        except RecordNotFound:  # it was deleted meanwhile
            self._remove(blob for blob, _ in copied.values())
            raise
        self._remove(needless)
        return taken

    def _remove(self, blobs: Iterator[str] | set[str]) -> None:
        for blob in blobs:
            self._stores.blobs.delete(blob)

    def _chunks(self, attachment: Attachment, offset: int = 0) -> Iterator[bytes]:
        try:
            return self._stores.blobs.read(attachment.blob, offset)
        except KeyError as error:
            raise InvalidRecord(
                "answers/activity_id", "the content of one of its attachments is not there any more", "Write a new email."
            ) from error


def _upload(draft: ActivityId, original: ActivityId, place: int) -> str:
    """The same for whoever repeats it, and for no other original: who uses a key twice mixes nothing up."""
    return uuid5(_COPIES, f"{draft}:{original}:{place}").hex
