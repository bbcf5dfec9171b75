"""Takes up the todos that are due: items that are read or judged again, emails that are joined to their conversations, and what
is to be done with items on the server.

A todo acts on the row as it is now: where something else became of the item meanwhile, it is done.
"""

from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import replace
from datetime import datetime
from itertools import batched

from shared.domain.choices import Reason, Verdict
from shared.domain.ledger import LedgerItem, Todo, TodoKind, UnreadableItems
from shared.sync.booking import Booking
from shared.sync.items import Candidate, candidate_again
from shared.sync.joins import JOINED_AT_ONCE, Joins
from shared.sync.judging import Judging
from shared.sync.lease import Change
from shared.sync.marking import Marker
from shared.sync.relevance import CONFIGURED
from shared.sync.screening import Screening


class Todos:
    """The todos of one mailbox."""

    def __init__(
        self,
        booking: Booking,
        screening: Screening,
        judging: Judging,
        joins: Joins,
        marker: Marker,
        executor: Executor,
        start: datetime | None,
        largest_message: int,
    ) -> None:
        self._booking = booking
        self._screening = screening
        self._judging = judging
        self._joins = joins
        self._marker = marker
        self._executor = executor
        self._start = start
        self._largest_message = largest_message

    def take_up(self, todos: Sequence[Todo]) -> bool:
        """Reads and judges the items that are due, and joins what is stored of them. False: the time was spent."""
        joins = [todo for todo in todos if todo.kind is TodoKind.JOIN]
        return self._read([todo for todo in todos if todo.kind is not TodoKind.JOIN]) and self._join(joins)

    def take_up_marks(self, todos: Sequence[Todo]) -> bool:
        """Does on the server what is due there. False: the time was spent."""
        if not todos:
            return True
        if self._booking.is_out_of_time():
            return False
        return self.mark([replace(todo, item=row) for todo, row in self._standing(todos)])

    def mark(self, todos: Sequence[Todo]) -> bool:
        """Does on the server what the todos say; that is committed with what comes next. False: the time was spent."""
        for some in _steps(todos):
            if self._booking.is_out_of_time():
                return False
            self._booking.lease.renew_when_half_gone()
            for change in self._marker.do(some):
                self._booking.follow_up(change)
        return True

    def _read(self, todos: Sequence[Todo]) -> bool:
        if not todos:
            return True
        candidates = [self._candidate(todo, row) for todo, row in self._standing(todos)]
        wanted = self._screening.by_envelope([candidate for candidate in candidates if candidate is not None])
        return self._booking.read(wanted, _nothing) and self.mark(self._booking.take_marks())

    def _join(self, todos: Sequence[Todo]) -> bool:
        """Oldest first: so most find their originals joined already."""
        oldest_first = sorted(todos, key=lambda todo: (todo.item.received or todo.due, todo.item.key))
        for some in batched(oldest_first, JOINED_AT_ONCE, strict=False):
            if self._booking.is_out_of_time():
                return False
            self._booking.lease.renew_when_half_gone()
            for change in self._joins.put_off(some) or self._joins.done(self._standing(some)):
                self._booking.follow_up(change)
        return True

    def _standing(self, todos: Sequence[Todo]) -> list[tuple[Todo, LedgerItem]]:
        """Those that there is still something to do for, each with the row as it is now; the others are done."""
        standing = []
        for todo, row in zip(todos, self._executor.map(self._row, todos), strict=True):
            if isinstance(row, UnreadableItems):
                self._booking.set_aside(todo, row)
            elif row is not None and _stands(todo, row):
                standing.append((todo, row))
            else:
                self._booking.follow_up(Change(todo.item, done=todo, leaves_row=True))
        return standing

    def _row(self, todo: Todo) -> LedgerItem | UnreadableItems | None:
        try:
            return self._booking.known.row(todo.item.key)
        except UnreadableItems as error:
            return error

    def _candidate(self, todo: Todo, row: LedgerItem) -> Candidate | None:
        """What is to be read. Books what is refused by its row."""
        candidate = candidate_again(todo, row)
        if todo.kind is TodoKind.JUDGE:
            if reason := self._reason_to_skip(row):
                self._booking.skip(candidate, reason)
                return None
            return replace(candidate, is_fetched_first=self._judging.needs_content(row.ref.folder, "", ()))
        return replace(candidate, is_fetched_first=True)

    def _reason_to_skip(self, row: LedgerItem) -> Reason | None:
        is_ruled = self._judging.is_promoted_anyhow(row.ref.folder, ())
        if not is_ruled and self._start is not None and row.received is not None and row.received < self._start:
            return Reason.BEFORE_START_DATE
        return Reason.TOO_LARGE if row.size > self._largest_message else None


def _steps(todos: Sequence[Todo]) -> list[Sequence[Todo]]:
    """One by one, and last what is deleted, together: a POP3 server deletes when the session ends."""
    discards = [todo for todo in todos if todo.kind is TodoKind.DISCARD]
    return [*([todo] for todo in todos if todo.kind is not TodoKind.DISCARD), *([discards] if discards else [])]


def _stands(todo: Todo, row: LedgerItem) -> bool:
    """Whether there is still something to do."""
    match todo.kind:
        case TodoKind.JUDGE:
            return row.verdict is Verdict.SKIPPED and row.reason in CONFIGURED
        case TodoKind.RETRY:
            return row.verdict in (Verdict.FAILING, Verdict.QUARANTINED)
        case TodoKind.TRACK:
            return True
        case TodoKind.JOIN:
            return row.activity_id is not None
        case _:
            return row.verdict is todo.item.verdict


def _nothing() -> None:
    return None
