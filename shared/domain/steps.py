"""Emails that are written here as they are read and written whole: an activity with its content, and one step on its way."""

from dataclasses import dataclass

from shared.domain.delivery import Attempt
from shared.domain.email import EmailActivity, EmailContent, StoredActivity


@dataclass(frozen=True, slots=True)
class StoredEmail:
    """An activity with its content."""

    activity: StoredActivity
    content: EmailContent


@dataclass(frozen=True, slots=True)
class Step:
    """One step of an email that is written here, in one transaction guarded by the ETag of its activity row."""

    activity: EmailActivity
    etag: str
    content: EmailContent | None = None
    """None: it stays as it is."""
    attempts: tuple[Attempt, ...] = ()
    """Upserted by number."""
