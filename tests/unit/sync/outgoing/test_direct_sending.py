"""What is open at once while emails are sent one by one: few receipts, one suspect, and a lease that outlasts each of them."""

from collections.abc import Callable
from concurrent.futures import Executor, Future
from dataclasses import replace
from datetime import timedelta
from typing import Any

from shared.domain.choices import EmailStatus, Workload
from shared.domain.errors import TransientError
from shared.domain.operations import RunOutcome
from shared.domain.outgoing import OutgoingMessage
from shared.sync.budgets import RunBudget
from shared.sync.shipping import LONGEST_EFFECT
from tests.unit.sync.outgoing.in_memory_servers import InMemorySending
from tests.unit.sync.outgoing.scene import MINUTE, OutgoingScene, by_smtp


class Slow(Executor):
    """Does nothing before somebody waits for it."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()

        def result(timeout: float | None = None) -> Any:  # noqa: ARG001 # as a Future has it
            return fn(*args, **kwargs)

        future.result = result  # type: ignore[method-assign]  # put in between
        return future


def server(scene: OutgoingScene) -> InMemorySending:
    assert isinstance(scene.server, InMemorySending)
    return scene.server


def test_a_process_that_dies_leaves_two_emails_without_a_receipt_at_most_however_slow_the_store_is() -> None:
    for dies_at in range(2, 9):
        scene = by_smtp()
        scene.executor = Slow()
        scene.budget = RunBudget(intents_ahead=8)
        emails = [scene.send(f"Offer {number}") for number in range(10)]

        def die(_: OutgoingMessage, scene: OutgoingScene = scene, dies_at: int = dies_at) -> None:
            if len(server(scene).given) == dies_at:
                scene.world.die()

        server(scene).on_send = die
        assert scene.attempt() is None
        unknown = len(server(scene).accepted) - sum(scene.status(each) is EmailStatus.SENT for each in emails)
        assert unknown <= 2


def test_receipts_that_were_not_taken_once_are_written_before_the_run_ends() -> None:
    scene = by_smtp()
    emails = [scene.send(f"Offer {number}") for number in range(3)]
    failures = 3

    def watch(name: str) -> None:
        nonlocal failures
        if name == "activities.advance" and server(scene).accepted and failures:
            failures -= 1
            raise TransientError("away")

    scene.world.watch = watch
    assert scene.run() is RunOutcome.FAILED
    scene.until_settled()
    assert {scene.status(each) for each in emails} == {EmailStatus.SENT}
    assert not any(scene.delivery(each).may_be_twice for each in emails if scene.delivery(each).attempts == 1)
    assert set(server(scene).copies().values()) == {1}


def test_a_store_that_fails_twice_ends_no_run() -> None:
    scene = by_smtp()
    scene.send("Offer")
    failures = 2

    def watch(name: str) -> None:
        nonlocal failures
        if name == "activities.advance" and failures:
            failures -= 1
            raise TransientError("away")

    scene.world.watch = watch
    assert scene.run() is RunOutcome.COMPLETED


def test_of_several_that_were_interrupted_one_is_tried_at_a_time() -> None:
    scene = by_smtp()
    scene.budget = RunBudget(intents_ahead=3)
    emails = [scene.send(f"Offer {number}") for number in range(4)]

    def die(_: OutgoingMessage) -> None:
        scene.world.die()

    server(scene).on_send = die
    assert scene.attempt() is None
    assert sum(scene.delivery(each).attempts == 1 for each in emails) > 1
    scene.clock.advance(10 * MINUTE)
    assert scene.attempt() is None
    assert sum(scene.delivery(each).attempts == 2 for each in emails) == 1


def test_neither_the_one_before_nor_the_one_behind_is_under_way_beside_one_that_was_interrupted() -> None:
    def die(_: OutgoingMessage) -> None:
        scene.world.die()

    for batch, tried_first in ((200, "Fresh"), (1, "Interrupted")):
        scene = by_smtp()
        scene.budget = RunBudget(outbox_batch=batch, intents_ahead=3)
        server(scene).on_send = die
        interrupted = scene.send("Interrupted")
        assert scene.attempt() is None
        scene.clock.advance(10 * MINUTE)
        fresh = scene.send("Fresh")
        assert scene.attempt() is None
        assert server(scene).given[-1] == tried_first
        attempts = scene.delivery(interrupted).attempts, scene.delivery(fresh).attempts
        assert attempts == ((1, 1) if tried_first == "Fresh" else (2, 0))


def test_the_lease_outlasts_whatever_is_with_the_server() -> None:
    scene = by_smtp()
    scene.budget = RunBudget(time=timedelta(hours=1), longest_call=timedelta(minutes=-59))
    for number in range(6):
        scene.send(f"Offer {number}")

    def slow(_: OutgoingMessage) -> None:
        state = scene.stores.ledger.head(scene.mailbox.id, Workload.OUTGOING, scene.clock()).state
        assert state is not None
        assert state.expires is not None
        assert state.expires - scene.clock() >= LONGEST_EFFECT
        scene.clock.advance(4 * MINUTE)

    server(scene).on_send = slow
    assert scene.run() is RunOutcome.COMPLETED
    assert len(server(scene).accepted) == 6


def test_a_run_that_began_before_its_mailbox_was_changed_sends_nothing() -> None:
    scene = by_smtp()
    scene.send("Offer")

    def change(name: str) -> None:
        if name == "ledger.head":
            scene.world.watch = None
            stored = scene.stores.mailboxes.get(scene.mailbox.id)
            assert stored is not None
            scene.stores.mailboxes.replace(replace(stored.record, name="Anna B."), stored.etag, stored.schedule)

    scene.world.watch = change
    assert scene.run() is RunOutcome.HELD
    assert server(scene).accepted == []
    assert scene.holder() is None
