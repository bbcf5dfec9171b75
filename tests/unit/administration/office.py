"""An office: administration over stores in memory, with a clock that tests move."""

from dataclasses import dataclass, field, replace
from typing import Any

from shared.administration import Administration, Rules
from shared.domain.choices import Approval, OwnerKind, Workload
from shared.domain.configuration import EmailServerProfile, Mailbox, StoredMailbox, WorkloadSchedule
from shared.domain.ids import MailboxId, OwnerId, ProfileId, mailbox_id_of
from shared.ports import Stores
from shared.stores.memory import memory_stores
from tests.builders import SettableClock, a_profile

PASSWORD = "correct horse"


@dataclass
class Office:
    clock: SettableClock = field(default_factory=SettableClock)
    stores: Stores = field(default_factory=memory_stores)
    rules: Rules = field(default_factory=Rules)

    @property
    def administration(self) -> Administration:
        return Administration(self.stores, self.clock, self.rules)

    def has_profile(self, secret: str | None = PASSWORD, **changes: Any) -> EmailServerProfile:
        return self.administration.profiles.put(a_profile(**changes), secret).stored.record

    def has_user(self, user: str = "anna", **changes: Any) -> StoredMailbox:
        """A user of that name; returns the user's mailbox."""
        given = {"name": user.title(), "address": f"{user}@contoso.example"} | changes
        self.administration.users.put(OwnerId(user), **given)
        return self.mailbox_of(user)

    def has_mailbox_being_read(self, name: str = "anna") -> StoredMailbox:
        """A user whose mailbox is on the profile, and approved."""
        mailbox_id = self.has_user(name).record.id
        self.changes(mailbox_id, profile_id=ProfileId("contoso"))
        return self.administration.mailboxes.decide(mailbox_id, Approval.APPROVED).stored

    def changes(self, mailbox_id: MailboxId, **changes: Any) -> StoredMailbox:
        def edit(mailbox: Mailbox) -> Mailbox:
            return replace(mailbox, **changes)

        return self.administration.mailboxes.change(mailbox_id, edit).stored

    def mailbox_of(self, name: str) -> StoredMailbox:
        found = self.stores.mailboxes.get(mailbox_id_of(OwnerKind.USER, OwnerId(name)))
        assert found is not None
        return found

    def incoming_of(self, name: str = "anna") -> WorkloadSchedule:
        return self.mailbox_of(name).schedule[Workload.INCOMING]

    def has_schedule(self, name: str = "anna", **changes: Any) -> None:
        """What runs have made of the schedule since."""
        schedule = replace(self.incoming_of(name), **changes)
        self.stores.mailboxes.reschedule(self.mailbox_of(name).record.id, Workload.INCOMING, schedule)
