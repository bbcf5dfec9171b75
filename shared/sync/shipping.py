"""What both ways of sending share: the email as a message, the steps that are written about it, and when to stop.

Refuses to know how a server is spoken to: that is `shared.sync.direct_sending` and `shared.sync.draft_sending`.
"""

import logging
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from threading import Lock
from uuid import uuid4

from shared.domain.alerts import UNEXPECTED, code_of
from shared.domain.choices import EmailStatus
from shared.domain.configuration import EmailServerProfile, Mailbox
from shared.domain.errors import (
    Busy,
    CertificateRefused,
    ConnectionRefused,
    LeaseLost,
    MailboxError,
    NameNotFound,
    NoMailServer,
    NoTls,
    Throttled,
    TransientError,
)
from shared.domain.ids import ActivityId
from shared.domain.ledger import Mark
from shared.domain.outgoing import OutgoingMessage, Receipt, Trace
from shared.ports import Blobs, Clock
from shared.sync import delivering
from shared.sync.booking import Tally
from shared.sync.composing import composed
from shared.sync.delivering import Outcome
from shared.sync.filing import Filing
from shared.sync.journal import InHand, Journal, Move
from shared.sync.lease import Lease
from shared.sync.left_drafts import LeftDrafts
from shared.sync.pace import Pace
from shared.sync.recorded_drafts import RecordedDrafts

log = logging.getLogger(__name__)

NOT_ABOUT_AN_EMAIL = (
    MailboxError,
    LeaseLost,
    Throttled,
    Busy,
    NameNotFound,
    ConnectionRefused,
    CertificateRefused,
    NoTls,
    NoMailServer,
)
"""Errors that no email can be the cause of: they end the run. Another one may be what the email in hand does to the server."""

LONGEST_EFFECT = timedelta(minutes=5, seconds=15)
"""The longest that a server may have an email before it answers: connectors give it five minutes. A lease is longer."""


@dataclass(slots=True)
class Shipping:
    """The emails of one run, seen from the store."""

    mailbox: Mailbox
    profile: EmailServerProfile
    blobs: Blobs
    journal: Journal
    filing: Filing
    lease: Lease
    clock: Clock
    deadline: datetime
    pace: Pace
    drafts: RecordedDrafts
    left: LeftDrafts
    tally: Tally
    new_attempt: Callable[[], str] = lambda: uuid4().hex
    is_out_of_time: bool = False
    """It stopped, though more waits."""
    _counting: Lock = field(default_factory=Lock)

    # ---- when to stop

    def marks(self) -> tuple[Mark, ...]:
        """What the next run needs to know."""
        marks = (self.pace.mark(), self.drafts.mark(), self.left.mark())
        return tuple(mark for mark in marks if mark is not None)

    def as_long_as_possible(self, emails: Iterable[InHand]) -> Iterator[InHand]:
        """The emails while there is time, and the pace allows."""
        for hand in emails:
            now = self.clock()
            if now >= self.deadline:
                self.is_out_of_time = True
                return
            if not self.pace.room(now):
                self.tally.not_before = self.pace.next_room(now)
                return
            self.pace = self.pace.after_one(now)
            self.tally.seen += 1
            yield hand

    def keep_lease(self) -> None:
        """For whatever is sent next: an email that is with the server must not be another worker's. Raises LeaseLost,
        TransientError."""
        self.lease.keep_for(LONGEST_EFFECT)

    # ---- the steps of an email

    def message(self, hand: InHand, *, with_text: bool = True) -> OutgoingMessage:
        """`with_text`: beside the HTML, derived from it where nobody wrote one. Raises DeliveryRefused."""
        return composed(hand.email, hand.content, self.profile, self.mailbox, self.blobs.read, with_text=with_text)

    def intent(self, hand: InHand, *, can_tell: bool) -> Move:
        """Or a rest, where its attempts were interrupted again and again."""
        if self.is_to_rest(hand):
            return hand, delivering.interrupted(hand.email, hand.entry, self._interruptions)
        return hand, delivering.begun(hand.email, self.new_attempt(), self.clock(), can_tell=can_tell)

    def is_to_rest(self, hand: InHand) -> bool:
        return delivering.is_to_rest(hand.email, self.clock(), self._interruptions)

    @property
    def _interruptions(self) -> int:
        """As the attempts, though never so few that an email fails for being beside the one that stopped the process."""
        return max(self.profile.delivery_attempts, 3)

    def resumed(self, hand: InHand) -> Move:
        return hand, delivering.resumed(hand.email, self.clock())

    def receipt(self, hand: InHand, answer: Receipt | Exception) -> Move:
        return hand, delivering.answered(hand.email, hand.entry, answer, self.clock(), self.profile.delivery_attempts)

    def gone(self, hand: InHand, trace: Trace) -> Move:
        """Its draft is not where it was."""
        return hand, delivering.gone(hand.email, trace, self.clock())

    def returned(self, hand: InHand, error: Exception) -> Move:
        return hand, delivering.returned(hand.email, error, self.clock())

    def keys_in_use(self, activity_ids: Collection[ActivityId]) -> Collection[str | None]:
        """The ids of the attempts that are under way now, whoever makes them."""
        return self.journal.attempts_under_way(activity_ids)

    def write(self, moves: Sequence[Move]) -> Sequence[InHand]:
        """Writes the steps, and files what came to an end. Those whose step was taken, in no order. Raises Busy."""
        if not moves:
            return ()
        try:
            taken = self.journal.write(moves)
        except TransientError as error:
            raise Busy("The store does not take what became of emails.", error.retry_after) from error
        for hand, outcome in taken:
            if outcome.ends_entry:
                self.filing.take(hand)
            if not delivering.is_under_way(outcome.email):
                with self._counting:
                    self.tally.verdicts[_verdict(outcome)] += 1
        self.filing.file_if_much()
        return [hand for hand, _ in taken]


def log_failure(error: Exception, hands: Iterable[InHand]) -> None:
    """The text of an error may name addresses; of one that nobody expected its place is needed."""
    trace = error if code_of(error) == UNEXPECTED else None
    extra = {"activity_ids": [hand.email.id for hand in hands], "code": code_of(error)}
    log.warning("email_not_sent", exc_info=trace, extra=extra)


def _verdict(outcome: Outcome) -> str:
    if outcome.email.status is EmailStatus.FAILED:
        return "failed"
    if outcome.waits is not None:
        return "postponed"
    return "sent" if outcome.ends_entry else "returned"
