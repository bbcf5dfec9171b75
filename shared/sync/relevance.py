"""Which items of a mailbox become activities, and why. Pure: an item and facts come in, a verdict comes out.

Refuses to know where the facts come from. The order of the rules is the order in which `explain` tells them.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from shared.domain.choices import Reason, SenderOrigin, Verdict
from shared.domain.email import ListedItem

CONFIGURED = frozenset({Reason.BEFORE_START_DATE, Reason.INTERNAL_SENDER, Reason.TOO_LARGE})
"""Reasons to skip that depend on configuration: another day the same item may be judged differently."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What a decision needs to know beside the item."""

    start: datetime | None
    own_addresses: Collection[str]
    """Normalised addresses, among those asked for, that belong to the organisation's own users and queues."""
    largest_message: int
    """Bytes; the organisation's limit."""


def judge(item: ListedItem, facts: Facts) -> tuple[Verdict, Reason]:
    """What becomes of an item, and why."""
    if reason := _reason_to_skip(item, facts):
        return Verdict.SKIPPED, reason
    if item.sender in facts.own_addresses:
        return Verdict.PROMOTED, Reason.SENDER_CLAIMS_OWN_ADDRESS
    return Verdict.PROMOTED, Reason.RELEVANT


def _reason_to_skip(item: ListedItem, facts: Facts) -> Reason | None:
    if facts.start is not None and item.received is not None and item.received < facts.start:
        return Reason.BEFORE_START_DATE
    if reason := _no_mail(item.item_class):
        return reason
    if item.is_draft:
        return Reason.DRAFT
    if item.is_own_copy:
        return Reason.OWN_COPY
    if item.sender_origin is SenderOrigin.INTERNAL and item.sender in facts.own_addresses:
        return Reason.INTERNAL_SENDER
    if item.size > facts.largest_message:
        return Reason.TOO_LARGE
    return None


def _no_mail(item_class: str) -> Reason | None:
    """Mail is IPM.Note with all its forms, and REPORT (delivery reports), as [MS-OXCMSG] names message classes."""
    name = item_class.lower()
    if _is_or_under(name, "ipm.note") or _is_or_under(name, "report") or not name:
        return None
    if _is_or_under(name, "ipm.schedule.meeting"):
        return Reason.MEETING_MESSAGE
    return Reason.NOT_A_MESSAGE


def _is_or_under(name: str, item_class: str) -> bool:
    return name == item_class or name.startswith(f"{item_class}.")
