"""The header block of a message as an `Envelope`, whichever protocol brought it. The same mail through Exchange has to read the
same, so what Exchange leaves out or makes of a header is done here too."""

import base64
from datetime import UTC, datetime
from typing import Any

from shared.connectors.message_ids import message_ids
from shared.connectors.mime.addresses import addresses, first_address
from shared.connectors.mime.classes import item_class_of_headers
from shared.connectors.mime.dates import OF_ARRIVAL, received_of_fields, sent_of
from shared.connectors.mime.fields import Fields, fields_at
from shared.connectors.mime.structure import MOST_DEPTH, OF_A_PART, Part, Splitter
from shared.connectors.mime.transfer import Buffer, decoded_base64
from shared.domain.choices import Priority
from shared.domain.email import JUDGED_HEADERS, Envelope, ItemRef
from shared.domain.ids import normalised_message_id

NEVER = datetime(1970, 1, 1, tzinfo=UTC)
"""When a message came that says nothing of it: reading it again has to give the same."""
WANTED = OF_A_PART | frozenset(JUDGED_HEADERS) | frozenset(
    {
        "from", "sender", "to", "cc", "bcc", "subject", "date", "received", "message-id", "in-reply-to", "references",
        "reply-to", "thread-index", "importance", "x-priority", "x-msmail-priority", "priority",
    }
)  # fmt: skip

_INDEX_HEADER = 22
"""Bytes of a conversation index at least ([MS-OXOMSG] 2.2.1.3)."""
_LONGEST_INDEX = 8000
_PRIORITIES = {
    "high": Priority.HIGH, "1": Priority.HIGH, "2": Priority.HIGH, "urgent": Priority.HIGH,
    "low": Priority.LOW, "4": Priority.LOW, "5": Priority.LOW, "non-urgent": Priority.LOW,
}  # fmt: skip


def read_envelope(
    header: bytes,
    ref: ItemRef,
    *,
    received: datetime | None = None,
    size: int = 0,
    categories: tuple[str, ...] = (),
) -> Envelope:
    """What a header block tells, such as TOP n 0 or BODY[HEADER] give it; what follows a block is not read. Never fails.

    `received`: when the server got it, where it says so; else as `received_of`. `size` in bytes.
    """
    root = Splitter(header).part(0, len(header), WANTED, depth=MOST_DEPTH)
    item_class = item_class_of_headers(root)
    return Envelope(**described(root, ref, received, size, categories), item_class=item_class)


def received_of(header: Buffer) -> datetime | None:
    """When a message came, by its header block: topmost Received, else Date. None where neither can be read."""
    return received_of_fields(fields_at(header, 0, len(header), OF_ARRIVAL)[0])


def described(root: Part, ref: ItemRef, received: datetime | None, size: int, categories: tuple[str, ...]) -> dict[str, Any]:
    """The fields of an Envelope but for its class."""
    fields = root.fields
    in_reply_to = message_ids(fields.text("in-reply-to"))
    return {
        "ref": ref,
        "received": received or received_of_fields(fields) or NEVER,
        "subject": fields.text("subject") or "",
        "message_id": normalised_message_id(fields.text("message-id")),
        "in_reply_to": in_reply_to[0] if in_reply_to else None,
        "references": message_ids(fields.text("references")),
        "sender": first_address(fields.all_raw("from")) or first_address(fields.all_raw("sender")),
        "to": addresses(fields.all_raw("to")),
        "cc": addresses(fields.all_raw("cc")),
        "bcc": addresses(fields.all_raw("bcc")),
        "sent": sent_of(fields),
        "conversation_index": _conversation_index(fields),
        "size": size,
        "headers": {name: value for name in JUDGED_HEADERS if (value := fields.text(name))},
        "categories": categories,
    }


def priority_of(fields: Fields) -> Priority:
    """Importance, else what older programs write ([MS-OXCMAIL] 2.2.3.2.10, RFC 2156 section 5.3.6)."""
    stated = (fields.text("importance") or fields.text("x-msmail-priority") or "").lower()
    number = (fields.text("x-priority") or "")[:1]
    named = (fields.text("priority") or "").lower()
    for said in (stated, number, named):
        if said in _PRIORITIES:
            return _PRIORITIES[said]
    return Priority.NORMAL


def _conversation_index(fields: Fields) -> str | None:
    """Thread-Index, where it is one."""
    raw = (fields.raw("thread-index") or "")[:_LONGEST_INDEX]
    index = decoded_base64(raw.encode("ascii", "ignore"))
    return base64.b64encode(index).decode("ascii") if len(index) >= _INDEX_HEADER else None
