"""How a fetched message becomes an email activity. Pure: judgement, attachments and time come in.

Refuses to know whether the activity exists already: what is built here is a proposal, and what stands in the store wins.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from shared.domain.answering import reply_to_of
from shared.domain.choices import Notifications
from shared.domain.email import Attachment, IncomingMessage, NewEmail, Sighting
from shared.domain.ids import ActivityId, email_folder, normalised_address, variant_id
from shared.domain.organisation import OrganisationSettings, is_blocked
from shared.sync.judged import Judged
from shared.sync.outline import outline_of
from shared.sync.special import is_armored
from shared.sync.text import collapsed, text_of_html


@dataclass(frozen=True, slots=True)
class HashedAttachment:
    """An attachment whose bytes were read once."""

    name: str
    content_type: str
    size: int
    sha256: str
    content_id: str | None = None
    is_inline: bool = False
    identity: str | None = None
    """Of an attached message: compared instead of its bytes, where a server renders those differently each time."""


@dataclass(frozen=True, slots=True)
class Proposal:
    """The email that a message would become, and what goes with it. What is stored already wins over it."""

    email: NewEmail
    judged: Judged


def promote(
    message: IncomingMessage,
    attachments: Sequence[HashedAttachment],
    judged: Judged,
    now: datetime,
) -> Proposal:
    """The activity, content and sighting that `message` would become.

    Its identity covers all attachments, those too that the settings leave out: it is the same under any settings.
    """
    kept = [attachment for attachment in attachments if _is_kept(attachment, judged.facts.settings)]
    text = message.body_text if message.body_text is not None else text_of_html(message.body_html or "")
    fingerprint = fingerprint_of(message, text, attachments)
    content_id = variant_id(message.message_id or "", judged.direction, fingerprint)
    activity, content = outline_of(judged, judged.activity_id or content_id, now)
    email = NewEmail(
        activity=replace(activity, fingerprint=fingerprint, content_id=content_id, attachment_count=len(kept)),
        content=replace(
            content,
            priority=message.priority,
            body_html=message.body_html,
            body_text=text,
            reply_to=reply_to_of(message.sender, message.reply_to),
            attachments=tuple(_stored(attachment, content_id) for attachment in kept),
            is_encrypted=content.is_encrypted or is_armored(text),
            report=message.report,
            notifications=Notifications.NONE if len(kept) == len(attachments) else Notifications.ATTACHMENTS_LEFT_OUT,
        ),
        sighting=Sighting(activity.id, judged.facts.mailbox.id, seen_on=now, item_id=message.ref.id),
    )
    return Proposal(email, judged)


def as_variant(email: NewEmail) -> NewEmail:
    """The same email under the id of a variant: its Message-ID is taken by other content."""
    activity, variant = email.activity, email.activity.content_id
    conversation = variant if activity.conversation == activity.id else activity.conversation
    return replace(
        email,
        activity=replace(activity, id=variant, conversation=conversation, variant_of=activity.id, has_variants=True),
        sighting=replace(email.sighting, activity_id=variant),
    )


def fingerprint_of(message: IncomingMessage, text: str, attachments: Sequence[HashedAttachment]) -> str:
    """What tells content apart that came with the same Message-ID: SHA-256 in hexadecimal."""
    parts = [
        normalised_address(message.sender.address) if message.sender else "",
        _time_of(message),
        message.subject,
        collapsed(text),
        *sorted(attachment.identity or attachment.sha256 for attachment in attachments),
    ]
    return hashlib.sha256(json.dumps(parts).encode("ascii")).hexdigest()


def _time_of(message: IncomingMessage) -> str:
    """The Date as the sender wrote it. Where neither Date nor Message-ID tell messages apart, when this one came."""
    time = message.sent or (message.received if message.message_id is None else None)
    return time.replace(microsecond=0).isoformat() if time else ""


def blob_name(content_id: ActivityId, sha256: str) -> str:
    """Where an attachment stands: derived from content alone, so writing it again writes the same."""
    return f"{email_folder(content_id)}{sha256}"


def _is_kept(attachment: HashedAttachment, settings: OrganisationSettings) -> bool:
    return not is_blocked(attachment.name, settings) and attachment.size <= settings.largest_attachment


def _stored(attachment: HashedAttachment, content_id: ActivityId) -> Attachment:
    return Attachment(
        name=attachment.name,
        content_type=attachment.content_type,
        size=attachment.size,
        sha256=attachment.sha256,
        blob=blob_name(content_id, attachment.sha256),
        content_id=attachment.content_id,
        is_inline=attachment.is_inline,
    )
