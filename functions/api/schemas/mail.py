"""What the API shows of mail: activities, and what became of a message."""

from collections.abc import Sequence

from functions.api.derived import Shown, shows
from shared.administration.explanation import Explanation
from shared.domain.email import Attachment, EmailActivity, EmailContent, Sighting, TimelineEntry


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


@shows(EmailContent, without=("subject", "received", "attachments"))
@shows(EmailActivity, without=("fingerprint", "content_id"))
class ActivityShown(Shown):
    """An email activity. `body_html` is sanitised unless the raw body was asked for."""

    attachments: Sequence[AttachmentShown] = ()
    sightings: Sequence[SightingShown] = ()


@shows(Explanation)
class ExplanationShown(Shown):
    """What became of a message in a mailbox, and why."""
