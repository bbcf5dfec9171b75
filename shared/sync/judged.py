"""A message that was judged: what becomes of it, what that follows from, and what its email takes over from others. Pure."""

from dataclasses import dataclass

from shared.domain.choices import Direction, Reason, RegardingSource, Verdict
from shared.domain.configuration import OwnerRef
from shared.domain.email import CorrelationEntry, Envelope
from shared.domain.ids import ActivityId, OwnerId, email_id
from shared.domain.judgement import Judgement
from shared.domain.records import AddressBookRecord, RecordRef
from shared.sync.acceptance import Facts, awaits_original
from shared.sync.correlation import opted_out_entry
from shared.sync.relinking import rule_name
from shared.sync.resolution import Resolution


@dataclass(frozen=True, slots=True)
class Original:
    """What a message takes over from the email that it continues."""

    activity_id: ActivityId
    conversation: ActivityId
    regarding: RecordRef | None
    owner: OwnerRef | None


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
