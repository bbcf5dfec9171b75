"""How mail arrives: transport stamps it, and every recipient gets a copy. Knows the store, no protocol."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from email.utils import format_datetime
from itertools import count

from local.mailserver.contents import Item
from local.mailserver.message import Message, fields_named, spooled, with_headers
from local.mailserver.model import MailStore

HOST = "mail.contoso.example"
_FIREWALLED = fields_named(r"X-MS-Exchange-(?:Organization|Forest)-[^:\n]*")
"""Headers that only the organisation's own transport may set: those of strangers are taken out (Exchange's header firewall)."""

_numbers = count(1)


def stamped(raw: bytes, received: datetime, *, internal: bool) -> bytes:
    """The message as transport hands it to mailboxes, with the trace of its arrival and who vouches for its sender."""
    trace = f"from sender by {HOST} with Microsoft SMTP Server id 15.2.1544.{next(_numbers)}; {format_datetime(received)}"
    added = [
        ("Received", trace),
        ("X-MS-Exchange-Organization-AuthSource", HOST),
        ("X-MS-Exchange-Organization-AuthAs", "Internal" if internal else "Anonymous"),
    ]
    return with_headers(raw, added, removed=_FIREWALLED)


def deliver(
    store: MailStore,
    raw: bytes,
    to: Sequence[str],
    received: datetime | None = None,
    *,
    internal: bool | None = False,
    folder: str = "inbox",
    item_class: str = "",
) -> list[Item]:
    """A copy for every recipient, of one message that they share.

    `internal` None: the message is put there unstamped. `item_class`: another one than its form tells.
    Raises NoSuchMailbox, NoSuchFolder, before it does anything.
    """
    time = received or datetime.now(UTC)
    mailboxes = [store.mailbox(address) for address in to]
    for mailbox in mailboxes:
        mailbox.folder(folder)
    message = Message(spooled(raw if internal is None else stamped(raw, time, internal=internal)))
    author = message.author.address.lower() if message.author else ""
    return [
        mailbox.add_item(
            message,
            folder,
            time,
            is_from_me=bool(internal) and author == mailbox.address.lower(),
            item_class=item_class,
        )
        for mailbox in _once(mailboxes)
    ]


def _once[T](values: Iterable[T]) -> list[T]:
    return list(dict.fromkeys(values))
