"""When a mailbox that sends runs next: it costs nothing while nothing waits, and nothing that was announced waits unseen."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from shared.domain.choices import AuthenticationProtocol, EmailStatus, Workload
from shared.domain.configuration import Breaker, WorkloadSchedule
from shared.domain.eligibility import credential_version
from shared.domain.errors import AuthenticationFailed
from shared.domain.operations import RunOutcome
from shared.messages import Queue, SyncMailbox, SyncReason, parse
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
    assert not {"ledger.head", "ledger.commit", "open"} & set(scene.world.calls)
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
            written = []

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


# ---- breakers


def open_breaker(scene: OutgoingScene) -> None:
    breaker = Breaker(
        "authentication_failed", scene.clock(), scene.clock() + timedelta(hours=1), credential=credential_version(scene.profile)
    )
    scene.stores.profiles.set_breaker(scene.profile.id, breaker, replacing=None)


def profile_breaker(scene: OutgoingScene) -> Breaker | None:
    found = scene.stores.profiles.get(scene.profile.id)
    assert found is not None
    return found.breaker


def test_a_refused_password_of_smtp_stops_sending_of_this_mailbox_and_not_reading() -> None:
    scene = by_smtp()
    email = scene.send("Offer")
    scene.outward.refuses = [AuthenticationFailed("535", profile_wide=True)]
    assert scene.run() is RunOutcome.FAILED
    assert profile_breaker(scene) is None
    assert scene.schedule().breaker is not None
    assert scene.wait() == timedelta(hours=1)
    [alert] = scene.alerts()
    assert (alert.about, alert.parameters) == (f"mailbox:{scene.mailbox.id}", {"workload": "outgoing"})
    found = scene.stores.mailboxes.get(scene.mailbox.id)
    assert found is not None
    assert found.schedule[Workload.INCOMING].breaker is None
    assert (scene.status(email), scene.delivery(email).attempts) == (EmailStatus.PENDING_SEND, 0)
    scene.until_settled()
    assert scene.status(email) is EmailStatus.SENT
    assert scene.schedule().breaker is None


def test_a_refused_password_of_imap_does_not_stop_sending_and_sending_does_not_close_its_breaker() -> None:
    scene = by_smtp()
    open_breaker(scene)
    scene.send("Offer")
    assert scene.run() is RunOutcome.COMPLETED
    assert profile_breaker(scene) is not None


def test_a_refused_password_of_exchange_is_the_profiles() -> None:
    scene = by_exchange()
    scene.send("Offer")
    scene.outward.refuses = [AuthenticationFailed("401", profile_wide=True)]
    assert scene.run() is RunOutcome.FAILED
    assert profile_breaker(scene) is not None
    assert scene.run() is RunOutcome.REFUSED
    assert scene.outward.opened == 1


def test_exchange_with_a_sign_in_of_its_own_for_sending_has_a_breaker_of_its_own() -> None:
    scene = by_exchange(use_same_settings_for_outgoing=False, outgoing_authentication=AuthenticationProtocol.NTLM)
    open_breaker(scene)
    scene.send("Offer")
    assert scene.run() is RunOutcome.COMPLETED


# ---- enumeration


def queued(scene: OutgoingScene, queue: Queue) -> list[SyncMailbox]:
    queues = scene.stores.queues
    assert isinstance(queues, MemoryQueues)
    found = [parse(text) for text in queues.receive(queue)]
    assert all(isinstance(message, SyncMailbox) for message in found)
    return found  # type: ignore[return-value]


def test_the_timer_enqueues_both_workloads_each_in_its_own_queue() -> None:
    scene = by_smtp()
    assert Enumeration(scene.stores, scene.clock).enumerate_all().enqueued == 2
    assert [message.workload for message in queued(scene, Queue.SYNC_OUTGOING)] == [Workload.OUTGOING]
    assert [message.workload for message in queued(scene, Queue.SYNC_INCOMING)] == [Workload.INCOMING]
    assert Enumeration(scene.stores, scene.clock).enumerate_all().enqueued == 0


def test_a_breaker_of_incoming_mail_holds_back_only_what_signs_in_alike() -> None:
    scene = by_smtp()
    open_breaker(scene)
    Enumeration(scene.stores, scene.clock).enumerate_all()
    assert (len(queued(scene, Queue.SYNC_OUTGOING)), queued(scene, Queue.SYNC_INCOMING)) == (1, [])
    scene = by_exchange()
    open_breaker(scene)
    assert Enumeration(scene.stores, scene.clock).enumerate_all().enqueued == 0


def test_the_breaker_of_a_profile_is_probed_by_one_workload_only() -> None:
    scene = by_exchange()
    open_breaker(scene)
    scene.clock.advance(timedelta(hours=1))
    assert Enumeration(scene.stores, scene.clock).enumerate_all().enqueued == 1
    [probe] = [*queued(scene, Queue.SYNC_OUTGOING), *queued(scene, Queue.SYNC_INCOMING)]
    assert probe.reason is SyncReason.PROBE


@pytest.mark.parametrize("is_repaired", [True, False])
def test_a_probe_signs_in_though_nothing_waits(is_repaired: bool) -> None:
    scene = by_exchange()
    open_breaker(scene)
    if not is_repaired:
        scene.outward.refuses = [AuthenticationFailed("401", profile_wide=True)]
    scene.clock.advance(timedelta(hours=1))
    outcome = scene.run(SyncReason.PROBE)
    assert outcome is (RunOutcome.IDLE if is_repaired else RunOutcome.FAILED)
    assert scene.outward.opened == 1
    assert ("mail.check" in scene.world.calls) is is_repaired
    assert (profile_breaker(scene) is None) is is_repaired


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
