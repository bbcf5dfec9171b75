"""What a run makes of the server's answers: in which order emails go, what waits, what has failed, and who holds up whom."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest

from shared.domain.choices import EmailStatus, Priority
from shared.domain.delivery import AttemptOutcome, RefusedRecipient
from shared.domain.email import CorrelationKind, ListOf
from shared.domain.errors import (
    AccessDenied,
    Busy,
    ConnectionRefused,
    DeliveryPostponed,
    DeliveryRefused,
    DeliveryUnknown,
    RecipientsRefused,
    SendingQuotaSpent,
    Unreachable,
)
from shared.domain.ids import ActivityId, short_hash
from shared.domain.operations import RunOutcome
from shared.domain.outgoing import Receipt
from shared.messages import Queue, SyncMailbox, SyncReason, parse
from shared.stores.memory.work import MemoryQueues
from shared.sync.budgets import RunBudget
from tests.unit.sync.outgoing.in_memory_servers import InMemoryDrafting, InMemorySending
from tests.unit.sync.outgoing.scene import MINUTE, OutgoingScene, by_exchange, by_smtp

type Build = Callable[..., OutgoingScene]

both_servers = pytest.mark.parametrize("build", [by_smtp, by_exchange])


def sent(scene: OutgoingScene) -> list[str]:
    server = scene.server
    return [message.subject for message in (server.accepted if isinstance(server, InMemorySending) else server.sent)]


# ---- order


@both_servers
def test_high_priority_goes_ahead_then_the_one_that_waits_longest(build: Build) -> None:
    scene = build()
    for subject, priority in [
        ("One", Priority.LOW),
        ("Two", Priority.NORMAL),
        ("Three", Priority.HIGH),
        ("Four", Priority.NORMAL),
    ]:
        scene.send(subject, priority=priority)
        scene.clock.advance(MINUTE)
    assert scene.run() is RunOutcome.COMPLETED
    assert sent(scene) == ["Three", "Two", "Four", "One"]


def test_what_is_sent_with_high_priority_meanwhile_goes_ahead_of_the_next_batch() -> None:
    scene = by_smtp()
    scene.budget = RunBudget(outbox_batch=2, window=2, drafts_at_once=2)
    for number in range(10):
        scene.send(f"Offer {number}")
    assert isinstance(scene.server, InMemorySending)

    def write_another(_: object) -> None:
        if len(sent(scene)) == 1:
            scene.send("Urgent", priority=Priority.HIGH)

    scene.server.on_send = write_another
    scene.run()
    assert len(sent(scene)) == 11
    assert sent(scene).index("Urgent") < 8


@both_servers
def test_send_later_is_not_sent_before_and_the_mailbox_is_due_then(build: Build) -> None:
    scene = build()
    scene.send("Later", after=timedelta(hours=3))
    assert scene.run() is RunOutcome.IDLE
    assert scene.wait() == timedelta(hours=3)
    scene.clock.advance(timedelta(hours=3))
    assert scene.run() is RunOutcome.COMPLETED
    assert sent(scene) == ["Later"]


# ---- what is written of an email that was sent


@both_servers
def test_a_sent_email_is_listed_by_the_time_of_sending_and_leaves_the_unsent(build: Build) -> None:
    scene = build()
    email = scene.send("Offer")
    scene.clock.advance(timedelta(hours=2))
    scene.run()
    record = scene.stored(email).record
    assert (record.status, record.received) == (EmailStatus.SENT, scene.clock())
    assert scene.delivery(email).sent_on == scene.clock()
    [row] = scene.stores.timeline.list(ListOf.SENT, scene.mailbox.id).items
    assert (row.subject, row.time) == ("Offer", scene.clock())
    assert scene.listed(ListOf.UNSENT) == []
    assert scene.waiting() == []
    [attempt] = scene.attempts(email)
    assert attempt.server_id
    assert scene.holder() is None


@both_servers
def test_answers_find_it_by_its_words_and_by_the_message_id_that_the_server_gave_it(build: Build) -> None:
    scene = build()
    scene.server.answers["Annual offer"] = [Receipt(message_id="rewritten@server.example")]
    email = scene.send("Annual offer")
    scene.run()
    key = short_hash("rewritten@server.example")
    [alias] = scene.stores.correlations.find(CorrelationKind.MESSAGE, [key])[key]
    assert alias.activity_id == email
    words = short_hash("annual offer")
    assert [each.activity_id for each in scene.stores.correlations.find(CorrelationKind.WORDS, [words])[words]] == [email]
    assert scene.delivery(email).server_message_id == "rewritten@server.example"


@pytest.mark.parametrize("saves", [True, False])
def test_the_copy_in_sent_items_is_kept_as_the_profile_says(saves: bool) -> None:
    scene = by_exchange(save_sent_items=saves)
    scene.send("Offer")
    scene.run()
    assert isinstance(scene.server, InMemoryDrafting)
    assert scene.server.copied == [saves]


# ---- put off, refused


@both_servers
def test_an_email_that_is_put_off_waits_longer_each_time_and_has_failed_after_its_attempts(build: Build) -> None:
    scene = build(delivery_attempts=12)
    scene.server.always["Offer"] = DeliveryPostponed("451 4.7.1 come back later", status_code="4.7.1")
    email = scene.send("Offer")
    waits = []
    for _ in range(12):
        scene.run()
        due = scene.delivery(email).due
        if due is not None:
            waits.append(due - scene.clock())
            assert scene.status(email) is EmailStatus.PENDING_SEND
            assert scene.schedule().due == due
            scene.clock.now = due
    assert waits == [MINUTE * 2**each for each in range(8)] + [timedelta(hours=4)] * 3
    assert scene.status(email) is EmailStatus.FAILED
    delivery = scene.delivery(email)
    assert (delivery.attempts, delivery.error, delivery.status_code) == (12, "delivery_postponed", "4.7.1")
    assert delivery.detail == "451 4.7.1 come back later"
    assert scene.waiting() == []
    assert len(scene.attempts(email)) == 12


@both_servers
def test_the_servers_own_hint_counts_where_it_is_longer(build: Build) -> None:
    scene = build()
    scene.server.answers["Offer"] = [DeliveryPostponed("451", retry_after=timedelta(minutes=30))]
    email = scene.send("Offer")
    scene.run()
    assert scene.delivery(email).due == scene.clock() + timedelta(minutes=30)


@both_servers
def test_a_refused_email_has_failed_in_the_servers_words_and_the_others_are_sent(build: Build) -> None:
    scene = build()
    gone = (RefusedRecipient("carol@fabrikam.example", "5.1.1", "no such user"),)
    scene.server.always["Bad"] = RecipientsRefused("550 5.1.1 no such user", status_code="5.1.1", refused=gone)
    bad, good = scene.send("Bad"), scene.send("Good")
    scene.run()
    delivery = scene.delivery(bad)
    assert (scene.status(bad), scene.status(good)) == (EmailStatus.FAILED, EmailStatus.SENT)
    assert (delivery.error, delivery.status_code) == ("recipients_refused", "5.1.1")
    [attempt] = scene.attempts(bad)
    assert (attempt.outcome, attempt.refused) == (AttemptOutcome.REFUSED, gone)
    assert scene.waiting() == []
    if isinstance(scene.server, InMemoryDrafting):
        assert scene.server.drafts == {}


def test_a_partly_refused_email_is_sent_and_names_whom_it_did_not_reach() -> None:
    scene = by_smtp()
    gone = (RefusedRecipient("dave@fabrikam.example", "5.1.1", "no such user"),)
    scene.server.answers["Offer"] = [Receipt("q1", "250 ok", gone)]
    email = scene.send("Offer")
    scene.run()
    assert (scene.status(email), scene.delivery(email).refused) == (EmailStatus.SENT, 1)
    assert scene.attempts(email)[0].refused == gone


def test_recipients_whom_the_server_puts_off_get_it_later_alone_and_the_email_is_sent_meanwhile() -> None:
    scene = by_smtp()
    busy = (RefusedRecipient("dave@fabrikam.example", "4.2.1", "busy"),)
    scene.server.answers["Offer"] = [Receipt("q1", "250 ok", busy, waiting=(0,), retry_after=timedelta(minutes=5))]
    email = scene.send("Offer")
    scene.run()
    sent_on = scene.delivery(email).sent_on
    assert (scene.status(email), scene.delivery(email).waiting) == (EmailStatus.SENT, (0,))
    assert scene.listed(ListOf.SENT) == ["Offer"]
    assert scene.wait() == timedelta(minutes=5)
    scene.clock.advance(timedelta(minutes=5))
    scene.run()
    assert isinstance(scene.server, InMemorySending)
    assert [message.waiting for message in scene.server.accepted] == [(), (0,)]
    delivery = scene.delivery(email)
    assert (delivery.waiting, delivery.refused, delivery.sent_on) == ((), 0, sent_on)
    assert scene.waiting() == []


def test_recipients_who_are_put_off_too_often_are_refused_and_the_email_stays_sent() -> None:
    scene = by_smtp(delivery_attempts=3)
    busy = (RefusedRecipient("dave@fabrikam.example", "4.2.1", "busy"),)
    scene.server.answers["Offer"] = [
        Receipt("q1", "250 ok", busy, waiting=(0,)),
        DeliveryPostponed("451 busy"),
        DeliveryPostponed("451 busy"),
    ]
    email = scene.send("Offer")
    scene.until_settled()
    delivery = scene.delivery(email)
    assert (scene.status(email), delivery.waiting, delivery.refused) == (EmailStatus.SENT, (), 1)
    assert scene.waiting() == []


def test_an_unknown_end_is_tried_again_under_the_same_message_id_and_says_so() -> None:
    scene = by_smtp()
    scene.server.answers["Offer"] = [DeliveryUnknown("lost after the last dot")]
    email = scene.send("Offer")
    scene.until_settled()
    assert isinstance(scene.server, InMemorySending)
    assert list(scene.server.copies().values()) == [2]
    assert scene.delivery(email).may_be_twice
    assert scene.outcomes(email) == ["postponed", "accepted"]


# ---- nobody holds up the others


@both_servers
def test_an_unknown_exception_of_one_email_is_that_emails_and_counted(build: Build) -> None:
    scene = build(delivery_attempts=3)
    failure = RuntimeError("carol@fabrikam.example does not fit")
    scene.server.always["Odd"] = failure
    emails = [scene.send(subject) for subject in ("First", "Odd", "Last")]
    assert scene.run() is RunOutcome.COMPLETED
    assert sorted(sent(scene)) == ["First", "Last"]
    scene.until_settled()
    assert scene.status(emails[1]) is EmailStatus.FAILED
    assert (scene.delivery(emails[1]).error, scene.delivery(emails[1]).detail) == ("unexpected", "RuntimeError")


@both_servers
def test_an_email_that_breaks_the_connection_each_time_does_not_hold_up_the_others(build: Build) -> None:
    scene = build(delivery_attempts=4)
    scene.server.always["Breaks"] = Unreachable("connection lost")
    bad = scene.send("Breaks")
    good = [scene.send(f"Offer {number}") for number in range(12)]
    assert scene.run() is RunOutcome.COMPLETED
    assert {scene.status(each) for each in good} == {EmailStatus.SENT}
    assert scene.status(bad) is EmailStatus.PENDING_SEND
    assert scene.schedule().failures == 0
    scene.until_settled()
    assert scene.status(bad) is EmailStatus.FAILED
    assert scene.delivery(bad).attempts == 4
    if isinstance(scene.server, InMemoryDrafting):
        assert scene.server.drafts == {}


def test_one_whose_draft_cannot_be_made_does_not_hold_up_its_window() -> None:
    scene = by_exchange(delivery_attempts=2)
    assert isinstance(scene.server, InMemoryDrafting)
    scene.server.fails_to_prepare["Breaks"] = Unreachable("connection lost")
    emails = [scene.send(subject) for subject in ("One", "Breaks", "Two")]
    scene.until_settled()
    assert sorted(sent(scene)) == ["One", "Two"]
    assert scene.status(emails[1]) is EmailStatus.FAILED
    assert scene.server.drafts == {}


def test_a_server_that_breaks_at_everybody_ends_the_run_and_no_attempt_is_counted() -> None:
    scene = by_smtp()
    for subject in ("One", "Two", "Three"):
        scene.server.answers[subject] = [Unreachable("connection lost")]
    emails = [scene.send(subject) for subject in ("One", "Two", "Three")]
    assert scene.run() is RunOutcome.FAILED
    assert [scene.delivery(each).attempts for each in emails] == [0, 0, 0]
    assert {scene.status(each) for each in emails} == {EmailStatus.PENDING_SEND}
    assert scene.schedule().failures == 1
    scene.until_settled()
    assert sorted(sent(scene)) == ["One", "Three", "Two"]


@both_servers
@pytest.mark.parametrize(
    "error", [SendingQuotaSpent("quota", timedelta(hours=2)), Busy("busy"), ConnectionRefused("no"), AccessDenied("no")]
)
def test_what_no_email_can_be_the_cause_of_ends_the_run_and_counts_for_none(build: Build, error: Exception) -> None:
    scene = build()
    scene.server.answers["One"] = [error]
    emails = [scene.send("One")]
    scene.clock.advance(MINUTE)
    emails.append(scene.send("Two"))
    assert scene.run() is RunOutcome.FAILED
    assert {scene.status(each) for each in emails} == {EmailStatus.PENDING_SEND}
    assert [scene.delivery(each).attempts for each in emails] == [0, 0]
    assert len(scene.waiting()) == 2
    if isinstance(error, SendingQuotaSpent):
        assert scene.wait() == timedelta(hours=2)
    if isinstance(scene.server, InMemoryDrafting):
        assert scene.server.drafts == {}
    scene.until_settled()
    assert sorted(sent(scene)) == ["One", "Two"]


@both_servers
def test_an_email_that_stops_the_process_each_time_does_not_hold_up_the_others(build: Build) -> None:
    scene = build(delivery_attempts=1)
    deadly = scene.send("Deadly", attachments=[b"x"])

    def watch(name: str) -> None:
        if name == "blobs.read":
            scene.world.die()

    scene.world.watch = watch
    others = [scene.send(f"Offer {number}") for number in range(4)]
    scene.until_settled()
    assert {scene.status(each) for each in others} == {EmailStatus.SENT}
    assert scene.status(deadly) is EmailStatus.FAILED
    assert set(scene.outcomes(deadly)) == {"interrupted"}


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
