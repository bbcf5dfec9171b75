"""What was judged about a message, and how: votes, correlation, and the decision. Kept in the ledger, told by `explain`.

Holds ids, methods and outcomes only: no address, subject or text of the message.
"""

from dataclasses import dataclass
from enum import StrEnum

from shared.domain.choices import CorrelationMethod, IncomingFilteringMethod, Reason, Verdict
from shared.domain.configuration import OwnerRef
from shared.domain.ids import ActivityId, OwnerId


@dataclass(frozen=True, slots=True)
class Vote:
    """What one user or queue says to a message, by its own filter."""

    owner: OwnerRef
    method: IncomingFilteringMethod
    """The effective one: the narrower of the owner's and the organisation's ceiling."""
    accepts: bool
    reason: Reason
    """Why it accepts, or does not."""


class TryOutcome(StrEnum):
    """What came of one way to find the conversation of a message."""

    MATCHED = "matched"
    NOT_FOUND = "not_found"
    ABSENT = "absent"
    """The message carries nothing to look for."""
    STRANGER = "stranger"
    """It leads to an email, but the sender does not take part in that one."""
    OPTED_OUT = "opted_out"
    """It leads into a conversation that is not tracked any more: nothing else is tried."""
    FORWARD = "forward"
    """It leads to an email that the message forwards, not answers."""


@dataclass(frozen=True, slots=True)
class CorrelationTry:
    method: CorrelationMethod
    outcome: TryOutcome
    activity_id: ActivityId | None = None


@dataclass(frozen=True, slots=True)
class Correlation:
    """The email that a message continues, and what was tried to find it. Methods that are off are not tried."""

    method: CorrelationMethod = CorrelationMethod.NONE
    """SKIPPED: found, but of a forward or of a conversation that was opted out, so that it does not count."""
    activity_id: ActivityId | None = None
    """Set where `method` found one that counts."""
    conversation: ActivityId | None = None
    """That of the email found; also of one that was opted out."""
    opted_out: bool = False
    tried: tuple[CorrelationTry, ...] = ()
    afterwards: bool = False
    """It was found only when the message was stored already."""

    @property
    def is_match(self) -> bool:
        return self.activity_id is not None


@dataclass(frozen=True, slots=True)
class Judgement:
    """What becomes of a message, and why."""

    verdict: Verdict
    reason: Reason
    votes: tuple[Vote, ...] = ()
    correlation: Correlation = Correlation()
    accepted_by: OwnerRef | None = None
    queues: tuple[OwnerId, ...] = ()
    """Queues that accept it: it becomes an item of each."""
    rule: str | None = None
    """Id of the folder whose tracking rule decided."""
    votes_left_out: int = 0
    """Further votes that the ledger has no room for; those that decided are among the kept ones."""
    recipients_left_out: int = 0
    """Further recipient addresses that were not looked up."""
