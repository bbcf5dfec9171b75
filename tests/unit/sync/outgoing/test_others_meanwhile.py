"""People and other workers while emails are sent, and how much a run may send."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

from shared.domain.choices import EmailStatus, ParticipationType
from shared.domain.email import Party
from shared.domain.errors import DeliveryRefused, NoAnswer
from shared.domain.ids import ActivityId
from shared.domain.operations import RunOutcome
from shared.domain.steps import Step
from shared.messages import Queue, SyncMailbox, SyncReason, parse
from shared.stores.memory.work import MemoryQueues
from shared.sync.budgets import RunBudget
from tests.unit.sync.outgoing.in_memory_servers import InMemoryDrafting, InMemorySending
from tests.unit.sync.outgoing.scene import MINUTE, Build, OutgoingScene, both_servers, by_exchange, by_smtp, sent

# ---- people and other workers meanwhile


@both_servers
def test_one_that_is_canceled_before_its_intent_is_not_sent(build: Build) -> None:
    """At every call of a run: either it is canceled, or it is sent; never both."""
    calls = _calls_of_one(build)
    canceled = 0
    for at in range(1, len(calls) + 1):
        scene = build()
        email = scene.send("Offer")
        done: list[bool] = []

        def watch(
            _: str, scene: OutgoingScene = scene, at: int = at, email: ActivityId = email, done: list[bool] = done
        ) -> None:
            if len(scene.world.calls) == at:
                done.append(scene.cancel(email))

        scene.world.watch = watch
        scene.until_settled()
        expected = EmailStatus.CANCELED if done == [True] else EmailStatus.SENT
        assert scene.status(email) is expected
        assert sent(scene) == ([] if done == [True] else ["Offer"])
        assert scene.waiting() == []
        canceled += done == [True]
    assert 0 < canceled < len(calls)


@both_servers
def test_a_change_of_something_else_does_not_lose_the_receipt(build: Build) -> None:
    for at in range(1, len(_calls_of_one(build)) + 1):
        scene = build()
        email = scene.send("Offer")

        def watch(_: str, scene: OutgoingScene = scene, at: int = at, email: ActivityId = email) -> None:
            if len(scene.world.calls) == at:
                stored = scene.stored(email)
                scene.stores.activities.replace(replace(stored.record, owner=None), stored.etag)

        scene.world.watch = watch
        scene.until_settled()
        assert scene.status(email) is EmailStatus.SENT
        assert scene.stored(email).record.owner is None
        assert sent(scene) == ["Offer"]
        assert not scene.delivery(email).may_be_twice


@both_servers
def test_a_worker_that_comes_back_after_its_lease_expired_sends_nothing_twice_unnoticed(build: Build) -> None:
    """At every call a worker stands still until another one has done everything."""
    for at in range(1, len(_calls_of_one(build)) + 1):
        scene = build()
        emails = [scene.send("Offer"), scene.send("Second")]

        def watch(_: str, scene: OutgoingScene = scene, at: int = at) -> None:
            if len(scene.world.calls) == at:
                scene.world.watch = None
                scene.clock.advance(timedelta(minutes=10))
                scene.run()

        scene.world.watch = watch
        scene.attempt()
        scene.until_settled()
        assert {scene.status(each) for each in emails} == {EmailStatus.SENT}
        assert scene.waiting() == []
        copies = scene.server.copies()
        if build is by_exchange:
            assert list(copies.values()) == [1, 1], f"at {at}"
            assert isinstance(scene.server, InMemoryDrafting)
            assert scene.server.drafts == {}
        else:
            twice = sum(count > 1 for count in copies.values())
            assert twice <= sum(scene.delivery(each).may_be_twice for each in emails)


def test_a_worker_that_comes_back_does_not_take_for_sent_what_another_one_removed() -> None:
    """At every call of a recovery it stands still; the other one removes the draft, and gets no further than that."""
    for at in range(1, 12):
        scene = by_exchange()
        email = scene.send("Offer")
        server = scene.server
        assert isinstance(server, InMemoryDrafting)
        scene.world.watch = lambda name, scene=scene: scene.world.die() if name == "server.send" else None
        assert scene.attempt() is None
        scene.clock.advance(timedelta(minutes=10))
        stands_still_at = len(scene.world.calls) + at

        def watch(_: str, scene: OutgoingScene = scene, stands_still_at: int = stands_still_at) -> None:
            if len(scene.world.calls) == stands_still_at:
                scene.world.watch = removes_at_most
                scene.clock.advance(timedelta(minutes=10))
                scene.run()
                scene.world.watch = None

        scene.world.watch = watch
        scene.attempt()
        scene.world.watch = None
        scene.until_settled()
        assert (sent(scene), scene.status(email)) == (["Offer"], EmailStatus.SENT), f"at {at}"
        assert "found_sent" not in scene.outcomes(email), f"at {at}"
        assert server.drafts == {}, f"at {at}"


def removes_at_most(name: str) -> None:
    if name in ("mail.submit", "mail.trace"):
        raise NoAnswer("nobody")


def _calls_of_one(build: Build) -> list[str]:
    scene = build()
    scene.send("Offer")
    scene.run()
    return list(scene.world.calls)


def test_a_draft_that_somebody_moved_is_sent_by_its_present_reference() -> None:
    scene = by_exchange()
    email = scene.send("Offer")
    server = scene.server
    assert isinstance(server, InMemoryDrafting)

    def die_before_sending() -> None:
        server.on_submit = None
        scene.world.die()

    server.on_submit = die_before_sending
    assert scene.attempt() is None
    server.move_all()
    scene.clock.advance(timedelta(minutes=10))
    scene.run()
    assert sent(scene) == ["Offer"]
    assert scene.outcomes(email) == ["interrupted", "accepted"]
    assert not scene.delivery(email).may_be_twice


def test_recipients_whom_smtp_put_off_are_written_to_by_the_exchange_server_to_which_the_mailbox_moved() -> None:
    scene = by_exchange()
    server = scene.server
    assert isinstance(server, InMemoryDrafting)
    parties = tuple(Party(ParticipationType.TO, f"{name}@fabrikam.example", name) for name in ("carol", "dave"))
    email = scene.send("Offer", parties=parties)
    stored = scene.stored(email)
    accepted = replace(scene.delivery(email), sent_on=scene.clock(), waiting=(1,), attempts=1, last_attempt=1)
    scene.stores.activities.advance([Step(replace(stored.record, status=EmailStatus.SENT, delivery=accepted), stored.etag)])
    scene.until_settled()
    assert [message.recipients for message in server.sent] == [("dave@fabrikam.example",)]
    assert (scene.status(email), scene.delivery(email).waiting, scene.waiting()) == (EmailStatus.SENT, (), [])


# ---- pace and budget


@both_servers
def test_no_minute_has_more_emails_than_the_profile_allows(build: Build) -> None:
    scene = build(emails_per_minute=5)
    for number in range(12):
        scene.send(f"Offer {number:02}")
    times = []
    for _ in range(40):
        before = len(sent(scene))
        scene.run(SyncReason.REQUESTED)
        times += [scene.clock()] * (len(sent(scene)) - before)
        scene.clock.advance(timedelta(seconds=10))
    assert len(times) == 12
    for time in times:
        assert sum(time <= other < time + MINUTE for other in times) <= 5
    assert times[-1] - times[0] <= timedelta(minutes=3)


def test_a_spent_pace_makes_the_mailbox_due_when_there_is_room() -> None:
    scene = by_smtp(emails_per_minute=2)
    for number in range(3):
        scene.send(f"Offer {number}")
    assert scene.run() is RunOutcome.COMPLETED
    assert MINUTE <= scene.wait() <= timedelta(seconds=70)
    scene.until_settled()
    assert len(sent(scene)) == 3


@both_servers
def test_a_run_that_is_out_of_time_queues_its_continuation(build: Build) -> None:
    scene = build()
    scene.budget = RunBudget(time=timedelta(seconds=10), window=2, drafts_at_once=2)
    for number in range(12):
        scene.send(f"Offer {number}")
    scene.world.watch = lambda name: scene.clock.advance(timedelta(seconds=4)) if name in ("mail.send", "mail.submit") else None
    assert scene.run() is RunOutcome.CONTINUED
    done = len(sent(scene))
    assert 0 < done < 12
    queues = scene.stores.queues
    assert isinstance(queues, MemoryQueues)
    [message] = [parse(text) for text in queues.receive(Queue.SYNC_OUTGOING)]
    assert isinstance(message, SyncMailbox)
    assert message.reason is SyncReason.CONTINUATION
    assert scene.schedule().queued_until is not None
    scene.world.watch = None
    assert scene.process().run(message) is RunOutcome.COMPLETED
    assert len(sent(scene)) == 12


def test_a_refusal_of_another_kind_is_final_too() -> None:
    scene = by_smtp()
    scene.server.always["Offer"] = DeliveryRefused("554 no")
    email = scene.send("Offer")
    scene.run()
    assert (scene.status(email), scene.delivery(email).error) == (EmailStatus.FAILED, "delivery_refused")


@both_servers
def test_with_threads_beside_the_sending_each_email_goes_once_and_in_order(build: Build) -> None:
    scene = build()
    scene.budget = RunBudget(window=10, intents_ahead=4, receipts_behind=4)
    emails = []
    for number in range(100):
        emails.append(scene.send(f"Offer {number:03}"))
        scene.clock.advance(timedelta(milliseconds=1))
    with ThreadPoolExecutor(8) as threads:
        scene.executor = threads
        assert scene.run() is RunOutcome.COMPLETED
    assert sorted(sent(scene)) == [f"Offer {number:03}" for number in range(100)]
    if isinstance(scene.server, InMemorySending):
        assert sent(scene) == sorted(sent(scene))
    assert {scene.status(each) for each in emails} == {EmailStatus.SENT}
    assert scene.waiting() == []
    [run] = scene.runs()
    assert (run.seen, run.verdicts) == (100, {"sent": 100})
