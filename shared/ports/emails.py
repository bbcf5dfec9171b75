"""Stores of emails and of what is known of their items: activities, lists, the outbox, correlations, the ledger."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from shared.domain.choices import Workload
from shared.domain.delivery import Attempt, OutboxEntry
from shared.domain.email import (
    Annotation,
    CorrelationEntry,
    CorrelationKind,
    EmailActivity,
    EmailContent,
    ListOf,
    NewEmail,
    OptOut,
    Sighting,
    StoredActivity,
    TimelineEntry,
)
from shared.domain.errors import Changed, UnreadableRow
from shared.domain.ids import ActivityId, MailboxId
from shared.domain.ledger import ItemKey, LedgerCommit, LedgerHead, LedgerItem
from shared.domain.steps import Step, StoredEmail
from shared.ports.slices import Slice

LEDGER_COMMIT_ROWS = 99
"""Rows that one ledger commit may write beside the state row (a Table transaction holds 100)."""

TODOS_AT_ONCE = 500
"""Todos that one run takes up; the next run finds the others."""

OUTBOX_AT_ONCE = 200
"""Emails of one priority that a run reads from the outbox at once."""


class Activities(Protocol):
    def create(self, emails: Sequence[NewEmail]) -> Sequence[StoredActivity]:
        """Activity, content and sighting in one transaction each, in the order given; where the activity exists already
        nothing of that email is written and the stored row is returned. The same id may stand in `emails` twice: the
        first one counts."""
        ...

    def get(self, activity_id: ActivityId) -> StoredActivity | None: ...

    def content(self, activity_id: ActivityId) -> EmailContent | None: ...

    def contents(self, activity_ids: Collection[ActivityId]) -> Mapping[ActivityId, EmailContent]:
        """The contents of those of `activity_ids` that have one; several in flight at once."""
        ...

    def sightings(self, activity_id: ActivityId) -> Sequence[Sighting]: ...

    def sight(self, sightings: Sequence[Sighting]) -> None:
        """Adds sightings; one of the same email and mailbox that is there already stays as it is."""
        ...

    def find(self, activity_ids: Collection[ActivityId]) -> Mapping[ActivityId, StoredActivity]:
        """Those of `activity_ids` that exist, tombstones too; several in flight at once."""
        ...

    def replace(self, activity: EmailActivity, etag: str) -> StoredActivity:
        """What may change of an email. Raises Changed."""
        ...

    def whole(self, activity_ids: Collection[ActivityId]) -> Mapping[ActivityId, StoredEmail]:
        """Those of `activity_ids` that exist with their content, tombstones not; one read each, several in flight at once."""
        ...

    def advance(self, steps: Sequence[Step]) -> Sequence[StoredActivity | Changed]:
        """Takes each step, or says that its activity was changed since; one that fails does not affect the others. The same id
        stands in `steps` once. A TransientError leaves open which were taken."""
        ...

    def attempts(self, activity_id: ActivityId) -> Sequence[Attempt]:
        """Oldest first."""
        ...

    def erase(self, activity: EmailActivity, etag: str) -> None:
        """Leaves `activity`, which says when it was deleted, as a tombstone; then removes content, sightings and annotations.
        Blobs of attachments are not its business. Raises Changed. A crash may leave the tombstone with something behind it:
        erasing the tombstone again removes the rest."""
        ...

    def unsight(self, activity_id: ActivityId, mailbox_id: MailboxId) -> None:
        """What is not there counts as removed."""
        ...

    def annotate(self, annotations: Sequence[Annotation]) -> None:
        """Upserts by email and report. The email need not exist."""
        ...

    def annotations(self, activity_id: ActivityId) -> Sequence[Annotation]: ...

    def mark_variants(self, activity_ids: Collection[ActivityId]) -> None:
        """Sets `has_variants` on rows that exist. Idempotent."""
        ...


class Timeline(Protocol):
    def put(self, entries: Sequence[TimelineEntry]) -> None:
        """Upserts."""
        ...

    def remove(self, entries: Sequence[TimelineEntry]) -> None:
        """By list, time and activity. What is not there counts as removed."""
        ...

    def list(self, list_of: ListOf, whose: str, continuation: str | None = None, limit: int = 50) -> Slice[TimelineEntry]:
        """Newest first."""
        ...


@dataclass(frozen=True, slots=True)
class DueEntries:
    entries: Sequence[OutboxEntry] = ()
    unreadable: Sequence[UnreadableRow] = ()
    """Entries that a later version wrote: they stay where they are."""


class Outbox(Protocol):
    """What waits to be sent, by mailbox: hints, confirmed against the activity."""

    def put(self, entries: Sequence[OutboxEntry]) -> None:
        """Upserts by mailbox, priority, due time, activity and submission."""
        ...

    def remove(self, entries: Sequence[OutboxEntry]) -> None:
        """By the same. What is not there counts as removed."""
        ...

    def due(self, mailbox_id: MailboxId, now: datetime, limit: int = OUTBOX_AT_ONCE) -> DueEntries:
        """Those due at `now`: high priority first, within one priority the earliest due first; `limit` of each priority."""
        ...

    def next_due(self, mailbox_id: MailboxId) -> datetime | None:
        """When the first is due, past or to come, whether it can be read or not; None where nothing waits."""
        ...

    def list(self, mailbox_id: MailboxId, continuation: str | None = None, limit: int = 50) -> Slice[OutboxEntry]:
        """In the order of `due`, those that can be read."""
        ...


class Correlations(Protocol):
    """By what emails are found that In-Reply-To does not lead to, and the conversations that were opted out."""

    def put(self, entries: Sequence[CorrelationEntry]) -> None:
        """Upserts by kind, key, time and activity."""
        ...

    def find(self, kind: CorrelationKind, keys: Collection[str], limit: int = 50) -> Mapping[str, Sequence[CorrelationEntry]]:
        """The latest `limit` entries of every key, newest first; every key asked for is a key of the answer."""
        ...

    def remove(self, entries: Sequence[CorrelationEntry]) -> None:
        """What is not there counts as removed."""
        ...

    def opt_out(self, opted_out: OptOut) -> None:
        """The first one of a conversation stays."""
        ...

    def opt_in(self, conversation: ActivityId) -> None:
        """What is not there counts as removed."""
        ...

    def opted_out(self, conversations: Collection[ActivityId]) -> Mapping[ActivityId, OptOut]:
        """Those of `conversations` that were."""
        ...


class Ledger(Protocol):
    def head(self, mailbox_id: MailboxId, workload: Workload, now: datetime) -> LedgerHead:
        """State, marks and the todos due at `now`, of which at most `TODOS_AT_ONCE`, the earliest ones: one query."""
        ...

    def commit(self, mailbox_id: MailboxId, workload: Workload, etag: str | None, commit: LedgerCommit) -> str:
        """One transaction, guarded by the state's `etag` (None: there is no state yet); returns the new one.
        Raises LeaseLost when the ETag differs. A TransientError leaves open whether it happened: see `RunState.nonce`."""
        ...

    def items(self, mailbox_id: MailboxId, workload: Workload) -> Iterator[LedgerItem]:
        """Every item row, by range. Raises UnreadableItems behind the last one where there were some that cannot be read."""
        ...

    def find(self, mailbox_id: MailboxId, workload: Workload, identity: str) -> Sequence[LedgerItem]:
        """The item rows with this identity hash (`ItemKey.identity`). Raises UnreadableItems."""
        ...

    def get(self, mailbox_id: MailboxId, workload: Workload, key: ItemKey) -> LedgerItem | None:
        """Raises UnreadableItems."""
        ...

    def remove_details_before(self, time: datetime) -> Iterator[int]:
        """Empties the `ledger.DETAILS` of the items of any mailbox that were decided before `time` and may lose them, as
        `Alerts.remove_before`. Needs no lease, as it changes no decision: what a run writes meanwhile stands as it is."""
        ...
