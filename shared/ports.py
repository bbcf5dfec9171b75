"""Every port on one page. A capability is a type: what an adapter cannot do, it does not offer.

The contract suites in `tests/contracts` are the definition of each port. All calls are synchronous and may raise
`TransientError`; what else they raise is said here. Stores never see a clock: times come in with the records.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import BinaryIO, Protocol, runtime_checkable

from shared.domain.audit import AuditEntry
from shared.domain.choices import OwnerKind, Workload
from shared.domain.configuration import (
    AddressMatch,
    Breaker,
    Discovered,
    DueMailbox,
    EmailServerProfile,
    Mailbox,
    Owner,
    Schedule,
    SecretRef,
    StoredMailbox,
    StoredOwner,
    StoredProfile,
    WorkloadSchedule,
)
from shared.domain.consents import Consent, ConsentRequest, ConsentTerms, StoredConsent
from shared.domain.delivery import Attempt, OutboxEntry
from shared.domain.email import (
    Annotation,
    CorrelationEntry,
    CorrelationKind,
    EmailActivity,
    EmailContent,
    Envelope,
    IncomingMessage,
    ItemRef,
    ListOf,
    NewEmail,
    OptOut,
    Page,
    Sighting,
    StoredActivity,
    TimelineEntry,
)
from shared.domain.errors import Changed, DeliveryError, ItemError
from shared.domain.folders import Folder, KnownTree, TreeFolder
from shared.domain.ids import ActivityId, MailboxId, OwnerId, ProfileId
from shared.domain.ledger import ItemKey, LedgerCommit, LedgerHead, LedgerItem
from shared.domain.operations import Alert, QuarantinedItem, Run
from shared.domain.organisation import OrganisationSettings, StoredSettings
from shared.domain.outgoing import OutgoingMessage, Receipt
from shared.domain.records import (
    AddressBookRecord,
    BulkLoad,
    FolderTrackingRule,
    RejectedLine,
    StoredLoad,
    StoredRecord,
    StoredRule,
)
from shared.domain.steps import Step, StoredEmail

LEDGER_COMMIT_ROWS = 99
"""Rows that one ledger commit may write beside the state row (a Table transaction holds 100)."""

TODOS_AT_ONCE = 500
"""Todos that one run takes up; the next run finds the others."""

OUTBOX_AT_ONCE = 200
"""Emails of one priority that a run reads from the outbox at once."""

PAGE_ITEMS = 512
"""Items of a page at most; Exchange allows no more."""

type Clock = Callable[[], datetime]
"""Now, aware UTC."""


@dataclass(frozen=True, slots=True)
class Slice[T]:
    """Part of a list, and where the next part starts; None at the end."""

    items: Sequence[T]
    continuation: str | None = None


# ---- mail servers


class IncomingEmail(Protocol):
    """A mailbox that mail is read from."""

    @property
    def source(self) -> str:
        """Identifies endpoint and mailbox; a watermark is only good for the source it came from."""
        ...

    def folders(self) -> Sequence[Folder]:
        """The folders that are always watched. Asks the server nothing that it answered before."""
        ...

    def changes(self, folder: Folder, watermark: str | None, limit: int = PAGE_ITEMS) -> Page:
        """Changes after `watermark`, all there is if None. Raises WatermarkExpired, FolderNotFound, MailboxError."""
        ...

    def envelopes(self, refs: Sequence[ItemRef]) -> Iterator[tuple[ItemRef, Envelope | ItemError]]:
        """As `fetch`, without bodies and attachments: cheap, for mail that may not be wanted."""
        ...

    def latest(self, folder: Folder, count: int) -> Sequence[ItemRef]:
        """The `count` items received last, newest first; for looking, not for synchronizing. Raises FolderNotFound."""
        ...

    def fetch(self, refs: Sequence[ItemRef]) -> Iterator[tuple[ItemRef, IncomingMessage | ItemError]]:
        """The messages, in the order of `refs`, each or the error it has. ItemGone where it is not there any more."""
        ...

    def raw(self, ref: ItemRef) -> Iterator[bytes]:
        """The MIME form, streamed. Raises ItemError."""
        ...

    def discard(self, refs: Sequence[ItemRef]) -> Mapping[ItemRef, ItemError]:
        """Deletes the items for good: final when it returns. Those that the server refuses to delete, with its reason; one that
        is gone already counts as deleted."""
        ...


@runtime_checkable
class FolderTree(Protocol):
    """A mailbox whose folders below the Inbox can be watched."""

    def tree(self) -> Sequence[TreeFolder]:
        """All folders of mail below the Inbox, in any order."""
        ...


@runtime_checkable
class Marking(Protocol):
    """A mailbox whose items can be marked and moved. All calls are idempotent; an item that is gone raises ItemGone."""

    def categorize(self, ref: ItemRef, add: Collection[str], remove: Collection[str]) -> None:
        """Categories of the item; those not named stay."""
        ...

    def move(self, ref: ItemRef, folder_name: str, message_id: str | None) -> ItemRef:
        """Moves the item to the folder of that name beside the Inbox, which is created where it does not exist; returns
        where the item is now. One that is there already stays, also where nobody was told its new reference: it is known by
        its (normalised) Message-ID then, if no other item there has the same."""
        ...


class OpenMailbox(Protocol):
    """Chooses the connector for a mailbox and opens it. Raises MailboxError, TransientError."""

    def __call__(
        self, profile: EmailServerProfile, mailbox: Mailbox, discovered: Discovered | None = None
    ) -> AbstractContextManager[IncomingEmail]:
        """`discovered` says where it is, for a profile that uses autodiscover."""
        ...


class Sending(Protocol):
    """A mailbox whose server takes an email in one go and cannot be asked later whether it did (SMTP)."""

    def check(self) -> None:
        """Signs in as for sending, and sends nothing. Raises MailboxError, TransientError."""
        ...

    def send(self, message: OutgoingMessage) -> Receipt:
        """Raises DeliveryError about this email, DeliveryUnknown among them; MailboxError and TransientError about the mailbox
        or the server, with the certainty that this email was not accepted."""
        ...


@runtime_checkable
class Drafting(Protocol):
    """A mailbox whose server keeps drafts, so that it can be told whether one was sent (Exchange). A draft is complete before
    anybody knows its reference; only what is known is ever sent, so one that nobody knows was not."""

    @property
    def source(self) -> str:
        """Identifies endpoint and mailbox; a reference is only good for the source it came from."""
        ...

    def check(self) -> None:
        """Opens the folder of drafts as the identity that sends; makes and sends nothing there. Raises MailboxError,
        TransientError."""
        ...

    def prepare(self, messages: Sequence[OutgoingMessage]) -> Sequence[str | DeliveryError]:
        """For each, in order, the reference of a complete draft that carries its key, or the error that it has. Raises
        MailboxError, TransientError: what was begun then is there as unfinished drafts."""
        ...

    def submit(self, drafts: Sequence[str], *, save_copy: bool) -> Sequence[Receipt | DeliveryError]:
        """Sends drafts that `prepare` made; for each, in order, what the server answers. DraftGone where it is not there: it
        was sent before. Raises MailboxError, TransientError: which of them were sent then says `find`."""
        ...

    def find(self, drafts: Sequence[str]) -> Sequence[str | None]:
        """The present reference of each draft, None where it is not among the drafts any more: it was sent."""
        ...

    def withdraw(self, keys: Collection[str]) -> None:
        """Removes drafts that carry one of these keys. Idempotent."""
        ...


type OutgoingEmail = Sending | Drafting
"""A mailbox that email is sent through."""


class OpenOutgoing(Protocol):
    """Chooses the connector for what a mailbox sends and opens it. Raises MailboxError, TransientError."""

    def __call__(
        self, profile: EmailServerProfile, mailbox: Mailbox, discovered: Discovered | None = None
    ) -> AbstractContextManager[OutgoingEmail]: ...


class Probe(Protocol):
    """Tries for real, as the identity that will act, whether a workload of a mailbox works."""

    def __call__(self, profile: EmailServerProfile, mailbox: Mailbox, discovered: Discovered | None) -> None:
        """Returns when it works. Raises SyncError whose remedy names what to change first."""
        ...


class Discover(Protocol):
    """Finds out where a mailbox is (Exchange autodiscover)."""

    def __call__(self, profile: EmailServerProfile, mailbox: Mailbox, now: datetime) -> Discovered:
        """Raises MailboxError, TransientError."""
        ...


@dataclass(frozen=True, slots=True)
class Granted:
    """What an issuer of tokens gave for a consent."""

    refresh_token: str
    expires_in: timedelta | None = None
    """Until the consent ends, used or not; None where the issuer names no time."""


class ConsentIssuer(Protocol):
    """Where owners of mailboxes consent (RFC 6749 section 4.1, RFC 7636)."""

    def address(self, terms: ConsentTerms, *, login_hint: str, redirect_uri: str, state: str, challenge: str) -> str:
        """URL of the page on which the owner consents. Asks nobody. Raises MailboxError where the terms name no issuer."""
        ...

    def redeem(self, profile: EmailServerProfile, request: ConsentRequest, code: str, verifier: str) -> Granted:
        """What the code gives, which is good once. Raises MailboxError, TransientError."""
        ...

    def revoke(self, terms: ConsentTerms, refresh_token: str) -> bool:
        """Ends the consent at the issuer; False where the issuer has no way for it. Raises MailboxError, TransientError."""
        ...


class ConnectionShares(Protocol):
    """Divides the connections that an authenticated identity may open among all worker processes that use it."""

    def claim(
        self, identity: str, worker: str, wanted: int, limit: int, now: datetime, until: datetime, in_use: int = 0
    ) -> int:
        """How many connections `worker` may open until `until`: never more over all workers than `limit`; replaces what it
        claimed before, but takes none of those away that are `in_use`. 0 where others have them all."""
        ...


# ---- configuration


class OrganisationStore(Protocol):
    """The settings of the organisation."""

    def get(self) -> StoredSettings:
        """All defaults where nothing was ever written."""
        ...

    def put(self, settings: OrganisationSettings, etag: str | None) -> StoredSettings:
        """`etag` None: nothing was written before. Raises Changed."""
        ...


class Profiles(Protocol):
    def get(self, profile_id: ProfileId) -> StoredProfile | None: ...

    def list(self) -> Sequence[StoredProfile]: ...

    def create(self, profile: EmailServerProfile) -> StoredProfile:
        """Raises AlreadyExists."""
        ...

    def replace(self, profile: EmailServerProfile, etag: str) -> StoredProfile:
        """Raises Changed."""
        ...

    def delete(self, profile_id: ProfileId, etag: str) -> None:
        """Raises Changed. What is not there counts as deleted."""
        ...

    def set_breaker(self, profile_id: ProfileId, breaker: Breaker | None, *, replacing: Breaker | None) -> bool:
        """Stands beside the record: never changes its ETag. False, and nothing is written, where another breaker than
        `replacing` stands there by now (None: there is none)."""
        ...


class Owners(Protocol):
    def get(self, kind: OwnerKind, owner_id: OwnerId) -> StoredOwner | None: ...

    def list(self, kind: OwnerKind, continuation: str | None = None, limit: int = 100) -> Slice[StoredOwner]: ...

    def create(self, owner: Owner) -> StoredOwner:
        """Raises AlreadyExists. The address index is kept in step: `Addresses.find` sees the owner once this returns."""
        ...

    def replace(self, owner: Owner, etag: str) -> StoredOwner:
        """Raises Changed. Keeps the address index in step."""
        ...

    def delete(self, kind: OwnerKind, owner_id: OwnerId, etag: str) -> None:
        """The record and its address hint. Raises Changed. What is not there counts as deleted."""
        ...


class Addresses(Protocol):
    def find(self, addresses: Collection[str]) -> Mapping[str, Sequence[AddressMatch]]:
        """Which records have these (normalised) addresses now. Every address asked for is a key of the answer."""
        ...


class Mailboxes(Protocol):
    def get(self, mailbox_id: MailboxId) -> StoredMailbox | None:
        """The record and its schedule, in one read."""
        ...

    def list(self, continuation: str | None = None, limit: int = 100) -> Slice[StoredMailbox]: ...

    def create(self, mailbox: Mailbox, schedule: Schedule) -> StoredMailbox:
        """Raises AlreadyExists."""
        ...

    def replace(self, mailbox: Mailbox, etag: str, schedule: Schedule) -> StoredMailbox:
        """Record and the workloads named in `schedule` in one transaction. Raises Changed."""
        ...

    def delete(self, mailbox_id: MailboxId, etag: str) -> None:
        """The record and its schedule. Raises Changed. What is not there counts as deleted."""
        ...

    def set_discovered(self, mailbox_id: MailboxId, discovered: Discovered | None) -> None:
        """Stands beside the record, in the row of the schedule: never changes its ETag, and `get` reads it with the rest."""
        ...

    def note_rules(self, mailbox_id: MailboxId) -> None:
        """It has folder-level tracking rules from now on (`StoredMailbox.has_rules`): stands beside the record, as `discovered`
        does, so that a poll of a mailbox without rules asks for none. `TrackingRules.put` sees to it."""
        ...

    def reschedule(self, mailbox_id: MailboxId, workload: Workload, schedule: WorkloadSchedule) -> None:
        """One write; leaves the record's ETag and the other workloads alone."""
        ...

    def make_due(self, mailbox_id: MailboxId, workload: Workload, at: datetime) -> None:
        """Due at `at`, unless it is due before. All else of the schedule, and the record's ETag, stay as they are, whoever
        writes them meanwhile. A mailbox that is not there stays so."""
        ...

    def due(self, workload: Workload, now: datetime, first_shard: int, last_shard: int) -> Iterator[Sequence[DueMailbox]]:
        """Mailboxes due at `now`, in groups of one shard, in order of shards. Filtered by the store."""
        ...

    def mark_queued(self, due: Sequence[DueMailbox], until: datetime) -> Sequence[DueMailbox]:
        """Marks mailboxes of one shard as queued; returns those that nobody else marked or rescheduled meanwhile."""
        ...


class AddressBook(Protocol):
    """Contacts, accounts, leads and other email-enabled records. `Addresses.find` sees them like owners."""

    def get(self, record_type: str, record_id: str) -> StoredRecord | None: ...

    def list(self, record_type: str, continuation: str | None = None, limit: int = 100) -> Slice[StoredRecord]: ...

    def create(self, record: AddressBookRecord) -> StoredRecord:
        """With its index. Raises AlreadyExists."""
        ...

    def put(self, record: AddressBookRecord, etag: str | None = None) -> StoredRecord:
        """Creates or replaces, and keeps the address index in step. With `etag` it must exist in that state. Raises Changed."""
        ...

    def put_many(self, records: Sequence[AddressBookRecord]) -> None:
        """Creates or replaces many in transactions, with their index. Of one that stands there twice the last counts."""
        ...

    def delete(self, record_type: str, record_id: str, etag: str) -> None:
        """Raises Changed. What is not there counts as deleted."""
        ...


class BulkLoads(Protocol):
    """Bulk loads of the address book, and the lines they rejected."""

    def create(self, load: BulkLoad) -> StoredLoad:
        """Raises AlreadyExists."""
        ...

    def get(self, load_id: str) -> StoredLoad | None: ...

    def list(self, continuation: str | None = None, limit: int = 50) -> Slice[StoredLoad]: ...

    def commit(self, load: BulkLoad, etag: str, rejected: Sequence[RejectedLine]) -> StoredLoad:
        """Progress and the rejected lines since the last one (at most 99), in one transaction. Raises Changed."""
        ...

    def rejected(self, load_id: str, continuation: str | None = None, limit: int = 100) -> Slice[RejectedLine]: ...

    def delete(self, load_id: str, etag: str) -> None:
        """The load, after its rejected lines. Raises Changed. What is not there counts as deleted."""
        ...


class TrackingRules(Protocol):
    """Folder-level tracking rules, by mailbox. A mailbox that has one says so before it is there."""

    def list(self, mailbox_id: MailboxId) -> Sequence[StoredRule]: ...

    def get(self, mailbox_id: MailboxId, folder_id: str) -> StoredRule | None: ...

    def put(self, rule: FolderTrackingRule, etag: str | None) -> StoredRule:
        """`etag` None: it must not exist. Raises Changed, AlreadyExists."""
        ...

    def delete(self, mailbox_id: MailboxId, folder_id: str, etag: str) -> None:
        """Raises Changed. What is not there counts as deleted."""
        ...


class Consents(Protocol):
    """What owners of mailboxes consented to, and what they were asked and have not answered yet."""

    def get(self, mailbox_id: MailboxId) -> StoredConsent | None: ...

    def put(self, consent: Consent, etag: str | None) -> StoredConsent:
        """`etag` None: the mailbox must have none. Raises Changed, AlreadyExists."""
        ...

    def delete(self, mailbox_id: MailboxId) -> None:
        """What is not there counts as deleted."""
        ...

    def list(self, continuation: str | None = None, limit: int = 100) -> Slice[StoredConsent]: ...

    def ask(self, request: ConsentRequest) -> None:
        """The owner is asked from now on. Raises AlreadyExists."""
        ...

    def answered(self, key: str) -> ConsentRequest | None:
        """Takes the request away: of all who ask, once and at the same time, one gets it. None where it is not there."""
        ...

    def remove_unanswered(self, time: datetime) -> Iterator[int]:
        """Removes requests that expired before `time`, as `Alerts.remove_before`."""
        ...


class FolderTrees(Protocol):
    """The folders of mailboxes as they were read last: what a run watches, and what an administrator chooses from."""

    def get(self, mailbox_id: MailboxId) -> KnownTree | None: ...

    def put(self, mailbox_id: MailboxId, tree: KnownTree) -> None: ...

    def delete(self, mailbox_id: MailboxId) -> None:
        """What is not there counts as deleted."""
        ...


# ---- mail


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


class Outbox(Protocol):
    """What waits to be sent, by mailbox: hints, confirmed against the activity."""

    def put(self, entries: Sequence[OutboxEntry]) -> None:
        """Upserts by mailbox, priority, due time, activity and submission."""
        ...

    def remove(self, entries: Sequence[OutboxEntry]) -> None:
        """By the same. What is not there counts as removed."""
        ...

    def due(self, mailbox_id: MailboxId, now: datetime, limit: int = OUTBOX_AT_ONCE) -> Sequence[OutboxEntry]:
        """Those due at `now`: high priority first, within one priority the earliest due first; `limit` of each priority."""
        ...

    def next_due(self, mailbox_id: MailboxId) -> datetime | None:
        """When the first of all is due, past or to come; None where nothing waits."""
        ...

    def list(self, mailbox_id: MailboxId, continuation: str | None = None, limit: int = 50) -> Slice[OutboxEntry]:
        """In the order of `due`."""
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
        """Every item row, by range."""
        ...

    def find(self, mailbox_id: MailboxId, workload: Workload, identity: str) -> Sequence[LedgerItem]:
        """The item rows with this identity hash (`ItemKey.identity`)."""
        ...

    def get(self, mailbox_id: MailboxId, workload: Workload, key: ItemKey) -> LedgerItem | None: ...

    def remove_details_before(self, time: datetime) -> Iterator[int]:
        """Empties the `ledger.DETAILS` of the items of any mailbox that were decided before `time` and may lose them, as
        `Alerts.remove_before`. Needs no lease, as it changes no decision: what a run writes meanwhile stands as it is."""
        ...


# ---- operations


class Quarantine(Protocol):
    def put(self, item: QuarantinedItem) -> None:
        """Upserts by mailbox and item."""
        ...

    def get(self, mailbox_id: MailboxId, key: ItemKey) -> QuarantinedItem | None: ...

    def remove(self, mailbox_id: MailboxId, key: ItemKey) -> None:
        """What is not there counts as removed."""
        ...

    def list(self, mailbox_id: MailboxId, continuation: str | None = None, limit: int = 50) -> Slice[QuarantinedItem]: ...

    def mailboxes_of_other_versions(self, version: str) -> Iterator[Sequence[MailboxId]]:
        """Mailboxes that have items which another version of Sidesync gave up, each once."""
        ...


class Alerts(Protocol):
    def put(self, alert: Alert) -> None:
        """Upserts by what it is about, code and parameters; keeps the time it was raised first."""
        ...

    def list(self, about: str | None = None, continuation: str | None = None, limit: int = 50) -> Slice[Alert]: ...

    def acknowledge(self, alert_id: str, by: str, at: datetime) -> Alert | None:
        """Marks the alert as seen; raised again later, it is open again. None where there is none of this id."""
        ...

    def remove_before(self, time: datetime) -> Iterator[int]:
        """Removes alerts that were last raised before `time`, acknowledged or not, part by part; yields how many rows each
        part had. Whoever stops reading ends it."""
        ...


class Audit(Protocol):
    def put(self, entry: AuditEntry) -> None:
        """Once by day (UTC) and id: one that is there already stays as it is."""
        ...

    def remove_before(self, time: datetime) -> Iterator[int]:
        """Removes the days (UTC) that ended before `time`, as `Alerts.remove_before`."""
        ...

    def list(self, record: str | None = None, continuation: str | None = None, limit: int = 50) -> Slice[AuditEntry]:
        """Newest first."""
        ...


class Runs(Protocol):
    def put(self, run: Run) -> None: ...

    def remove_before(self, time: datetime) -> Iterator[int]:
        """Removes runs of any mailbox that started before `time`, as `Alerts.remove_before`."""
        ...

    def list(self, mailbox_id: MailboxId, continuation: str | None = None, limit: int = 50) -> Slice[Run]:
        """Newest first."""
        ...


class Blobs(Protocol):
    def put(self, name: str, content: BinaryIO | bytes) -> None:
        """Written once: a name that is there already is left as it is."""
        ...

    def write(self, name: str, chunks: Iterable[bytes]) -> int:
        """Streams content of unknown length to a name, replacing what is there; returns its bytes."""
        ...

    def read(self, name: str, offset: int = 0) -> Iterator[bytes]:
        """Chunks of at most 1 MiB, from the byte `offset` on; nothing where the blob ends before it. Raises KeyError."""
        ...

    def delete(self, name: str) -> None:
        """What is not there counts as deleted."""
        ...

    def delete_folder(self, folder: str) -> None:
        """Deletes all blobs whose names start with `folder`, which ends in a slash."""
        ...


class WorkQueues(Protocol):
    def send(self, queue: str, text: str, delay: timedelta = timedelta()) -> None: ...

    def send_many(self, queue: str, texts: Sequence[str]) -> None:
        """Several in flight at once; when it raises, some may have been sent."""
        ...


class Secrets(Protocol):
    def get(self, ref: SecretRef) -> str:
        """Raises KeyError."""
        ...

    def set(self, name: str, value: str) -> SecretRef:
        """A new version; the version is opaque and reveals nothing of the value."""
        ...

    def set_on(self, ref: SecretRef) -> datetime | None:
        """When this version was set; None where there is none."""
        ...


@dataclass(frozen=True, slots=True)
class Stores:
    """The stores of one organisation."""

    settings: OrganisationStore
    profiles: Profiles
    owners: Owners
    addresses: Addresses
    mailboxes: Mailboxes
    address_book: AddressBook
    bulk_loads: BulkLoads
    tracking_rules: TrackingRules
    folder_trees: FolderTrees
    consents: Consents
    shares: ConnectionShares
    activities: Activities
    outbox: Outbox
    timeline: Timeline
    correlations: Correlations
    ledger: Ledger
    quarantine: Quarantine
    alerts: Alerts
    audit: Audit
    runs: Runs
    blobs: Blobs
    queues: WorkQueues
    secrets: Secrets
