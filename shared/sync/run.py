"""One run over the incoming mail of one mailbox: looks whether there is anything to do, takes the lease, works, gives it back.

Refuses to know schedules, alerts about failures and run records: what follows from an error is decided by who started the run.
"""

from collections.abc import Sequence

from shared.domain.choices import Workload
from shared.domain.eligibility import start_date
from shared.domain.errors import AccessDenied, FolderNotFound, LeaseLost
from shared.domain.folders import Folder
from shared.domain.ledger import LedgerHead, Mark
from shared.domain.operations import RunOutcome
from shared.domain.organisation import OrganisationSettings
from shared.ports import TODOS_AT_ONCE, IncomingEmail, Marking, OpenMailbox
from shared.sync.assignment import Assignment, Surroundings
from shared.sync.booking import Booking, Tally
from shared.sync.careful import OneByOneReader
from shared.sync.emails import Emails
from shared.sync.forwarding import reads_sent_items
from shared.sync.items import Aftercare
from shared.sync.joins import Joins
from shared.sync.judging import Judging, judging_of
from shared.sync.known import KnownItems
from shared.sync.lease import Lease, is_held, was_abandoned
from shared.sync.listing import ListedPage, list_page, mark_of
from shared.sync.marking import KINDS, Marker
from shared.sync.pages import Pages
from shared.sync.quarantine import QuarantineRoom
from shared.sync.reading import BatchReader, Reader
from shared.sync.screening import Screening
from shared.sync.todos import Todos
from shared.sync.watching import Watch, Watching
from shared.sync.whereabouts import whereabouts


class IncomingRun:
    """One run. However `go` ends, `give_back` may be called after it."""

    def __init__(self, assignment: Assignment, around: Surroundings, open_mailbox: OpenMailbox) -> None:
        self.tally = Tally()
        self._open_mailbox = open_mailbox
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
        for error in head.unreadable:
            self.tally.leave_aside(error)
        discovered = whereabouts(self._assignment, around)
        settings = around.settings()
        with self._open_mailbox(self._assignment.profile, self._mailbox, discovered) as mail:
            watch, listed = self._listed(mail, head, settings)
            if not head.todos and all(page.is_idle for page in listed):
                return RunOutcome.IDLE
            try:
                self._lease.take(head)
            except LeaseLost:
                return RunOutcome.HELD
            if self._was_changed():
                self.give_back()
                return RunOutcome.HELD
            pages, todos = self._machinery(mail, head, settings, watch, listed)
            return self._work(pages, todos, head, [page for page in listed if not page.is_idle])

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

    # ---- listing

    def _listed(
        self, mail: IncomingEmail, head: LedgerHead, settings: OrganisationSettings
    ) -> tuple[Watch, Sequence[ListedPage]]:
        """What is watched, and the first page of each folder. Folders that are not there any more are looked for, once."""
        watching = Watching(self._around.stores, self._mailbox.id, self._around.clock, has_rules=self._assignment.has_rules)
        sent = reads_sent_items(self._mailbox, settings)
        watch = watching.watch(mail, sent=sent)
        listed = self._list_all(mail, head, watch.folders)
        self.tally.lost_rules = watch.lost
        unread = self.tally.unread_folders
        if any(folder.id in watch.rules and isinstance(error, FolderNotFound) for folder, error in unread.items()):
            watch = watching.watch(mail, sent=sent, anew=True)
            self.tally.lost_rules = watch.lost
            self.tally.unread_folders = {folder: unread[folder] for folder in watch.folders if folder in unread}
        return watch, listed

    def _list_all(self, mail: IncomingEmail, head: LedgerHead, folders: Sequence[Folder]) -> Sequence[ListedPage]:
        return [page for folder in folders if (page := self._list(mail, folder, mark_of(head, folder, mail)))]

    def _list(self, mail: IncomingEmail, folder: Folder, mark: Mark) -> ListedPage | None:
        try:
            return list_page(mail, folder, mark)
        except FolderNotFound:
            self.tally.unread_folders[folder] = FolderNotFound(folder.name)
        except AccessDenied:
            if folder in mail.folders():
                raise
            self.tally.unread_folders[folder] = AccessDenied(folder.name)  # a delegate may open some folders and not others
        return None

    # ---- working

    def _work(self, pages: Pages, todos: Todos, head: LedgerHead, listed: Sequence[ListedPage]) -> RunOutcome:
        """New mail stands before what is old, and what is to be done on the server behind both: a server that refuses that for
        the moment ends the run."""
        marks = [todo for todo in head.todos if todo.kind in KINDS]
        done = todos.take_up([todo for todo in head.todos if todo.kind not in KINDS])
        listed = sorted(listed, key=lambda page: not page.mark.caught_up)
        for place, first in enumerate(listed):
            done = done and pages.read_folder(first, is_last=not marks and place == len(listed) - 1)
        is_marked = todos.take_up_marks(marks)
        pages.booking.give_back(done=done)
        has_more = not (done and is_marked) or len(head.todos) >= TODOS_AT_ONCE
        return RunOutcome.CONTINUED if has_more else RunOutcome.COMPLETED

    def _machinery(
        self,
        mail: IncomingEmail,
        head: LedgerHead,
        settings: OrganisationSettings,
        watch: Watch,
        listed: Sequence[ListedPage],
    ) -> tuple[Pages, Todos]:
        """What this run works with, set up for what the head of the ledger says about the runs before."""
        around, stores = self._around, self._around.stores
        judging = judging_of(stores, self._mailbox, settings, watch.rules, around.executor)
        emails = Emails(stores, settings)
        room = QuarantineRoom(stores, mail, self._mailbox.id, around.version)
        booking = self._booking = self._new_booking(mail, head, settings, judging, emails, room)
        start = start_date(self._assignment.profile, self._mailbox)
        limit, several = settings.largest_message, len(watch.folders) > 1
        screening = Screening(mail, judging, emails, stores.activities, booking, start, limit, watches_several=several)
        marker = Marker(mail, stores.alerts, room, settings, around.clock, self._mailbox.id)
        backfills = not all(page.mark.caught_up for page in listed)
        joins = Joins(
            stores,
            settings,
            around.executor,
            around.limits,
            around.clock,
            backfills=backfills,
            leave_aside=self.tally.leave_aside,
        )
        todos = Todos(booking, screening, judging, joins, marker, around.executor, start, limit)
        return Pages(self._assignment, around, mail, booking, screening, todos, head), todos

    def _new_booking(
        self,
        mail: IncomingEmail,
        head: LedgerHead,
        settings: OrganisationSettings,
        judging: Judging,
        emails: Emails,
        room: QuarantineRoom,
    ) -> Booking:
        around = self._around
        keep_lease = self._lease.renew_when_half_gone
        batches = BatchReader(around.stores, mail, judging, emails, around.executor, around.budget, around.clock, keep_lease)
        failed_at_items = bool(head.todos) or self._lease.state.page_open
        is_blaming = failed_at_items and self._assignment.failures >= around.limits.failures_before_care
        is_careful = is_blaming or self._lease.state.takeovers >= around.limits.takeovers_before_care
        condemned = head.state.trying if head.state is not None and was_abandoned(head.state) else None
        one_by_one = OneByOneReader(batches, self._lease, condemned=condemned, blaming=is_blaming)
        reader: Reader = one_by_one if is_careful or condemned else batches
        return Booking(
            run_id=self._assignment.run_id,
            lease=self._lease,
            reader=reader,
            room=room,
            known=KnownItems(around.stores.ledger, self._mailbox.id, Workload.INCOMING, around.executor),
            limits=around.limits,
            aftercare=self._aftercare(mail, settings),
            clock=around.clock,
            deadline=self._started + around.budget.time,
            tally=self.tally,
            is_careful=reader is one_by_one,
        )

    def _aftercare(self, mail: IncomingEmail, settings: OrganisationSettings) -> Aftercare:
        can_mark = isinstance(mail, Marking)
        return Aftercare(
            stamps=can_mark and settings.stamp_categories,
            moves=can_mark and self._assignment.profile.move_undeliverable,
            discards=self._mailbox.process_and_delete,
        )
