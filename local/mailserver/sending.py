"""How a mail client sends: it completes the draft, keeps a copy in Sent Items, and everybody here who is meant gets one.

The copy never went through transport: it has the blind recipients and none of transport's headers. Those who have no mailbox
here are nobody's concern.
"""

import base64
import re
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import format_datetime, formataddr

from local.mailserver.contents import Item
from local.mailserver.conversation import answer_index, conversation_index, new_index
from local.mailserver.delivery import deliver
from local.mailserver.message import Message, spooled, with_headers
from local.mailserver.model import Mailbox, MailStore, NoSuchMailbox

_BLIND = re.compile(rb"^(?:Resent-)?Bcc:[^\n]*(?:\n|\Z)(?:[ \t][^\n]*(?:\n|\Z))*", re.IGNORECASE | re.MULTILINE)


def send(store: MailStore, draft: bytes, mailbox: str, time: datetime | None = None, *, answers: str | None = None) -> Item:
    """The copy in Sent Items. What the draft says of itself stays; `answers` is the id of the item that it answers.

    Raises NoSuchMailbox, NoSuchItem, before it does anything.
    """
    sent, owner = time or datetime.now(UTC), store.mailbox(mailbox)
    original = owner.item(answers).message if answers is not None else None
    message = Message(draft)
    completed = [(name, value) for name, value in _fields(message, owner, sent, original) if message.header(name) is None]
    recipients = _local_recipients(store, message)
    copy = owner.add_item(
        Message(spooled(with_headers(draft, completed))),
        "sentitems",
        sent,
        is_read=True,
        is_from_me=True,
        through_transport=False,
    )
    deliver(store, with_headers(draft, completed, removed=_BLIND), recipients, sent, internal=True)
    return copy


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


def _local_recipients(store: MailStore, message: Message) -> list[str]:
    found = []
    for address in (each.address for header in ("To", "Cc", "Bcc") for each in message.addresses(header)):
        try:
            found.append(store.mailbox(address).address)
        except NoSuchMailbox:
            continue
    return found
