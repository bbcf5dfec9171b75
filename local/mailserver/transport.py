"""Transport: takes a message for its recipients, hands it to those who have a mailbox here, and reports on the others.

Whoever is elsewhere is nobody's concern: the message counts as handed on. Keeps what it took, in order, so that a test can
count copies. Knows no protocol; reports are those of RFC 3464, and are sent as RFC 3461 section 4.1 says.
"""

import threading
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from typing import Any

from local.mailserver import reports
from local.mailserver.delivery import deliver
from local.mailserver.faults import FaultKind, Faults
from local.mailserver.message import Message, spooled
from local.mailserver.mime import Buffer
from local.mailserver.model import MailStore, NoSuchMailbox
from local.mailserver.reports import Outcome

_FIRST_QUEUE_ID = 8_589_934_592
"""Exchange numbers from here."""


@dataclass(frozen=True, slots=True)
class Notice:
    """What the sender wants to hear about a recipient: some of SUCCESS, FAILURE, DELAY; or NEVER (RFC 3461 section 4.1)."""

    when: frozenset[str] = frozenset({"FAILURE"})
    original: str = ""
    """The recipient as the sender knew him (ORCPT)."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """One message that transport took, with its envelope."""

    queue_id: str
    head: str
    """Through which protocol it came."""
    sender: str
    """Of the envelope; empty for reports."""
    recipients: tuple[str, ...]
    octets: Buffer = field(repr=False)
    username: str | None
    """Who was signed in."""
    message_id: str
    subject: str
    envelope_id: str = ""
    """ENVID, decoded by nobody."""

    def fields(self) -> dict[str, Any]:
        """By name; `octets` stay what they are."""
        return {each.name: getattr(self, each.name) for each in fields(self)}


@dataclass(frozen=True, slots=True)
class Submission:
    """A message on its way in."""

    head: str
    sender: str
    recipients: Sequence[str]
    raw: Buffer
    username: str | None = None
    is_internal: bool = False
    """Transport vouches for its sender."""
    notices: Mapping[str, Notice] = field(default_factory=dict)
    envelope_id: str = ""
    returns_headers_only: bool = False


class Transport:
    def __init__(self, store: MailStore, faults: Faults) -> None:
        self._store = store
        self._faults = faults
        self._lock = threading.Lock()
        self._accepted: list[Accepted] = []

    def take(self, submission: Submission, time: datetime | None = None) -> str:
        """The queue id of the message, which has been delivered as far as it can be."""
        raw = spooled(submission.raw) if isinstance(submission.raw, bytes) else submission.raw
        message = Message(raw)
        with self._lock:
            queue_id = str(_FIRST_QUEUE_ID + len(self._accepted) + 1)
            self._accepted.append(
                Accepted(
                    queue_id=queue_id,
                    head=submission.head,
                    sender=submission.sender,
                    recipients=tuple(submission.recipients),
                    octets=raw,
                    username=submission.username,
                    message_id=message.message_id or "",
                    subject=message.subject,
                    envelope_id=submission.envelope_id,
                )
            )
        self._deliver(submission, raw, message, time or datetime.now(UTC))
        return queue_id

    def accepted(self, message_id: str | None = None) -> list[Accepted]:
        """What it took, oldest first: all, or the copies of one message."""
        with self._lock:
            return [each for each in self._accepted if message_id in (None, each.message_id)]

    def clear(self) -> None:
        with self._lock:
            self._accepted.clear()

    def _deliver(self, submission: Submission, raw: Buffer, message: Message, time: datetime) -> None:
        here, outcomes = list[str](), list[Outcome]()
        for address in submission.recipients:
            notice = submission.notices.get(address.lower(), Notice())
            outcome = self._outcome(address, notice)
            if outcome.action == "delivered":
                here.append(address)
            if _is_reported(outcome.action, notice.when):
                outcomes.append(outcome)
        deliver(self._store, raw[:], here, time, internal=submission.is_internal)
        for group in _by_action(outcomes):
            self._report(submission, message, group, time)

    def _outcome(self, address: str, notice: Notice) -> Outcome:
        bounces = self._faults.hit(FaultKind.BOUNCES, address, None)
        if bounces is not None:
            return reports.refused(
                address, bounces.code or "550 5.1.1", bounces.text or "The recipient was refused", notice.original
            )
        try:
            self._store.mailbox(address)
        except NoSuchMailbox:
            if self._store.serves(address):
                return reports.unknown(address, notice.original)
            return reports.relayed(address, notice.original)
        return reports.delivered(address, notice.original)

    def _report(self, submission: Submission, message: Message, outcomes: Sequence[Outcome], time: datetime) -> None:
        """To the mailbox of the sender, where he has one here."""
        try:
            to = self._store.mailbox(submission.sender)
        except NoSuchMailbox:
            return
        raw = reports.report(
            message,
            outcomes,
            to.address,
            time,
            envelope_id=submission.envelope_id,
            headers_only=submission.returns_headers_only,
        )
        deliver(self._store, raw, [to.address], time, internal=True)


def _is_reported(action: str, when: Collection[str]) -> bool:
    return ("FAILURE" if action == "failed" else "SUCCESS") in when


def _by_action(outcomes: Sequence[Outcome]) -> list[list[Outcome]]:
    actions = dict.fromkeys(each.action for each in outcomes)
    return [[each for each in outcomes if each.action == action] for action in actions]
