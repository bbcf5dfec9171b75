"""The steps of an email as pure decisions: what holds for every answer, however many attempts there were before."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.choices import ActivityState, EmailStatus
from shared.domain.delivery import Attempt, AttemptOutcome, Delivery, OutboxEntry, RefusedRecipient
from shared.domain.email import EmailActivity, StoredActivity
from shared.domain.errors import (
    DeliveryPostponed,
    DeliveryRefused,
    DeliveryUnknown,
    EmailTooLarge,
    SendAsDenied,
)
from shared.domain.outgoing import Receipt, Trace
from shared.domain.steps import StoredEmail
from shared.sync import delivering
from shared.sync.delivering import Standing, delivery_of, standing
from tests.builders import MONDAY
from tests.unit.sync.outgoing.scene import MINUTE, by_smtp

HOUR = timedelta(hours=1)

ANSWERS = st.sampled_from(
    [
        Receipt("q1"),
        Receipt("q1", waiting=(0, 2), refused=()),
        DeliveryPostponed("451"),
        DeliveryPostponed("451", retry_after=timedelta(days=400)),
        DeliveryUnknown("lost"),
        DeliveryRefused("550"),
        EmailTooLarge("552"),
        SendAsDenied("550"),
        RuntimeError("odd"),
    ]
)


def an_email(**changes: Any) -> EmailActivity:
    scene = by_smtp()
    email = scene.stored(scene.send("Offer")).record
    return replace(email, delivery=replace(delivery_of(email), **changes))


EMAIL = an_email()
ENTRY = OutboxEntry(EMAIL.receiving_mailbox, EMAIL.id, delivery_of(EMAIL).submission, MONDAY, MONDAY)


def stored(email: EmailActivity) -> StoredEmail:
    return StoredEmail(StoredActivity(email, "1"), None)  # type: ignore[arg-type] # nothing looks at its content


@given(st.lists(ANSWERS, max_size=20), st.integers(1, 12))
def test_every_chain_of_answers_ends_or_waits_and_its_history_is_whole(
    answers: list[Receipt | Exception], allowed: int
) -> None:
    email, entry, now = EMAIL, ENTRY, MONDAY
    history: dict[int, Attempt] = {}
    for number, answer in enumerate(answers, 1):
        begun = delivering.begun(email, f"attempt-{number}", now, can_tell=False)
        outcome = delivering.answered(begun.email, entry, answer, now, allowed)
        history |= {each.number: each for each in (*begun.attempts, *outcome.attempts)}
        email, delivery = outcome.email, delivery_of(outcome.email)
        assert delivery.attempt is None
        assert delivery.attempts <= allowed
        assert history[number].outcome is not AttemptOutcome.UNDER_WAY
        if outcome.waits is None:
            assert outcome.ends_entry
            assert email.status in (EmailStatus.SENT, EmailStatus.FAILED)
            assert delivery.due is None
            break
        assert outcome.waits.due == delivery.due
        assert now < outcome.waits.due <= now + timedelta(hours=24)
        assert email.status in (EmailStatus.PENDING_SEND, EmailStatus.SENT)
        assert (email.status is EmailStatus.SENT) == bool(delivery.waiting)
        entry, now = outcome.waits, outcome.waits.due
    assert list(history) == list(range(1, len(history) + 1))


def test_what_is_sent_is_completed_and_what_failed_is_open() -> None:
    begun = delivering.begun(EMAIL, "a", MONDAY, can_tell=True).email
    assert (begun.state, begun.status) == (ActivityState.COMPLETED, EmailStatus.SENDING)
    sent = delivering.answered(begun, ENTRY, Receipt(), MONDAY + MINUTE, 3).email
    assert (sent.state, sent.status) == (ActivityState.COMPLETED, EmailStatus.SENT)
    failed = delivering.answered(begun, ENTRY, DeliveryRefused("550"), MONDAY, 3).email
    assert (failed.state, failed.status) == (ActivityState.OPEN, EmailStatus.FAILED)


@pytest.mark.parametrize(
    ("trace", "state", "status", "outcome", "is_told"),
    [
        (Trace.SENT, ActivityState.COMPLETED, EmailStatus.SENT, AttemptOutcome.FOUND_SENT, False),
        (Trace.NOTHING, ActivityState.COMPLETED, EmailStatus.SENT, AttemptOutcome.FOUND_SENT, True),
        (Trace.TAKEN, ActivityState.OPEN, EmailStatus.FAILED, AttemptOutcome.REFUSED, True),
    ],
)
def test_a_draft_that_is_gone_was_sent_unless_somebody_has_it_and_the_attempt_tells_what_is_not_certain(
    trace: Trace, state: ActivityState, status: EmailStatus, outcome: AttemptOutcome, is_told: bool
) -> None:
    begun = delivering.begun(EMAIL, "a", MONDAY, can_tell=True).email
    gone = delivering.gone(begun, trace, MONDAY + HOUR)
    [attempt] = gone.attempts
    assert (gone.email.state, gone.email.status) == (state, status)
    assert (attempt.outcome, bool(attempt.detail)) == (outcome, is_told)
    assert (delivery_of(gone.email).error is not None) == (status is EmailStatus.FAILED)
    assert gone.ends_entry


@pytest.mark.parametrize(("can_tell", "may_be_twice"), [(True, False), (False, True)])
def test_an_interrupted_attempt_is_told_and_only_who_cannot_ask_says_may_be_twice(can_tell: bool, may_be_twice: bool) -> None:
    first = delivering.begun(EMAIL, "a", MONDAY, can_tell=can_tell).email
    again = delivering.begun(first, "b", MONDAY + HOUR, can_tell=can_tell)
    assert delivery_of(first).may_be_twice is False
    assert delivery_of(again.email).may_be_twice is may_be_twice
    assert [(each.number, each.outcome) for each in again.attempts] == [(1, AttemptOutcome.INTERRUPTED)]
    assert again.email.delivery is not None
    assert (again.email.delivery.last_attempt, again.email.delivery.attempt) == (2, "b")


def test_what_goes_back_counts_no_attempt_and_waits_as_before() -> None:
    begun = delivering.begun(EMAIL, "a", MONDAY + HOUR, can_tell=False).email
    outcome = delivering.returned(begun, DeliveryPostponed("x"), MONDAY + HOUR)
    assert (delivery_of(outcome.email).attempts, delivery_of(outcome.email).due) == (0, delivery_of(EMAIL).due)
    assert outcome.email.status is EmailStatus.PENDING_SEND
    assert not outcome.ends_entry


@pytest.mark.parametrize(
    ("email", "now", "expected"),
    [
        (EMAIL, MONDAY, Standing.READY),
        (an_email(due=MONDAY + HOUR), MONDAY, Standing.WAITING),
        (an_email(submission="another"), MONDAY, Standing.UNANNOUNCED),
        (an_email(submission="another"), MONDAY + HOUR, Standing.WORTHLESS),
        (replace(EMAIL, status=EmailStatus.SENDING), MONDAY, Standing.READY),
        (replace(EMAIL, status=EmailStatus.SENT), MONDAY, Standing.SENT),
        (replace(an_email(waiting=(1,), due=None), status=EmailStatus.SENT), MONDAY, Standing.READY),
        (replace(EMAIL, status=EmailStatus.FAILED), MONDAY, Standing.WORTHLESS),
        (replace(EMAIL, status=EmailStatus.CANCELED), MONDAY, Standing.WORTHLESS),
        (replace(EMAIL, status=EmailStatus.DRAFT), MONDAY, Standing.WORTHLESS),
        (replace(EMAIL, delivery=None), MONDAY, Standing.WORTHLESS),
    ],
)
def test_the_email_decides_what_its_entry_is_worth(email: EmailActivity, now: datetime, expected: Standing) -> None:
    entry = replace(ENTRY, submission=delivery_of(EMAIL).submission)
    if email.delivery is not None and email.delivery.submission != "another":
        email = replace(email, delivery=replace(email.delivery, submission=entry.submission))
    assert standing(entry, stored(email), now, HOUR) is expected
    assert standing(entry, None, now, HOUR) is Standing.WORTHLESS


def test_mail_that_was_read_from_a_mailbox_is_never_sent() -> None:
    with pytest.raises(ValueError, match="not sent"):
        delivery_of(replace(EMAIL, delivery=None))
    assert isinstance(delivery_of(EMAIL), Delivery)


def test_what_was_found_out_about_some_recipients_stays_while_the_others_are_waited_for() -> None:
    """Who was refused, who may have it twice, and under which Message-ID the first ones have it."""
    gone, busy = (RefusedRecipient(f"{name}@fabrikam.example", "5.1.1") for name in ("gone", "busy"))
    begun = delivering.begun(EMAIL, "a", MONDAY, can_tell=False).email
    first = Receipt("q1", refused=(gone, busy), waiting=(1,), may_be_twice=True, message_id="rewritten@server.example")
    waits = delivering.answered(begun, ENTRY, first, MONDAY, 5).email
    assert (delivery_of(waits).refused, delivery_of(waits).may_be_twice) == (1, True)
    again = delivering.begun(waits, "b", MONDAY + HOUR, can_tell=False).email
    done = delivering.answered(again, ENTRY, Receipt("q2", message_id="other@server.example"), MONDAY + HOUR, 5).email
    delivery = delivery_of(done)
    assert (delivery.refused, delivery.may_be_twice) == (1, True)
    assert delivery.server_message_id == "rewritten@server.example"
