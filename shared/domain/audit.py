"""The audit: who changed which configuration record, and what of it. Never a secret."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from shared.domain.choices import Role


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks: a person or application signed in to the platform, or the holder of a function key."""

    name: str
    roles: frozenset[Role] = frozenset({Role.ADMIN})


class ChangeAction(StrEnum):
    CREATED = "created"
    CHANGED = "changed"
    DELETED = "deleted"
    APPROVED = "approved"
    REJECTED = "rejected"
    ACTIVATED = "activated"
    DEACTIVATED = "deactivated"
    SYNC_REQUESTED = "sync_requested"
    TEST_REQUESTED = "test_requested"
    WATERMARK_RESET = "watermark_reset"
    ACKNOWLEDGED = "acknowledged"
    OPTED_OUT = "opted_out"
    OPTED_IN = "opted_in"
    TRACK_REQUESTED = "track_requested"
    UNTRACK_REQUESTED = "untrack_requested"
    JUDGING_REQUESTED = "judging_requested"
    REPLAY_REQUESTED = "replay_requested"
    GIVEN_UP = "given_up"
    CONSENT_ASKED = "consent_asked"
    CONSENT_GIVEN = "consent_given"
    """By the owner of the mailbox, whom the caller had asked."""
    CONSENT_WITHDRAWN = "consent_withdrawn"
    SEND_REQUESTED = "send_requested"
    SEND_CANCELED = "send_canceled"


@dataclass(frozen=True, slots=True)
class FieldChange:
    """Old and new value as JSON; of a secret only whether one is set."""

    field: str
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class AuditEntry:
    id: str
    """Derived from the record, the state that is changed, the action, who asks and what changes, so that a repetition after a
    crash writes no second entry."""
    changed_on: datetime
    caller: str
    action: ChangeAction
    record: str
    """`profile:<id>`, `user:<id>`, `queue:<id>`, `mailbox:<id>`, `rule:<mailbox>:<folder>`, `settings`, `record:<type>:<id>`,
    `load:<id>`, `alert:<about>:<code>`, `activity:<id>`, `conversation:<id>`."""
    changes: tuple[FieldChange, ...] = ()
