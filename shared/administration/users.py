"""Users: put in place together with their mailbox, addresses kept in step.

The mailbox id is derived from the user, so that there is one mailbox however often, and by however many at once, a user is
created. A user is written before its mailbox; whatever a crash left undone, the same request again completes.
"""

from dataclasses import replace

from shared.administration import rules
from shared.administration.failures import RecordNotFound
from shared.administration.schedules import after_change
from shared.administration.writing import Put, check_etag, persistently
from shared.domain.choices import Approval, OwnerKind
from shared.domain.configuration import AddressMatch, Mailbox, Owner, OwnerRef, StoredOwner
from shared.domain.errors import Changed, InvalidRecord
from shared.domain.ids import OwnerId, mailbox_id_of, normalised_address
from shared.ports import Clock, Slice, Stores


class UserAdministration:
    def __init__(self, stores: Stores, clock: Clock) -> None:
        self._stores = stores
        self._clock = clock

    def get(self, user_id: OwnerId) -> StoredOwner:
        """Raises RecordNotFound."""
        stored = self._stores.owners.get(OwnerKind.USER, user_id)
        if stored is None:
            raise RecordNotFound(f"there is no user {user_id}")
        return stored

    def list(self, continuation: str | None = None, limit: int = 100) -> Slice[StoredOwner]:
        """Raises InvalidRecord where the continuation is none of this list."""
        return self._stores.owners.list(OwnerKind.USER, continuation, limit)

    def put(
        self, user_id: OwnerId, name: str, address: str, *, active: bool = True, etag: str | None = None
    ) -> Put[StoredOwner]:
        """Creates or replaces the user and puts its mailbox in step; the same again changes nothing.

        A new address returns the mailbox to pending approval. Deactivating a user deactivates its mailbox; activating it
        leaves the mailbox to its own switch. With `etag` the user must exist in that state. Raises InvalidRecord, Changed.
        """
        user = Owner(
            id=OwnerId(rules.identifier("id", user_id)),
            kind=OwnerKind.USER,
            name=rules.text("name", name),
            address=rules.email_address("address", address),
            active=active,
        )
        self._check_address_is_free(user)
        written = persistently(lambda: self._write(user, etag), etag)
        persistently(lambda: self._put_mailbox_in_step(user.id), None)
        return written

    def _check_address_is_free(self, user: Owner) -> None:
        address = normalised_address(user.address)
        others = [match for match in self._stores.addresses.find([address])[address] if not _is(user, match)]
        if others:
            raise InvalidRecord(
                "address",
                f"the address belongs to the {others[0].kind.value} {others[0].id} ({others[0].name}) already",
                f"Choose another address, or change that of the {others[0].kind.value} {others[0].id} first.",
            )

    def _write(self, user: Owner, etag: str | None) -> Put[StoredOwner]:
        """Raises Changed, AlreadyExists."""
        stored = self._stores.owners.get(OwnerKind.USER, user.id)
        if stored is None:
            if etag is not None:
                raise Changed("the user does not exist (any more)")
            return Put(self._stores.owners.create(user), created=True)
        check_etag(stored.etag, etag)
        unchanged = stored.record == user
        return Put(stored if unchanged else self._stores.owners.replace(user, stored.etag), created=False)

    def _put_mailbox_in_step(self, user_id: OwnerId) -> None:
        """Raises Changed, AlreadyExists.

        The mailbox is read before its user: of two changes at once, the one that read the older user loses the race for
        the mailbox, and reads again.
        """
        mailbox_id = mailbox_id_of(OwnerKind.USER, user_id)
        stored = self._stores.mailboxes.get(mailbox_id)
        user = self.get(user_id).record
        now = self._clock()
        if stored is None:
            mailbox = Mailbox(mailbox_id, user.name, user.address, OwnerRef(user.kind, user.id), active=user.active)
            self._stores.mailboxes.create(mailbox, after_change(mailbox, {}, now))
            return
        mailbox = _in_step(stored.record, user)
        if mailbox != stored.record:
            self._stores.mailboxes.replace(mailbox, stored.etag, after_change(mailbox, stored.schedule, now))


def _in_step(mailbox: Mailbox, user: Owner) -> Mailbox:
    same_address = normalised_address(mailbox.address) == normalised_address(user.address)
    return replace(
        mailbox,
        name=user.name,
        address=user.address,
        approval=mailbox.approval if same_address else Approval.PENDING,
        active=mailbox.active and user.active,
    )


def _is(user: Owner, match: AddressMatch) -> bool:
    return match.kind is user.kind and match.id == user.id
