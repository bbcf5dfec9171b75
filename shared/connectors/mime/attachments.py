"""Parts of a message as its attachments: what they are called, what they hold, how it is read piece by piece."""

from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial

from shared.connectors.mime.addresses import first_address
from shared.connectors.mime.dates import sent_of
from shared.connectors.mime.fields import Fields, fields_at
from shared.connectors.mime.structure import Part
from shared.connectors.mime.transfer import pieces
from shared.domain.email import IncomingAttachment
from shared.domain.ids import normalised_message_id

_MESSAGES = frozenset({"message/rfc822", "message/global"})
_OF_A_MESSAGE = frozenset({"subject", "message-id", "from", "sender", "date"})
_EXTENSIONS = {"text/plain": ".txt", "text/html": ".htm", "text/calendar": ".ics"}


def attachment(part: Part, number: int, received: datetime) -> IncomingAttachment:
    """The attachment that `part` is. `number` counts from 1 within the message, for parts without a name; `received` is when
    the message was."""
    is_message = part.content_type in _MESSAGES
    inner = _fields_of_message(part) if is_message else None
    content_id = (part.fields.text("content-id") or "").strip("<>").strip() or None
    disposition, _ = part.disposition()
    return IncomingAttachment(
        name=part.filename or _name(part, inner, number),
        content_type="message/rfc822" if is_message else part.content_type,
        size=part.size(),
        chunks=part.pieces,
        content_id=content_id,
        is_inline=content_id is not None and disposition != "attachment",
        is_message=is_message,
        identity=_identity(inner, received) if inner is not None else None,
    )


def signed_entity(root: Part) -> IncomingAttachment:
    """The whole of a clear-signed message but for its other header fields, as Exchange keeps it ([MS-OXOSMIME] 2.1.3.1)."""
    content_type = (root.fields.raw("content-type") or "").encode("ascii", "surrogateescape")
    head = b"Content-Type: " + content_type + b"\r\n\r\n"
    return IncomingAttachment(
        name="smime.p7m",
        content_type="multipart/signed",
        size=len(head) + root.end - root.body,
        chunks=partial(_with_head, head, root),
    )


def _with_head(head: bytes, root: Part) -> Iterator[bytes]:
    yield head
    yield from pieces(root.buffer, root.body, root.end, "")


def _fields_of_message(part: Part) -> Fields:
    head = part.head()
    return fields_at(head, 0, len(head), _OF_A_MESSAGE)[0]


def _identity(fields: Fields, received: datetime) -> str:
    """As the Exchange connector has it: what does not depend on how a server writes the message."""
    if message_id := normalised_message_id(fields.text("message-id")):
        return message_id
    sender = first_address(fields.all_raw("from")) or first_address(fields.all_raw("sender"))
    sent = sent_of(fields) or received
    time = sent.astimezone(UTC).replace(microsecond=0, tzinfo=None).isoformat()
    return "\n".join((sender.address if sender else "", f"{time}Z", fields.text("subject") or ""))


def _name(part: Part, inner: Fields | None, number: int) -> str:
    """What Exchange calls a part without a name."""
    if inner is not None:
        return inner.text("subject") or f"ATT{number:05}"
    return f"ATT{number:05}{_EXTENSIONS.get(part.content_type, '.dat')}"
