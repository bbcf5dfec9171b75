"""Works through the pages of a folder: has their items screened, read and booked, and moves the mark last.

The rule that makes nothing get lost: items and mark of a page are committed in one transaction, or, where a page needs
several, only the last one moves the mark.
"""

from shared.domain.ledger import LedgerHead
from shared.ports import IncomingEmail
from shared.sync.assignment import Assignment, Surroundings
from shared.sync.booking import Booking
from shared.sync.lease import was_abandoned
from shared.sync.listing import ListedPage, list_page
from shared.sync.screening import Screening
from shared.sync.todos import Todos


class Pages:
    """Works through pages."""

    def __init__(
        self,
        assignment: Assignment,
        around: Surroundings,
        mail: IncomingEmail,
        booking: Booking,
        screening: Screening,
        todos: Todos,
        head: LedgerHead,
    ) -> None:
        self.booking = booking
        self._assignment = assignment
        self._around = around
        self._mail = mail
        self._screening = screening
        self._todos = todos
        self._was_interrupted = was_abandoned(head.state) or (head.state is not None and head.state.page_open)
        self._has_history = head.state is not None

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
        wanted = self._screening.wanted(page.page.items, is_repeated=is_repeated)
        if not booking.read(wanted, following.list):
            return False
        booking.finish_page(page.after, release=is_last and following.is_none and not booking.marks)
        booking.tally.caught_up = page.after.caught_up
        booking.tally.pages += 1
        return self._todos.mark(booking.take_marks())

    def _may_hold_known_items(self, page: ListedPage, *, is_repeated: bool) -> bool:
        """A page that an interrupted run began, or one of a folder that is listed from its start (perhaps once more)."""
        is_listed_again = page.mark.watermark is None and self.booking.tally.pages > 0
        return is_listed_again or (self._has_history and (is_repeated or not page.mark.caught_up))


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
