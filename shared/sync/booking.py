"""Turns what became of items into ledger changes, and commits those as soon as they fill a transaction.

`pending` is what is decided and not committed yet; however a run ends, its end commits or repeats it.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime

from shared.domain.choices import Reason, Verdict
from shared.domain.email import Folder
from shared.domain.errors import ItemError
from shared.domain.ids import RunId
from shared.domain.ledger import Mark
from shared.ports import Clock
from shared.sync.budgets import ItemLimits
from shared.sync.items import Candidate, Moment, Result, resolved, skipped
from shared.sync.known import KnownItems
from shared.sync.lease import Change, Lease, pieces
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
    missing_folders: list[Folder] = field(default_factory=list)
    caught_up: bool = True

    def count(self, verdict: Verdict, reason: Reason) -> None:
        self.verdicts[f"{verdict.value}:{reason.value}"] += 1

    def count_change(self, change: Change) -> None:
        self.count(change.item.verdict, change.item.reason)
        if change.todo is not None:
            self.next_todo = min(self.next_todo or change.todo.due, change.todo.due)


@dataclass(slots=True)
class Booking:
    """The ledger side of one run."""

    run_id: RunId
    lease: Lease
    reader: Reader
    room: QuarantineRoom
    known: KnownItems
    limits: ItemLimits
    clock: Clock
    deadline: datetime
    tally: Tally
    is_careful: bool
    """Every item is committed at once."""
    pending: list[Change] = field(default_factory=list)
    in_page: bool = False

    def is_out_of_time(self) -> bool:
        return self.clock() >= self.deadline

    def skip(self, candidate: Candidate, reason: Reason) -> None:
        self._book(skipped(candidate, reason, self._moment()))

    def read(self, candidates: Sequence[Candidate], meanwhile: Callable[[], None]) -> bool:
        """Reads the candidates and books their results. False: the time was spent before all were read."""
        remaining = len(candidates)
        with closing(self.reader.read(candidates, meanwhile)) as batches:
            for results in batches:
                for candidate, result in results:
                    self._book(self._resolved(candidate, result))
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

    def give_back(self, *, done: bool = False) -> None:
        """Releases the lease, with what was decided. A page that was begun stays open, so that the next run looks for items
        that are decided already; `done`: no page can be half done any more."""
        changes, self.pending = self.pending, []
        self.lease.release(changes, page_open=self.in_page if self.in_page or done else None)

    def _book(self, change: Change) -> None:
        self.tally.count_change(change)
        self.pending.append(change)

    def _resolved(self, candidate: Candidate, result: Result) -> Change:
        change = resolved(candidate, result, self.limits, self._moment())
        if change.item.verdict is Verdict.QUARANTINED and isinstance(result, ItemError):
            self.room.keep(change.item, result, without_raw=self.is_careful)
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
