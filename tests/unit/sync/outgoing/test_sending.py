"""What a run makes of the server's answers: in which order emails go, what waits, what has failed."""

from datetime import timedelta

import pytest

from shared.domain.choices import EmailStatus, Priority
from shared.domain.delivery import AttemptOutcome, RefusedRecipient
from shared.domain.email import CorrelationKind, ListOf
from shared.domain.errors import (
    DeliveryPostponed,
    DeliveryUnknown,
    RecipientsRefused,
)
from shared.domain.ids import short_hash
from shared.domain.operations import RunOutcome
from shared.domain.outgoing import Receipt
from shared.sync.budgets import RunBudget
from tests.unit.sync.outgoing.in_memory_servers import InMemoryDrafting, InMemorySending
from tests.unit.sync.outgoing.scene import MINUTE, Build, both_servers, by_exchange, by_smtp, sent

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
