"""The contract of changing and erasing an activity, and of what is noted beside it."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from itertools import count
from threading import Barrier

import pytest

from shared.domain.choices import ActivityState, EmailStatus, OwnerKind, RegardingSource
from shared.domain.configuration import OwnerRef
from shared.domain.email import EmailActivity, EmailContent, NewEmail, RecipientReport
from shared.domain.errors import Changed
from shared.domain.ids import ActivityId, MailboxId, OwnerId
from shared.domain.records import RecordRef
from shared.ports import Stores
from shared.stores.entities import content_blob
from tests.contracts.gateways import Asked, WatchedGateway, quietly
from tests.contracts.records import (
    NOW,
    a_content,
    a_sighting,
    an_activity,
    an_annotation,
    an_email,
    an_id,
)

EMAIL = an_activity().id
TOMBSTONE = replace(an_activity(subject="", sender=""), deleted_on=NOW)
LARGE = "x" * 40_000


class Crash(Exception):
    """The process ends here."""


def is_erased(stores: Stores) -> bool:
    activities = stores.activities
    left = (activities.content(EMAIL), *activities.sightings(EMAIL), *activities.annotations(EMAIL))
    return not any(left) and getattr(activities.get(EMAIL), "record", None) == TOMBSTONE


def text_is_there(stores: Stores) -> bool:
    with suppress(KeyError):
        return bool(list(stores.blobs.read(content_blob(an_activity().content_id, "body_html", LARGE))))
    return False


def test_what_may_change_is_changed_as_it_was_read(stores: Stores) -> None:
    (created,) = stores.activities.create([an_email()])
    changed = an_activity(
        state=ActivityState.COMPLETED,
        status=EmailStatus.COMPLETED,
        owner=OwnerRef(OwnerKind.QUEUE, OwnerId(an_id("sales"))),
        conversation=EMAIL,
        regarding=RecordRef("account", an_id("fabrikam")),
        regarding_set_by=RegardingSource.HAND,
    )
    replaced = stores.activities.replace(changed, created.etag)
    assert stores.activities.get(EMAIL) == replaced
    assert (replaced.record, replaced.created) == (changed, False)
    with pytest.raises(Changed):
        stores.activities.replace(an_activity(), created.etag)
    assert stores.activities.get(EMAIL) == replaced
    assert stores.activities.content(EMAIL) == a_content()


def test_a_regarding_that_is_taken_away_is_gone(stores: Stores) -> None:
    about = an_activity(regarding=RecordRef("account", an_id("fabrikam")))
    (created,) = stores.activities.create([NewEmail(about, a_content(), a_sighting())])
    stores.activities.replace(replace(about, regarding=None), created.etag)
    found = stores.activities.get(EMAIL)
    assert found is not None
    assert found.record.regarding is None


def test_a_change_does_not_undo_what_another_one_marked(stores: Stores) -> None:
    (created,) = stores.activities.create([an_email()])
    stores.activities.mark_variants([EMAIL])
    with pytest.raises(Changed):
        stores.activities.replace(an_activity(subject="changed"), created.etag)


def test_what_is_not_there_cannot_be_changed(stores: Stores) -> None:
    (other,) = stores.activities.create([an_email("other")])
    with pytest.raises(Changed):
        stores.activities.replace(an_activity(), other.etag)
    with pytest.raises(Changed):
        stores.activities.erase(TOMBSTONE, other.etag)
    assert stores.activities.get(EMAIL) is None


def test_those_that_exist_are_found_tombstones_too(stores: Stores) -> None:
    created = {each.record.id: each for each in stores.activities.create([an_email(number) for number in range(30)])}
    erased = ActivityId(an_id(7))
    stores.activities.erase(replace(created[erased].record, deleted_on=NOW), created[erased].etag)
    nobody = [ActivityId(an_id("nobody")), ActivityId("no/key"), ActivityId("")]
    found = stores.activities.find([*created, *nobody, erased])
    assert set(found) == set(created)
    assert found[erased].record.deleted_on == NOW
    assert all(found[key] == replace(each, created=False) for key, each in created.items() if key != erased)
    assert stores.activities.find([]) == {}


def test_contents_are_read_together_of_those_that_have_one(stores: Stores) -> None:
    emails = [an_email(number) for number in range(3)]
    erased, *_ = stores.activities.create(emails)
    stores.activities.erase(replace(erased.record, deleted_on=NOW), erased.etag)
    asked = [*(email.activity.id for email in emails), ActivityId(an_id("nobody"))]
    assert stores.activities.contents(asked) == {email.activity.id: email.content for email in emails[1:]}
    assert stores.activities.contents([]) == {}


def test_those_asked_for_are_read_several_at_once(on_watched: Stores, watched: WatchedGateway) -> None:
    on_watched.activities.create([an_email(number) for number in range(8)])
    together = Barrier(4)
    watched.before = lambda _: together.wait(timeout=60)
    assert len(on_watched.activities.find([ActivityId(an_id(number)) for number in range(8)])) == 8


def test_a_mailbox_that_has_the_email_no_more_is_taken_back(stores: Stores) -> None:
    stores.activities.create([an_email()])
    stores.activities.sight([a_sighting(mailbox="bert")])
    for _ in range(2):
        stores.activities.unsight(EMAIL, MailboxId(an_id("anna")))
    stores.activities.unsight(ActivityId(an_id("nobody")), MailboxId(an_id("anna")))
    assert stores.activities.sightings(EMAIL) == [a_sighting(mailbox="bert")]
    assert stores.activities.get(EMAIL) is not None


def test_annotations_are_kept_by_email_and_report(stores: Stores) -> None:
    stores.activities.create([an_email()])
    again = an_annotation("email", "two", RecipientReport("carl@fabrikam.example", "delayed", "4.4.1"))
    stores.activities.annotate([an_annotation("email", "one"), an_annotation("email", "two"), an_annotation("other", "one")])
    stores.activities.annotate([again, again])
    stores.activities.annotate([])
    found = {each.report: each for each in stores.activities.annotations(EMAIL)}
    assert found == {an_id("one"): an_annotation("email", "one"), an_id("two"): again}
    assert stores.activities.annotations(ActivityId(an_id("other"))) == [an_annotation("other", "one")]
    assert stores.activities.annotations(ActivityId(an_id("nobody"))) == []
    assert stores.activities.sightings(EMAIL) == [a_sighting()]


def test_an_annotation_says_as_much_as_fits(stores: Stores) -> None:
    hostile = RecipientReport("\ud800" * 5_000, "日" * 5_000, "\x00" * 5_000, '"' * 100_000)
    short = RecipientReport("bob@fabrikam.example", "failed", "5.1.1")
    stores.activities.annotate([an_annotation("email", "report", short, *[hostile] * 500)])
    (found,) = stores.activities.annotations(EMAIL)
    assert found.recipients[0] == short
    assert 1 < len(found.recipients) < 10
    assert found.recipients[1].address == "\ufffd" * 1_000


def test_a_report_of_any_size_stands_in_the_content(stores: Stores) -> None:
    content = a_content(authentication_results="spf=pass " * 10_000)
    stores.activities.create([NewEmail(an_activity(), content, a_sighting())])
    assert stores.activities.content(EMAIL) == content


def test_an_erased_email_leaves_a_tombstone_and_nothing_else(stores: Stores) -> None:
    (created,) = stores.activities.create([an_email(body_html=LARGE)])
    stores.activities.sight([a_sighting(mailbox=str(number)) for number in range(120)])
    stores.activities.annotate([an_annotation()])
    with pytest.raises(Changed):
        stores.activities.erase(TOMBSTONE, stores.activities.create([an_email("other")])[0].etag)
    assert stores.activities.content(EMAIL) is not None
    stores.activities.erase(TOMBSTONE, created.etag)
    assert is_erased(stores)
    assert stores.activities.content(ActivityId(an_id("other"))) is not None
    assert len(stores.activities.sightings(ActivityId(an_id("other")))) == 1


def test_an_erased_email_is_not_stored_again(stores: Stores) -> None:
    (created,) = stores.activities.create([an_email(body_html=LARGE)])
    stores.activities.erase(TOMBSTONE, created.etag)
    (again,) = stores.activities.create([an_email(mailbox="bert", body_html=LARGE)])
    assert (again.record, again.created) == (TOMBSTONE, False)
    assert is_erased(stores)
    assert not text_is_there(stores)


def test_an_erased_email_takes_no_text_of_another_with_its_message_id(stores: Stores) -> None:
    other = NewEmail(
        an_activity("variant", content_id=ActivityId(an_id("content of variant"))),
        a_content(body_html=LARGE),
        a_sighting("variant"),
    )
    (created, _) = stores.activities.create([an_email(), other])
    stores.activities.erase(TOMBSTONE, created.etag)
    stores.activities.create([replace(other, activity=replace(other.activity, id=EMAIL), sighting=a_sighting())])
    assert stores.activities.content(other.activity.id) == other.content


@pytest.mark.parametrize("requests", range(9))
def test_erasing_again_finishes_what_a_crash_ended(on_watched: Stores, watched: WatchedGateway, requests: int) -> None:
    activities = on_watched.activities
    activities.create([an_email(body_html=LARGE)])
    activities.sight([a_sighting(mailbox=str(number)) for number in range(300)])
    activities.annotate([an_annotation()])
    watched.before = crash_after(requests)
    crashed = not _erased_by(on_watched)
    watched.before = quietly
    assert crashed == (requests < 8), "the row, the tombstone, what is beside it, four transactions, and the content"
    assert _content_is_whole_or_gone(on_watched)
    assert _erased_by(on_watched)
    assert is_erased(on_watched)
    assert not text_is_there(on_watched)


def crash_after(requests: int) -> Callable[[Asked], None]:
    sent = count()

    def before(_: Asked) -> None:
        if next(sent) >= requests:
            raise Crash

    return before


def _erased_by(stores: Stores) -> bool:
    """Whether it came to its end."""
    try:
        found = stores.activities.get(EMAIL)
        assert found is not None
        stores.activities.erase(TOMBSTONE, found.etag)
    except Crash:
        return False
    return True


def _content_is_whole_or_gone(stores: Stores) -> bool:
    content: EmailContent | None = stores.activities.content(EMAIL)
    activity: EmailActivity = stores.activities.find([EMAIL])[EMAIL].record
    if activity.deleted_on is None:
        return content == a_content(body_html=LARGE)
    if content is None:
        return not any((*stores.activities.sightings(EMAIL), *stores.activities.annotations(EMAIL)))
    return content == a_content(body_html=LARGE)
