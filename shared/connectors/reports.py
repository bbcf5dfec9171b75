"""Delivery reports (RFC 3464) in MIME: which email they speak of, and what became of it for whom.

Written by strangers and by broken programs: what cannot be read is left out, sizes and counts are bounded, nothing fails.
"""

import re
from collections.abc import Iterable, Iterator
from email import policy
from email.errors import MessageError
from email.message import Message
from email.parser import BytesHeaderParser, BytesParser
from itertools import islice

from shared.domain.email import DeliveryReport, RecipientReport
from shared.domain.ids import normalised_message_id

LARGEST_REPORT = 256 * 1024
"""Bytes of a report that are read: the parts that matter stand in front of the returned content. The parser takes longer than
in proportion for parts and parameters without end, which strangers may write."""

_MOST_RECIPIENTS = 100
_MOST_PARTS = 50
_MOST_MULTIPARTS = 20
"""The parser compares every line with the boundaries of all parts that it stands in."""
_MOST_BLANK_LINES = 10_000
"""In a status each ends a group of fields, which the parser makes a message of its own of."""
_LONGEST = 500
_BLANK_LINE = re.compile(rb"\n(?=\r?\n)")
_ACTIONS = frozenset({"failed", "delayed", "delivered", "relayed", "expanded"})


def delivery_report(mime: Iterable[bytes]) -> DeliveryReport | None:
    """What the report in `mime` says; None where it is none."""
    head = _head(mime)
    if head.lower().count(b"multipart/") > _MOST_MULTIPARTS or len(_BLANK_LINE.findall(head)) > _MOST_BLANK_LINES:
        return None
    try:
        message = BytesParser(policy=policy.compat32).parsebytes(head)
        recipients, original = _read(message)
    except (MessageError, ValueError, LookupError, RecursionError):
        return None
    return DeliveryReport(original, recipients) if recipients or original else None


def is_report(item_class: str, content_type: str) -> bool:
    """By message class ([MS-OXCMSG]), or by Content-Type where the server keeps reports as ordinary mail."""
    return item_class.lower().startswith("report.") or "report-type=delivery-status" in content_type.lower().replace('"', "")


def _head(mime: Iterable[bytes]) -> bytes:
    head = bytearray()
    for chunk in mime:
        head += chunk
        if len(head) >= LARGEST_REPORT:
            break
    return bytes(head[:LARGEST_REPORT])


def _read(message: Message) -> tuple[tuple[RecipientReport, ...], str | None]:
    recipients: list[RecipientReport] = []
    original = None
    for part in islice(message.walk(), _MOST_PARTS):
        kind = part.get_content_type()
        if kind == "message/delivery-status" and part.is_multipart():
            recipients += _recipients(part.get_payload())
        elif kind == "message/rfc822" and part.is_multipart() and original is None:
            original = _message_id(part.get_payload(0))
        elif kind == "text/rfc822-headers" and original is None:
            payload = part.get_payload(decode=True)
            original = _message_id(BytesHeaderParser().parsebytes(payload)) if isinstance(payload, bytes) else None
    return tuple(recipients[:_MOST_RECIPIENTS]), original


def _recipients(groups: object) -> Iterator[RecipientReport]:
    """One group of fields per recipient, after one for the message."""
    for group in groups if isinstance(groups, list) else ():
        if not isinstance(group, Message) or not (name := group.get("Final-Recipient") or group.get("Original-Recipient")):
            continue
        action = _text(group.get("Action")).lower()
        yield RecipientReport(
            address=_text(name).partition(";")[2].strip() or _text(name),
            action=action if action in _ACTIONS else "",
            status=_text(group.get("Status")).partition(" ")[0][:20],
            diagnostic=_text(group.get("Diagnostic-Code")),
        )


def _message_id(message: object) -> str | None:
    return normalised_message_id(_text(message.get("Message-ID"))) if isinstance(message, Message) else None


def _text(value: object) -> str:
    return " ".join(str(value or "").split())[:_LONGEST]
