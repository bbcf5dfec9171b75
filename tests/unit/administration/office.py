"""An office: administration over stores in memory, with a clock that tests move."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from shared.administration import Administration, Rules
from shared.connectors.internet.consenting import ConsentIssuers
from shared.domain.audit import AuditEntry, Caller
from shared.domain.choices import Approval, OwnerKind, Workload
from shared.domain.configuration import EmailServerProfile, Mailbox, Owner, StoredMailbox, WorkloadSchedule
from shared.domain.ids import MailboxId, OwnerId, ProfileId, mailbox_id_of
from shared.domain.organisation import OrganisationSettings
from shared.messages import Queue, VisitMailboxes, parse
from shared.ports import Stores
from shared.stores.memory import memory_stores
from tests.builders import SettableClock, a_profile, an_owner, queues_in_memory

PASSWORD = "correct horse"
ADMIN = Caller("ada@contoso.example")


def a_user(user: str = "anna", **changes: Any) -> Owner:
    """As a client gives it: its id is its name."""
    return replace(an_owner(user), **({"id": OwnerId(user)} | changes))


@dataclass
class Office:
    clock: SettableClock = field(default_factory=SettableClock)
    stores: Stores = field(default_factory=memory_stores)
    rules: Rules = field(default_factory=Rules)

    @property
    def administration(self) -> Administration:
        issuers = ConsentIssuers(self.stores.secrets, allow_local_servers=lambda: True)
        return Administration(self.stores, self.clock, self.rules, consent_issuer=issuers)

    def has_profile(self, secret: str | None = PASSWORD, **changes: Any) -> EmailServerProfile:
        secrets = {} if secret is None else {"credentials/secret": secret}
        return self.administration.profiles.put(a_profile(**changes), ADMIN, secrets).stored.record

    def has_user(self, user: str = "anna", **changes: Any) -> StoredMailbox:
        """A user of that name; returns the user's mailbox."""
        self.administration.users.put(a_user(user, **changes), ADMIN)
        return self.mailbox_of(user)

    def has_queue(self, queue: str = "support", **changes: Any) -> StoredMailbox:
        """A queue of that name; returns the queue's mailbox."""
        self.administration.queues.put(a_user(queue, kind=OwnerKind.QUEUE, **changes), ADMIN)
        return self.mailbox_of(queue, OwnerKind.QUEUE)

    def has_settings(self, **changes: Any) -> OrganisationSettings:
        return self.administration.settings.change(lambda settings: replace(settings, **changes), ADMIN).record

    def has_mailbox_being_read(self, name: str = "anna") -> StoredMailbox:
        """A user whose mailbox is on the profile, and approved."""
        mailbox_id = self.has_user(name).record.id
        self.changes(mailbox_id, profile_id=ProfileId("contoso"))
        return self.administration.mailboxes.decide(mailbox_id, Approval.APPROVED, ADMIN).stored

    def changes(self, mailbox_id: MailboxId, **changes: Any) -> StoredMailbox:
        def edit(mailbox: Mailbox) -> Mailbox:
            return replace(mailbox, **changes)

        return self.administration.mailboxes.change(mailbox_id, edit, ADMIN).stored

    def mailbox_of(self, name: str, kind: OwnerKind = OwnerKind.USER) -> StoredMailbox:
        found = self.stores.mailboxes.get(mailbox_id_of(kind, OwnerId(name)))
        assert found is not None
        return found

    def incoming_of(self, name: str = "anna") -> WorkloadSchedule:
        return self.mailbox_of(name).schedule[Workload.INCOMING]

    def has_schedule(self, name: str = "anna", **changes: Any) -> None:
        """What runs have made of the schedule since."""
        schedule = replace(self.incoming_of(name), **changes)
        self.stores.mailboxes.reschedule(self.mailbox_of(name).record.id, Workload.INCOMING, schedule)

    def audited(self, record: str | None = None) -> Sequence[AuditEntry]:
        """Newest first."""
        return self.administration.audit.list(record).items

    def sent(self, queue: Queue) -> Sequence[str]:
        """The messages that wait in the queue."""
        return [message.text for message in queues_in_memory(self.stores).waiting(queue)]

    def does_visits(self) -> None:
        """What the queue of visits holds is done, to the last page."""
        queues = queues_in_memory(self.stores)
        while texts := queues.receive(Queue.VISIT_MAILBOXES):
            for text in texts:
                message = parse(text)
                assert isinstance(message, VisitMailboxes)
                self.administration.testing.visit(message)
