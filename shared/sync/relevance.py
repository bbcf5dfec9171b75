"""Which items of a mailbox are mail to be judged at all, by what the listing says of them. Pure.

Refuses to know who accepts a message: that is judged over the message itself (`shared.sync.acceptance`).
"""

from datetime import datetime

from shared.domain.choices import Reason
from shared.domain.email import ListedItem
from shared.domain.folders import SENT_ITEMS

CONFIGURED = frozenset(
    {
        Reason.BEFORE_START_DATE,
        Reason.TOO_LARGE,
        Reason.INTERNAL_SENDER,
        Reason.EXCLUDED,
        Reason.AUTOMATIC_REPLY,
        Reason.LOOP,
        Reason.OPTED_OUT,
        Reason.NO_CORRELATION_MATCH,
        Reason.NO_SENDER_MATCH,
        Reason.FILTER_NONE,
        Reason.NO_RECIPIENT_MATCH,
        Reason.PLAIN_FORWARD,
        Reason.UNKNOWN_FORWARDER,
        Reason.NOT_COLLECTED,
    }
)
"""Reasons to skip that depend on configuration, or on what else is stored: another day the same item may be promoted."""


def reason_to_skip(item: ListedItem, start: datetime | None, largest_message: int) -> Reason | None:
    """Why an item is not even judged; None where it is. `start`: mail received before is not read; `largest_message`: bytes."""
    if start is not None and item.received is not None and item.received < start:
        return Reason.BEFORE_START_DATE
    if reason := no_mail(item.item_class):
        return reason
    if item.is_draft:
        return Reason.DRAFT
    if item.is_own_copy and item.ref.folder != SENT_ITEMS.id:
        return Reason.OWN_COPY
    if item.size > largest_message:
        return Reason.TOO_LARGE
    return None


def no_mail(item_class: str) -> Reason | None:
    """Why an item of this class is none. Mail is IPM.Note with all its forms, and REPORT (delivery reports), as [MS-OXCMSG]
    names message classes."""
    name = item_class.lower()
    if _is_or_under(name, "ipm.note") or _is_or_under(name, "report") or not name:
        return None
    if _is_or_under(name, "ipm.schedule.meeting"):
        return Reason.MEETING_MESSAGE
    return Reason.NOT_A_MESSAGE


def _is_or_under(name: str, item_class: str) -> bool:
    return name == item_class or name.startswith(f"{item_class}.")
