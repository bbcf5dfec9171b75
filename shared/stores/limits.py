"""What every store refuses or shortens, so that an email or a record meets the same rule wherever it is kept.

The numbers are those of Azure Tables and Queues; the emulator does not check all of them, and a message from a stranger must
not be able to make a commit fail by its size.
"""

import base64
import binascii
import json
import re
from dataclasses import fields, is_dataclass, replace
from typing import Any

from shared.domain.email import EmailActivity, EmailContent, Sighting, TimelineEntry
from shared.domain.errors import InvalidRecord
from shared.domain.ledger import LedgerCommit, LedgerItem
from shared.domain.operations import Alert, QuarantinedItem, Run
from shared.ports import LEDGER_COMMIT_ROWS

ID_UNITS = 200
"""UTF-16 units of an id; a key may hold two."""

TEXT_UNITS = 30_000
"""UTF-16 units of a text that stands in a row; the Table service takes 32 Ki."""

LISTED_UNITS = 1_000
"""UTF-16 units of a text that is only shown in lists, or kept for the record."""

QUEUE_TEXT_BYTES = 48 * 1024
"""Bytes of a queue message before base64; the Queue service takes 64 KiB of base64."""

SECRET_BYTES = 16 * 1024

KEY_UNITS = 512
"""UTF-16 units of a key."""

_FORBIDDEN = re.compile(r"[\x00-\x1f\x7f-\x9f/\\#?\ud800-\udfff]")


def units(text: str) -> int:
    """Length as the Table service counts it: UTF-16 units."""
    return len(text) if text.isascii() else len(text.encode("utf-16-le", "surrogatepass")) // 2


def cut(text: str, longest: int) -> str:
    """The start of a text, at most `longest` UTF-16 units, never half a character; lone surrogates become U+FFFD."""
    clean = well_formed(text[:longest])
    if units(clean) <= longest:
        return clean
    return clean.encode("utf-16-le")[: longest * 2].decode("utf-16-le", "ignore")


def well_formed(text: str) -> str:
    """The text with lone surrogates replaced: broken mail has them, UTF-8 does not."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


def _is_text(text: str) -> bool:
    return well_formed(text) == text


def is_key(text: str) -> bool:
    """Whether the Table service takes it as a key."""
    return units(text) <= KEY_UNITS and not _FORBIDDEN.search(text)


def checked_id[T: str](value: T, field: str = "id") -> T:
    """The id, if it can be part of a key. Raises InvalidRecord."""
    if not value or units(value) > ID_UNITS or not is_key(value):
        raise InvalidRecord(
            field,
            f"{field} cannot be stored as a key: {value[:80]!r}",
            f"Use 1 to {ID_UNITS} characters without / \\ # ? and control characters.",
        )
    return value


def checked_message(text: str) -> str:
    """A queue message, if it fits. Raises InvalidRecord."""
    if len(text.encode()) > QUEUE_TEXT_BYTES:
        raise InvalidRecord(
            "text", f"the queue message has more than {QUEUE_TEXT_BYTES} bytes", "Send ids and a reason, never content."
        )
    return text


def checked_secret(name: str, value: str) -> str:
    """A secret, if it fits. Raises InvalidRecord, which does not repeat the value."""
    if len(value.encode()) > SECRET_BYTES:
        raise InvalidRecord("secret", f"the secret {name!r} has more than {SECRET_BYTES} bytes", "Use a shorter secret.")
    return value


def checked_rows(commit: LedgerCommit) -> LedgerCommit:
    """A commit, if it fits in one transaction. Raises ValueError: the caller cuts pages."""
    if commit.rows > LEDGER_COMMIT_ROWS:
        raise ValueError(f"a ledger commit of {commit.rows} rows; at most {LEDGER_COMMIT_ROWS} fit in a transaction")
    return commit


def storable_activity(activity: EmailActivity) -> EmailActivity:
    """The whole subject stands in the content; the activity row repeats what fits."""
    return replace(activity, subject=cut(activity.subject, TEXT_UNITS), sender=cut(activity.sender, LISTED_UNITS))


def storable_entry(entry: TimelineEntry) -> TimelineEntry:
    return replace(entry, subject=cut(entry.subject, LISTED_UNITS), sender=cut(entry.sender, LISTED_UNITS))


def storable_item(item: LedgerItem) -> LedgerItem:
    """A Message-ID or an error text of any length must not break the commit of its page."""
    return replace(item, message_id=_cut_optional(item.message_id), detail=cut(item.detail, LISTED_UNITS))


def storable_quarantined(item: QuarantinedItem) -> QuarantinedItem:
    return replace(item, message_id=_cut_optional(item.message_id), detail=cut(item.detail, TEXT_UNITS))


def storable_alert(alert: Alert) -> Alert:
    parameters = {cut(name, LISTED_UNITS): cut(value, LISTED_UNITS) for name, value in alert.parameters.items()}
    return replace(alert, cause=cut(alert.cause, TEXT_UNITS), remedy=cut(alert.remedy, TEXT_UNITS), parameters=parameters)


def storable_run(run: Run) -> Run:
    return replace(run, detail=cut(run.detail, TEXT_UNITS))


def storable_content(content: EmailContent) -> EmailContent:
    """The content as it is: it may have any length, but its text must be text."""
    return _with_well_formed_texts(content)


def storable_sighting(sighting: Sighting) -> Sighting:
    return replace(sighting, item_id=cut(sighting.item_id, LISTED_UNITS))


def _cut_optional(text: str | None) -> str | None:
    return None if text is None else cut(text, LISTED_UNITS)


def _with_well_formed_texts[T](value: T) -> T:
    known: Any = value
    if isinstance(known, str):
        return known if known.isascii() else well_formed(known)  # type: ignore[return-value]  # T is str here
    if isinstance(known, tuple):
        return tuple(_with_well_formed_texts(each) for each in known)  # type: ignore[return-value]  # T is a tuple here
    if is_dataclass(known) and not isinstance(known, type):
        changed = {each.name: _with_well_formed_texts(getattr(known, each.name)) for each in fields(known)}
        return replace(known, **changed)  # type: ignore[return-value]  # T is a dataclass here
    return value


def continuation(*position: str) -> str:
    """An opaque text for where a list goes on."""
    return base64.urlsafe_b64encode(json.dumps(position).encode()).decode()


def position(text: str) -> tuple[str, ...]:
    """Where a list goes on. Raises InvalidRecord: the text came from outside."""
    try:
        found = json.loads(base64.urlsafe_b64decode(text.encode()))
    except (binascii.Error, ValueError, RecursionError):
        found = None
    if not isinstance(found, list) or not found or not all(isinstance(part, str) and _is_text(part) for part in found):
        raise InvalidRecord("continuation", "not a continuation of this list", "Start the list from its beginning.")
    return tuple(found)
