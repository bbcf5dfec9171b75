"""Stores of what administrators and owners configure: profiles, mailboxes, records, rules, consents."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Protocol

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
    StoredMailbox,
    StoredOwner,
    StoredProfile,
    WorkloadSchedule,
)
from shared.domain.consents import Consent, ConsentRequest, StoredConsent
from shared.domain.folders import KnownTree
from shared.domain.ids import MailboxId, OwnerId, ProfileId
from shared.domain.organisation import OrganisationSettings, StoredSettings
from shared.domain.records import (
    AddressBookRecord,
    BulkLoad,
    FolderTrackingRule,
    RecordRef,
    RejectedLine,
    StoredLoad,
    StoredRecord,
    StoredRule,
)
from shared.ports.slices import Slice


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

    def list(self) -> Iterator[StoredProfile]:
        """In order of ids. Raises UnreadableRow with the ids of those that cannot be read, if any, behind the last one."""
        ...

    def create(self, profile: EmailServerProfile) -> StoredProfile:
        """Raises AlreadyExists."""
        ...

    def replace(self, profile: EmailServerProfile, etag: str) -> StoredProfile:
        """Raises Changed."""
        ...

    def delete(self, profile_id: ProfileId, etag: str) -> None:
        """Raises Changed. What is not there counts as deleted."""
        ...

    def set_breaker(
        self, profile_id: ProfileId, workload: Workload, breaker: Breaker | None, *, replacing: Breaker | None
    ) -> bool:
        """One for each workload stands beside the record: never changes its ETag. False, and nothing is written, where another
        breaker than `replacing` stands there by now (None: there is none)."""
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

    def records(self, named: Collection[RecordRef]) -> Mapping[RecordRef, Owner | AddressBookRecord]:
        """Those of the users, queues and records of the address book that are there; several in flight at once."""
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
        """Mailboxes due at `now`, in groups of one shard, in order of shards. Filtered by the store. Raises UnreadableRow
        behind the last one, with the ids of those whose schedules cannot be read."""
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
