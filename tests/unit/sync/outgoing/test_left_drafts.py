"""Keys of drafts that may be there though nobody will send them are kept until no such draft can turn up, and not for ever."""

from datetime import timedelta

import pytest

from shared.domain.choices import Workload
from shared.domain.errors import LeaseLost
from shared.domain.ids import MailboxId, RunId
from shared.stores.memory.ledger import MemoryLedger
from shared.sync.lease import Lease
from shared.sync.left_drafts import LeftDrafts, have_to_go
from tests.builders import SettableClock

ANNA = MailboxId("anna")
HERE, ELSEWHERE = "https://mail.contoso.example/EWS/Exchange.asmx#anna@contoso.example", "elsewhere"
MINUTE = timedelta(minutes=1)


class Office:
    """A ledger, and runs that take its lease one after the other."""

    def __init__(self) -> None:
        self.ledger, self.clock, self.runs = MemoryLedger(), SettableClock(), 0

    def run(self) -> tuple[Lease, LeftDrafts]:
        self.clock.advance(11 * MINUTE)
        self.runs += 1
        head = self.ledger.head(ANNA, Workload.OUTGOING, self.clock())
        lease = Lease(self.ledger, ANNA, Workload.OUTGOING, RunId(f"run:{self.runs}"), 10 * MINUTE, self.clock)
        left = LeftDrafts(lease, head, self.clock)
        lease.take(head)
        return lease, left

    def ends(self, lease: Lease, left: LeftDrafts) -> None:
        mark = left.mark()
        lease.release(marks=() if mark is None else (mark,))

    def has_work(self) -> bool:
        return have_to_go(self.ledger.head(ANNA, Workload.OUTGOING, self.clock()), self.clock())


def test_what_is_noted_is_known_to_the_next_run_whatever_becomes_of_this_one() -> None:
    office = Office()
    _, left = office.run()
    left.note(["k1", "k2"], HERE)
    _, later = office.run()
    assert (set(later.keys(HERE)), later.keys(ELSEWHERE)) == ({"k1", "k2"}, [])


def test_one_that_was_removed_is_looked_for_again_until_no_request_can_last_any_longer() -> None:
    office = Office()
    lease, left = office.run()
    left.note(["k1"], HERE)
    left.removed(["k1"])
    office.ends(lease, left)
    assert not office.has_work(), "it is early"
    office.clock.advance(30 * MINUTE)
    assert office.has_work()
    lease, left = office.run()
    assert left.keys(HERE) == ["k1"]
    left.removed(["k1"])
    office.ends(lease, left)
    assert not office.has_work()
    assert office.run()[1].keys(HERE) == []


def test_a_mailbox_that_cannot_be_asked_for_a_week_is_not_asked_any_more() -> None:
    office = Office()
    lease, left = office.run()
    left.note(["k1"], HERE)
    office.ends(lease, left)
    office.clock.advance(timedelta(days=6))
    assert office.has_work()
    office.clock.advance(timedelta(days=2))
    assert not office.has_work()
    assert office.run()[1].keys(HERE) == []


def test_no_more_are_kept_than_a_row_holds_and_the_latest_stay() -> None:
    office = Office()
    _, left = office.run()
    for number in range(40):
        left.note([f"{number:02}-{each:030}" for each in range(50)], HERE)
    _, later = office.run()
    kept = later.keys(HERE)
    assert len(kept) == 300
    assert {key[:2] for key in kept} == {f"{number}" for number in range(34, 40)}
    mark = later.mark()
    assert mark is not None
    assert len(mark.watermark or "") < 30_000


def test_who_has_lost_the_lease_notes_nothing() -> None:
    office = Office()
    _, late = office.run()
    _, left = office.run()
    with pytest.raises(LeaseLost):
        late.note(["k1"], HERE)
    assert left.keys(HERE) == []
    assert office.run()[1].keys(HERE) == []


def test_a_mailbox_that_never_left_any_has_no_mark() -> None:
    _, left = Office().run()
    left.removed(["never noted"])
    left.note([], HERE)
    assert left.mark() is None
