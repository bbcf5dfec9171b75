"""What the API accepts and shows of emails that are written here, and of how they are on their way."""

from collections.abc import Sequence
from dataclasses import fields

from pydantic import ConfigDict, Field

from functions.api.derived import Given, Shown, accepts, shows
from functions.api.identifiers import UUID_PATTERN
from functions.api.schemas import examples
from functions.api.schemas.references import ChosenId, OwnerRefGiven, RegardingGiven
from shared.administration.address_book import TYPE_PATTERN
from shared.administration.outgoing.uploads import PART_BYTES, NewAttachment, Uploading
from shared.administration.rules import ID_PATTERN
from shared.domain.delivery import Attempt, Delivery
from shared.domain.drafts import Answered, AnswerKind, Draft, Recipient
from shared.domain.email import EmailActivity
from shared.domain.ids import ActivityId

# ---- shown


@shows(Delivery, without=("submission", "attempt", "waiting"))
class DeliveryShown(Shown):
    """How an email that is written here is on its way."""


@shows(Attempt, without=("activity_id", "id"))
class AttemptShown(Shown):
    """One attempt to send an email."""


_LISTED = ("id", "subject", "sender", "status", "created_on", "regarding", "attachment_count")


@shows(EmailActivity, without=[each.name for each in fields(EmailActivity) if each.name not in _LISTED])
class OutgoingListed(Shown):
    """An email that is written here, as a list shows it."""

    delivery: DeliveryShown


class UploadShown(Shown):
    """An attachment whose content is uploaded in parts."""

    upload: str = Field(description="Id of the upload; a part of the paths of its parts.")
    number: int = Field(description="Of the attachment, counted from 0.")
    name: str
    size: int = Field(description="Bytes of the whole.")
    part_size: int = Field(default=PART_BYTES, description="Bytes of every part but the last.")
    parts: int = Field(description="How many there are; they are numbered from 0.")
    is_complete: bool
    sha256: str | None = Field(description="Of the whole, in hexadecimal, once it is complete.")

    @classmethod
    def of(cls, uploading: Uploading) -> "UploadShown":
        attachment = uploading.attachment
        return cls(
            upload=uploading.upload,
            number=uploading.number,
            name=attachment.name,
            size=attachment.size,
            parts=uploading.parts,
            is_complete=attachment.upload is None,
            sha256=attachment.sha256 or None,
        )


# ---- given


@accepts(Recipient)
class RecipientGiven(Given):
    """Whom an email is written to: a record, an address, or a record by one of its addresses."""

    type: str | None = Field(
        default=None,
        description="`user`, `queue`, or the type of a record of the address book; goes with `id`.",
        pattern=TYPE_PATTERN,
    )
    id: ChosenId | None = None


class AnsweredGiven(Given):
    """The email that another one answers or forwards. What is not given is taken over: recipients, subject, regarding, and of a
    forward the attachments. Nothing is quoted that is not given."""

    activity_id: str = Field(description="Id of the activity.", pattern=UUID_PATTERN)
    kind: AnswerKind

    def answered(self) -> Answered:
        return Answered(ActivityId(self.activity_id), self.kind)


@accepts(Draft)
class DraftGiven(Given):
    """A new email."""

    model_config = ConfigDict(json_schema_extra={"examples": examples.DRAFT})

    sender: OwnerRefGiven
    submitter: ChosenId | None = Field(default=None, description="Id of the user who writes it for the sender.")
    to: Sequence[RecipientGiven] = ()
    cc: Sequence[RecipientGiven] = ()
    bcc: Sequence[RecipientGiven] = ()
    regarding: RegardingGiven | None = None
    answers: AnsweredGiven | None = None
    key: str | None = Field(
        default=None,
        description="Of your choice: who repeats the request with the same key for the same sender gets the same draft.",
        pattern=ID_PATTERN,
        max_length=64,
    )


@accepts(Draft, partial=True)
class DraftPatch(Given):
    """JSON merge patch of an email that was not sent yet: what is left out stays, null returns to the default."""

    model_config = ConfigDict(json_schema_extra={"examples": examples.DRAFT_PATCH})

    sender: OwnerRefGiven | None = None
    submitter: ChosenId | None = Field(default=None, description="Id of the user who writes it for the sender.")
    to: Sequence[RecipientGiven] | None = None
    cc: Sequence[RecipientGiven] | None = None
    bcc: Sequence[RecipientGiven] | None = None
    regarding: RegardingGiven | None = None


@accepts(NewAttachment)
class AttachmentGiven(Given):
    """An attachment whose content follows in parts."""

    model_config = ConfigDict(json_schema_extra={"examples": examples.ATTACHMENT})

    key: str | None = Field(
        default=None,
        description="Of your choice: who repeats the request with the same key gets the same upload.",
        pattern=ID_PATTERN,
        max_length=64,
    )
