"""Mailboxes: read, listed, changed, approved, switched on and off, read again from a date on.

Every change decides anew whether and when each workload runs.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Literal
from uuid import uuid4

from shared.administration import rules
from shared.administration.auditing import Trail
from shared.administration.failures import NotPossibleNow
from shared.administration.mailbox_records import MailboxRecords, taken
from shared.administration.mailbox_rules import check_mailbox_secrets
from shared.administration.owners import OwnerAdministration
from shared.administration.schedules import due_now
from shared.administration.standing import MailboxStanding, remedy, standing
from shared.administration.watermarks import forget_watermarks
from shared.administration.writing import NewSecrets, check_etag, persistently
from shared.domain import words
from shared.domain.audit import Caller, ChangeAction
from shared.domain.choices import Approval, OwnerKind, Workload
from shared.domain.configuration import Mailbox, StoredMailbox
from shared.domain.eligibility import Ineligible, own_ineligibility
from shared.domain.errors import InvalidRecord
from shared.domain.ids import MailboxId, ProfileId
from shared.messages import ProbeMailbox, Queue
from shared.ports import Clock, Slice, Stores

_NOT_DONE = (Ineligible.METHOD_NONE, Ineligible.NO_CONNECTOR)
"""Reasons why a workload is none of this mailbox's."""

type Decision = Literal[Approval.APPROVED, Approval.REJECTED]

type Edit = Callable[[Mailbox], Mailbox]
"""Returns the mailbox with some of the CHANGEABLE fields changed. It is called again when others win the race."""

CHANGEABLE = (
    "address",
    "profile_id",
    "incoming_method",
    "outgoing_method",
    "act_method",
    "process_email_received_after",
    "credentials",
    "process_and_delete",
    "active",
)
"""What the configuration of a mailbox consists of; its name is its owner's, the rest is derived."""

_NOTHING: NewSecrets = {}


class MailboxAdministration:
    def __init__(
        self, stores: Stores, clock: Clock, records: MailboxRecords, users: OwnerAdministration, queues: OwnerAdministration
    ) -> None:
        self._stores = stores
        self._clock = clock
        self._records = records
        self._owners = {OwnerKind.USER: users, OwnerKind.QUEUE: queues}

    # ---- reading

    def get(self, mailbox_id: MailboxId) -> MailboxStanding:
        """Raises RecordNotFound."""
        return self._records.standing(self._records.read(mailbox_id))

    def list(self, continuation: str | None = None, limit: int = 100) -> Slice[MailboxStanding]:
        """Raises InvalidRecord where the continuation is none of this list."""
        part = self._stores.mailboxes.list(continuation, limit)
        profiles = {stored.record.id: stored for stored in self._stores.profiles.list()}
        now = self._clock()
        standings = [standing(stored, profiles.get(stored.record.profile_id or ProfileId("")), now) for stored in part.items]
        return Slice(standings, part.continuation)

    # ---- changing

    def change(
        self, mailbox_id: MailboxId, edit: Edit, caller: Caller, secrets: NewSecrets = _NOTHING, etag: str | None = None
    ) -> MailboxStanding:
        """Changes the CHANGEABLE fields. Record and schedule are one transaction; the same again changes nothing.

        A new address goes to the owner of the mailbox first. Raises RecordNotFound, InvalidRecord, Changed.
        """
        check_mailbox_secrets(secrets)

        def changed(stored: StoredMailbox, trail: Trail) -> StoredMailbox:
            record = self._records.valid(stored.record, taken(stored.record, edit(stored.record), CHANGEABLE), secrets)
            return self._write_with_owner(stored, record, caller, trail)

        return self._records.standing(self._attempt(mailbox_id, changed, caller, etag))

    def decide(self, mailbox_id: MailboxId, decision: Decision, caller: Caller, etag: str | None = None) -> MailboxStanding:
        """Approves or rejects the email address. Raises RecordNotFound, Changed."""
        action = ChangeAction.APPROVED if decision is Approval.APPROVED else ChangeAction.REJECTED

        def decided(stored: StoredMailbox, trail: Trail) -> StoredMailbox:
            return self._records.replace(stored, replace(stored.record, approval=decision), trail, action)

        return self._records.standing(self._attempt(mailbox_id, decided, caller, etag))

    def activate(self, mailbox_id: MailboxId, caller: Caller, etag: str | None = None) -> MailboxStanding:
        """Raises RecordNotFound, Changed; InvalidRecord where its owner is inactive or gone."""

        def activated(stored: StoredMailbox, trail: Trail) -> StoredMailbox:
            active = replace(stored.record, active=True)
            self._records.check_owner(stored.record, active)
            return self._records.replace(stored, active, trail, ChangeAction.ACTIVATED)

        return self._records.standing(self._attempt(mailbox_id, activated, caller, etag))

    def deactivate(self, mailbox_id: MailboxId, caller: Caller, etag: str | None = None) -> MailboxStanding:
        """Raises RecordNotFound, Changed."""

        def deactivated(stored: StoredMailbox, trail: Trail) -> StoredMailbox:
            return self._records.replace(stored, replace(stored.record, active=False), trail, ChangeAction.DEACTIVATED)

        return self._records.standing(self._attempt(mailbox_id, deactivated, caller, etag))

    # ---- operations

    def sync_now(self, mailbox_id: MailboxId, caller: Caller) -> MailboxStanding:
        """Makes due what is done for the mailbox: that it is read, and that what waits is sent. Raises RecordNotFound;
        NotPossibleNow where nothing of that would run, or nothing is done for it."""
        present = self.get(mailbox_id)
        done = {workload: reason for workload, reason in present.held_back.items() if reason not in _NOT_DONE}
        possible = [workload for workload, reason in done.items() if reason in (None, Ineligible.BREAKER_OPEN)]
        reason = next(iter((done or present.held_back).values()))
        if not possible and reason is not None:
            raise NotPossibleNow(words.INELIGIBLE[reason], remedy(reason))
        for workload in possible:
            self._make_due_for(caller, present.stored, workload)
        return self.get(mailbox_id)

    def _make_due_for(self, caller: Caller, stored: StoredMailbox, workload: Workload) -> None:
        before = stored.schedule.get(workload)
        schedule = due_now(before, self._clock())
        if schedule != before:
            about = f"{workload}:{schedule.due}"
            self._records.trail(caller, stored.record.id).note(ChangeAction.SYNC_REQUESTED, None, None, about)
            self._stores.mailboxes.reschedule(stored.record.id, workload, schedule)

    def test(self, mailbox_id: MailboxId, caller: Caller) -> None:
        """Has every workload of the mailbox tested, and enabled where that works. Raises RecordNotFound."""
        self._records.read(mailbox_id)
        message = ProbeMailbox(uuid4().hex, mailbox_id)
        self._records.trail(caller, mailbox_id).note(ChangeAction.TEST_REQUESTED, None, None, message.id)
        self._stores.queues.send(Queue.TEST_MAILBOX, message.to_json())

    def reset(
        self, mailbox_id: MailboxId, received_after: datetime, caller: Caller, etag: str | None = None
    ) -> MailboxStanding:
        """Reads the mail received since then, also what was looked at before; what is stored already is not stored again.

        A run that is under way loses its lease: that is the fence. Raises RecordNotFound, InvalidRecord, Changed.
        """
        start = rules.instant("received_after", received_after)

        def reset(stored: StoredMailbox, trail: Trail) -> StoredMailbox:
            self._check_start(stored.record, start)
            record = replace(stored.record, process_email_received_after=start)
            if record == stored.record:
                trail.note(ChangeAction.WATERMARK_RESET, None, None, f"{stored.etag}:{self._clock()}")
            written = self._records.replace(stored, record, trail, ChangeAction.WATERMARK_RESET)
            forget_watermarks(self._stores.ledger, mailbox_id, self._clock())
            return written

        self._make_due(self._attempt(mailbox_id, reset, caller, etag))
        return self.get(mailbox_id)

    def _check_start(self, mailbox: Mailbox, start: datetime) -> None:
        profile = None if mailbox.profile_id is None else self._stores.profiles.get(mailbox.profile_id)
        earliest = profile.record.process_emails_received_after if profile else None
        if earliest is not None and start < earliest:
            raise InvalidRecord(
                "received_after",
                f"the profile reads mail received after {earliest:%Y-%m-%dT%H:%M:%SZ} only",
                "Choose a later date, or change process_emails_received_after of the profile first.",
            )

    def _make_due(self, stored: StoredMailbox) -> None:
        if own_ineligibility(stored.record, Workload.INCOMING) is None:
            schedule = due_now(stored.schedule.get(Workload.INCOMING), self._clock())
            self._stores.mailboxes.reschedule(stored.record.id, Workload.INCOMING, schedule)

    # ---- what they have in common

    def _attempt(
        self,
        mailbox_id: MailboxId,
        change: Callable[[StoredMailbox, Trail], StoredMailbox],
        caller: Caller,
        etag: str | None,
    ) -> StoredMailbox:
        trail = self._records.trail(caller, mailbox_id)

        def attempt() -> StoredMailbox:
            stored = self._records.read(mailbox_id)
            check_etag(stored.etag, etag)
            return change(stored, trail)

        return persistently(attempt, etag)

    def _write_with_owner(self, stored: StoredMailbox, record: Mailbox, caller: Caller, trail: Trail) -> StoredMailbox:
        """The owner has a new address before its mailbox has it, and both agree at the end, whoever else changes either."""
        owner = record.owner
        if owner is None or record.address == stored.record.address:
            return self._records.replace(stored, record, trail)
        self._owners[owner.kind].readdress(owner.id, record.address, caller)
        try:
            self._records.replace(stored, record, trail)
        finally:
            self._records.put_in_step(owner.kind, owner.id, caller)
        return self._records.read(record.id)
