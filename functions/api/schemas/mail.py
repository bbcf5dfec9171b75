"""What the API shows of mail: activities, and what became of a message."""

from collections.abc import Sequence
from typing import Annotated

from pydantic import ConfigDict, Field

from functions.api.derived import Given, Instant, Shown, shows
from functions.api.schemas import examples
from functions.api.schemas.delivery import DeliveryShown
from functions.api.schemas.references import RegardingGiven
from shared.administration.explanation import Explanation
from shared.domain.email import Annotation, Attachment, EmailActivity, EmailContent, OptOut, Sighting, TimelineEntry


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
@shows(EmailActivity, without=("fingerprint", "content_id", "deleted_on", "delivery"))
class ActivityShown(Shown):
    """An email activity. `body_html` is sanitised unless the raw body was asked for."""

    delivery: DeliveryShown | None = Field(
        default=None, description="Of an email that is written here: how it is on its way. Null of mail that was read."
    )

    attachments: Sequence[AttachmentShown] = ()
    sightings: Sequence[SightingShown] = ()
    annotations: Sequence[AnnotationShown] = ()


@shows(Explanation)
class ExplanationShown(Shown):
    """What became of a message in a mailbox, and why."""


@shows(OptOut)
class OptOutShown(Shown):
    """A conversation that is not tracked any more."""


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
