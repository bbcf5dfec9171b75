"""Works through the pages of a folder: decides about their items, has them read and booked, and moves the mark last.

The rule that makes nothing get lost: items and mark of a page are committed in one transaction, or, where a page needs
several, only the last one moves the mark.
"""

from collections.abc import Sequence

from shared.domain.choices import Reason, SenderOrigin, Verdict
from shared.domain.eligibility import start_date
from shared.domain.email import ListedItem
from shared.domain.ids import normalised_address
from shared.domain.ledger import ItemKey, LedgerHead, Todo
from shared.domain.organisation import OrganisationSettings
from shared.ports import IncomingEmail
from shared.sync.addresses import KnownAddresses
from shared.sync.assignment import Assignment, Surroundings
from shared.sync.booking import Booking
from shared.sync.items import Candidate, candidate_again, candidate_of
from shared.sync.lease import was_abandoned
from shared.sync.listing import ListedPage, is_decided, list_page, oldest_first
from shared.sync.reading import BatchReader
from shared.sync.relevance import CONFIGURED, Facts, judge


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
        settings: OrganisationSettings,
    ) -> None:
        self.booking = booking
        self._assignment = assignment
        self._around = around
        self._mail = mail
        self._batches = batches
        self._addresses = addresses
        self._was_interrupted = was_abandoned(head.state) or (head.state is not None and head.state.page_open)
        self._has_history = head.state is not None
        self._largest_message = settings.largest_message
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
            verdict, reason = judge(item, facts)
            candidate = candidate_of(item)
            if verdict is Verdict.PROMOTED or (is_repeated and self._was_promoted(candidate, reason)):
                wanted.append(candidate)
            elif reason is Reason.BEFORE_START_DATE:
                booking.tally.count(verdict, reason)
            else:
                booking.skip(candidate, reason)
        return wanted

    def _was_promoted(self, candidate: Candidate, reason: Reason) -> bool:
        """An item that would be skipped now was promoted before the page was interrupted: that decision stands."""
        return reason in CONFIGURED and self._batches.promoted_before(candidate, without_reading=self.booking.is_careful)

    def _facts(self, items: Sequence[tuple[ItemKey, ListedItem]]) -> Facts:
        """Looks up the senders that a decision depends on: those whom the server vouches for."""
        own = normalised_address(self._assignment.mailbox.address)
        asked = {item.sender for _, item in items if item.sender and item.sender_origin is SenderOrigin.INTERNAL}
        return Facts(self._start, self._addresses.own(asked) | {own}, self._largest_message)


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
