"""Times of a message: when its sender says it was sent, and when a server says it came. Aware UTC; None if none is readable."""

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from shared.connectors.mime.fields import Fields
from shared.connectors.mime.words import text_of

OF_ARRIVAL = frozenset({"received", "date"})
"""Fields that tell when a message came."""
LONGEST = 200
"""Characters of a date that are read."""


def sent_of(fields: Fields) -> datetime | None:
    """Date (RFC 5322 section 3.6.1)."""
    return _time(fields.raw("date"))


def received_of_fields(fields: Fields) -> datetime | None:
    """The time in the topmost Received (RFC 5321 section 4.4): the one that the own server wrote. Else Date."""
    topmost = fields.raw("received") or ""
    return _time(topmost.rpartition(";")[2]) or sent_of(fields)


def _time(raw: str | None) -> datetime | None:
    if not raw:
        return None
    try:
        time = parsedate_to_datetime(text_of(raw)[:LONGEST])
        return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
