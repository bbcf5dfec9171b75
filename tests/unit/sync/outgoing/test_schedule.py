"""When a mailbox that sends runs next: it costs nothing while nothing waits, and nothing that was announced waits unseen."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from shared.domain.choices import EmailStatus, Workload
from shared.domain.configuration import WorkloadSchedule
from shared.domain.operations import RunOutcome
from shared.messages import Queue, SyncMailbox, parse
from shared.stores.memory.work import MemoryQueues
from shared.sync.enumeration import Enumeration
from shared.sync.poison import Poison
from tests.unit.sync.in_memory_mail import ProcessDied
from tests.unit.sync.outgoing.scene import MINUTE, OutgoingScene, by_exchange, by_smtp

type Build = Callable[..., OutgoingScene]

both_servers = pytest.mark.parametrize("build", [by_smtp, by_exchange])
DAY = timedelta(hours=24)


# ---- idle


@both_servers
def test_an_empty_outbox_is_looked_at_once_a_day_without_lease_or_connection(build: Build) -> None:
    scene = build()
    assert scene.run() is RunOutcome.IDLE
    assert scene.wait() == DAY
    assert not {"ledger.commit", "open"} & set(scene.world.calls)
    assert scene.runs() == []


def test_nothing_that_is_announced_at_any_moment_of_a_run_waits_longer_than_a_minute() -> None:
    """`send` sees a run under way, or not; either way the mailbox is due when the email is."""
    for first in (True, False):
        scene = by_smtp()
        if first:
            scene.send("First")
        scene.run()
        for at in range(1, len(scene.world.calls) + 1):
            again = by_smtp()
            if first:
                again.send("First")
            written: list[object] = []

            def watch(_: str, scene: OutgoingScene = again, at: int = at, written: list[object] = written) -> None:
                if len(scene.world.calls) == at:
                    written.append(scene.send("Meanwhile"))

            again.world.watch = watch
            again.run()
            assert written
            if again.waiting():
                assert again.wait() <= MINUTE, f"at call {at}, {again.world.calls[at - 1]}"


def test_an_email_for_later_is_not_due_before_though_another_one_was_sent() -> None:
    scene = by_smtp()
    scene.send("Now")
    scene.send("Later", after=timedelta(hours=5))
    scene.run()
    assert scene.wait() == timedelta(hours=5)


# ---- hints


def test_a_hint_whose_send_came_to_nothing_is_cleared_away_after_an_hour_and_its_draft_stays() -> None:
    scene = by_smtp()
    draft = scene.draft("Half sent")
    scene.hint(draft)
    scene.run()
    assert len(scene.waiting()) == 1
    assert scene.wait() == MINUTE
    scene.clock.advance(timedelta(minutes=59))
    scene.run()
    assert len(scene.waiting()) == 1
    scene.clock.advance(MINUTE)
    scene.run()
    assert scene.waiting() == []
    assert scene.status(draft) is EmailStatus.DRAFT
    assert scene.wait() == DAY


def test_a_hint_is_no_obstacle_for_what_waits_behind_it() -> None:
    scene = by_smtp()
    for number in range(120):
        scene.hint(scene.draft(f"Half sent {number}"))
    scene.clock.advance(MINUTE)
    email = scene.send("Offer")
    scene.run()
    scene.run()
    assert scene.status(email) is EmailStatus.SENT


def test_an_entry_of_a_former_submission_sends_nothing() -> None:
    scene = by_smtp()
    email = scene.send("Offer")
    [old] = scene.waiting()
    assert scene.cancel(email)
    scene.clock.advance(MINUTE)
    scene.announce(replace(scene.hint(email), due=scene.clock() + timedelta(hours=2)))
    scene.stores.outbox.put([replace(scene.waiting()[-1], due=scene.clock() + timedelta(hours=2))])
    scene.run()
    assert scene.server.copies() == {}
    assert old.submission != scene.delivery(email).submission
    scene.until_settled()
    assert list(scene.server.copies().values()) == [1]


# ---- enumeration


def queued(scene: OutgoingScene, queue: Queue) -> list[SyncMailbox]:
    queues = scene.stores.queues
    assert isinstance(queues, MemoryQueues)
    found: list[SyncMailbox] = []
    for text in queues.receive(queue):
        message = parse(text)
        assert isinstance(message, SyncMailbox)
        found.append(message)
    return found


def test_the_timer_enqueues_both_workloads_each_in_its_own_queue() -> None:
    scene = by_smtp()
    assert Enumeration(scene.stores, scene.clock).enumerate_all().enqueued == 2
    assert [message.workload for message in queued(scene, Queue.SYNC_OUTGOING)] == [Workload.OUTGOING]
    assert [message.workload for message in queued(scene, Queue.SYNC_INCOMING)] == [Workload.INCOMING]
    assert Enumeration(scene.stores, scene.clock).enumerate_all().enqueued == 0


# ---- poison


def test_the_lease_of_a_message_that_is_dead_is_expired_and_its_emails_are_sent() -> None:
    scene = by_smtp()
    email = scene.send("Offer")
    scene.world.watch = lambda name: scene.world.die() if name == "mail.send" else None
    message = SyncMailbox("dead", scene.mailbox.id, Workload.OUTGOING)
    assert _dies(scene, message)
    scene.world.watch = None
    assert scene.run() is RunOutcome.HELD
    Poison(scene.stores, scene.clock).handle(Queue.SYNC_OUTGOING, message.to_json())
    assert scene.wait() <= MINUTE
    assert scene.run() is RunOutcome.COMPLETED
    assert scene.status(email) is EmailStatus.SENT


def _dies(scene: OutgoingScene, message: SyncMailbox) -> bool:
    with pytest.raises(ProcessDied):
        scene.process().run(message)
    scene.world.revive()
    return True


def test_a_message_of_another_workload_is_refused() -> None:
    scene = by_smtp()
    assert scene.process().run(SyncMailbox("m", scene.mailbox.id, Workload.INCOMING)) is RunOutcome.REFUSED


def test_a_mailbox_that_does_not_send_any_more_keeps_its_emails() -> None:
    scene = by_smtp()
    email = scene.send("Offer")
    stored = scene.stores.mailboxes.get(scene.mailbox.id)
    assert stored is not None
    scene.stores.mailboxes.replace(replace(stored.record, active=False), stored.etag, {Workload.OUTGOING: WorkloadSchedule()})
    assert scene.run() is RunOutcome.REFUSED
    assert scene.status(email) is EmailStatus.PENDING_SEND
    assert len(scene.waiting()) == 1
