"""Attachments of emails that are written here: uploaded in parts, put together when all are there, removed.

An upload is an attachment without content until it is complete: it shows in the email, and keeps it from being sent. Parts are
blobs below the folder of the email. Completing reads them twice, one chunk in memory: once to know what they are, once to write
them to a blob that is named after that. What is removed is first an upload without content again, which nobody can go on with.
Everything may be repeated after a crash, and goes with the attachment, or with the email when that is deleted.
"""

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple
from uuid import UUID, uuid4, uuid5

from shared.administration import rules
from shared.administration.auditing import Auditing, Trail
from shared.administration.failures import NotPossibleNow, RecordNotFound
from shared.administration.outgoing.attached import (
    content_blob,
    content_folder,
    in_removal,
    is_in_removal,
    part_of,
    parts_folder,
    upload_of,
    with_content,
)
from shared.administration.outgoing.checks import LONGEST_CONTENT_ID, check_attachment, check_line, is_content_id
from shared.administration.outgoing.standing import advance, as_draft, check_editable, read
from shared.administration.writing import check_etag, persistently
from shared.domain.audit import Caller, ChangeAction
from shared.domain.email import Attachment, EmailActivity, StoredActivity
from shared.domain.errors import Busy, InvalidRecord
from shared.domain.ids import ActivityId
from shared.domain.listings import unsent_entry
from shared.domain.steps import StoredEmail
from shared.ports import Stores

PART_BYTES = 4 * 1024 * 1024
"""Bytes of a part; the last one has what remains."""
MOST_BYTES = 100 * 1024 * 1024
"""Bytes of all attachments of an email together."""
MOST_ATTACHMENTS = 100
LONGEST_NAME = 255

_MEDIA_TYPE = re.compile(r"[a-z0-9][a-z0-9!#$&^_.+-]{0,63}/[a-z0-9][a-z0-9!#$&^_.+-]{0,63}\Z", re.IGNORECASE)
_UPLOADS = UUID("c9e7d2b6-31f4-5a08-bd5e-7f60a8c41905")
_RACES = 5
"""How often one who completes an upload may be overtaken by others who complete the same."""


@dataclass(frozen=True, slots=True)
class NewAttachment:
    """An attachment as it is announced, before its content is there. Sizes are bytes."""

    name: str
    content_type: str
    size: int
    content_id: str | None = None
    """By which the HTML refers to it as `cid:`, without angle brackets."""
    is_inline: bool = False
    """Shown within the body, not beside it."""


class Uploading(NamedTuple):
    """An upload as it stands."""

    stored: StoredActivity
    upload: str
    number: int
    """Of the attachment, from 0."""
    attachment: Attachment

    @property
    def parts(self) -> int:
        return parts_of(self.attachment.size)


class Uploads:
    def __init__(self, stores: Stores, auditing: Auditing) -> None:
        self._stores = stores
        self._auditing = auditing

    def begin(
        self, activity_id: ActivityId, new: NewAttachment, caller: Caller, key: str | None = None, etag: str | None = None
    ) -> tuple[Uploading, bool]:
        """An attachment whose content is still to come, and whether it is new; with `key` the one that was begun with the same
        key before. Raises RecordNotFound, NotPossibleNow, InvalidRecord, Changed."""
        upload = uuid4().hex
        if key is not None:
            upload = _of_key(uuid5(_UPLOADS, f"{activity_id}:{rules.identifier('key', key)}").hex) + _of_key(upload)
        trail = self._trail(activity_id, caller)

        def attempt() -> tuple[Uploading, bool]:
            stored = self._editable(activity_id, etag)
            if (present := _found(stored, _of_key(upload))) is not None:
                return present, False
            attachment = Attachment(new.name, new.content_type, new.size, "", "", new.content_id, new.is_inline, upload)
            self._check(stored, new, attachment)
            trail.note(ChangeAction.CHANGED, None, None, f"{stored.activity.etag}:{upload}")
            taken = self._with(stored, (*stored.content.attachments, attachment))
            return Uploading(taken, upload, len(stored.content.attachments), attachment), True

        return persistently(attempt, etag)

    def put_part(
        self, activity_id: ActivityId, upload: str, number: int, octets: bytes, caller: Caller, etag: str | None = None
    ) -> Uploading:
        """One part, numbered from 0; repeating it replaces it. Raises RecordNotFound, NotPossibleNow, InvalidRecord,
        Changed."""
        stored = self._editable(activity_id, etag)
        uploading = self._uploading(stored, upload)
        if uploading.attachment.upload is None:
            raise NotPossibleNow("the upload is complete", "Remove the attachment and upload it again to change it.")
        expected = _part_size(uploading.attachment.size, number)
        if expected is None:
            raise InvalidRecord("number", f"the upload has {uploading.parts} parts, counted from 0", "Leave this part out.")
        if len(octets) != expected:
            raise InvalidRecord(
                "", f"part {number} has {len(octets)} bytes", f"Send {expected}: {PART_BYTES} in every part but the last."
            )
        self._trail(activity_id, caller).note(ChangeAction.CHANGED, None, None, f"{upload}:{number}")
        part = part_of(stored.activity.record, upload, number)
        self._stores.blobs.write(part, [octets])
        if not self._is_open(activity_id, upload):
            self._stores.blobs.delete(part)
            raise RecordNotFound(f"the upload {upload} is complete, or was removed")
        return uploading

    def complete(
        self, activity_id: ActivityId, upload: str, caller: Caller, sha256: str | None = None, etag: str | None = None
    ) -> Uploading:
        """Puts the parts together; `sha256` (hexadecimal) is compared where it is given. One that is complete already stays as
        it is, and of several who complete it at once all get the same. Raises RecordNotFound, NotPossibleNow where a part is
        missing, InvalidRecord, Changed."""
        for left in reversed(range(_RACES)):
            stored = self._editable(activity_id, etag)
            uploading = self._uploading(stored, upload)
            try:
                return self._completed(stored, uploading, sha256, caller, etag)
            except Busy:  # another one wrote the same blob, or removed a part that was being read
                if not left:
                    raise
            except NotPossibleNow:  # unless another one has completed it, and removed the parts
                if self._is_open(activity_id, upload):
                    raise
        raise Busy("others complete and begin the same upload all the time")

    def remove(self, activity_id: ActivityId, number: int, caller: Caller, etag: str | None = None) -> StoredActivity:
        """The attachments behind it move up. It is not tried again where others win the race: by then the number may be that of
        another one. Raises RecordNotFound, NotPossibleNow, Changed."""
        stored = self._editable(activity_id, etag)
        attachments = stored.content.attachments
        if not 0 <= number < len(attachments):
            raise RecordNotFound(f"activity {activity_id} has {len(attachments)} attachments, counted from 0")
        removed = attachments[number]
        record, upload = stored.activity.record, upload_of(stored.activity.record, removed)
        self._trail(activity_id, caller).note(ChangeAction.CHANGED, None, None, f"{stored.activity.etag}:-{number}")
        if not is_in_removal(removed):
            marked = in_removal(record, removed)
            self._with(stored, (*attachments[:number], marked, *attachments[number + 1 :]))
        for folder in (parts_folder(record, upload), content_folder(record, upload)):
            self._stores.blobs.delete_folder(folder)
        if removed.blob:  # which may have a name of former times
            self._stores.blobs.delete(removed.blob)
        return self._without(activity_id, upload)

    def _without(self, activity_id: ActivityId, upload: str) -> StoredActivity:
        """The email without an attachment of which nothing is left."""

        def attempt() -> StoredActivity:
            stored = self._editable(activity_id, None)
            record, present = stored.activity.record, stored.content.attachments
            kept = tuple(each for each in present if not is_in_removal(each) or upload_of(record, each) != upload)
            return stored.activity if kept == present else self._with(stored, kept)

        return persistently(attempt, None)

    # ---- putting together

    def _completed(
        self, stored: StoredEmail, uploading: Uploading, sha256: str | None, caller: Caller, etag: str | None
    ) -> Uploading:
        if uploading.attachment.upload is not None:
            uploading = self._put_together(stored, uploading, sha256, caller, etag)
        elif sha256 not in (None, uploading.attachment.sha256):
            raise _other_content()
        self._stores.blobs.delete_folder(parts_folder(stored.activity.record, uploading.upload))
        return uploading

    def _put_together(
        self, stored: StoredEmail, uploading: Uploading, sha256: str | None, caller: Caller, etag: str | None
    ) -> Uploading:
        record, upload, size = stored.activity.record, uploading.upload, uploading.attachment.size
        found = _digest(self._read(record, upload, size))
        if sha256 not in (None, found):
            raise _other_content()
        blob = content_blob(record, upload, found)
        self._stores.blobs.write(blob, _of_hash(found, self._read(record, upload, size)))
        self._trail(record.id, caller).note(ChangeAction.CHANGED, None, None, f"{upload}:{found}")
        try:
            complete = persistently(lambda: self._filled(record.id, upload, blob, found, etag), etag)
        except RecordNotFound:  # the email or the attachment was removed meanwhile
            self._stores.blobs.delete(blob)
            raise
        if complete.attachment.blob != blob:  # another one has put other parts together
            self._stores.blobs.delete(blob)
        return complete

    def _filled(self, activity_id: ActivityId, upload: str, blob: str, sha256: str, etag: str | None) -> Uploading:
        present = self._editable(activity_id, etag)
        uploading = self._uploading(present, upload)
        if uploading.attachment.upload is None:
            return uploading
        complete = with_content(uploading.attachment, blob, sha256)
        attachments = list(present.content.attachments)
        attachments[uploading.number] = complete
        return uploading._replace(stored=self._with(present, tuple(attachments)), attachment=complete)

    def _read(self, record: EmailActivity, upload: str, size: int) -> Iterator[bytes]:
        for number in range(parts_of(size)):
            length = 0
            try:
                for chunk in self._stores.blobs.read(part_of(record, upload, number)):
                    length += len(chunk)
                    yield chunk
            except KeyError as error:
                raise NotPossibleNow(f"part {number} is missing", f"Upload part {number}, then complete the upload.") from error
            if length != _part_size(size, number):
                raise NotPossibleNow(f"part {number} is not whole", f"Upload part {number} again, then complete the upload.")

    # ---- what they have in common

    def _editable(self, activity_id: ActivityId, etag: str | None) -> StoredEmail:
        stored = read(self._stores.activities, activity_id)
        check_etag(stored.activity.etag, etag)
        check_editable(stored.activity.record)
        return stored

    def _uploading(self, stored: StoredEmail, upload: str) -> Uploading:
        found = _found(stored, upload)
        if found is None:
            raise RecordNotFound(f"the email has no upload {upload}")
        return found

    def _check(self, stored: StoredEmail, new: NewAttachment, attachment: Attachment) -> None:
        """Raises InvalidRecord."""
        rules.text("name", new.name, LONGEST_NAME)
        check_line("name", new.name)
        if "/" in new.name or "\\" in new.name:
            raise InvalidRecord("name", "name holds a folder", "Write the name of the file alone.")
        if not _MEDIA_TYPE.match(new.content_type) or new.content_type.lower().startswith("multipart/"):
            raise InvalidRecord(
                "content_type", "content_type is no media type", "Write one such as application/pdf, without parameters."
            )
        if new.content_id is not None and not is_content_id(new.content_id):
            raise InvalidRecord(
                "content_id",
                "content_id cannot stand in a header",
                f"Write 1 to {LONGEST_CONTENT_ID} letters, digits and signs without space and angle brackets.",
            )
        present = stored.content.attachments
        if new.size < 0:
            raise InvalidRecord("size", "size is less than nothing", "Write how many bytes the content has.")
        if new.size + sum(each.size for each in present) > MOST_BYTES:
            raise InvalidRecord(
                "size", "the attachments are too large together", f"All of an email together may have {MOST_BYTES} bytes."
            )
        if len(present) >= MOST_ATTACHMENTS:
            raise InvalidRecord("name", "the email has too many attachments", f"Attach {MOST_ATTACHMENTS} at most.")
        check_attachment("name", "size", attachment, self._stores.settings.get().record)

    def _with(self, stored: StoredEmail, attachments: tuple[Attachment, ...]) -> StoredActivity:
        record = stored.activity.record
        email = replace(as_draft(record, check_editable(record)), attachment_count=len(attachments))
        self._stores.timeline.put([unsent_entry(email)])
        return advance(self._stores.activities, stored, email, replace(stored.content, attachments=attachments))

    def _is_open(self, activity_id: ActivityId, upload: str) -> bool:
        """The upload is there, and not complete."""
        stored = self._stores.activities.whole([activity_id]).get(activity_id)
        found = None if stored is None else _found(stored, upload)
        return found is not None and found.attachment.upload is not None

    def _trail(self, activity_id: ActivityId, caller: Caller) -> Trail:
        return self._auditing.trail(caller, f"activity:{activity_id}")


def parts_of(size: int) -> int:
    """Parts of an upload of so many bytes."""
    return -(-size // PART_BYTES)


def _part_size(size: int, number: int) -> int | None:
    """Bytes of a part; None where the upload has no such part."""
    return min(PART_BYTES, size - number * PART_BYTES) if 0 <= number < parts_of(size) else None


def _of_key(upload: str) -> str:
    """The half of its name by which who repeats a beginning with a key finds an upload. The other half is by chance: what is
    begun again after a removal has another name, so a removal that ends late takes nothing of it."""
    return upload[:16]


def _found(stored: StoredEmail, upload: str) -> Uploading | None:
    """The upload of this name, or whose name begins like this."""
    for number, each in enumerate(stored.content.attachments):
        if not is_in_removal(each) and (name := upload_of(stored.activity.record, each)).startswith(upload):
            return Uploading(stored.activity, name, number, each)
    return None


def _digest(chunks: Iterator[bytes]) -> str:
    digest = hashlib.sha256()
    for chunk in chunks:
        digest.update(chunk)
    return digest.hexdigest()


def _of_hash(sha256: str, chunks: Iterator[bytes]) -> Iterator[bytes]:
    """The chunks; where they turn out to be of another content they do not come to an end, so that nothing is written."""
    digest = hashlib.sha256()
    for chunk in chunks:
        digest.update(chunk)
        yield chunk
    if digest.hexdigest() != sha256:
        raise Busy("a part was replaced while the parts were put together")


def _other_content() -> InvalidRecord:
    return InvalidRecord("sha256", "the content has another hash", "Upload the parts again: something went wrong on the way.")
