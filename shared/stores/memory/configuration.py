"""Profiles, owners and mailboxes in memory."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import groupby
from threading import RLock

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
from shared.domain.errors import AlreadyExists, Changed
from shared.domain.ids import MailboxId, OwnerId, ProfileId, normalised_address
from shared.domain.records import match_of
from shared.ports import Slice
from shared.stores.codec import Plain, codec_of
from shared.stores.entities import shard_number_of_mailbox
from shared.stores.limits import checked_id
from shared.stores.memory.rows import Row, check_etag, row, slice_of


class MemoryProfiles:
    def __init__(self) -> None:
        self._lock = RLock()
        self._rows: dict[ProfileId, Row[EmailServerProfile]] = {}
        self._breakers: dict[tuple[ProfileId, Workload], Breaker] = {}

    def get(self, profile_id: ProfileId) -> StoredProfile | None:
        with self._lock:
            found = self._rows.get(profile_id)
            return None if found is None else self._stored(found)

    def list(self) -> Iterator[StoredProfile]:
        with self._lock:
            return iter([self._stored(found) for _, found in sorted(self._rows.items())])

    def create(self, profile: EmailServerProfile) -> StoredProfile:
        with self._lock:
            if checked_id(profile.id) in self._rows:
                raise AlreadyExists(f"profile {profile.id}")
            self._rows[profile.id] = row(profile)
            return self._stored(self._rows[profile.id])

    def replace(self, profile: EmailServerProfile, etag: str) -> StoredProfile:
        with self._lock:
            check_etag(self._rows.get(profile.id), etag, f"profile {profile.id}")
            self._rows[profile.id] = row(profile)
            return self._stored(self._rows[profile.id])

    def delete(self, profile_id: ProfileId, etag: str) -> None:
        with self._lock:
            if profile_id in self._rows:
                check_etag(self._rows[profile_id], etag, f"profile {profile_id}")
                del self._rows[profile_id]
                for workload in Workload:
                    self._breakers.pop((profile_id, workload), None)

    def set_breaker(
        self, profile_id: ProfileId, workload: Workload, breaker: Breaker | None, *, replacing: Breaker | None
    ) -> bool:
        with self._lock:
            if self._breakers.get((profile_id, workload)) != replacing:
                return False
            if breaker is None:
                self._breakers.pop((profile_id, workload), None)
            else:
                self._breakers[profile_id, workload] = breaker
            return True

    def _stored(self, found: Row[EmailServerProfile]) -> StoredProfile:
        keys = [(workload, (found.record.id, workload)) for workload in Workload]
        breakers = {workload: self._breakers[key] for workload, key in keys if key in self._breakers}
        return StoredProfile(found.record, found.etag, breakers)

    def snapshot(self) -> dict[str, Plain]:
        with self._lock:
            return {
                "records": {key: codec_of(EmailServerProfile).plain(found.record) for key, found in self._rows.items()},
                "breakers": {":".join(key): codec_of(Breaker).plain(breaker) for key, breaker in self._breakers.items()},
            }


class MemoryOwners:
    def __init__(self) -> None:
        self._lock = RLock()
        self._rows: dict[tuple[OwnerKind, OwnerId], Row[Owner]] = {}

    def get(self, kind: OwnerKind, owner_id: OwnerId) -> StoredOwner | None:
        with self._lock:
            found = self._rows.get((kind, owner_id))
            return None if found is None else StoredOwner(found.record, found.etag)

    def list(self, kind: OwnerKind, continuation: str | None = None, limit: int = 100) -> Slice[StoredOwner]:
        with self._lock:
            ours = [
                ((owner_id,), StoredOwner(found.record, found.etag))
                for (of_kind, owner_id), found in self._rows.items()
                if of_kind is kind
            ]
        return slice_of(ours, continuation, limit)

    def create(self, owner: Owner) -> StoredOwner:
        with self._lock:
            checked_id(owner.id)
            if (owner.kind, owner.id) in self._rows:
                raise AlreadyExists(f"{owner.kind} {owner.id}")
            return self._put(owner)

    def replace(self, owner: Owner, etag: str) -> StoredOwner:
        with self._lock:
            check_etag(self._rows.get((owner.kind, owner.id)), etag, f"{owner.kind} {owner.id}")
            return self._put(owner)

    def delete(self, kind: OwnerKind, owner_id: OwnerId, etag: str) -> None:
        with self._lock:
            if (kind, owner_id) in self._rows:
                check_etag(self._rows[kind, owner_id], etag, f"{kind} {owner_id}")
                del self._rows[kind, owner_id]

    def having(self, address: str) -> Sequence[AddressMatch]:
        with self._lock:
            owners = [found.record for _, found in sorted(self._rows.items())]
        return [match_of(owner) for owner in owners if normalised_address(owner.address) == address]

    def _put(self, owner: Owner) -> StoredOwner:
        found = self._rows[owner.kind, owner.id] = row(owner)
        return StoredOwner(found.record, found.etag)

    def snapshot(self) -> dict[str, Plain]:
        with self._lock:
            return {f"{kind}:{key}": codec_of(Owner).plain(found.record) for (kind, key), found in self._rows.items()}


class MemoryMailboxes:
    def __init__(self) -> None:
        self._lock = RLock()
        self._rows: dict[MailboxId, Row[Mailbox]] = {}
        self._schedules: dict[MailboxId, Row[dict[Workload, WorkloadSchedule]]] = {}
        self._discovered: dict[MailboxId, Discovered] = {}
        self._having_rules: set[MailboxId] = set()

    def get(self, mailbox_id: MailboxId) -> StoredMailbox | None:
        with self._lock:
            return self._stored(mailbox_id) if mailbox_id in self._rows else None

    def list(self, continuation: str | None = None, limit: int = 100) -> Slice[StoredMailbox]:
        with self._lock:
            return slice_of((((key,), self._stored(key)) for key in self._rows), continuation, limit)

    def create(self, mailbox: Mailbox, schedule: Schedule) -> StoredMailbox:
        with self._lock:
            if checked_id(mailbox.id) in self._rows:
                raise AlreadyExists(f"mailbox {mailbox.id}")
            self._rows[mailbox.id] = row(mailbox)
            self._schedules[mailbox.id] = row(dict(schedule))
            return self._stored(mailbox.id)

    def replace(self, mailbox: Mailbox, etag: str, schedule: Schedule) -> StoredMailbox:
        with self._lock:
            check_etag(self._rows.get(mailbox.id), etag, f"mailbox {mailbox.id}")
            self._rows[mailbox.id] = row(mailbox)
            self._schedules[mailbox.id] = row({**self._schedules[mailbox.id].record, **schedule})
            return self._stored(mailbox.id)

    def delete(self, mailbox_id: MailboxId, etag: str) -> None:
        with self._lock:
            if mailbox_id in self._rows:
                check_etag(self._rows[mailbox_id], etag, f"mailbox {mailbox_id}")
                del self._rows[mailbox_id], self._schedules[mailbox_id]
                self._discovered.pop(mailbox_id, None)
                self._having_rules.discard(mailbox_id)

    def note_rules(self, mailbox_id: MailboxId) -> None:
        with self._lock:
            if mailbox_id not in self._schedules:
                raise Changed(f"mailbox {mailbox_id} is not there any more")
            self._schedules[mailbox_id] = row(self._schedules[mailbox_id].record)
            self._having_rules.add(mailbox_id)

    def set_discovered(self, mailbox_id: MailboxId, discovered: Discovered | None) -> None:
        with self._lock:
            if mailbox_id not in self._schedules:
                raise Changed(f"mailbox {mailbox_id} is not there any more")
            self._schedules[mailbox_id] = row(self._schedules[mailbox_id].record)
            if discovered is None:
                self._discovered.pop(mailbox_id, None)
            else:
                self._discovered[mailbox_id] = discovered

    def reschedule(self, mailbox_id: MailboxId, workload: Workload, schedule: WorkloadSchedule) -> None:
        with self._lock:
            if mailbox_id not in self._schedules:
                raise Changed(f"mailbox {mailbox_id} is not there any more")
            self._schedules[mailbox_id] = row({**self._schedules[mailbox_id].record, workload: schedule})

    def make_due(self, mailbox_id: MailboxId, workload: Workload, at: datetime) -> None:
        with self._lock:
            if found := self._schedules.get(mailbox_id):
                schedule = found.record.get(workload, WorkloadSchedule())
                if schedule.due is None or schedule.due > at:
                    self._schedules[mailbox_id] = row({**found.record, workload: replace(schedule, due=at)})

    def due(self, workload: Workload, now: datetime, first_shard: int, last_shard: int) -> Iterator[Sequence[DueMailbox]]:
        with self._lock:
            found = sorted(
                (shard_number_of_mailbox(mailbox_id), mailbox_id)
                for mailbox_id in self._rows
                if first_shard <= shard_number_of_mailbox(mailbox_id) <= last_shard
            )
            shards = [
                due
                for _, group in groupby(found, key=lambda each: each[0])
                if (due := [each for _, key in group for each in self._due(key, workload, now)])
            ]
        yield from shards

    def mark_queued(self, due: Sequence[DueMailbox], until: datetime) -> Sequence[DueMailbox]:
        with self._lock:
            return [each for each in due if self._mark_queued(each, until)]

    def _mark_queued(self, due: DueMailbox, until: datetime) -> bool:
        found = self._schedules.get(due.id)
        if found is None or found.etag != due.etag:
            return False
        queued = replace(found.record[due.workload], due=until, queued_until=until)
        self._schedules[due.id] = row({**found.record, due.workload: queued})
        return True

    def _due(self, mailbox_id: MailboxId, workload: Workload, now: datetime) -> Iterator[DueMailbox]:
        """The mailbox, if its turn has come."""
        found = self._schedules[mailbox_id]
        schedule = found.record.get(workload)
        if schedule is not None and schedule.due is not None and schedule.due <= now:
            yield DueMailbox(mailbox_id, self._rows[mailbox_id].record.profile_id, workload, schedule.due, found.etag)

    def _stored(self, mailbox_id: MailboxId) -> StoredMailbox:
        found = self._rows[mailbox_id]
        schedule = dict(self._schedules[mailbox_id].record)
        has_rules = mailbox_id in self._having_rules
        return StoredMailbox(found.record, found.etag, schedule, self._discovered.get(mailbox_id), has_rules)

    def snapshot(self) -> dict[str, Plain]:
        with self._lock:
            return {
                key: {
                    "record": codec_of(Mailbox).plain(found.record),
                    "schedule": {
                        workload.value: codec_of(WorkloadSchedule).plain(schedule)
                        for workload, schedule in self._schedules[key].record.items()
                    },
                    "has_rules": key in self._having_rules,
                    "discovered": (codec_of(Discovered).plain(self._discovered[key]) if key in self._discovered else None),
                }
                for key, found in self._rows.items()
            }
