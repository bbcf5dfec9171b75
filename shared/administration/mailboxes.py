"""Mailboxes: read, listed, changed, approved. Every change decides anew whether and when each workload runs."""

from collections.abc import Callable
from dataclasses import replace
from typing import Literal

from shared.administration import rules
from shared.administration.failures import NotPossibleNow, RecordNotFound
from shared.administration.locations import host_of
from shared.administration.schedules import after_change, due_now, enabled
from shared.administration.standing import MailboxStanding, remedy, standing
from shared.administration.writing import Keep, NewSecret, check_etag, check_secret, persistently, settle
from shared.domain import words
from shared.domain.choices import ActDeliveryMethod, Approval, CredentialSource, EmailDeliveryMethod, Workload
from shared.domain.configuration import Credentials, Mailbox, StoredMailbox
from shared.domain.eligibility import Ineligible
from shared.domain.errors import InvalidRecord
from shared.domain.ids import MailboxId, ProfileId
from shared.ports import Clock, Slice, Stores

type Decision = Literal[Approval.APPROVED, Approval.REJECTED]

type Edit = Callable[[Mailbox], Mailbox]
"""Returns the mailbox with some of the CHANGEABLE fields changed. It is called again when others win the race."""

CHANGEABLE = (
    "profile_id",
    "incoming_method",
    "outgoing_method",
    "act_method",
    "process_email_received_after",
    "credentials",
    "active",
)
"""What the configuration of a mailbox consists of; its name and address are its owner's, the rest is derived."""


class MailboxAdministration:
    def __init__(self, stores: Stores, clock: Clock) -> None:
        self._stores = stores
        self._clock = clock

    def get(self, mailbox_id: MailboxId) -> MailboxStanding:
        """Raises RecordNotFound."""
        stored = self._read(mailbox_id)
        return self._standing(stored)

    def list(self, continuation: str | None = None, limit: int = 100) -> Slice[MailboxStanding]:
        """Raises InvalidRecord where the continuation is none of this list."""
        part = self._stores.mailboxes.list(continuation, limit)
        profiles = {stored.record.id: stored for stored in self._stores.profiles.list()}
        now = self._clock()
        standings = [standing(stored, profiles.get(stored.record.profile_id or ProfileId("")), now) for stored in part.items]
        return Slice(standings, part.continuation)

    def change(
        self, mailbox_id: MailboxId, edit: Edit, secret: NewSecret = Keep.SECRET, etag: str | None = None
    ) -> MailboxStanding:
        """Changes the CHANGEABLE fields. Record and schedule are one transaction; the same again changes nothing.

        Raises RecordNotFound, InvalidRecord, Changed.
        """
        check_secret("credentials/secret", secret)

        def attempt() -> StoredMailbox:
            stored = self._read(mailbox_id)
            check_etag(stored.etag, etag)
            return self._write(stored, self._edited(stored.record, edit, secret))

        changed = persistently(attempt, etag)
        return self._standing(changed)

    def decide(self, mailbox_id: MailboxId, decision: Decision, etag: str | None = None) -> MailboxStanding:
        """Approves or rejects the email address. Raises RecordNotFound, Changed."""

        def attempt() -> StoredMailbox:
            stored = self._read(mailbox_id)
            check_etag(stored.etag, etag)
            return self._write(stored, replace(stored.record, approval=decision))

        changed = persistently(attempt, etag)
        return self._standing(changed)

    def sync_now(self, mailbox_id: MailboxId, workload: Workload = Workload.INCOMING) -> MailboxStanding:
        """Makes the workload due. Raises RecordNotFound; NotPossibleNow where it would not run."""
        present = self.get(mailbox_id)
        reason = present.held_back[workload]
        if reason is not None and reason is not Ineligible.BREAKER_OPEN:
            raise NotPossibleNow(words.INELIGIBLE[reason], remedy(reason))
        schedule = due_now(present.stored.schedule.get(workload), self._clock())
        self._stores.mailboxes.reschedule(mailbox_id, workload, schedule)
        return self.get(mailbox_id)

    def _read(self, mailbox_id: MailboxId) -> StoredMailbox:
        stored = self._stores.mailboxes.get(mailbox_id)
        if stored is None:
            raise RecordNotFound(f"there is no mailbox {mailbox_id}")
        return stored

    def _standing(self, stored: StoredMailbox) -> MailboxStanding:
        profile_id = stored.record.profile_id
        return standing(stored, None if profile_id is None else self._stores.profiles.get(profile_id), self._clock())

    def _edited(self, present: Mailbox, edit: Edit, secret: NewSecret) -> Mailbox:
        """The record after a valid edit; a new secret is stored by then."""
        edited = edit(present)
        self._check_owner(present, edited)
        valid = _valid(edited)
        self._check_secret_stays_home(present, valid, secret)
        kept = present.credentials.secret
        has_secret = kept is not None if isinstance(secret, Keep) else secret is not None
        self._check_profile(present, valid, has_secret=has_secret)
        ref = settle(self._stores.secrets, f"mailbox-{present.id}", kept, secret)
        return replace(valid, credentials=replace(valid.credentials, secret=ref))

    def _check_secret_stays_home(self, present: Mailbox, edited: Mailbox, secret: NewSecret) -> None:
        """A stored secret is never sent to another host than it was given for."""
        if present.credentials.secret is None or not isinstance(secret, Keep):
            return
        if edited.profile_id in (None, present.profile_id) or self._host(edited.profile_id) == self._host(present.profile_id):
            return
        raise InvalidRecord(
            "credentials/secret",
            "the profile's server is another host than the stored secret was given for",
            "Give the secret again together with profile_id, or null to remove it.",
        )

    def _host(self, profile_id: ProfileId | None) -> str | None:
        stored = None if profile_id is None else self._stores.profiles.get(profile_id)
        return None if stored is None else host_of(stored.record.incoming_location)

    def _check_owner(self, present: Mailbox, edited: Mailbox) -> None:
        if present.active or not edited.active or edited.owner is None:
            return
        owner = self._stores.owners.get(edited.owner.kind, edited.owner.id)
        if owner is None or not owner.record.active:
            raise InvalidRecord(
                "active", f"the {edited.owner.kind.value} that the mailbox belongs to is inactive", "Activate its owner first."
            )

    def _check_profile(self, present: Mailbox, edited: Mailbox, *, has_secret: bool) -> None:
        if edited.profile_id is None:
            return
        profile = self._stores.profiles.get(edited.profile_id)
        if profile is None:
            raise InvalidRecord(
                "profile_id",
                f"there is no profile {edited.profile_id!r}",
                "Create the profile first, or choose an existing one.",
            )
        if profile.record.credential_source is not CredentialSource.MAILBOX:
            return
        credentials_matter = (edited.profile_id, edited.credentials) != (present.profile_id, present.credentials)
        if credentials_matter and edited.credentials.username is None:
            raise _missing("credentials/username", edited.profile_id)
        if credentials_matter and not has_secret:
            raise _missing("credentials/secret", edited.profile_id)

    def _write(self, stored: StoredMailbox, mailbox: Mailbox) -> StoredMailbox:
        if mailbox == stored.record:
            return stored
        now = self._clock()
        ready = enabled(mailbox, now)
        return self._stores.mailboxes.replace(ready, stored.etag, after_change(ready, stored.schedule, now))


def _valid(mailbox: Mailbox) -> Mailbox:
    _check_methods(mailbox)
    username = mailbox.credentials.username
    return replace(
        mailbox,
        process_email_received_after=rules.start_date("process_email_received_after", mailbox.process_email_received_after),
        credentials=Credentials(
            username=None if username is None else rules.text("credentials/username", username, 200),
            secret=mailbox.credentials.secret,
        ),
    )


def _check_methods(mailbox: Mailbox) -> None:
    if mailbox.outgoing_method not in (EmailDeliveryMethod.NONE, EmailDeliveryMethod.OUTLOOK):
        raise _unavailable("outgoing_method")
    if mailbox.act_method is ActDeliveryMethod.SERVER_SIDE:
        raise _unavailable("act_method")


def _unavailable(field: str) -> InvalidRecord:
    return InvalidRecord(
        field,
        f"{field}: this version of Sidesync reads incoming email only",
        "Choose none; incoming_method may be server_side.",
    )


def _missing(field: str, profile_id: ProfileId) -> InvalidRecord:
    return InvalidRecord(
        field,
        f"on profile {profile_id} every mailbox signs in with its own credentials",
        f"Add {field} together with profile_id.",
    )
