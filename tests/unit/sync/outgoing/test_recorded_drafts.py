"""References of drafts outlive the run that recorded them, for as long as nobody stored what became of them, and no longer."""

from datetime import timedelta

import pytest

from shared.domain.choices import EmailStatus, Workload
from shared.domain.errors import LeaseLost
from shared.domain.ids import MailboxId, RunId
from shared.stores.memory.ledger import MemoryLedger
from shared.sync.budgets import RunBudget
from shared.sync.lease import Lease
from shared.sync.recorded_drafts import RecordedDrafts
from tests.builders import SettableClock
from tests.unit.sync.faults import FaultyWorld
from tests.unit.sync.outgoing.in_memory_servers import InMemoryDrafting
from tests.unit.sync.outgoing.scene import OutgoingScene, by_exchange

ANNA = MailboxId("anna")
HERE, ELSEWHERE = "here", "elsewhere"


class Office:
    """A ledger, and runs that take its lease one after the other."""

    def __init__(self) -> None:
        self.ledger, self.clock, self.runs = MemoryLedger(), SettableClock(), 0

    def run(self) -> tuple[Lease, RecordedDrafts]:
        self.clock.advance(timedelta(hours=1))
        self.runs += 1
        head = self.ledger.head(ANNA, Workload.OUTGOING, self.clock())
        lease = Lease(self.ledger, ANNA, Workload.OUTGOING, RunId(f"run:{self.runs}"), timedelta(minutes=10), self.clock)
        drafts = RecordedDrafts(lease, head)
        lease.take(head)
        return lease, drafts


def test_what_a_run_recorded_the_next_one_knows() -> None:
    office = Office()
    _, drafts = office.run()
    drafts.record({"first": "draft-1", "second": "draft-2"}, HERE)
    drafts.strike(["first"])
    _, later = office.run()
    assert (later.reference("first", HERE), later.reference("second", HERE)) == (None, "draft-2")


def test_what_is_forgotten_goes_with_the_next_write_and_not_before() -> None:
    office = Office()
    _, drafts = office.run()
    drafts.record({"first": "draft-1"}, HERE)
    drafts.forget(["first"])
    assert drafts.reference("first", HERE) is None
    _, after_a_crash = office.run()
    assert after_a_crash.reference("first", HERE) == "draft-1", "nobody wrote"
    lease, drafts = office.run()
    drafts.forget(["first"])
    mark = drafts.mark()
    assert mark is not None
    lease.release(marks=(mark,))
    _, later = office.run()
    assert later.reference("first", HERE) is None


def test_a_run_without_drafts_leaves_no_mark() -> None:
    _, drafts = Office().run()
    assert drafts.mark() is None
    drafts.strike(["never recorded"])
    assert drafts.mark() is None


def test_who_has_lost_the_lease_records_nothing() -> None:
    office = Office()
    _, late = office.run()
    _, drafts = office.run()
    with pytest.raises(LeaseLost):
        late.record({"first": "draft-1"}, HERE)
    assert drafts.reference("first", HERE) is None
    _, later = office.run()
    assert later.reference("first", HERE) is None


def test_a_reference_says_nothing_to_another_source_and_is_not_forgotten_for_that() -> None:
    office = Office()
    _, drafts = office.run()
    drafts.record({"first": "draft-1"}, ELSEWHERE)
    _, moved = office.run()
    moved.record({"second": "draft-2"}, HERE)
    _, later = office.run()
    assert (later.reference("first", HERE), later.is_elsewhere("first", HERE)) == (None, True)
    assert (later.reference("second", HERE), later.is_elsewhere("second", HERE)) == ("draft-2", False)
    assert not later.is_elsewhere("unknown", HERE)


@pytest.mark.parametrize(("dies_after", "copies"), [("mail.prepare", 1), ("mail.submit", 2)])
def test_an_email_whose_draft_was_on_another_server_is_sent_and_says_that_it_may_be_there_twice(
    dies_after: str, copies: int
) -> None:
    """The mailbox moved after a crash: that the new server knows no such draft does not mean that it was sent."""
    scene = by_exchange(FaultyWorld())
    email = scene.send("Offer")
    scene.world.watch = lambda name: scene.world.die() if _is_behind(scene, dies_after, name) else None
    assert scene.attempt() is None
    scene.world.watch = None
    assert scene.status(email) is EmailStatus.SENDING
    assert isinstance(scene.server, InMemoryDrafting)
    scene.server.source = "https://elsewhere.example/EWS#anna"
    scene.server.drafts.clear()
    scene.until_settled()
    assert (scene.status(email), scene.delivery(email).may_be_twice) == (EmailStatus.SENT, True)
    assert set(scene.server.copies().values()) == {copies}


def _is_behind(scene: OutgoingScene, call: str, name: str) -> bool:
    """The first call that writes anything, after the reference was recorded, behind the call of that name."""
    recorded = scene.world.calls.count("ledger.commit") >= 2
    return recorded and call in scene.world.calls[:-1] and name in ("mail.submit", "activities.advance")


@pytest.mark.parametrize("dies_at", ["mail.submit", "server.send", "outbox.remove"])
def test_the_drafts_of_an_interrupted_window_are_known_though_others_are_sent_first(dies_at: str) -> None:
    """Interrupted emails come last: until then the drafts of new ones are recorded beside theirs."""
    scene = by_exchange(FaultyWorld())
    scene.budget = RunBudget(window=2, drafts_at_once=2)
    interrupted = [scene.send(f"Interrupted {number}") for number in range(4)]
    scene.world.watch = lambda name: scene.world.die() if name == dies_at else None
    assert scene.attempt() is None
    scene.world.watch = None
    others = [scene.send(f"Other {number}") for number in range(6)]
    scene.until_settled()
    assert {scene.status(email) for email in (*interrupted, *others)} == {EmailStatus.SENT}
    assert set(scene.server.copies().values()) == {1}
