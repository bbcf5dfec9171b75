"""Email server profiles: created, read, listed and replaced."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from shared.administration.failures import RecordNotFound
from shared.administration.locations import host_of
from shared.administration.profile_rules import check_secret_belongs, valid_profile
from shared.administration.rules import Rules
from shared.administration.schedules import due_now
from shared.administration.writing import Keep, NewSecret, Put, check_etag, check_secret, persistently, settle
from shared.domain.choices import Workload
from shared.domain.configuration import EmailServerProfile, SecretRef, StoredMailbox, StoredProfile
from shared.domain.eligibility import own_ineligibility
from shared.domain.errors import Changed, InvalidRecord
from shared.domain.ids import ProfileId, short_hash
from shared.ports import Clock, Stores


class ProfileAdministration:
    def __init__(self, stores: Stores, clock: Clock, rules: Rules) -> None:
        self._stores = stores
        self._clock = clock
        self._rules = rules

    def get(self, profile_id: ProfileId) -> StoredProfile:
        """Raises RecordNotFound."""
        stored = self._stores.profiles.get(profile_id)
        if stored is None:
            raise RecordNotFound(f"there is no profile {profile_id}")
        return stored

    def list(self) -> Sequence[StoredProfile]:
        return sorted(self._stores.profiles.list(), key=lambda stored: stored.record.id)

    def put(self, profile: EmailServerProfile, secret: NewSecret = Keep.SECRET, etag: str | None = None) -> Put[StoredProfile]:
        """Creates or replaces the profile; the same again changes nothing. With `etag` it must exist in that state.

        `profile.credentials.secret` is not looked at: a secret comes in as `secret` and never comes out. Once it connects
        differently than before, its breaker is closed and its mailboxes are due. Raises InvalidRecord, Changed.
        """
        check_secret("credentials/secret", secret)
        valid = valid_profile(profile, self._rules)
        before = persistently(lambda: self._write(valid, secret, etag), etag)
        stored = self.get(valid.id)
        if before is not None and _connection(before) != _connection(stored.record):
            self._release(stored)
            stored = self.get(valid.id)
        return Put(stored, created=before is None)

    def _write(self, profile: EmailServerProfile, secret: NewSecret, etag: str | None) -> EmailServerProfile | None:
        """Writes the record and returns what was there before. Raises InvalidRecord, Changed, AlreadyExists."""
        stored = self._stores.profiles.get(profile.id)
        if stored is None:
            if etag is not None:
                raise Changed("the profile does not exist (any more)")
            self._stores.profiles.create(self._with_secret(profile, None, secret))
            return None
        check_etag(stored.etag, etag)
        _check_secret_stays_home(stored.record, profile, secret)
        self._check_secrets_of_mailboxes_stay_home(stored.record, profile)
        record = self._with_secret(profile, stored.record.credentials.secret, secret)
        if record != stored.record:
            self._stores.profiles.replace(record, stored.etag)
        return stored.record

    def _with_secret(self, profile: EmailServerProfile, kept: SecretRef | None, secret: NewSecret) -> EmailServerProfile:
        has_secret = kept is not None if isinstance(secret, Keep) else secret is not None
        check_secret_belongs(profile, has_secret=has_secret)
        ref = settle(self._stores.secrets, f"profile-{short_hash(profile.id)}", kept, secret)
        return replace(profile, credentials=replace(profile.credentials, secret=ref))

    def _release(self, stored: StoredProfile) -> None:
        """What failed before says nothing about a connection that has changed.

        Should this be cut short, nothing is lost: what is left waits for its own next time, at most an hour.
        """
        if stored.breaker is not None:
            self._stores.profiles.set_breaker(stored.record.id, None)
        for mailbox in self._mailboxes_on(stored.record.id):
            self._make_due(mailbox)

    def _mailboxes_on(self, profile_id: ProfileId) -> Iterator[StoredMailbox]:
        continuation: str | None = None
        while True:
            part = self._stores.mailboxes.list(continuation, limit=500)
            yield from (mailbox for mailbox in part.items if mailbox.record.profile_id == profile_id)
            continuation = part.continuation
            if continuation is None:
                return

    def _check_secrets_of_mailboxes_stay_home(self, present: EmailServerProfile, profile: EmailServerProfile) -> None:
        if host_of(present.incoming_location) == host_of(profile.incoming_location):
            return
        if any(mailbox.record.credentials.secret is not None for mailbox in self._mailboxes_on(present.id)):
            raise InvalidRecord(
                "incoming_location",
                "mailboxes on this profile have secrets of their own, which were given for another host",
                "Create a profile for the new host and move the mailboxes there, each with its secret; or remove these first.",
            )

    def _make_due(self, mailbox: StoredMailbox) -> None:
        for workload in Workload:
            present = mailbox.schedule.get(workload)
            schedule = due_now(present, self._clock())
            if own_ineligibility(mailbox.record, workload) is None and schedule != present:
                self._stores.mailboxes.reschedule(mailbox.record.id, workload, schedule)


def _connection(profile: EmailServerProfile) -> tuple[object, ...]:
    """All that decides how a server answers."""
    return (
        profile.incoming_location,
        profile.authentication,
        profile.credential_source,
        profile.credentials,
        profile.use_impersonation,
    )


def _check_secret_stays_home(present: EmailServerProfile, profile: EmailServerProfile, secret: NewSecret) -> None:
    """A stored secret is never sent to another host than it was given for."""
    if present.credentials.secret is None or not isinstance(secret, Keep) or _receivers(present) == _receivers(profile):
        return
    raise InvalidRecord(
        "credentials/secret",
        "the server or the token authority is another host than the stored secret was given for",
        "Give the secret again, or null to remove it.",
    )


def _receivers(profile: EmailServerProfile) -> tuple[str, str]:
    return host_of(profile.incoming_location), host_of(profile.credentials.authority or "")
