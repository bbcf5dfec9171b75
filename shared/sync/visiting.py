"""Opens a mailbox for an administrator who wants to look, outside of any run: nothing is scheduled, no lease is taken, and
nothing that is found out is kept.

A mailbox is opened whose address is approved and whose profile is active, also before it is processed for the first time. A
credential that was refused is left alone: a server may lock it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from shared.domain.choices import Approval, Workload
from shared.domain.configuration import Discovered, Mailbox, StoredMailbox, StoredProfile
from shared.domain.eligibility import Ineligible, profile_ineligibility
from shared.domain.errors import AuthenticationFailed, Disabled, MailboxNotFound, NotApproved
from shared.domain.ids import MailboxId
from shared.domain.words import INELIGIBLE
from shared.ports import Clock, Discover, IncomingEmail, OpenMailbox, Stores


@dataclass(frozen=True, slots=True)
class Visit:
    mailbox: Mailbox
    mail: IncomingEmail


class Visiting:
    def __init__(self, stores: Stores, open_mailbox: OpenMailbox, clock: Clock, discover: Discover | None = None) -> None:
        self._stores = stores
        self._open_mailbox = open_mailbox
        self._clock = clock
        self._discover = discover

    @contextmanager
    def visit(self, mailbox_id: MailboxId) -> Iterator[Visit]:
        """Raises MailboxError where it must not or cannot be opened, TransientError."""
        stored = self._stores.mailboxes.get(mailbox_id)
        if stored is None:
            raise MailboxNotFound(f"there is no mailbox {mailbox_id}")
        profile = self._profile(stored.record)
        with self._open_mailbox(profile.record, stored.record, self._whereabouts(profile, stored)) as mail:
            yield Visit(stored.record, mail)

    def _profile(self, mailbox: Mailbox) -> StoredProfile:
        if not mailbox.active:
            raise Disabled(INELIGIBLE[Ineligible.MAILBOX_INACTIVE])
        if mailbox.approval is not Approval.APPROVED:
            raise NotApproved(INELIGIBLE[Ineligible.NOT_APPROVED])
        if mailbox.profile_id is None:
            raise Disabled(INELIGIBLE[Ineligible.NO_PROFILE])
        profile = self._stores.profiles.get(mailbox.profile_id)
        reason = profile_ineligibility(profile, Workload.INCOMING, self._clock())
        if reason is Ineligible.PROFILE_BREAKER_OPEN:
            raise AuthenticationFailed(INELIGIBLE[reason], profile_wide=True)
        if profile is None or reason is not None:
            raise Disabled(INELIGIBLE[reason or Ineligible.UNKNOWN_PROFILE])
        return profile

    def _whereabouts(self, profile: StoredProfile, mailbox: StoredMailbox) -> Discovered | None:
        if mailbox.discovered is not None or not profile.record.use_autodiscover or self._discover is None:
            return mailbox.discovered
        return self._discover(profile.record, mailbox.record, self._clock())
