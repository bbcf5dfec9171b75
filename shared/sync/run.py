"""One run over the incoming mail of one mailbox: list, decide, write, commit; page by page, until nothing or no budget is left.

Refuses to know schedules, alerts about failures and run records: what follows from an error is decided by who started the run.
"""

from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass

from shared.domain.choices import Reason, SenderOrigin, Verdict, Workload
from shared.domain.configuration import EmailServerProfile, Mailbox
from shared.domain.eligibility import start_date
from shared.domain.email import Folder, ListedItem
from shared.domain.errors import FolderNotFound, LeaseLost
from shared.domain.ids import RunId, normalised_address
from shared.domain.ledger import ItemKey, LedgerHead, Mark, Todo
from shared.domain.operations import RunOutcome
from shared.ports import Clock, IncomingEmail, OpenMailbox, Stores
from shared.sync.addresses import KnownAddresses
from shared.sync.booking import Booking, Tally
from shared.sync.budgets import ItemLimits, RunBudget
from shared.sync.careful import OneByOneReader
from shared.sync.items import Candidate, candidate_again, candidate_of
from shared.sync.known import KnownItems
from shared.sync.lease import Lease, is_held, was_abandoned
from shared.sync.listing import ListedPage, is_decided, list_page, mark_of, oldest_first
from shared.sync.quarantine import QuarantineRoom
from shared.sync.reading import BatchReader, Reader
from shared.sync.relevance import CONFIGURED, Facts, judge


@dataclass(frozen=True, slots=True)
class Assignment:
    """What a run is about."""

    run_id: RunId
    mailbox: Mailbox
    profile: EmailServerProfile
    failures: int
    """Failed runs in a row before this one."""
    is_continuation: bool


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What every run of a process shares."""

    stores: Stores
    open_mailbox: OpenMailbox
    clock: Clock
    budget: RunBudget
    limits: ItemLimits
    executor: Executor
    version: str


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
        with around.open_mailbox(self._assignment.profile, self._mailbox) as mail:
            listed = [page for folder in mail.folders() if (page := self._list(mail, folder, mark_of(head, folder, mail)))]
            if not head.todos and all(page.is_idle for page in listed):
                return RunOutcome.IDLE
            try:
                self._lease.take(head)
            except LeaseLost:
                return RunOutcome.HELD
            return self._work(mail, head, [page for page in listed if not page.is_idle])

    def give_back(self) -> None:
        """Releases the lease if this run holds it. Raises TransientError or LeaseLost; the lease then expires by itself."""
        if self._booking is not None:
            self._booking.give_back()
        else:
            self._lease.release()

    def _list(self, mail: IncomingEmail, folder: Folder, mark: Mark) -> ListedPage | None:
        try:
            return list_page(mail, folder, mark)
        except FolderNotFound:
            self.tally.missing_folders.append(folder)
            return None

    def _work(self, mail: IncomingEmail, head: LedgerHead, listed: Sequence[ListedPage]) -> RunOutcome:
        pages = self._pages(mail, head)
        done = pages.retry(head.todos)
        for place, first in enumerate(listed):
            done = done and pages.read_folder(first, is_last=place == len(listed) - 1)
        pages.booking.give_back(done=done)
        return RunOutcome.COMPLETED if done else RunOutcome.CONTINUED

    def _pages(self, mail: IncomingEmail, head: LedgerHead) -> "Pages":
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
        )
        is_blaming = self._assignment.failures >= around.limits.failures_before_care
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
        return Pages(self._assignment, around, mail, batches, self._booking, addresses, head)


class Pages:
    """Works through pages: decides about their items, has them read and booked, and moves the mark."""

    def __init__(
        self,
        assignment: Assignment,
        around: Surroundings,
        mail: IncomingEmail,
        batches: BatchReader,
        booking: Booking,
        addresses: KnownAddresses,
        head: LedgerHead,
    ) -> None:
        self.booking = booking
        self._assignment = assignment
        self._around = around
        self._mail = mail
        self._batches = batches
        self._addresses = addresses
        self._was_interrupted = was_abandoned(head.state) or (head.state is not None and head.state.page_open)
        self._has_history = head.state is not None
        self._start = start_date(assignment.profile, assignment.mailbox)

    def retry(self, todos: Sequence[Todo]) -> bool:
        """Reads the items again whose retry is due. False: the time was spent."""
        return not todos or self.booking.read([candidate_again(todo) for todo in todos], _nothing)

    def read_folder(self, first: ListedPage, *, is_last: bool) -> bool:
        """Reads a folder page by page. False: the budget was spent and there is more."""
        budget = self._around.budget
        backfills = not first.mark.caught_up and not self._assignment.is_continuation
        limit = budget.pages_before_backfill if backfills else budget.pages
        is_repeated = self._was_interrupted
        page: ListedPage | None = first
        pages = 0
        while page is not None:
            pages += 1
            following = _Following(self._mail, page, may_go_on=pages < limit and not self.booking.is_out_of_time())
            if not self._read_page(page, following, is_repeated=is_repeated, is_last=is_last):
                return False
            if page.page.more and not following.may_go_on:
                return False
            page, is_repeated = following.page(), False
        return True

    def _read_page(self, page: ListedPage, following: "_Following", *, is_repeated: bool, is_last: bool) -> bool:
        booking = self.booking
        booking.in_page = True
        booking.tally.caught_up = page.mark.caught_up
        if self._may_hold_known_items(page, is_repeated=is_repeated):
            booking.known.load()
        wanted = self._decide(page.page.items, is_repeated=is_repeated)
        if not booking.read(wanted, following.list):
            return False
        booking.finish_page(page.after, release=is_last and following.is_none)
        booking.tally.caught_up = page.after.caught_up
        booking.tally.pages += 1
        return True

    def _may_hold_known_items(self, page: ListedPage, *, is_repeated: bool) -> bool:
        """A page that an interrupted run began, or one of a folder that is listed from its start (perhaps once more)."""
        is_listed_again = page.mark.watermark is None and self.booking.tally.pages > 0
        return is_listed_again or (self._has_history and (is_repeated or not page.mark.caught_up))

    def _decide(self, items: Sequence[ListedItem], *, is_repeated: bool) -> list[Candidate]:
        """Books what is skipped, and returns what is to be read."""
        booking = self.booking
        new = [(key, item) for key, item in oldest_first(items) if not is_decided(item, booking.known.verdict(key, item))]
        booking.tally.seen += len(new)
        facts = self._facts(new)
        wanted = []
        for _, item in new:
            verdict, reason = judge(item, facts, self._around.limits)
            candidate = candidate_of(item)
            if verdict is Verdict.PROMOTED or (
                is_repeated and reason in CONFIGURED and self._batches.promoted_before(candidate)
            ):
                wanted.append(candidate)
            elif reason is Reason.BEFORE_START_DATE:
                booking.tally.count(verdict, reason)
            else:
                booking.skip(candidate, reason)
        return wanted

    def _facts(self, items: Sequence[tuple[ItemKey, ListedItem]]) -> Facts:
        """Looks up the senders that a decision depends on: those whom the server vouches for."""
        own = normalised_address(self._assignment.mailbox.address)
        asked = {item.sender for _, item in items if item.sender and item.sender_origin is SenderOrigin.INTERNAL}
        return Facts(self._start, self._addresses.own(asked) | {own})


class _Following:
    """The page after the present one, listed while the present one is being stored."""

    def __init__(self, mail: IncomingEmail, present: ListedPage, *, may_go_on: bool) -> None:
        self.may_go_on = may_go_on
        self._mail = mail
        self._present = present
        self._page: ListedPage | None = None
        self._error: Exception | None = None

    @property
    def is_none(self) -> bool:
        """This run lists no further page of the folder."""
        return not (self._present.page.more and self.may_go_on)

    def list(self) -> None:
        """Keeps what goes wrong: the present page is finished first."""
        if self.is_none:
            return
        try:
            self._page = list_page(self._mail, self._present.folder, self._present.after)
        except Exception as error:  # noqa: BLE001 # raised again by `page`, once the present page is committed
            self._error = error

    def page(self) -> ListedPage | None:
        """None: there is none. Raises what listing it raised."""
        if self._error is not None:
            raise self._error
        return self._page


def _nothing() -> None:
    return None
