"""Users and queues: put in place together with their mailbox, addresses kept in step both ways.

The mailbox id is derived from the owner, so that there is one mailbox however often, and by however many at once, an owner is
created. An owner is written before its mailbox; whatever a crash left undone, the same request again completes.
"""

from collections.abc import Callable
from dataclasses import replace

from shared.administration import rules
from shared.administration.auditing import Auditing, Trail
from shared.administration.failures import RecordNotFound
from shared.administration.mailbox_records import MailboxRecords
from shared.administration.writing import Put, check_etag, persistently
from shared.domain.audit import Caller, ChangeAction
from shared.domain.choices import OwnerKind, QueueView
from shared.domain.configuration import AddressMatch, Owner, StoredOwner
from shared.domain.errors import InvalidRecord
from shared.domain.filtering import exceeds
from shared.domain.ids import OwnerId, normalised_address
from shared.ports import Slice, Stores

type Edit = Callable[[Owner], Owner]
"""Returns the owner with some fields changed. It is called again when others win the race."""


class OwnerAdministration:
    """The users, or the queues."""

    def __init__(self, kind: OwnerKind, stores: Stores, mailboxes: MailboxRecords, auditing: Auditing) -> None:
        self._kind = kind
        self._stores = stores
        self._mailboxes = mailboxes
        self._auditing = auditing

    def get(self, owner_id: OwnerId) -> StoredOwner:
        """Raises RecordNotFound."""
        stored = self._stores.owners.get(self._kind, owner_id)
        if stored is None:
            raise RecordNotFound(f"there is no {self._kind.value} {owner_id}")
        return stored

    def list(self, continuation: str | None = None, limit: int = 100) -> Slice[StoredOwner]:
        """Raises InvalidRecord where the continuation is none of this list."""
        return self._stores.owners.list(self._kind, continuation, limit)

    def put(self, owner: Owner, caller: Caller, etag: str | None = None) -> Put[StoredOwner]:
        """Creates or replaces the owner and puts its mailbox in step; the same again changes nothing.

        A new address returns the mailbox to pending approval where approval is required. Deactivating an owner deactivates its
        mailbox; activating it leaves the mailbox to its own switch. With `etag` the owner must exist in that state. Raises
        InvalidRecord, Changed.
        """
        rules.identifier("id", owner.id)
        trail = self._trail(caller, owner.id)

        def attempt() -> Put[StoredOwner]:
            stored = self._stores.owners.get(self._kind, owner.id)
            check_etag(stored.etag if stored else None, etag)
            return self._write(stored, owner, trail)

        written = persistently(attempt, etag)
        self._mailboxes.put_in_step(self._kind, owner.id, caller)
        return written

    def change(self, owner_id: OwnerId, edit: Edit, caller: Caller, etag: str | None = None) -> StoredOwner:
        """As `put`, from the present record on. Raises RecordNotFound too."""
        trail = self._trail(caller, owner_id)

        def attempt() -> StoredOwner:
            stored = self.get(owner_id)
            check_etag(stored.etag, etag)
            return self._write(stored, replace(edit(stored.record), id=owner_id), trail).stored

        written = persistently(attempt, etag)
        self._mailboxes.put_in_step(self._kind, owner_id, caller)
        return written

    def readdress(self, owner_id: OwnerId, address: str, caller: Caller) -> None:
        """Gives the owner the address that its mailbox is about to have; the caller puts the mailbox in step.

        Raises InvalidRecord.
        """
        trail = self._trail(caller, owner_id)

        def attempt() -> None:
            stored = self._stores.owners.get(self._kind, owner_id)
            if stored is not None:
                self._write(stored, replace(stored.record, address=address), trail)

        persistently(attempt, None)

    def delete(self, owner_id: OwnerId, caller: Caller, etag: str | None = None) -> None:
        """Its mailbox is deactivated and kept, and so are its activities. What is not there counts as deleted. Raises Changed.

        The mailbox is off before the owner is gone, and looked at again after: somebody may have activated it meanwhile.
        """
        trail = self._trail(caller, owner_id)

        def attempt() -> None:
            stored = self._stores.owners.get(self._kind, owner_id)
            if stored is None:
                return
            check_etag(stored.etag, etag)
            self._mailboxes.switch_off(self._kind, owner_id, caller)
            trail.note(ChangeAction.DELETED, stored.record, None, stored.etag)
            self._stores.owners.delete(self._kind, owner_id, stored.etag)

        persistently(attempt, etag)
        self._mailboxes.put_in_step(self._kind, owner_id, caller)

    def _trail(self, caller: Caller, owner_id: OwnerId) -> Trail:
        return self._auditing.trail(caller, f"{self._kind.value}:{owner_id}")

    def _write(self, stored: StoredOwner | None, given: Owner, trail: Trail) -> Put[StoredOwner]:
        """Raises InvalidRecord, Changed, AlreadyExists."""
        owner = _valid(replace(given, kind=self._kind))
        if stored is not None and stored.record == owner:
            return Put(stored, created=False)
        self._check_filter(stored.record if stored else None, owner)
        self._check_address_is_free(owner)
        if stored is None:
            trail.note(ChangeAction.CREATED, None, owner)
            return Put(self._stores.owners.create(owner), created=True)
        trail.note(ChangeAction.CHANGED, stored.record, owner, stored.etag)
        return Put(self._stores.owners.replace(owner, stored.etag), created=False)

    def _check_filter(self, present: Owner | None, owner: Owner) -> None:
        """A method that was chosen under a higher ceiling may stay: what counts is the narrower of both."""
        if present is not None and present.filtering_method is owner.filtering_method:
            return
        ceiling = self._stores.settings.get().record.filter_ceiling
        if ceiling is not None and exceeds(owner.filtering_method, ceiling):
            raise InvalidRecord(
                "filtering_method",
                f"{owner.filtering_method.name.lower()} accepts more than the organisation allows",
                f"Choose {ceiling.name.lower()} or a narrower one, or raise the setting filter_ceiling first.",
            )

    def _check_address_is_free(self, owner: Owner) -> None:
        address = normalised_address(owner.address)
        matches = self._stores.addresses.find([address])[address]
        others = [match for match in matches if match.is_own and not _is(owner, match)]
        if others:
            raise InvalidRecord(
                "address",
                f"the address belongs to the {others[0].kind} {others[0].id} ({others[0].name}) already",
                f"Choose another address, or change that of the {others[0].kind} {others[0].id} first.",
            )


def _valid(owner: Owner) -> Owner:
    is_queue = owner.kind is OwnerKind.QUEUE
    if owner.queue_view is not None and not is_queue:
        raise InvalidRecord("queue_view", "a user has no queue view", "Set queue_view to null.")
    if owner.send_as_allowed and is_queue:
        raise InvalidRecord("send_as_allowed", "every user may write emails as a queue", "Set send_as_allowed to false.")
    return replace(
        owner,
        name=rules.text("name", owner.name),
        address=rules.email_address("address", owner.address),
        queue_view=(owner.queue_view or QueueView.PUBLIC) if is_queue else None,
    )


def _is(owner: Owner, match: AddressMatch) -> bool:
    return match.kind == owner.kind and match.id == owner.id
