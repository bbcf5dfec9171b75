"""Schedules in which several workers, deliveries and writers meet. Each ends with nothing lost and nothing twice.

Two workers are interleaved deterministically: at every external call of the one, the other runs from start to end.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from threading import Barrier

from shared.administration.schedules import after_change
from shared.administration.watermarks import forget_watermarks
from shared.domain.choices import Workload
from shared.domain.errors import Throttled
from shared.domain.ledger import LedgerCommit, Mark
from shared.domain.operations import RunOutcome
from shared.messages import Queue, SyncMailbox
from shared.sync.incoming import IncomingSync
from tests.builders import MONDAY, a_mailbox, a_message, a_sync_of
from tests.unit.sync.faults import Fault, FaultyWorld
from tests.unit.sync.in_memory_mail import InMemoryMail
from tests.unit.sync.scene import Scene
from tests.unit.sync.snapshots import outcome_of

LONGER_THAN_A_LEASE = timedelta(minutes=10)


def a_filled_scene(world: FaultyWorld | None = None) -> Scene:
    scene = Scene(world=world or FaultyWorld())
    scene.anna.page_items = 2
    scene.budget = replace(scene.budget, pages_before_backfill=20)
    shared = a_message("Shared", to=["anna@contoso.example", "ben@contoso.example"], attachments=[b"drawing"])
    for number in range(3):
        scene.anna.deliver(a_message(f"Offer {number}", attachments=[bytes([number])]))
    scene.anna.deliver(shared)
    scene.ben.deliver(shared)
    return scene


def calls_of_a_run() -> int:
    scene = a_filled_scene()
    scene.run()
    return len(scene.world.calls)


CALLS = calls_of_a_run()


def interrupting(at: int, other: Callable[[], object]) -> FaultyWorld:
    """A world in which `other` happens before call `at`, once."""
    world = FaultyWorld()

    def watch(_: str) -> None:
        if len(world.calls) == at:
            other()

    world.watch = watch
    return world


def undisturbed() -> Scene:
    scene = a_filled_scene()
    scene.until_idle("anna")
    return scene


# ---- two workers on one mailbox


def test_of_two_workers_on_one_mailbox_one_works_and_the_other_finds_it_held() -> None:
    expected = outcome_of(undisturbed().stores)
    for at in range(1, CALLS + 1):
        outcomes: list[RunOutcome] = []
        scene = a_filled_scene()
        second = IncomingSync(scene.stores, scene.servers, scene.clock, scene.budget)
        scene.world = interrupting(at, lambda: outcomes.append(second.run(a_sync_of(scene.mailboxes["anna"]))))  # noqa: B023
        outcomes.append(scene.run(message_id="first"))
        scene.until_idle("anna")
        assert outcome_of(scene.stores) == expected, f"at call {at}: {outcomes}"
        assert RunOutcome.FAILED not in outcomes
        assert len(set(outcomes)) == 2, f"at call {at}: both did the same: {outcomes}"


def test_a_holder_whose_lease_expired_stops_quietly_when_another_worker_has_taken_over() -> None:
    expected = outcome_of(undisturbed().stores)
    lost = 0
    for at in range(1, CALLS + 1):
        scene = a_filled_scene()
        second = IncomingSync(scene.stores, scene.servers, scene.clock, scene.budget)

        def overtake(scene: Scene = scene, second: IncomingSync = second) -> None:
            scene.clock.advance(LONGER_THAN_A_LEASE)
            second.run(a_sync_of(scene.mailboxes["anna"]))

        scene.world = interrupting(at, overtake)
        outcome = scene.run(message_id="first")
        lost += outcome is RunOutcome.LEASE_LOST
        assert outcome is not RunOutcome.FAILED
        scene.until_idle("anna")
        assert outcome_of(scene.stores) == expected, f"at call {at}: {outcome}"
    assert lost > 5


def test_a_holder_whose_lease_expired_goes_on_where_nobody_took_it() -> None:
    for at in range(1, CALLS + 1):
        scene = a_filled_scene()
        scene.world = interrupting(at, lambda: scene.clock.advance(LONGER_THAN_A_LEASE))  # noqa: B023
        assert scene.run() in (RunOutcome.COMPLETED, RunOutcome.CONTINUED)
        scene.until_idle("anna")
        assert len(scene.subjects()) == 4


def test_workers_in_threads_store_every_message_once() -> None:
    scene = a_filled_scene()
    barrier = Barrier(4)
    with ThreadPoolExecutor(2) as storing:
        sync = IncomingSync(scene.stores, scene.servers, scene.clock, scene.budget, executor=storing)

        def work(place: int) -> RunOutcome:
            barrier.wait()
            name = "anna" if place % 2 else "ben"
            return sync.run(a_sync_of(scene.mailboxes[name], message_id=f"thread-{place}"))

        with ThreadPoolExecutor(4) as workers:
            outcomes = list(workers.map(work, range(4)))
    assert RunOutcome.FAILED not in outcomes
    scene.until_idle()
    assert scene.subjects("anna") == ["Offer 0", "Offer 1", "Offer 2", "Shared"]
    assert scene.subjects("ben") == ["Shared"]
    assert set(scene.activity_ids("ben")) < set(scene.activity_ids("anna"))


# ---- two mailboxes and one message


def test_two_mailboxes_that_race_on_one_message_share_one_activity() -> None:
    for at in range(1, CALLS + 1):
        scene = a_filled_scene()
        other = IncomingSync(scene.stores, scene.servers, scene.clock, scene.budget)
        scene.world = interrupting(at, lambda: other.run(a_sync_of(scene.mailboxes["ben"])))  # noqa: B023
        scene.run("anna")
        scene.until_idle()
        [shared] = scene.activity_ids("ben")
        assert shared in scene.activity_ids("anna")
        seen_in = {sighting.mailbox_id for sighting in scene.stores.activities.sightings(shared)}
        assert seen_in == {mailbox.id for mailbox in scene.mailboxes.values()}
        assert not scene.activity(shared).record.has_variants


# ---- deliveries of queue messages


def test_a_message_that_is_delivered_twice_or_late_changes_nothing() -> None:
    scene = undisturbed()
    before = outcome_of(scene.stores)
    assert scene.run(message_id="message-1") is RunOutcome.IDLE
    scene.clock.advance(timedelta(days=3))
    assert scene.run(message_id="message-1", dequeue_count=2) is RunOutcome.IDLE
    assert outcome_of(scene.stores) == before


def test_five_deliveries_to_a_held_lease_are_five_successes_that_leave_it_alone() -> None:
    scene = a_filled_scene(FaultyWorld(at=CALLS // 2, fault=Fault.DEATH_BEFORE))
    assert scene.attempt() is None
    before = outcome_of(scene.stores), scene.head()
    assert [scene.run(message_id="again", dequeue_count=count) for count in range(1, 6)] == [RunOutcome.HELD] * 5
    assert (outcome_of(scene.stores), scene.head()) == before
    scene.clock.advance(LONGER_THAN_A_LEASE)
    scene.until_idle("anna")
    assert outcome_of(scene.stores) == outcome_of(undisturbed().stores)


def test_a_continuation_that_another_run_has_overtaken_does_not_ask_a_server_that_wants_to_be_left_alone() -> None:
    """While a continuation waits in a long queue the mailbox becomes due once more, and then there are two of them."""
    scene = Scene(anna=InMemoryMail("server/anna", page_items=2))
    for number in range(10):
        scene.anna.deliver(a_message(f"Offer {number}"))
    assert [scene.run(), scene.run()] == [RunOutcome.CONTINUED] * 2
    scene.anna.listing_fails = [Throttled("back off", retry_after=timedelta(minutes=7))]
    first, second = scene.queued(Queue.SYNC_BACKFILL)
    assert isinstance(first, SyncMailbox)
    assert isinstance(second, SyncMailbox)
    assert scene.process().run(first) is RunOutcome.FAILED
    scene.servers.attempts.clear()
    assert scene.process().run(second) is RunOutcome.HELD
    assert scene.servers.attempts == []
    assert scene.wait() == timedelta(minutes=7)


# ---- somebody else writes the ledger


def test_a_watermark_that_is_reset_during_a_run_stays_reset() -> None:
    expected = outcome_of(undisturbed().stores)
    for at in range(1, CALLS + 1):
        scene = a_filled_scene()

        def reset(scene: Scene = scene) -> None:
            """As an administrator would: through the ETag of the state."""
            head = scene.head()
            if head.state is None:
                return
            marks = tuple(Mark(mark.folder, mark.source, None) for mark in head.marks)
            commit = LedgerCommit(replace(head.state, nonce="reset", holder=None, expires=None), marks=marks)
            scene.stores.ledger.commit(scene.mailboxes["anna"].id, Workload.INCOMING, head.etag, commit)

        scene.world = interrupting(at, reset)
        assert scene.run() is not RunOutcome.FAILED
        scene.until_idle("anna")
        assert outcome_of(scene.stores) == expected, f"reset at call {at}"


def test_items_that_are_listed_again_are_neither_judged_nor_fetched_again() -> None:
    scene = undisturbed()
    scene.anna.fetched.clear()
    scene.anna.generation += 1
    scene.anna.deliver(a_message("New"))
    scene.until_idle("anna")
    assert scene.anna.fetched == ["item-5"]
    assert scene.subjects() == ["New", "Offer 0", "Offer 1", "Offer 2", "Shared"]


def test_a_watermark_of_another_endpoint_is_not_used_though_that_would_accept_it() -> None:
    scene = undisturbed()
    moved = InMemoryMail("another server/anna")
    for number in range(5):
        moved.deliver(a_message(f"Moved {number}"))
    scene.servers.mails["anna@contoso.example"] = moved
    scene.until_idle("anna")
    assert [subject for subject in scene.subjects() if "Moved" in subject] == [f"Moved {number}" for number in range(5)]


def test_a_reset_between_the_reading_of_a_mailbox_and_its_lease_is_not_undone() -> None:
    for at in range(1, CALLS + 1):
        scene = Scene(mailboxes={"anna": a_mailbox("anna", process_email_received_after=MONDAY)})
        scene.anna.deliver(a_message("Old", received=MONDAY - timedelta(days=3)))

        def reset(scene: Scene = scene) -> None:
            stored = scene.stored_mailbox()
            changed = replace(stored.record, process_email_received_after=MONDAY - timedelta(days=30))
            scene.stores.mailboxes.replace(changed, stored.etag, after_change(changed, stored.schedule, scene.clock()))
            forget_watermarks(scene.stores.ledger, changed.id, scene.clock())

        scene.world = interrupting(at, reset)
        scene.run()
        if len(scene.world.calls) < at:
            return
        scene.until_idle("anna")
        assert scene.subjects() == ["Old"], f"at call {at}"
