"""How a fetched message becomes an email activity and its rows in listings. Pure: ids, time and lookups come in.

Refuses to know whether the activity exists already: what is built here is a proposal, and what stands in the store wins.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from shared.domain.choices import ActivityState, Direction, EmailStatus, Notifications, ParticipationType, SenderOrigin
from shared.domain.configuration import AddressMatch, Mailbox
from shared.domain.email import (
    Address,
    Attachment,
    EmailActivity,
    EmailContent,
    IncomingMessage,
    ListOf,
    NewEmail,
    Party,
    Sighting,
    TimelineEntry,
)
from shared.domain.ids import ActivityId, email_id, normalised_address, variant_id
from shared.domain.organisation import OrganisationSettings
from shared.sync.text import collapsed, text_of_html

type Matches = Mapping[str, Sequence[AddressMatch]]
"""Which records have a (normalised) address."""


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


def addresses_of(message: IncomingMessage) -> set[str]:
    """The normalised addresses whose owners `promote` asks for."""
    sender = (message.sender,) if message.sender else ()
    return {normalised_address(each.address) for each in (*sender, *message.to, *message.cc) if each.address}


def promote(
    message: IncomingMessage,
    attachments: Sequence[HashedAttachment],
    matches: Matches,
    mailbox: Mailbox,
    settings: OrganisationSettings,
    now: datetime,
) -> NewEmail:
    """The activity, content and sighting that `message`, found in `mailbox`, would become.

    Its identity covers all attachments, those too that the settings leave out: it is the same under any settings.
    """
    kept = [attachment for attachment in attachments if _is_kept(attachment, settings)]
    text = message.body_text if message.body_text is not None else text_of_html(message.body_html or "")
    fingerprint = fingerprint_of(message, text, attachments)
    content_id = variant_id(message.message_id or "", Direction.INCOMING, fingerprint)
    activity_id = email_id(message.message_id, Direction.INCOMING) if message.message_id else content_id
    return NewEmail(
        activity=EmailActivity(
            id=activity_id,
            fingerprint=fingerprint,
            content_id=content_id,
            direction=Direction.INCOMING,
            state=ActivityState.COMPLETED,
            status=EmailStatus.RECEIVED,
            subject=message.subject,
            sender=message.sender.address if message.sender else "",
            received=message.received,
            created_on=now,
            owner=mailbox.owner,
            receiving_mailbox=mailbox.id,
            attachment_count=len(kept),
        ),
        content=EmailContent(
            subject=message.subject,
            message_id=message.message_id,
            in_reply_to=message.in_reply_to,
            references=message.references,
            parties=_parties(message, matches),
            sent=message.sent,
            received=message.received,
            priority=message.priority,
            body_html=message.body_html,
            body_text=text,
            attachments=tuple(_stored(attachment, content_id) for attachment in kept),
            conversation_index=message.conversation_index,
            sender_claims_own_address=_claims_own_address(message, matches, mailbox),
            notifications=Notifications.NONE if len(kept) == len(attachments) else Notifications.ATTACHMENTS_LEFT_OUT,
        ),
        sighting=Sighting(activity_id, mailbox.id, seen_on=now, item_id=message.ref.id),
    )


def as_variant(email: NewEmail) -> NewEmail:
    """The same email under the id of a variant: its Message-ID is taken by other content."""
    variant = email.activity.content_id
    return replace(
        email,
        activity=replace(email.activity, id=variant, variant_of=email.activity.id, has_variants=True),
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
    return f"emails/{content_id}/{sha256}"


def timeline_of(email: EmailActivity, content: EmailContent, sighting: Sighting) -> tuple[TimelineEntry, ...]:
    """The listing rows of a stored email: one for the mailbox that saw it, one for each record that takes part."""
    records = {party.record_id for party in content.parties if party.record_id is not None}
    return (
        _entry(email, ListOf.MAILBOX, sighting.mailbox_id),
        *(_entry(email, ListOf.PARTY, record) for record in sorted(records)),
    )


def _entry(email: EmailActivity, list_of: ListOf, whose: str) -> TimelineEntry:
    return TimelineEntry(
        list_of=list_of,
        whose=whose,
        activity_id=email.id,
        time=email.received,
        subject=email.subject,
        sender=email.sender,
        direction=email.direction,
        attachment_count=email.attachment_count,
    )


def _is_kept(attachment: HashedAttachment, settings: OrganisationSettings) -> bool:
    """Dots and spaces at the end of a name do not hide its extension: Windows drops them."""
    _, dot, extension = attachment.name.rstrip(". ").rpartition(".")
    is_blocked = bool(dot) and extension.lower() in settings.blocked_attachments
    return not is_blocked and attachment.size <= settings.largest_attachment


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


def _parties(message: IncomingMessage, matches: Matches) -> tuple[Party, ...]:
    sender = (message.sender,) if message.sender else ()
    by_type = (
        (ParticipationType.SENDER, sender),
        (ParticipationType.TO, message.to),
        (ParticipationType.CC, message.cc),
    )
    return tuple(_party(kind, address, matches) for kind, addresses in by_type for address in addresses)


def _party(kind: ParticipationType, address: Address, matches: Matches) -> Party:
    found = sorted(matches.get(normalised_address(address.address), ()), key=_preference)
    if not found:
        return Party(kind, address.address, address.name)
    return Party(kind, address.address, address.name, found[0].kind, found[0].id)


def _preference(match: AddressMatch) -> tuple[bool, bool, str, str]:
    """Active records first, then our own; beyond that any fixed order, so that every process resolves alike."""
    return (not match.active, not match.is_own, match.kind, match.id)


def _claims_own_address(message: IncomingMessage, matches: Matches, mailbox: Mailbox) -> bool:
    """The sender uses an address of ours, and the server does not vouch for it."""
    if message.sender is None or message.sender_origin is SenderOrigin.INTERNAL:
        return False
    address = normalised_address(message.sender.address)
    is_own = any(match.is_own for match in matches.get(address, ()))
    return is_own or address == normalised_address(mailbox.address)
