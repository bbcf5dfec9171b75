"""What a sample is: the bytes of a message, how it arrives, and what Sidesync is expected to make of it."""

import hashlib
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from shared.domain.choices import Reason, Verdict


class Shows(StrEnum):
    """What a sample is there to show; the demo checks each of these."""

    CORRESPONDENCE = "correspondence"
    REPLY = "replies"
    INLINE_PICTURE = "inline pictures"
    ATTACHMENT = "attachments"
    LARGE = "a 20 MB attachment"
    CHARSET = "character sets"
    IMPORTANCE = "importance"
    SHARED = "one message in several mailboxes"
    TWICE = "the same message twice in one mailbox"
    VARIANT = "one Message-ID, different content"
    NO_MESSAGE_ID = "no Message-ID"
    HOSTILE_HTML = "HTML that must not be shown as it is"
    CLAIMED_ADDRESS = "an own address claimed from outside"
    INTERNAL = "internal mail"
    MEETING = "meeting requests"
    OLD = "older than the start date"
    PLACED = "drafts and own copies"
    BROKEN = "broken MIME"
    UNREADABLE = "an item that the server cannot give"


class Placed(StrEnum):
    """What a mail program of the mailbox's owner puts there by itself; it never travels."""

    DRAFT = "draft"
    OWN_COPY = "own copy"


@dataclass(frozen=True, slots=True)
class SentAttachment:
    """An attachment as it was sent."""

    name: str
    sha256: str
    size: int
    is_inline: bool = False


@dataclass(frozen=True, slots=True)
class Sample:
    """A message, its way in, and its expected outcome."""

    name: str
    """Unique; what a failed check names."""
    shows: Shows
    raw: bytes
    to: tuple[str, ...]
    """Addresses of the mailboxes that it is delivered to."""
    subject: str | None = None
    """As a reader sees it; None where the message is too broken to say."""
    message_id: str | None = None
    """Without angle brackets."""
    sender: str = ""
    """Address, for the envelope."""
    received: datetime | None = None
    """Given: put into the mailbox with that date. None: it arrives over SMTP, now."""
    placed: Placed | None = None
    """Given: put into the inbox by the owner's own mail program."""
    unreadable: bool = False
    """The server fails whenever it is asked for this item."""
    internal: bool = False
    """Sent by a signed-in user of the organisation."""
    verdict: Verdict = Verdict.PROMOTED
    reason: Reason = Reason.RELEVANT
    activity: str = ""
    """Samples with the same value become one activity; empty: one of its own."""
    contains: str | None = None
    """The text of the activity contains this."""
    in_reply_to: str | None = None
    attachments: tuple[SentAttachment, ...] = ()
    important: bool = False

    @property
    def activity_key(self) -> str:
        return self.activity or self.name


def sent_attachment(name: str, content: bytes, *, is_inline: bool = False) -> SentAttachment:
    return SentAttachment(name, hashlib.sha256(content).hexdigest(), len(content), is_inline)
