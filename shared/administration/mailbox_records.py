"""How the record of a mailbox is written, whoever writes it: schedule and audit go with it.

The one place where a mailbox is created with its owner, and put in step with it.
"""

from collections.abc import Collection
from dataclasses import replace

from shared.administration.auditing import Auditing, Trail
from shared.administration.failures import RecordNotFound
from shared.administration.mailbox_rules import SECRET, check_profile, valid_mailbox
from shared.administration.receivers import check_password_stays_home
from shared.administration.schedules import after_change, enabled
from shared.administration.standing import MailboxStanding, standing
from shared.administration.writing import NewSecrets, has_secret, persistently, settled
from shared.domain.audit import Caller, ChangeAction
from shared.domain.choices import Approval, OwnerKind
from shared.domain.configuration import Credentials, Mailbox, Owner, OwnerRef, StoredMailbox
from shared.domain.errors import InvalidRecord
from shared.domain.ids import MailboxId, OwnerId, mailbox_id_of, normalised_address
from shared.domain.organisation import OrganisationSettings
from shared.ports import Clock, Stores


class MailboxRecords:
    def __init__(self, stores: Stores, clock: Clock, auditing: Auditing) -> None:
        self._stores = stores
        self._clock = clock
        self._auditing = auditing

    def trail(self, caller: Caller, mailbox_id: MailboxId) -> Trail:
        return self._auditing.trail(caller, f"mailbox:{mailbox_id}")

    def read(self, mailbox_id: MailboxId) -> StoredMailbox:
        """Raises RecordNotFound."""
        stored = self._stores.mailboxes.get(mailbox_id)
        if stored is None:
            raise RecordNotFound(f"there is no mailbox {mailbox_id}")
        return stored

    def standing(self, stored: StoredMailbox) -> MailboxStanding:
        profile_id = stored.record.profile_id
        return standing(stored, None if profile_id is None else self._stores.profiles.get(profile_id), self._clock())

    def create(self, mailbox: Mailbox, trail: Trail) -> StoredMailbox:
        """Raises AlreadyExists."""
        now = self._clock()
        ready = enabled(mailbox, now)
        trail.note(ChangeAction.CREATED, None, ready)
        return self._stores.mailboxes.create(ready, after_change(ready, {}, now))

    def replace(
        self, stored: StoredMailbox, mailbox: Mailbox, trail: Trail, action: ChangeAction = ChangeAction.CHANGED
    ) -> StoredMailbox:
        """Record and schedule in one transaction; what is unchanged is not written. Raises Changed."""
        if mailbox == stored.record:
            return stored
        now = self._clock()
        ready = enabled(mailbox, now)
        trail.note(action, stored.record, ready, stored.etag)
        return self._stores.mailboxes.replace(ready, stored.etag, after_change(ready, stored.schedule, now))

    def put_in_step(self, kind: OwnerKind, owner_id: OwnerId, caller: Caller) -> None:
        """Creates the mailbox of an owner, or gives it the owner's name and address; without an owner it becomes inactive.

        The mailbox is read before its owner: of two changes at once, the one that read the older owner loses the race for the
        mailbox, and reads again.
        """
        mailbox_id = mailbox_id_of(kind, owner_id)
        trail = self.trail(caller, mailbox_id)

        def attempt() -> None:
            stored = self._stores.mailboxes.get(mailbox_id)
            owner = self._stores.owners.get(kind, owner_id)
            if stored is not None:
                self.replace(stored, self._in_step(stored.record, owner.record if owner else None), trail)
            elif owner is not None:
                self.create(self._new(mailbox_id, owner.record), trail)

        persistently(attempt, None)

    def switch_off(self, kind: OwnerKind, owner_id: OwnerId, caller: Caller) -> None:
        mailbox_id = mailbox_id_of(kind, owner_id)
        trail = self.trail(caller, mailbox_id)

        def attempt() -> None:
            stored = self._stores.mailboxes.get(mailbox_id)
            if stored is not None:
                self.replace(stored, replace(stored.record, active=False), trail, ChangeAction.DEACTIVATED)

        persistently(attempt, None)

    def valid(self, present: Mailbox | None, mailbox: Mailbox, secrets: NewSecrets) -> Mailbox:
        """The record after all rules; a new secret is stored by then. `present` is what it replaces. Raises InvalidRecord."""
        valid = valid_mailbox(mailbox)
        before = present.credentials if present else Credentials()
        self.check_owner(present, valid)
        is_kept = before.secret is not None and SECRET not in secrets
        self._check_profile(present, valid, has_secret=has_secret(SECRET, before, secrets), is_kept=is_kept)
        credentials = settled(self._stores.secrets, f"mailbox-{valid.id}", "credentials", before, valid.credentials, secrets)
        ready = replace(valid, credentials=credentials)
        return ready if present is None else self.readdressed(replace(ready, address=present.address), ready.address)

    def check_owner(self, present: Mailbox | None, mailbox: Mailbox) -> None:
        """Raises InvalidRecord where the mailbox becomes active and its owner is not."""
        owner = mailbox.owner
        if owner is None or not mailbox.active or (present is not None and present.active):
            return
        stored = self._stores.owners.get(owner.kind, owner.id)
        if stored is None or not stored.record.active:
            raise InvalidRecord(
                "active", f"the {owner.kind.value} that the mailbox belongs to is inactive or gone", "Activate its owner first."
            )

    def _check_profile(self, present: Mailbox | None, mailbox: Mailbox, *, has_secret: bool, is_kept: bool) -> None:
        if mailbox.profile_id is None:
            return
        profile = self._stores.profiles.get(mailbox.profile_id)
        if profile is None and present is not None and present.profile_id == mailbox.profile_id:
            return
        if profile is None:
            raise InvalidRecord(
                "profile_id",
                f"there is no profile {mailbox.profile_id!r}",
                "Create the profile first, or choose an existing one.",
            )
        check_profile(present, mailbox, profile.record, has_secret=has_secret)
        if is_kept and present is not None and present.profile_id != mailbox.profile_id:
            former = None if present.profile_id is None else self._stores.profiles.get(present.profile_id)
            check_password_stays_home(former.record if former else None, profile.record)

    def new_approval(self, owner: OwnerRef | None) -> Approval:
        """Of an address that nobody has judged yet."""
        return _new_approval(owner, self._stores.settings.get().record)

    def _new(self, mailbox_id: MailboxId, owner: Owner) -> Mailbox:
        ref, settings = OwnerRef(owner.kind, owner.id), self._stores.settings.get().record
        return Mailbox(
            id=mailbox_id,
            name=owner.name,
            address=owner.address,
            owner=ref,
            profile_id=settings.default_profile_id,
            approval=_new_approval(ref, settings),
            active=owner.active,
        )

    def _in_step(self, mailbox: Mailbox, owner: Owner | None) -> Mailbox:
        if owner is None:
            return replace(mailbox, active=False)
        renamed = self.readdressed(replace(mailbox, name=owner.name), owner.address)
        return replace(renamed, active=mailbox.active and owner.active)

    def readdressed(self, mailbox: Mailbox, address: str) -> Mailbox:
        """With this address; another one than before needs approval anew where approval is required."""
        if normalised_address(mailbox.address) == normalised_address(address):
            return replace(mailbox, address=address)
        return replace(mailbox, address=address, approval=self.new_approval(mailbox.owner))


def _new_approval(owner: OwnerRef | None, settings: OrganisationSettings) -> Approval:
    """A forward mailbox collects the mail of several people, as a queue does."""
    is_user = owner is not None and owner.kind is OwnerKind.USER
    required = settings.require_approval_for_users if is_user else settings.require_approval_for_queues
    return Approval.PENDING if required else Approval.APPROVED


def taken(present: Mailbox, edited: Mailbox, changeable: Collection[str]) -> Mailbox:
    """The present mailbox with what may be changed of the edited one."""
    return replace(present, **{name: getattr(edited, name) for name in changeable})
