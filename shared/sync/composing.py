"""An email that is written here as a connector is given it. Pure: the same email and attempt give the same message.

Refuses to know MIME and servers; what people wrote was checked when they asked for it to be sent.
"""

from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from functools import partial

from shared.domain.choices import ParticipationType, Priority
from shared.domain.configuration import EmailServerProfile, Mailbox
from shared.domain.email import Address, Attachment, EmailActivity, EmailContent
from shared.domain.errors import DeliveryRefused, TextLost
from shared.domain.ids import normalised_address
from shared.domain.outgoing import OutgoingAttachment, OutgoingMessage
from shared.sync.delivering import delivery_of
from shared.sync.text import text_instead_of

LOST = EmailContent(
    subject="",
    message_id=None,
    in_reply_to=None,
    references=(),
    parties=(),
    sent=None,
    received=datetime.min.replace(tzinfo=UTC),
    priority=Priority.NORMAL,
    body_html=None,
    body_text="",
    attachments=(),
    conversation_index=None,
)
"""Stands for a content of which a text is gone from the store: nothing can be composed of it."""

type ReadBlob = Callable[[str], Iterator[bytes]]
"""Streams a blob by its name. Raises TransientError, KeyError."""


def composed(
    email: EmailActivity,
    content: EmailContent,
    profile: EmailServerProfile,
    mailbox: Mailbox,
    read: ReadBlob,
    *,
    with_text: bool = True,
) -> OutgoingMessage:
    """The message of the attempt under way, sent through `mailbox`; `with_text`: beside HTML, derived from it where there is
    none. Raises TextLost; DeliveryRefused where it has no sender."""
    if content is LOST:
        raise TextLost("A text of the email is not in the store any more.")
    delivery = delivery_of(email)
    from_ = next(_addresses(content, ParticipationType.SENDER), None)
    if from_ is None or content.message_id is None:
        raise DeliveryRefused("The email has no sender.")
    is_own = normalised_address(from_.address) == normalised_address(mailbox.address)
    return OutgoingMessage(
        key=delivery.attempt or "",
        message_id=content.message_id,
        date=delivery.sent_on or delivery.attempted_on or email.created_on,
        from_=from_,
        sender=None if is_own else Address(mailbox.address, mailbox.name),
        to=_once(_addresses(content, ParticipationType.TO)),
        cc=_once(_addresses(content, ParticipationType.CC)),
        bcc=_once(_addresses(content, ParticipationType.BCC)),
        subject=content.subject,
        body_html=content.body_html,
        body_text=content.body_text or (text_instead_of(content.body_html or "") if with_text else ""),
        attachments=tuple(_attached(each, read) for each in content.attachments),
        in_reply_to=content.in_reply_to,
        references=content.references,
        conversation_index=content.conversation_index,
        priority=content.priority,
        read_receipt=delivery.read_receipt,
        delivery_receipt=delivery.delivery_receipt,
        save_copy=profile.save_sent_items,
        waiting=delivery.waiting,
    )


def _addresses(content: EmailContent, type_: ParticipationType) -> Iterator[Address]:
    """Those who are written to: an address whose record asks not to be is left out."""
    parties = (each for each in content.parties if each.type is type_ and not each.is_left_out)
    return (Address(each.address, each.name) for each in parties)


def _once(addresses: Iterable[Address]) -> tuple[Address, ...]:
    """An address that several records have is several parties, and is written to once."""
    first: dict[str, Address] = {}
    for each in addresses:
        first.setdefault(normalised_address(each.address), each)
    return tuple(first.values())


def _attached(attachment: Attachment, read: ReadBlob) -> OutgoingAttachment:
    return OutgoingAttachment(
        name=attachment.name,
        content_type=attachment.content_type,
        size=attachment.size,
        chunks=partial(read, attachment.blob),
        content_id=attachment.content_id,
        is_inline=attachment.is_inline,
    )
