"""How much one invocation may do, and where limits lie. Plain numbers; the composition root may replace any of them."""

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True, slots=True)
class RunBudget:
    """What one run may spend before it hands over to its continuation."""

    time: timedelta = timedelta(minutes=4)
    pages: int = 20
    pages_before_backfill: int = 1
    """Pages of a first listing that are read at once; the rest goes through the backfill queue, behind new mail."""
    longest_call: timedelta = timedelta(seconds=120)
    """The longest that one call of a connector or store can take (a profile allows 100 seconds at most)."""
    queued_for: timedelta = timedelta(minutes=15)
    """After this a queue message counts as lost, and another is sent."""
    batch_items: int = 100
    batch_bytes: int = 16 * 1024 * 1024
    """Emails are written in batches of at most so many items, and about so many bytes."""
    profile_life: timedelta = timedelta(seconds=30)
    """How long a profile that was read counts as fresh."""

    outbox_batch: int = 200
    """Emails of one priority that are read from the outbox at once; then it is looked at again, for what goes ahead."""
    window: int = 50
    """Emails that are read at once."""
    drafts_at_once: int = 50
    """Emails that a server which keeps drafts is given at once, as long as they have no more than `batch_bytes` together."""
    intents_ahead: int = 1
    receipts_behind: int = 1
    """Where the server takes each email by itself: how many intents are written before their turn, and how many receipts are
    not written yet when the next email is sent. A process that dies leaves so many emails of which nobody knows."""
    hint_life: timedelta = timedelta(hours=1)
    """After this an outbox entry whose email was never made to wait counts as left over."""

    @property
    def lease(self) -> timedelta:
        return self.time + self.longest_call


@dataclass(frozen=True, slots=True)
class ItemLimits:
    """How often an item may fail."""

    attempts: int = 5
    retry_after: timedelta = timedelta(minutes=15)
    judged_again_after: tuple[timedelta, ...] = (timedelta(minutes=15), timedelta(hours=2))
    """Waits before an answer whose original is unknown is judged again, or one that is stored is joined to its conversation:
    the original may come later, through another mailbox or on a later page of older mail."""
    takeovers_before_care: int = 2
    """Leases lost in a row from which items are read one by one."""
    failures_before_care: int = 3
    """Failed runs in a row from which items are read one by one, so that one of them cannot block the mailbox."""

    @property
    def judged_again_within(self) -> timedelta:
        """How long an original is waited for."""
        return sum(self.judged_again_after, timedelta())


@dataclass(frozen=True, slots=True)
class EnumerationBudget:
    """What one enumeration may do before it hands the remaining shards to the queue."""

    mailboxes: int = 2000
    time: timedelta = timedelta(seconds=20)
    shards_at_once: int = 16
    queued_for: timedelta = timedelta(minutes=15)
