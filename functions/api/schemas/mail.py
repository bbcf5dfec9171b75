"""What the API shows of mail: activities, and what became of a message."""

from collections.abc import Sequence
from typing import Annotated

from pydantic import ConfigDict, Field

from functions.api.derived import Given, Instant, Shown, shows
from functions.api.schemas import examples
from shared.administration.address_book import TYPE_PATTERN
from shared.administration.explanation import Explanation
from shared.administration.rules import ID_PATTERN
from shared.domain.choices import OwnerKind
from shared.domain.configuration import OwnerRef
from shared.domain.email import Annotation, Attachment, EmailActivity, EmailContent, OptOut, Sighting, TimelineEntry
from shared.domain.ids import OwnerId
from shared.domain.records import RecordRef

ChosenId = Annotated[str, Field(description="Chosen by whoever created it.", pattern=ID_PATTERN, max_length=64)]


@shows(TimelineEntry, without=("list_of", "whose"))
class ActivityListed(Shown):
    """An activity as a list shows it."""


@shows(Attachment, without=("blob",))
class AttachmentShown(Shown):
    """An attachment; its content is served as a download."""

    url: str = ""

    @classmethod
    def of(cls, attachment: Attachment, url: str) -> "AttachmentShown":
        return cls.model_validate(attachment).model_copy(update={"url": url})


@shows(Sighting, without=("activity_id", "item_id"))
class SightingShown(Shown):
    """A mailbox in which the email was seen."""


@shows(Annotation, without=("about",))
class AnnotationShown(Shown):
    """What a delivery report said about the email later."""


@shows(EmailContent, without=("subject", "received", "attachments"))
@shows(EmailActivity, without=("fingerprint", "content_id", "deleted_on"))
class ActivityShown(Shown):
    """An email activity. `body_html` is sanitised unless the raw body was asked for."""

    attachments: Sequence[AttachmentShown] = ()
    sightings: Sequence[SightingShown] = ()
    annotations: Sequence[AnnotationShown] = ()


@shows(Explanation)
class ExplanationShown(Shown):
    """What became of a message in a mailbox, and why."""


@shows(OptOut)
class OptOutShown(Shown):
    """A conversation that is not tracked any more."""


class RegardingGiven(Given):
    """The record that an email is about: of the address book, or any other."""

    model_config = ConfigDict(json_schema_extra={"examples": examples.REGARDING})

    type: str = Field(description="Type of the record: contact, account, lead, or any other.", pattern=TYPE_PATTERN)
    id: ChosenId

    def record(self) -> RecordRef:
        return RecordRef(self.type, self.id)


class OwnerRefGiven(Given):
    """The user or queue that an email belongs to."""

    model_config = ConfigDict(json_schema_extra={"examples": examples.OWNER_REF})

    kind: OwnerKind
    id: ChosenId

    def owner(self) -> OwnerRef:
        return OwnerRef(self.kind, OwnerId(self.id))


MessageId = Annotated[
    str, Field(description="The message's Message-ID, with or without angle brackets.", min_length=1, max_length=2000)
]


class TrackGiven(Given):
    """The message that shall be tracked, and what it is about."""

    model_config = ConfigDict(json_schema_extra={"examples": examples.TRACK})

    message_id: MessageId
    regarding: RegardingGiven | None = None


class UntrackGiven(Given):
    """The message that shall be left alone."""

    model_config = ConfigDict(json_schema_extra={"examples": examples.UNTRACK})

    message_id: MessageId


class JudgeGiven(Given):
    """From when on skipped messages are judged again."""

    model_config = ConfigDict(json_schema_extra={"examples": examples.JUDGE})

    since: Instant = Field(description="Messages received since then.")


class DiscardGiven(Given):
    """Why a quarantined item is given up."""

    model_config = ConfigDict(json_schema_extra={"examples": examples.DISCARD})

    reason: str = Field(description="Kept with the decision, in your words.", min_length=1, max_length=500)
