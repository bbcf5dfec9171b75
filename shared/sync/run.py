"""One run over the incoming mail of one mailbox: looks whether there is anything to do, takes the lease, works, gives it back.

Refuses to know schedules, alerts about failures and run records: what follows from an error is decided by who started the run.
"""

from collections.abc import Sequence

from shared.domain.choices import Workload
from shared.domain.email import Folder
from shared.domain.errors import FolderNotFound, LeaseLost
from shared.domain.ledger import LedgerHead, Mark
from shared.domain.operations import RunOutcome
from shared.domain.organisation import OrganisationSettings
from shared.ports import IncomingEmail
from shared.sync.addresses import KnownAddresses
from shared.sync.assignment import Assignment, Surroundings
from shared.sync.booking import Booking, Tally
from shared.sync.careful import OneByOneReader
from shared.sync.known import KnownItems
from shared.sync.lease import Lease, is_held, was_abandoned
from shared.sync.listing import ListedPage, list_page, mark_of
from shared.sync.pages import Pages
from shared.sync.quarantine import QuarantineRoom
from shared.sync.reading import BatchReader, Reader
from shared.sync.whereabouts import whereabouts


class IncomingRun:
    """One run. However `go` ends, `give_back` may be called after it."""

    def __init__(self, assignment: Assignment, around: Surroundings) -> None:
        self.tally = Tally()
        self._assignment = assignment
        self._mailbox = assignment.mailbox
        self._around = around
        self._started = around.clock()
        self._lease = Lease(
            around.stores.ledger,
            self._mailbox.id,
            Workload.INCOMING,
            assignment.run_id,
            around.budget.lease,
            around.clock,
        )
        self._booking: Booking | None = None

    def go(self) -> RunOutcome:
        """Raises SyncError where the run cannot go on, LeaseLost where another worker has the mailbox now."""
        around = self._around
        head = around.stores.ledger.head(self._mailbox.id, Workload.INCOMING, around.clock())
        if is_held(head.state, around.clock()):
            return RunOutcome.HELD
        discovered = whereabouts(self._assignment, around)
        with around.open_mailbox(self._assignment.profile, self._mailbox, discovered) as mail:
            listed = [page for folder in mail.folders() if (page := self._list(mail, folder, mark_of(head, folder, mail)))]
            if not head.todos and all(page.is_idle for page in listed):
                return RunOutcome.IDLE
            settings = around.settings()
            try:
                self._lease.take(head)
            except LeaseLost:
                return RunOutcome.HELD
            if self._was_changed():
                self.give_back()
                return RunOutcome.HELD
            return self._work(mail, head, settings, [page for page in listed if not page.is_idle])

    def give_back(self) -> None:
        """Releases the lease if this run holds it. Raises TransientError or LeaseLost; the lease then expires by itself."""
        if self._booking is not None:
            self._booking.give_back()
        else:
            self._lease.release()

    def _was_changed(self) -> bool:
        """The mailbox was changed after this run read it, and before it took the lease: a reset that came in between would be
        undone by a run that judges by the former start date. The change made the mailbox due, so another run follows."""
        present = self._around.stores.mailboxes.get(self._mailbox.id)
        return present is None or present.record != self._mailbox

    def _list(self, mail: IncomingEmail, folder: Folder, mark: Mark) -> ListedPage | None:
        try:
            return list_page(mail, folder, mark)
        except FolderNotFound:
            self.tally.missing_folders.append(folder)
            return None

    def _work(
        self, mail: IncomingEmail, head: LedgerHead, settings: OrganisationSettings, listed: Sequence[ListedPage]
    ) -> RunOutcome:
        pages = self._pages(mail, head, settings)
        done = pages.retry(head.todos)
        for place, first in enumerate(listed):
            done = done and pages.read_folder(first, is_last=place == len(listed) - 1)
        pages.booking.give_back(done=done)
        return RunOutcome.COMPLETED if done else RunOutcome.CONTINUED

    def _pages(self, mail: IncomingEmail, head: LedgerHead, settings: OrganisationSettings) -> Pages:
        """The machinery of this run, set up for what the head of the ledger says about the runs before."""
        around = self._around
        addresses = KnownAddresses(around.stores.addresses)
        batches = BatchReader(
            around.stores,
            mail,
            self._mailbox,
            addresses,
            around.executor,
            around.budget,
            around.clock,
            self._lease.renew_when_half_gone,
            settings,
        )
        failed_at_items = bool(head.todos) or self._lease.state.page_open
        is_blaming = failed_at_items and self._assignment.failures >= around.limits.failures_before_care
        is_careful = is_blaming or self._lease.state.takeovers >= around.limits.takeovers_before_care
        condemned = head.state.trying if head.state is not None and was_abandoned(head.state) else None
        one_by_one = OneByOneReader(batches, self._lease, condemned=condemned, blaming=is_blaming)
        reader: Reader = one_by_one if is_careful or condemned else batches
        self._booking = Booking(
            run_id=self._assignment.run_id,
            lease=self._lease,
            reader=reader,
            room=QuarantineRoom(around.stores, mail, self._mailbox.id, around.version),
            known=KnownItems(around.stores.ledger, self._mailbox.id, Workload.INCOMING),
            limits=around.limits,
            clock=around.clock,
            deadline=self._started + around.budget.time,
            tally=self.tally,
            is_careful=reader is one_by_one,
        )
        return Pages(self._assignment, around, mail, batches, self._booking, addresses, head, settings)
