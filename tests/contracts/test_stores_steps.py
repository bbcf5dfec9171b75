"""The contract of emails that are written here and sent: read whole, advanced step by step, every attempt kept."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from shared.domain.choices import EmailStatus
from shared.domain.delivery import AttemptOutcome, RefusedRecipient
from shared.domain.email import NewEmail, StoredActivity
from shared.domain.errors import Changed
from shared.domain.ids import ActivityId
from shared.domain.steps import Step, StoredEmail
from shared.ports import Stores
from shared.stores.limits import LISTED_UNITS
from tests.contracts.gateways import Asked, WatchedGateway, quietly
from tests.contracts.records import (
    MINUTE,
    NOW,
    a_content,
    a_letter,
    a_sighting,
    an_activity,
    an_annotation,
    an_attempt,
    an_email,
    an_id,
    an_outgoing,
)

LETTER = an_outgoing().id
LARGE = "x" * 40_000
OTHER = "ö" * 40_000
SENDING = an_outgoing(status=EmailStatus.SENDING, attempt="a1", attempted_on=NOW, attempts=1, due=None)
SENT = an_outgoing(status=EmailStatus.SENT, attempts=1, sent_on=NOW + MINUTE, server_message_id="other@server.example")


def created(stores: Stores, *emails: NewEmail) -> Sequence[str]:
    """The ETags of new emails."""
    return [each.etag for each in stores.activities.create(emails or [a_letter()])]


def taken(stores: Stores, *steps: Step) -> Sequence[StoredActivity]:
    found = stores.activities.advance(steps)
    assert not any(isinstance(each, Changed) for each in found)
    return [each for each in found if isinstance(each, StoredActivity)]


def letter(stores: Stores, activity_id: ActivityId = LETTER) -> StoredEmail:
    return stores.activities.whole([activity_id])[activity_id]


# ---- whole


def test_an_email_is_read_whole(stores: Stores) -> None:
    emails = [a_letter(number, body_html=LARGE if number % 2 else "<p>hello</p>") for number in range(5)]
    etags = created(stores, *emails)
    nobody = [ActivityId(an_id("nobody")), ActivityId("no/key"), ActivityId("")]
    found = stores.activities.whole([*(email.activity.id for email in emails), *nobody, emails[0].activity.id])
    assert found == {
        email.activity.id: StoredEmail(StoredActivity(email.activity, etag), email.content)
        for email, etag in zip(emails, etags, strict=True)
    }
    assert stores.activities.whole([]) == {}


def test_what_stands_beside_an_email_does_not_hide_it(stores: Stores) -> None:
    (etag,) = created(stores)
    stores.activities.sight([a_sighting("letter", f"mailbox {number}") for number in range(3)])
    stores.activities.annotate([an_annotation("letter", number) for number in range(3)])
    taken(stores, Step(SENDING, etag, attempts=tuple(an_attempt(number) for number in range(1, 5))))
    assert letter(stores).activity.record == SENDING
    assert letter(stores).content == a_content()


def test_an_email_that_is_being_erased_is_not_read(stores: Stores) -> None:
    kept, erased, half = created(stores, *map(a_letter, ["kept", "erased", "half"]))
    stores.activities.erase(an_outgoing("erased", EmailStatus.CANCELED, due=None), erased)
    stores.activities.replace(replace(an_outgoing("half"), deleted_on=NOW), half)
    found = stores.activities.whole([ActivityId(an_id(name)) for name in ("kept", "erased", "half")])
    assert [each.activity.etag for each in found.values()] == [kept]


def test_an_incoming_email_is_read_whole_too(stores: Stores) -> None:
    created(stores, an_email())
    assert letter(stores, an_activity().id).activity.record.delivery is None


# ---- steps


def test_a_step_changes_the_activity_and_leaves_the_content(stores: Stores) -> None:
    (etag,) = created(stores, a_letter(body_html=LARGE))
    (stored,) = taken(stores, Step(SENDING, etag, attempts=(an_attempt(),)))
    assert (stored.record, stored.created) == (SENDING, False)
    assert stored.etag != etag
    assert letter(stores) == StoredEmail(stored, a_content(body_html=LARGE))
    assert stores.activities.get(LETTER) == stored
    (last,) = taken(stores, Step(SENT, stored.etag))
    assert letter(stores).activity == last
    assert last.record.delivery == SENT.delivery


def test_a_step_may_be_followed_by_another_at_once(stores: Stores) -> None:
    (etag,) = created(stores)
    for number in range(1, 5):
        attempts = (an_attempt(number, outcome=AttemptOutcome.POSTPONED),)
        (stored,) = taken(stores, Step(an_outgoing(attempts=number), etag, attempts=attempts))
        etag = stored.etag
    assert letter(stores).activity.record == an_outgoing(attempts=4)
    assert len(stores.activities.attempts(LETTER)) == 4


def test_content_is_replaced_with_its_activity(stores: Stores) -> None:
    (etag,) = created(stores)
    content = a_content(subject="Sent", parties=(), body_html=None, in_reply_to="one@fabrikam.example")
    (stored,) = taken(stores, Step(SENDING, etag, content))
    assert letter(stores) == StoredEmail(stored, content)
    assert stores.activities.content(LETTER) == content


@pytest.mark.parametrize("before", [LARGE, "small"])
@pytest.mark.parametrize("then", [LARGE, OTHER, "small"])
def test_a_large_text_is_replaced(stores: Stores, before: str, then: str) -> None:
    (etag,) = created(stores, a_letter(body_html=before, body_text=LARGE))
    taken(stores, Step(SENDING, etag, a_content(body_html=then, body_text=LARGE)))
    assert letter(stores).content == a_content(body_html=then, body_text=LARGE)
    assert stores.activities.content(LETTER) == a_content(body_html=then, body_text=LARGE)


def test_a_refused_step_changes_nothing(stores: Stores) -> None:
    (etag,) = created(stores, a_letter(body_html=LARGE))
    (first,) = taken(stores, Step(SENDING, etag, attempts=(an_attempt(),)))
    for content in (None, a_content(body_html=OTHER), a_content(body_html="short"), a_content(body_html=LARGE)):
        second = an_attempt(2, outcome=AttemptOutcome.REFUSED)
        (refused,) = stores.activities.advance([Step(SENT, etag, content, (second,))])
        assert isinstance(refused, Changed)
        assert letter(stores) == StoredEmail(first, a_content(body_html=LARGE))
        assert list(stores.activities.attempts(LETTER)) == [an_attempt()]


def test_each_step_is_taken_or_refused_for_itself(stores: Stores) -> None:
    names = list(range(40))
    etags = created(stores, *map(a_letter, names))
    overtaken = set(names[::3])
    for name in overtaken:
        stores.activities.replace(an_outgoing(name, EmailStatus.CANCELED), etags[name])
    steps = [
        Step(an_outgoing(name, EmailStatus.SENDING), etag, attempts=(an_attempt(1, name),))
        for name, etag in zip(names, etags, strict=True)
    ]
    steps.insert(7, Step(an_outgoing("nobody"), etags[0]))
    found = stores.activities.advance(steps)
    assert [isinstance(each, Changed) for each in found] == [
        step.activity.id == an_id("nobody") or step.activity.id in {an_id(name) for name in overtaken} for step in steps
    ]
    for step, each in zip(steps, found, strict=True):
        if isinstance(each, StoredActivity):
            assert each.record == step.activity
            assert stores.activities.get(step.activity.id) == each
            assert list(stores.activities.attempts(step.activity.id)) == list(step.attempts)
        else:
            assert list(stores.activities.attempts(step.activity.id)) == []
    for name in overtaken:
        assert letter(stores, ActivityId(an_id(name))).activity.record.status is EmailStatus.CANCELED
    assert stores.activities.get(ActivityId(an_id("nobody"))) is None
    assert stores.activities.advance([]) == []


def test_a_step_from_a_state_that_is_none_of_the_stores_is_refused(stores: Stores) -> None:
    created(stores)
    for etag in ("*", "", "what was made up"):
        (refused,) = stores.activities.advance([Step(SENT, etag)])
        assert isinstance(refused, Changed)
    assert letter(stores).activity.record == an_outgoing()


def test_of_two_who_take_a_step_at_once_one_is_refused(on_watched: Stores, watched: WatchedGateway) -> None:
    """The other one comes first: while this one's is about to be written."""
    (etag,) = created(on_watched, a_letter(body_html=LARGE))
    theirs = Step(an_outgoing(status=EmailStatus.CANCELED), etag, a_content(body_html=OTHER), (an_attempt(7),))

    def overtaken(asked: Asked) -> None:
        if not isinstance(asked, tuple) and getattr(asked, "etag", None) == etag:
            watched.before = quietly
            taken(on_watched, theirs)

    watched.before = overtaken
    (refused,) = on_watched.activities.advance([Step(SENDING, etag, a_content(body_html=OTHER), (an_attempt(),))])
    assert isinstance(refused, Changed)
    assert letter(on_watched).activity.record == theirs.activity
    assert letter(on_watched).content == theirs.content
    assert list(on_watched.activities.attempts(LETTER)) == [an_attempt(7)]


# ---- attempts


def test_attempts_are_kept_oldest_first(stores: Stores) -> None:
    (etag,) = created(stores)
    numbers = [2, 12, 1, 10, 100, 3]
    attempts = tuple(an_attempt(number) for number in numbers)
    taken(stores, Step(SENDING, etag, attempts=attempts))
    assert [each.number for each in stores.activities.attempts(LETTER)] == sorted(numbers)
    assert list(stores.activities.attempts(ActivityId(an_id("nobody")))) == []
    assert list(stores.activities.attempts(ActivityId("no/key"))) == []


def test_an_attempt_is_replaced_by_its_receipt(stores: Stores) -> None:
    (etag,) = created(stores)
    (stored,) = taken(stores, Step(SENDING, etag, attempts=(an_attempt(1), an_attempt(2))))
    ended = an_attempt(
        2,
        outcome=AttemptOutcome.ACCEPTED,
        ended_on=NOW + 3 * MINUTE,
        status_code="2.0.0",
        detail="queued as 4f",
        refused=(RefusedRecipient("bob@fabrikam.example", "5.1.1", "no such user"),),
        server_id="4f",
    )
    taken(stores, Step(SENT, stored.etag, attempts=(ended,)))
    assert list(stores.activities.attempts(LETTER)) == [an_attempt(1), ended]


def test_an_attempt_says_as_much_as_fits(stores: Stores) -> None:
    (etag,) = created(stores)
    hostile = RefusedRecipient("\ud800" * 5_000, "日" * 5_000, '"' * 100_000)
    short = RefusedRecipient("bob@fabrikam.example", "5.1.1", "no such user")
    attempt = an_attempt(
        refused=(short, *[hostile] * 500), detail="\ud800" * 90_000, status_code="5" * 90_000, server_id="日" * 90_000
    )
    taken(stores, Step(SENT, etag, attempts=(attempt,)))
    (found,) = stores.activities.attempts(LETTER)
    assert found.refused[0] == short
    assert 1 < len(found.refused) < 20
    assert found.detail == "\ufffd" * LISTED_UNITS
    assert (len(found.status_code), len(found.server_id)) == (LISTED_UNITS, LISTED_UNITS)


def test_what_a_server_says_fits_in_the_row_of_the_email(stores: Stores) -> None:
    (etag,) = created(stores)
    said = '\x00\ud800"日' * 90_000
    talkative = an_outgoing(detail=said, status_code=said, server_message_id=said)
    (stored,) = taken(stores, Step(talkative, etag))
    assert letter(stores).activity == stored
    delivery = stored.record.delivery
    assert delivery is not None
    assert {len(each or "") for each in (delivery.detail, delivery.status_code, delivery.server_message_id)} == {LISTED_UNITS}
    assert stored.record == replace(talkative, delivery=delivery)


def test_an_erased_email_leaves_nothing_of_its_attempts(stores: Stores) -> None:
    (etag,) = created(stores, a_letter(body_html=LARGE))
    attempts = tuple(an_attempt(number) for number in range(1, 6))
    (stored,) = taken(stores, Step(SENT, etag, a_content(body_html=OTHER), attempts))
    tombstone = replace(SENT, deleted_on=NOW, delivery=None)
    stores.activities.erase(tombstone, stored.etag)
    assert list(stores.activities.attempts(LETTER)) == []
    assert stores.activities.content(LETTER) is None
    assert stores.activities.whole([LETTER]) == {}
    found = stores.activities.get(LETTER)
    assert found is not None
    assert found.record == tombstone
