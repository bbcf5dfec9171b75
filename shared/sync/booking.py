"""Turns what became of items into ledger changes, and commits those as soon as they fill a transaction.

`pending` is what is decided and not committed yet; however a run ends, its end commits or repeats it.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import datetime

from shared.domain.choices import Reason, Verdict
from shared.domain.errors import ItemError, ItemGone, SyncError, UnreadableRow
from shared.domain.folders import Folder
from shared.domain.ids import RunId
from shared.domain.judgement import Judgement
from shared.domain.ledger import LedgerItem, Mark, Todo
from shared.domain.records import FolderTrackingRule
from shared.ports import Clock
from shared.sync.budgets import ItemLimits
from shared.sync.items import Aftercare, Candidate, Moment, Refused, Result, found_again, resolved, untracked
from shared.sync.known import KnownItems
from shared.sync.lease import Change, Lease, pieces
from shared.sync.marking import KINDS
from shared.sync.quarantine import QuarantineRoom
from shared.sync.reading import Reader


@dataclass(slots=True)
class Tally:
    """What a run did so far."""

    seen: int = 0
    pages: int = 0
    verdicts: Counter[str] = field(default_factory=Counter)
    """Items per `verdict:reason`."""
    next_todo: datetime | None = None
    unread_folders: dict[Folder, SyncError] = field(default_factory=dict)
    """Watched folders that cannot be read, and why."""
    lost_rules: tuple[FolderTrackingRule, ...] = ()
    """Rules whose folder is not watched any more."""
    caught_up: bool = True
    not_before: datetime | None = None
    """Of emails that wait to be sent: none may be before."""
    set_aside: dict[str, UnreadableRow] = field(default_factory=dict)
    """By the row that could not be read: what it is about stays as it is, for a later version of Sidesync."""

    def count(self, verdict: Verdict, reason: Reason) -> None:
        self.verdicts[f"{verdict.value}:{reason.value}"] += 1

    def leave_aside(self, error: UnreadableRow) -> None:
        self.set_aside |= dict.fromkeys(error.rows, error)

    def note_todo(self, todo: Todo | None) -> None:
        if todo is not None:
            self.next_todo = min(self.next_todo or todo.due, todo.due)


@dataclass(slots=True)
class Booking:
    """The ledger side of one run."""

    run_id: RunId
    lease: Lease
    reader: Reader
    room: QuarantineRoom
    known: KnownItems
    limits: ItemLimits
    aftercare: Aftercare
    clock: Clock
    deadline: datetime
    tally: Tally
    is_careful: bool
    """Every item is committed at once."""
    pending: list[Change] = field(default_factory=list)
    marks: list[Todo] = field(default_factory=list)
    """What is to be done on the server with items whose verdict was booked."""
    in_page: bool = False

    def is_out_of_time(self) -> bool:
        return self.clock() >= self.deadline

    def leave(self, candidate: Candidate, refused: Refused) -> None:
        """The item stays in the mailbox only. One from before the start date is counted and leaves no row."""
        if refused.judgement.reason is Reason.BEFORE_START_DATE and candidate.todo is None:
            self.tally.count(Verdict.SKIPPED, Reason.BEFORE_START_DATE)
        else:
            self._book(self._resolved(candidate, refused))

    def fail(self, candidate: Candidate, error: ItemError) -> None:
        self._book(self._resolved(candidate, error))

    def skip(self, candidate: Candidate, reason: Reason) -> None:
        self.leave(candidate, Refused(Judgement(Verdict.SKIPPED, reason)))

    def find_again(self, candidate: Candidate, row: LedgerItem) -> None:
        """What was decided about the item where it lay before (`row`) holds."""
        self._book(found_again(candidate, row, self._moment()))

    def untrack(self, row: LedgerItem) -> None:
        self._book(untracked(row, self._moment()))

    def set_aside(self, todo: Todo, error: UnreadableRow) -> None:
        """What is to be done with an item that cannot be read waits."""
        self.tally.leave_aside(error)
        later = replace(todo, due=self.clock() + self.limits.retry_after)
        self.follow_up(Change(todo.item, later, done=todo, leaves_row=True))

    def follow_up(self, change: Change) -> None:
        """What came of a todo that decides nothing about its item."""
        self.tally.note_todo(change.todo)
        self.pending.append(change)
        self._flush()

    def read(self, candidates: Sequence[Candidate], meanwhile: Callable[[], None]) -> bool:
        """Reads the candidates and books their results. False: the time was spent before all were read."""
        remaining = len(candidates)
        with closing(self.reader.read(candidates, meanwhile)) as batches:
            for results in batches:
                for candidate, result in results:
                    self._take(candidate, result)
                remaining -= len(results)
                self._flush()
                if remaining and self.is_out_of_time():
                    return False
        return True

    def finish_page(self, mark: Mark, *, release: bool) -> None:
        self.known.remember(self.pending)
        self.lease.commit_page(self.pending, mark, release=release)
        self.pending = []
        self.in_page = False

    def take_marks(self) -> list[Todo]:
        """What is to be done on the server, once. The verdicts that it follows from are committed first: a category that we set
        must never look as if a person had."""
        marks, self.marks = self.marks, []
        if marks and self.pending:
            self.known.remember(self.pending)
            self.lease.commit(self.pending, page_open=True if self.in_page else None)
            self.pending = []
        return marks

    def give_back(self, *, done: bool = False) -> None:
        """Releases the lease, with what was decided. A page that was begun stays open, so that the next run looks for items
        that are decided already; `done`: no page can be half done any more."""
        changes, self.pending = self.pending, []
        self.lease.release(changes, page_open=self.in_page if self.in_page or done else None)

    def _take(self, candidate: Candidate, result: Result) -> None:
        if isinstance(result, Refused):
            self.leave(candidate, result)
        else:
            self._book(self._resolved(candidate, result))

    def _book(self, change: Change) -> None:
        self.tally.count(change.item.verdict, change.item.reason)
        self.tally.note_todo(change.later)
        if change.todo is not None and change.todo.kind in KINDS:
            self.marks.append(change.todo)
        else:
            self.tally.note_todo(change.todo)
        self.pending.append(change)

    def _resolved(self, candidate: Candidate, result: Result) -> Change:
        if isinstance(result, ItemGone) and candidate.is_quarantined and (row := self.known.row(candidate.key)):
            self.room.gone(row)
            return Change(row, done=candidate.todo, leaves_row=True)
        change = resolved(candidate, result, self.limits, self.aftercare, self._moment())
        if change.item.verdict is Verdict.QUARANTINED and isinstance(result, ItemError):
            self.room.keep(change.item, result, without_raw=self.is_careful)
        elif candidate.is_quarantined or candidate.attempts >= self.limits.attempts - 1:
            self.room.release(change.item)  # it was given up, or a run died that was giving it up
        return change

    def _flush(self) -> None:
        """Commits what fills transactions; one by one where each item may be the last."""
        *full, rest = pieces(self.pending, last_rows=1)
        if self.is_careful and rest:
            full, rest = [*full, rest], []
        for piece in full:
            self.known.remember(piece)
            self.lease.commit(piece, page_open=True if self.in_page else None)
        self.pending = list(rest)

    def _moment(self) -> Moment:
        return Moment(self.run_id, self.clock())
