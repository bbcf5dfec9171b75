"""The lease: who may write, how commits are cut, and what a lost reply means."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.choices import Reason, Verdict, Workload
from shared.domain.email import ItemRef
from shared.domain.errors import LeaseLost, TransientError
from shared.domain.ids import MailboxId
from shared.domain.ledger import ItemKey, LedgerCommit, LedgerHead, LedgerItem, Mark, RunState, Todo, TodoKind
from shared.ports import LEDGER_COMMIT_ROWS, Ledger
from shared.stores.memory import memory_stores
from shared.stores.memory.ledger import MemoryLedger
from shared.sync.lease import Change, Lease, expire, is_held, pieces, run_id_of
from tests.builders import MONDAY, SettableClock

ANNA = MailboxId("anna")
TERM = timedelta(minutes=6)
MARK = Mark("inbox", "source", "1:0", caught_up=True)


class UnreliableLedger(MemoryLedger):
    """A ledger some of whose replies get lost."""

    def __init__(self) -> None:
        super().__init__()
        self.lose_reply = False
        self.fail = False
        self.repeat = False
        """The store repeats a request by itself, and is refused by its own first success."""

    def commit(self, mailbox_id: MailboxId, workload: Workload, etag: str | None, commit: LedgerCommit) -> str:
        if self.fail:
            raise TransientError("no connection")
        written = super().commit(mailbox_id, workload, etag, commit)
        if self.repeat:
            raise LeaseLost("the ETag differs")
        if self.lose_reply:
            raise TransientError("the reply was lost")
        return written


def a_lease(ledger: Ledger, clock: SettableClock, message_id: str = "m", count: int = 1) -> Lease:
    return Lease(ledger, ANNA, Workload.INCOMING, run_id_of(message_id, count), TERM, clock)


def head_of(ledger: Ledger, clock: SettableClock) -> LedgerHead:
    return ledger.head(ANNA, Workload.INCOMING, clock())


def state_of(ledger: Ledger, clock: SettableClock) -> RunState:
    state = head_of(ledger, clock).state
    assert state is not None
    return state


def a_change(number: int, *, todo: bool = False, done: bool = False) -> Change:
    item = LedgerItem(
        ItemKey(f"{number:032}", "server"),
        ItemRef(f"item-{number}", "inbox"),
        None,
        MONDAY,
        0,
        Verdict.FAILING if todo else Verdict.SKIPPED,
        Reason.DRAFT,
        MONDAY,
        run_id_of("m", 1),
    )
    return Change(
        item,
        Todo(TodoKind.RETRY, MONDAY + TERM, item) if todo else None,
        Todo(TodoKind.RETRY, MONDAY, item) if done else None,
    )


@given(st.lists(st.tuples(st.booleans(), st.booleans()), max_size=400), st.integers(0, 2))
def test_pieces_fit_a_transaction_and_keep_everything_in_order(rows: list[tuple[bool, bool]], last_rows: int) -> None:
    changes = [a_change(number, todo=todo, done=done) for number, (todo, done) in enumerate(rows)]
    cut = list(pieces(changes, last_rows))
    assert [change for piece in cut for change in piece] == changes
    assert all(sum(change.rows for change in piece) <= LEDGER_COMMIT_ROWS for piece in cut)
    assert sum(change.rows for change in cut[-1]) + last_rows <= LEDGER_COMMIT_ROWS


def test_only_one_of_two_takers_gets_the_lease() -> None:
    ledger, clock = memory_stores().ledger, SettableClock()
    head = head_of(ledger, clock)
    a_lease(ledger, clock).take(head)
    with pytest.raises(LeaseLost):
        a_lease(ledger, clock, "other").take(head)


def test_a_lease_is_held_until_it_expires_or_is_released() -> None:
    ledger, clock = memory_stores().ledger, SettableClock()
    lease = a_lease(ledger, clock)
    lease.take(head_of(ledger, clock))
    assert is_held(state_of(ledger, clock), clock())
    clock.advance(TERM)
    assert not is_held(state_of(ledger, clock), clock())
    lease.release()
    assert state_of(ledger, clock).holder is None


def test_takeovers_in_a_row_are_counted_and_a_release_or_a_page_ends_the_row() -> None:
    ledger, clock = memory_stores().ledger, SettableClock()
    for expected in range(4):
        lease = a_lease(ledger, clock, f"m{expected}")
        lease.take(head_of(ledger, clock))
        assert lease.state.takeovers == expected
    lease.commit_page([], MARK)
    assert state_of(ledger, clock).takeovers == 0
    lease.release()
    lease = a_lease(ledger, clock)
    lease.take(head_of(ledger, clock))
    assert lease.state.takeovers == 0


def test_the_mark_moves_with_the_last_transaction_of_a_page_only(monkeypatch: pytest.MonkeyPatch) -> None:
    ledger, clock = memory_stores().ledger, SettableClock()
    commits: list[LedgerCommit] = []
    commit = ledger.commit

    def watched(mailbox_id: MailboxId, workload: Workload, etag: str | None, written: LedgerCommit) -> str:
        commits.append(written)
        return commit(mailbox_id, workload, etag, written)

    monkeypatch.setattr(ledger, "commit", watched)
    lease = a_lease(ledger, clock)
    lease.take(head_of(ledger, clock))
    lease.commit_page([a_change(number) for number in range(250)], MARK, release=True)
    pages = commits[1:]
    assert [len(each.marks) for each in pages] == [0, 0, 1]
    assert [each.state.page_open for each in pages] == [True, True, False]
    assert [each.state.holder is None for each in pages] == [False, False, True]
    assert len({each.state.nonce for each in commits}) == 4


@pytest.mark.parametrize("fault", ["lose_reply", "repeat"])
def test_a_commit_that_happened_is_recognised_though_its_reply_was_lost(fault: str) -> None:
    clock = SettableClock()
    ledger = UnreliableLedger()
    setattr(ledger, fault, True)
    lease = a_lease(ledger, clock)
    lease.take(head_of(ledger, clock))
    lease.commit_page([a_change(1)], MARK)
    lease.commit([a_change(2)])
    lease.release()
    assert state_of(ledger, clock).holder is None


def test_a_commit_that_did_not_happen_is_raised_and_the_lease_can_still_be_released() -> None:
    clock = SettableClock()
    ledger = UnreliableLedger()
    lease = a_lease(ledger, clock)
    lease.take(head_of(ledger, clock))
    ledger.fail = True
    with pytest.raises(TransientError):
        lease.commit_page([a_change(1)], MARK)
    ledger.fail = False
    lease.release()
    assert head_of(ledger, clock).marks == ()
    assert state_of(ledger, clock).holder is None


def test_a_lease_that_was_never_taken_is_released_by_doing_nothing() -> None:
    clock = SettableClock()
    ledger = UnreliableLedger()
    ledger.fail = True
    lease = a_lease(ledger, clock)
    with pytest.raises(TransientError):
        lease.take(head_of(ledger, clock))
    lease.release()
    assert head_of(ledger, clock).state is None


def test_whoever_lost_the_lease_cannot_commit() -> None:
    ledger, clock = memory_stores().ledger, SettableClock()
    lease = a_lease(ledger, clock)
    lease.take(head_of(ledger, clock))
    a_lease(ledger, clock, "other").take(head_of(ledger, clock))
    with pytest.raises(LeaseLost):
        lease.commit_page([a_change(1)], MARK)
    lease.release()
    assert state_of(ledger, clock).holder == "other:1"


def test_expiring_a_lease_fences_its_holder_and_only_the_run_of_that_message() -> None:
    ledger, clock = memory_stores().ledger, SettableClock()
    lease = a_lease(ledger, clock, "message-1", count=3)
    lease.take(head_of(ledger, clock))
    assert not expire(ledger, ANNA, Workload.INCOMING, "message", clock(), "n")
    assert not expire(ledger, ANNA, Workload.INCOMING, "message-12", clock(), "n")
    assert expire(ledger, ANNA, Workload.INCOMING, "message-1", clock(), "n")
    assert not is_held(state_of(ledger, clock), clock())
    with pytest.raises(LeaseLost):
        lease.commit([a_change(1)])


def test_a_lease_is_kept_for_as_long_as_what_comes_next_may_take() -> None:
    ledger, clock = memory_stores().ledger, SettableClock()
    lease = a_lease(ledger, clock)
    lease.take(head_of(ledger, clock))
    clock.advance(timedelta(seconds=30))
    lease.keep_for(timedelta(minutes=5))
    assert state_of(ledger, clock).expires == MONDAY + TERM, "it lasts"
    clock.advance(timedelta(seconds=31))
    lease.keep_for(timedelta(minutes=5))
    assert state_of(ledger, clock).expires == clock() + TERM
