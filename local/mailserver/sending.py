"""How a mail client sends: it completes the draft, keeps a copy in Sent Items, and hands the message to transport.

The copy never went through transport: it has the blind recipients and none of transport's headers.
"""

import base64
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import format_datetime, formataddr

from local.mailserver.contents import Item
from local.mailserver.conversation import answer_index, conversation_index, new_index
from local.mailserver.message import Message, fields_named, spooled, with_headers
from local.mailserver.mime import Buffer
from local.mailserver.model import Mailbox, MailStore
from local.mailserver.transport import Submission, Transport

_BLIND, _DATE, _SENDER = fields_named("(?:Resent-)?Bcc"), fields_named("Date"), fields_named("Sender")


def send(
    store: MailStore,
    transport: Transport,
    draft: bytes,
    mailbox: str,
    time: datetime | None = None,
    *,
    answers: str | None = None,
) -> Item:
    """The copy in Sent Items. What the draft says of itself stays; `answers` is the id of the item that it answers.

    Raises NoSuchMailbox, NoSuchItem, before it does anything.
    """
    sent, owner = time or datetime.now(UTC), store.mailbox(mailbox)
    original = owner.item(answers).message if answers is not None else None
    whole = completed(draft, owner, sent, original)
    copy = owner.add_item(Message(spooled(whole)), "sentitems", sent, is_read=True, is_from_me=True, through_transport=False)
    recipients = recipients_of(copy.message)
    transport.take(Submission("client", owner.address, recipients, without_blind(whole), owner.address, is_internal=True), sent)
    return copy


def completed(draft: Buffer, owner: Mailbox, sent: datetime, original: Message | None = None) -> bytes:
    """The draft with all that it does not say by itself."""
    message = Message(draft)
    missing = [(name, value) for name, value in _fields(message, owner, sent, original) if message.header(name) is None]
    return with_headers(draft[:], missing)


def without_blind(raw: Buffer) -> bytes:
    """The message as it is mailed: nobody reads who else got it unseen."""
    return with_headers(raw[:], [], removed=_BLIND)


def without_date(raw: Buffer) -> bytes:
    """The draft as it waits for the time when it is sent."""
    return with_headers(raw[:], [], removed=_DATE)


def without_sender(raw: Buffer) -> bytes:
    return with_headers(raw[:], [], removed=_SENDER)


def recipients_of(message: Message) -> list[str]:
    """Each address once, whatever its case, in order."""
    found: dict[str, str] = {}
    for each in (address for header in ("To", "Cc", "Bcc") for address in message.addresses(header)):
        found.setdefault(each.address.lower(), each.address)
    return list(found.values())


def _fields(message: Message, owner: Mailbox, sent: datetime, original: Message | None) -> Iterator[tuple[str, str]]:
    """What a client adds to a draft that does not say it by itself."""
    yield "From", formataddr((owner.name, owner.address))
    yield "Date", format_datetime(sent)
    yield "Message-ID", f"<{uuid.uuid4().hex}@{owner.address.partition('@')[2]}>"
    yield "Thread-Topic", (original or message).conversation_topic
    index = answer_index(conversation_index(original), sent) if original is not None else new_index(sent)
    yield "Thread-Index", base64.b64encode(index).decode()
    if original is not None and original.message_id is not None:
        yield "In-Reply-To", original.message_id
        yield "References", f"{original.references or ''} {original.message_id}".strip()
