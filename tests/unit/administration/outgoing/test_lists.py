"""What a mailbox has written, by status."""

from dataclasses import replace
from datetime import timedelta

import pytest

from shared.administration.failures import NotPossibleNow, RecordNotFound
from shared.domain.choices import EmailStatus, Priority
from shared.domain.delivery import Attempt, AttemptOutcome
from shared.domain.email import ListOf
from shared.domain.ids import ActivityId, MailboxId
from shared.domain.listings import sent_entry, unsent_entry
from shared.domain.steps import Step
from tests.builders import MONDAY
from tests.unit.administration.emails import an_email
from tests.unit.administration.office import ADMIN
from tests.unit.administration.outgoing.post_room import SALES, PostRoom

NOWHERE = ActivityId("00000000-0000-4000-8000-000000000000")


def has_drafts(room: PostRoom, count: int = 3) -> list[ActivityId]:
    """Newest first."""
    drafts = []
    for number in range(count):
        room.clock.advance(timedelta(minutes=1))
        drafts.append(room.has_draft(f"draft-{number}", priority=Priority(number)))
    return drafts[::-1]


def test_what_was_not_sent_is_listed_newest_first_part_by_part(room: PostRoom) -> None:
    drafts = has_drafts(room)
    lists = room.outgoing.lists
    first = lists.of_mailbox(room.mailbox(), limit=2)
    rest = lists.of_mailbox(room.mailbox(), continuation=first.continuation, limit=2)

    assert [each.id for each in (*first.items, *rest.items)] == drafts


def test_what_waits_is_listed_in_the_order_in_which_it_is_sent(room: PostRoom) -> None:
    high, normal, low = has_drafts(room)
    for draft in (low, normal, high):
        room.outgoing.sending.send(draft, ADMIN)
    room.has_status(normal, EmailStatus.SENDING)

    assert room.listed(EmailStatus.PENDING_SEND) == [high, low]
    assert room.listed(EmailStatus.SENDING) == [normal]
    assert room.listed(EmailStatus.DRAFT) == []
    assert room.listed() == [high, normal, low]


def test_an_entry_of_a_submission_that_came_to_nothing_hides_no_email_that_waits(room: PostRoom) -> None:
    draft = room.has_draft(send_after=room.clock() + timedelta(days=1))
    room.outgoing.sending.send(draft, ADMIN)
    left_behind = room.outbox()
    room.outgoing.sending.cancel(draft, ADMIN)
    room.stores.outbox.put(left_behind)
    room.outgoing.drafts.edit(draft, lambda present: replace(present, send_after=None), ADMIN)
    room.outgoing.sending.send(draft, ADMIN)

    assert len(room.outbox()) == 2
    assert room.listed(EmailStatus.PENDING_SEND) == [draft]


def test_an_email_that_was_just_put_off_is_listed_once(room: PostRoom) -> None:
    draft = room.has_draft()
    room.outgoing.sending.send(draft, ADMIN)
    (entry,) = room.outbox()
    room.stores.outbox.put([replace(entry, due=entry.due + timedelta(minutes=1))])

    assert room.listed(EmailStatus.PENDING_SEND) == [draft]


def test_what_was_sent_is_listed_by_when_it_was_sent_and_no_longer_among_what_was_not(room: PostRoom) -> None:
    first, second = has_drafts(room, 2)
    for minutes, draft in ((20, first), (10, second)):
        email = room.administration.emails.get(draft)
        sent = replace(email.record, status=EmailStatus.SENT, received=MONDAY + timedelta(minutes=minutes))
        room.stores.activities.replace(sent, email.etag)
        room.stores.timeline.put([sent_entry(sent)])
    room.stores.timeline.remove([unsent_entry(room.email(second))])

    assert room.listed(EmailStatus.SENT) == [first, second]
    assert room.listed() == []


def test_a_row_that_leads_nowhere_is_not_shown_and_goes_after_an_hour(room: PostRoom) -> None:
    draft = room.has_draft()
    ghost = replace(unsent_entry(room.email(draft)), activity_id=NOWHERE)
    older = replace(unsent_entry(room.email(draft)), time=MONDAY - timedelta(minutes=5))
    of_another = unsent_entry(replace(room.email(room.has_draft(sender=SALES)), receiving_mailbox=room.mailbox()))
    room.stores.timeline.put([ghost, older, of_another])
    assert room.listed() == [draft]
    assert len(room.stores.timeline.list(ListOf.UNSENT, room.mailbox()).items) == 4

    room.clock.advance(timedelta(hours=1, minutes=1))
    assert room.listed() == [draft]
    assert [each.activity_id for each in room.stores.timeline.list(ListOf.UNSENT, room.mailbox()).items] == [draft]


def test_a_mailbox_that_is_not_there_has_no_list(room: PostRoom) -> None:
    with pytest.raises(RecordNotFound):
        room.outgoing.lists.of_mailbox(MailboxId("nowhere"))


def test_attempts_are_told_oldest_first(room: PostRoom) -> None:
    draft = room.has_draft()
    stored = room.administration.emails.get(draft)
    attempts = tuple(Attempt(draft, number, f"{number}", MONDAY, AttemptOutcome.POSTPONED) for number in (1, 2))
    room.stores.activities.advance([Step(stored.record, stored.etag, attempts=attempts)])

    assert [each.number for each in room.outgoing.lists.attempts(draft)] == [1, 2]


def test_the_attempt_under_way_is_told_last(room: PostRoom) -> None:
    draft = room.has_draft()
    room.has_status(draft, EmailStatus.SENDING, attempt="now", last_attempt=3, attempted_on=MONDAY)
    [attempt] = room.outgoing.lists.attempts(draft)
    assert (attempt.number, attempt.outcome, attempt.started_on) == (3, AttemptOutcome.UNDER_WAY, MONDAY)


def test_what_was_not_written_here_has_no_attempts(room: PostRoom) -> None:
    room.stores.activities.create([an_email(NOWHERE, room.mailbox())])

    with pytest.raises(NotPossibleNow):
        room.outgoing.lists.attempts(NOWHERE)
    with pytest.raises(RecordNotFound):
        room.outgoing.lists.attempts(ActivityId("0a" * 16))
