"""A message that was judged: what becomes of it, what that follows from, and what its email takes over from others. Pure."""

from dataclasses import dataclass
from datetime import UTC, datetime

from shared.domain.choices import CorrelationMethod, Direction, Reason, RegardingSource, Verdict
from shared.domain.configuration import OwnerRef
from shared.domain.email import CorrelationEntry, Envelope
from shared.domain.ids import ActivityId, OwnerId, email_id
from shared.domain.judgement import Judgement, TryOutcome
from shared.domain.records import AddressBookRecord, RecordRef
from shared.domain.subjects import is_forward
from shared.sync.acceptance import Facts, awaits_original
from shared.sync.correlation import opted_out_entry
from shared.sync.relinking import rule_name
from shared.sync.resolution import Resolution

JUST_NOW = datetime.max.replace(tzinfo=UTC)
"""When what this run accepts is stored: later than whatever was stored before."""


@dataclass(frozen=True, slots=True)
class Original:
    """What a message takes over from the email that it continues."""

    activity_id: ActivityId
    conversation: ActivityId
    regarding: RecordRef | None
    owner: OwnerRef | None
    fragment_since: datetime | None = None
    """When the answer was stored that its conversation began with; None where that began with no answer."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What a person asked for of one item; no filter changes it."""

    regarding: RecordRef | None = None


@dataclass(frozen=True, slots=True)
class Regarding:
    """What an email is about, and who says so."""

    record: RecordRef
    set_by: RegardingSource
    rule: str | None = None
    """`EmailActivity.regarding_rule`."""


@dataclass(frozen=True, slots=True)
class Judged:
    """A message, what becomes of it, and what that follows from."""

    envelope: Envelope
    facts: Facts
    judgement: Judgement
    direction: Direction
    """That the activity has: its id is derived from it."""
    resolution: Resolution
    """Who takes part, and whose the email is."""
    original: Original | None = None
    """The email that it continues."""
    contact: AddressBookRecord | None = None
    """What its sender becomes, where it is promoted and contacts are created."""
    wish: Wish | None = None

    @property
    def is_accepted(self) -> bool:
        return self.judgement.verdict is Verdict.PROMOTED

    @property
    def awaits_original(self) -> bool:
        return awaits_original(self.envelope, self.judgement)

    @property
    def seeks_original(self) -> bool:
        """It is accepted, and what it answers is not stored: that may come later, through another mailbox, or on a later page
        where older mail is read last."""
        correlation, settings = self.judgement.correlation, self.facts.settings
        if not self.is_accepted or correlation.method is not CorrelationMethod.NONE:
            return False
        is_left_alone = is_forward(self.envelope.subject) and not settings.correlate_forwards
        sought = (each.outcome for each in correlation.tried if each.method is CorrelationMethod.IN_REPLY_TO)
        return TryOutcome.NOT_FOUND in sought and not is_left_alone

    @property
    def fragment_since(self) -> datetime | None:
        """When the answer was stored that its conversation begins with as far as is known; None where none does."""
        if self.original is not None:
            return self.original.fragment_since
        return JUST_NOW if self.seeks_original else None

    @property
    def is_fragment(self) -> bool:
        """Whether its conversation may be joined to another. One that was opted out is followed in any case."""
        return self.fragment_since is not None or (self.original is None and self.judgement.correlation.opted_out)

    @property
    def activity_id(self) -> ActivityId | None:
        """None where only the content identifies it."""
        message_id = self.envelope.message_id
        return email_id(message_id, self.direction) if message_id else None

    @property
    def regarding(self) -> Regarding | None:
        """The folder's rule says it, else who asked for it, else the email that it continues."""
        rule, wish, original = self.facts.rule, self.wish, self.original
        if rule is not None and rule.regarding is not None:
            name = rule_name(rule.mailbox_id, rule.folder_id)
            return Regarding(rule.regarding, RegardingSource.RULE, name)
        if wish is not None and wish.regarding is not None:
            return Regarding(wish.regarding, RegardingSource.HAND)
        if original is not None and original.regarding is not None:
            return Regarding(original.regarding, RegardingSource.CORRELATION)
        return None

    @property
    def own_queue(self) -> OwnerId | None:
        """The queue whose mailbox received it, where that accepts it: the email is an item of it, whoever brought it first."""
        owner = self.facts.mailbox.owner
        return OwnerId(owner.id) if owner is not None and owner.id in self.judgement.queues else None

    @property
    def leftover(self) -> CorrelationEntry | None:
        """By what answers find that they belong to a conversation that was opted out, though this message is not kept."""
        if self.judgement.reason is not Reason.OPTED_OUT:
            return None
        return opted_out_entry(self.envelope, self.judgement.correlation)
