"""How a run holds the ledger of one mailbox, and commits to it: take, renew, commit, release, expire.

The fence is the ETag of the `state` row: every write carries it, so of two workers only one can commit. Every commit has a
fresh nonce, and a commit whose reply was lost is settled by reading the row: our nonce there means that it happened.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import uuid4

from shared.domain.choices import Workload
from shared.domain.errors import LeaseLost, SyncError, TransientError
from shared.domain.ids import MailboxId, RunId
from shared.domain.ledger import ItemKey, LedgerCommit, LedgerHead, LedgerItem, Mark, RunState, Todo
from shared.ports import LEDGER_COMMIT_ROWS, Clock, Ledger


@dataclass(frozen=True, slots=True)
class Change:
    """What a run writes about one item; its rows stand in one transaction, so that none exists without the others."""

    item: LedgerItem
    todo: Todo | None = None
    done: Todo | None = None
    leaves_row: bool = False
    """Only todos change: the row of the item stays as it is."""
    later: Todo | None = None
    """What remains to be done beside `todo`."""

    @property
    def todos(self) -> tuple[Todo, ...]:
        return tuple(each for each in (self.todo, self.later) if each is not None)

    @property
    def rows(self) -> int:
        return (not self.leaves_row) + len(self.todos) + (self.done is not None)


# ---- decisions


def is_held(state: RunState | None, now: datetime) -> bool:
    """Another run has the lease, and it has not expired."""
    return state is not None and state.holder is not None and state.expires is not None and now < state.expires


def was_abandoned(state: RunState | None) -> bool:
    """A run took the lease and never released it: whoever takes it now takes it over."""
    return state is not None and state.holder is not None


def taken(state: RunState | None, holder: RunId, expires: datetime, nonce: str) -> RunState:
    """The state of a lease that `holder` takes. Takeovers in a row are counted; they may have left a page half done."""
    former = state or RunState(nonce="")
    mine = replace(former, nonce=nonce, holder=holder, expires=expires)
    return replace(mine, takeovers=former.takeovers + 1, page_open=True) if was_abandoned(state) else mine


def pieces(changes: Sequence[Change], last_rows: int = 0) -> Iterator[Sequence[Change]]:
    """`changes` cut so that each piece fits one transaction, the last one together with `last_rows` more rows."""
    piece: list[Change] = []
    rows = 0
    for change in changes:
        if rows + change.rows + last_rows > LEDGER_COMMIT_ROWS:
            yield piece
            piece, rows = [], 0
        piece.append(change)
        rows += change.rows
    yield piece


# ---- acts


class Lease:
    """The lease of one run on one workload of one mailbox."""

    def __init__(
        self,
        ledger: Ledger,
        mailbox_id: MailboxId,
        workload: Workload,
        holder: RunId,
        term: timedelta,
        clock: Clock,
        new_nonce: Callable[[], str] = lambda: uuid4().hex,
    ) -> None:
        self._ledger = ledger
        self._mailbox_id = mailbox_id
        self._workload = workload
        self._holder = holder
        self._term = term
        self._clock = clock
        self._new_nonce = new_nonce
        self._state: RunState | None = None
        self._etag: str | None = None
        self._unsettled: RunState | None = None
        """What a commit wrote of which nobody knows whether it happened."""

    @property
    def held(self) -> bool:
        return self._state is not None and self._state.holder == self._holder

    @property
    def state(self) -> RunState:
        if self._state is None:
            raise LeaseLost("the lease was never taken")
        return self._state

    def take(self, head: LedgerHead) -> None:
        """Takes the lease with the ETag of `head`. Raises LeaseLost where somebody wrote since it was read."""
        self._etag = head.etag
        self._write(LedgerCommit(taken(head.state, self._holder, self._clock() + self._term, self._new_nonce())))

    def renew_when_half_gone(self) -> None:
        self.keep_for(self._term / 2)

    def keep_for(self, time: timedelta) -> None:
        """Renews it where it would not last so long. Raises LeaseLost, TransientError."""
        expires = self.state.expires
        if expires is not None and expires - self._clock() < time:
            self._commit_once((), (), self.state)

    def note(self, mark: Mark) -> None:
        """Keeps something for the next run. Raises LeaseLost, TransientError."""
        self._commit_once((), (mark,), self.state)

    def try_alone(self, key: ItemKey, changes: Sequence[Change] = ()) -> None:
        """Notes which item is being tried before it is touched: if the process dies of it, the next run knows."""
        self._commit_all(changes, (), replace(self.state, trying=key), during=self.state)

    def commit(self, changes: Sequence[Change], *, page_open: bool | None = None) -> None:
        """Commits items whose page is not finished (`page_open`) or that belong to no page."""
        is_open = self.state.page_open if page_open is None else page_open
        after = replace(self.state, page_open=is_open, trying=None)
        self._commit_all(changes, (), after, during=after)

    def commit_page(self, changes: Sequence[Change], mark: Mark, *, release: bool = False) -> None:
        """Commits a page to its end: its last transaction moves the mark, and releases the lease where that is asked for."""
        finished = replace(self.state, page_open=False, trying=None, takeovers=0)
        after = replace(finished, holder=None, expires=None) if release else finished
        self._commit_all(changes, (mark,), after, during=replace(self.state, page_open=True))

    def release(self, changes: Sequence[Change] = (), *, page_open: bool | None = None, marks: tuple[Mark, ...] = ()) -> None:
        """Gives the lease back, with what was decided meanwhile. Does nothing where it is not held.

        Raises TransientError or LeaseLost; the lease then expires by itself.
        """
        self._settle_what_is_open()
        if not self.held:
            return
        is_open = self.state.page_open if page_open is None else page_open
        after = replace(self.state, holder=None, expires=None, takeovers=0, trying=None, page_open=is_open)
        self._commit_all(changes, marks, after, during=replace(self.state, page_open=is_open))

    def _commit_all(self, changes: Sequence[Change], marks: tuple[Mark, ...], after: RunState, during: RunState) -> None:
        """Several transactions where one is too small: all but the last leave the state as it is `during` the page."""
        *first, last = pieces(changes, len(marks))
        for piece in first:
            self._commit_once(piece, (), during)
        self._commit_once(last, marks, after)

    def _commit_once(self, changes: Sequence[Change], marks: tuple[Mark, ...], state: RunState) -> None:
        expires = self._clock() + self._term if state.holder is not None else None
        self._write(
            LedgerCommit(
                state=replace(state, nonce=self._new_nonce(), expires=expires),
                items=tuple(change.item for change in changes if not change.leaves_row),
                marks=marks,
                todos=tuple(todo for change in changes for todo in change.todos),
                done=tuple(change.done for change in changes if change.done),
            )
        )

    def _write(self, commit: LedgerCommit) -> None:
        self._unsettled = commit.state
        try:
            self._etag = self._ledger.commit(self._mailbox_id, self._workload, self._etag, commit)
        except (TransientError, LeaseLost) as error:
            self._settle(error)
        else:
            self._state, self._unsettled = commit.state, None

    def _settle(self, error: SyncError) -> None:
        """Reads what became of the unsettled commit; raises `error`, or LeaseLost, where it did not happen.

        A refusal is settled too: a store that repeats a request by itself is refused by its own first success.
        """
        head = self._ledger.head(self._mailbox_id, self._workload, self._clock())
        unsettled, self._unsettled = self._unsettled, None
        if unsettled is not None and head.state is not None and head.state.nonce == unsettled.nonce:
            self._etag, self._state = head.etag, unsettled
            return
        if head.etag == self._etag:
            raise error
        self._state = None
        raise LeaseLost("another worker has the mailbox") from error

    def _settle_what_is_open(self) -> None:
        if self._unsettled is not None:
            self._settle(TransientError("the commit did not happen"))


def expire(ledger: Ledger, mailbox_id: MailboxId, workload: Workload, message_id: str, now: datetime, nonce: str) -> bool:
    """Expires the lease of the run that queue message `message_id` started, and of no other. Says whether it did.

    The holder stays named, so that taking the lease over is counted.
    """
    head = ledger.head(mailbox_id, workload, now)
    state = head.state
    if state is None or state.holder is None or not state.holder.startswith(f"{message_id}:"):
        return False
    ledger.commit(mailbox_id, workload, head.etag, LedgerCommit(replace(state, nonce=nonce, expires=now)))
    return True


def run_id_of(message_id: str, dequeue_count: int) -> RunId:
    """The holder of a run's lease: names the queue message, so that the poison function can expire it."""
    return RunId(f"{message_id}:{dequeue_count}")
