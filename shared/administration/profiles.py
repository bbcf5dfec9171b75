"""Email server profiles: created, read, listed, changed, and deleted where nothing uses them."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from uuid import uuid4

from shared.administration.auditing import Auditing, Trail
from shared.administration.certificates import expiry_alert, valid_until
from shared.administration.failures import NotPossibleNow, RecordNotFound
from shared.administration.profile_rules import valid_profile
from shared.administration.receivers import check_passwords_stay_home, check_secrets_stay_home
from shared.administration.rules import Rules
from shared.administration.service_keys import check_service_keys
from shared.administration.settings import allowed_now
from shared.administration.sign_in_rules import check_secrets_belong
from shared.administration.writing import NewSecrets, Put, check_etag, check_secrets, has_secret, persistently, settled
from shared.domain.audit import Caller, ChangeAction
from shared.domain.configuration import Credentials, EmailServerProfile, Mailbox, StoredProfile
from shared.domain.eligibility import connection_of
from shared.domain.ids import ProfileId, short_hash
from shared.messages import ProfileTask, Queue, VisitMailboxes
from shared.ports import Clock, Stores

NAMED_USERS = 10
"""Mailboxes that a refusal to delete a profile names."""

RELEASE_DELAY = timedelta(seconds=35)
"""The message that releases the mailboxes is sent before the profile changes. It is read when no worker remembers the profile
as it was (they do so for 30 seconds), so that no mailbox is released to fail once more."""

_NOTHING: NewSecrets = {}

type Edit = Callable[[EmailServerProfile], EmailServerProfile]
"""Returns the profile with some fields changed. It is called again when others win the race."""


class ProfileAdministration:
    def __init__(self, stores: Stores, clock: Clock, rules: Rules, auditing: Auditing) -> None:
        self._stores = stores
        self._clock = clock
        self._rules = rules
        self._auditing = auditing

    def get(self, profile_id: ProfileId) -> StoredProfile:
        """Raises RecordNotFound."""
        stored = self._stores.profiles.get(profile_id)
        if stored is None:
            raise RecordNotFound(f"there is no profile {profile_id}")
        return stored

    def list(self) -> Sequence[StoredProfile]:
        return sorted(self._stores.profiles.list(), key=lambda stored: stored.record.id)

    def put(
        self, profile: EmailServerProfile, caller: Caller, secrets: NewSecrets = _NOTHING, etag: str | None = None
    ) -> Put[StoredProfile]:
        """Creates or replaces the profile; the same again changes nothing. With `etag` it must exist in that state.

        References to secrets in `profile` are not looked at: a secret comes in by `secrets` and never comes out. Once it
        connects differently than before, its breaker is closed and its mailboxes are due. Raises InvalidRecord, Changed.
        """
        check_secrets(secrets)
        trail = self._auditing.trail(caller, f"profile:{profile.id}")

        def attempt() -> Put[StoredProfile]:
            stored = self._stores.profiles.get(profile.id)
            check_etag(stored.etag if stored else None, etag)
            return self._write(stored, profile, secrets, trail)

        put = persistently(attempt, etag)
        self._tell_expiry(profile.id, secrets)
        return put

    def change(
        self, profile_id: ProfileId, edit: Edit, caller: Caller, secrets: NewSecrets = _NOTHING, etag: str | None = None
    ) -> StoredProfile:
        """As `put`, from the present record on. Raises RecordNotFound too."""
        check_secrets(secrets)
        trail = self._auditing.trail(caller, f"profile:{profile_id}")

        def attempt() -> StoredProfile:
            stored = self.get(profile_id)
            check_etag(stored.etag, etag)
            return self._write(stored, replace(edit(stored.record), id=profile_id), secrets, trail).stored

        changed = persistently(attempt, etag)
        self._tell_expiry(profile_id, secrets)
        return changed

    def delete(self, profile_id: ProfileId, caller: Caller, etag: str | None = None) -> None:
        """What is not there counts as deleted. Raises NotPossibleNow where it is in use, naming by whom; Changed.

        A mailbox that is given the profile at the same moment keeps a profile that does not exist; it is not run, and says so.
        """
        trail = self._auditing.trail(caller, f"profile:{profile_id}")

        def attempt() -> None:
            stored = self._stores.profiles.get(profile_id)
            if stored is None:
                return
            check_etag(stored.etag, etag)
            self._check_unused(profile_id)
            trail.note(ChangeAction.DELETED, stored.record, None, stored.etag)
            self._stores.profiles.delete(profile_id, stored.etag)

        persistently(attempt, etag)

    def test(self, profile_id: ProfileId, caller: Caller) -> None:
        """Has every mailbox on the profile tested, and enabled where that works. Raises RecordNotFound."""
        self.get(profile_id)
        message = VisitMailboxes(uuid4().hex, profile_id, ProfileTask.TEST)
        self._auditing.trail(caller, f"profile:{profile_id}").note(ChangeAction.TEST_REQUESTED, None, None, message.id)
        self._stores.queues.send(Queue.VISIT_MAILBOXES, message.to_json())

    def _check_unused(self, profile_id: ProfileId) -> None:
        users = [f"the mailbox {mailbox.id} ({mailbox.address})" for mailbox in self._first_users(profile_id)]
        if self._stores.settings.get().record.default_profile_id == profile_id:
            users.append("the organisation's settings, as the default")
        if users:
            raise NotPossibleNow(
                f"the profile is used by {', '.join(users)}",
                "Give them another profile or none first (profile_id of a mailbox, in the API or in a file for `policy apply`;"
                " default_profile_id of the settings). The list may be longer than this.",
            )

    def _first_users(self, profile_id: ProfileId) -> Sequence[Mailbox]:
        found: list[Mailbox] = []
        for mailbox in self._mailboxes():
            if mailbox.profile_id == profile_id and not self._is_left_behind(mailbox):
                found.append(mailbox)
            if len(found) == NAMED_USERS:
                break
        return found

    def _is_left_behind(self, mailbox: Mailbox) -> bool:
        """Its owner was deleted: it is kept for its activities, and cannot be activated. Where the owner comes back, it has a
        profile that does not exist, and says so."""
        owner = mailbox.owner
        return owner is not None and self._stores.owners.get(owner.kind, owner.id) is None

    def _mailboxes(self) -> Iterator[Mailbox]:
        continuation: str | None = None
        while True:
            part = self._stores.mailboxes.list(continuation, limit=500)
            yield from (stored.record for stored in part.items)
            continuation = part.continuation
            if continuation is None:
                return

    def _write(
        self, stored: StoredProfile | None, profile: EmailServerProfile, secrets: NewSecrets, trail: Trail
    ) -> Put[StoredProfile]:
        """Raises InvalidRecord, Changed, AlreadyExists."""
        record = self._ready(stored.record if stored else None, profile, secrets)
        if stored is None:
            trail.note(ChangeAction.CREATED, None, record)
            return Put(self._stores.profiles.create(record), created=True)
        if record == stored.record:
            return Put(stored, created=False)
        trail.note(ChangeAction.CHANGED, stored.record, record, stored.etag)
        if connection_of(record) == connection_of(stored.record):
            return Put(self._stores.profiles.replace(record, stored.etag), created=False)
        return Put(self._connect_differently(record, stored), created=False)

    def _connect_differently(self, record: EmailServerProfile, stored: StoredProfile) -> StoredProfile:
        """What follows from the change is under way before the change, so that a crash cannot leave it out. The breakers of
        other credentials stop nobody; they go so that nobody reads of them."""
        message = VisitMailboxes(uuid4().hex, record.id, ProfileTask.RELEASE)
        self._stores.queues.send(Queue.VISIT_MAILBOXES, message.to_json(), RELEASE_DELAY)
        written = self._stores.profiles.replace(record, stored.etag)
        left = {
            workload: breaker
            for workload, breaker in stored.breakers.items()
            if not self._stores.profiles.set_breaker(record.id, workload, None, replacing=breaker)
        }
        return replace(written, breakers=left)

    def _ready(
        self, present: EmailServerProfile | None, profile: EmailServerProfile, secrets: NewSecrets
    ) -> EmailServerProfile:
        """The record after all rules; new secrets are stored by then."""
        valid = valid_profile(profile, allowed_now(self._rules, self._stores))
        before = present or replace(valid, credentials=Credentials(), outgoing_credentials=Credentials())
        check_secrets_stay_home(before, valid, secrets)
        check_passwords_stay_home(present, valid, self._mailboxes)
        check_secrets_belong(valid, lambda pointer: has_secret(pointer, _credentials_at(pointer, before), secrets))
        _expiries(secrets, self._clock())
        check_service_keys(valid, secrets)
        return self._with_secrets(before, valid, secrets)

    def _with_secrets(self, before: EmailServerProfile, valid: EmailServerProfile, secrets: NewSecrets) -> EmailServerProfile:
        name = f"profile-{short_hash(valid.id)}"
        store = self._stores.secrets
        return replace(
            valid,
            credentials=settled(store, name, "credentials", before.credentials, valid.credentials, secrets),
            outgoing_credentials=settled(
                store,
                f"{name}-outgoing",
                "outgoing_credentials",
                before.outgoing_credentials,
                valid.outgoing_credentials,
                secrets,
            ),
        )

    def _tell_expiry(self, profile_id: ProfileId, secrets: NewSecrets) -> None:
        now = self._clock()
        for expiry in _expiries(secrets, now):
            self._stores.alerts.put(expiry_alert(profile_id, expiry, now))


def _expiries(secrets: NewSecrets, now: datetime) -> Sequence[datetime]:
    """Of the certificates that were given. Raises InvalidRecord where one is none."""
    given = ((pointer, secret) for pointer, secret in secrets.items() if pointer.endswith("/certificate"))
    return [valid_until(pointer, secret, now) for pointer, secret in given if secret is not None]


def _credentials_at(pointer: str, profile: EmailServerProfile) -> Credentials:
    return profile.outgoing_credentials if pointer.startswith("outgoing_") else profile.credentials
