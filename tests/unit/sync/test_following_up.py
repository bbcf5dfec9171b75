"""What becomes of items after their page: judged again, tracked by hand or by category."""

from dataclasses import replace
from datetime import timedelta

from shared.domain.choices import IncomingFilteringMethod, Reason, Verdict
from shared.domain.errors import (
    ItemUnreadable,
)
from shared.domain.ledger import TodoKind
from shared.domain.operations import RunOutcome
from shared.domain.organisation import OrganisationSettings
from shared.domain.records import RecordRef
from tests.builders import MONDAY, a_message
from tests.unit.sync.aftermath import MINUTE, a_scene, the_row, write_todo

# ---- judged again


def test_an_answer_whose_original_comes_later_through_another_mailbox_is_judged_again_twice_and_then_left() -> None:
    scene = a_scene()
    scene.anna.deliver(a_message("Re: Offer", in_reply_to="offer@fabrikam.example"))
    scene.run()
    assert the_row(scene).reason is Reason.NO_CORRELATION_MATCH
    assert scene.anna.fetched == [], "nothing of it was downloaded"
    for wait in (15 * MINUTE, 120 * MINUTE):
        assert scene.head().todos == ()
        scene.clock.advance(wait)
        assert [todo.kind for todo in scene.head().todos] == [TodoKind.JUDGE]
        assert scene.run() is RunOutcome.COMPLETED
    scene.clock.advance(timedelta(days=9))
    assert scene.head().todos == ()


def test_an_answer_is_accepted_as_soon_as_its_original_is_there() -> None:
    scene = a_scene()
    scene.anna.deliver(a_message("Re: Offer", in_reply_to="offer@fabrikam.example", to=["anna@contoso.example"]))
    scene.until_idle("anna")
    scene.ben.deliver(a_message("Offer", to=["ben@contoso.example"]))
    scene.until_idle("ben")
    scene.clock.advance(15 * MINUTE)
    scene.until_idle("anna")
    assert (the_row(scene).verdict, the_row(scene).reason) == (Verdict.PROMOTED, Reason.RESPONSE)
    answer = scene.activity(scene.activity_ids()[0]).record
    assert answer.conversation == answer.correlated_to == answer.parent == scene.activity_ids("ben")[0]


def test_what_answers_nothing_is_not_judged_again() -> None:
    scene = a_scene()
    scene.anna.deliver(a_message("Newsletter"))
    scene.run()
    scene.clock.advance(timedelta(days=9))
    assert scene.head().todos == ()


def test_a_judgement_that_was_asked_for_does_not_touch_what_was_tracked_meanwhile() -> None:
    scene = a_scene()
    ref = scene.anna.deliver(a_message("Offer"))
    scene.until_idle("anna")
    skipped = the_row(scene)
    scene.anna.change(ref, categories=("Tracked",))
    scene.until_idle("anna")
    promoted = the_row(scene)
    write_todo(scene, TodoKind.JUDGE, promoted)
    head = scene.head()
    assert head.todos
    assert skipped.verdict is Verdict.SKIPPED
    scene.until_idle("anna")
    assert the_row(scene).verdict is Verdict.PROMOTED
    assert scene.head().todos == ()


# ---- by category


def test_a_category_tracks_whatever_the_filter_says_and_taking_it_away_untracks() -> None:
    scene = a_scene()
    ref = scene.anna.deliver(a_message("Offer", received=MONDAY - timedelta(days=400)))
    scene.until_idle("anna")
    assert scene.subjects() == []
    scene.anna.change(ref, categories=("tracked", "Blue"))
    scene.until_idle("anna")
    assert scene.subjects() == ["Offer"]
    assert (the_row(scene).reason, the_row(scene).category) == (Reason.CATEGORY, "Tracked")

    [activity_id] = scene.activity_ids()
    scene.anna.change(ref, categories=("Blue",))
    scene.until_idle("anna")
    assert scene.subjects() == []
    assert (the_row(scene).verdict, the_row(scene).reason) == (Verdict.SKIPPED, Reason.UNTRACKED)
    assert scene.activity(activity_id).record.deleted_on is None, "the activity stays"
    assert scene.stores.activities.sightings(activity_id) == []

    scene.anna.change(ref, size=2500)
    scene.until_idle("anna")
    assert the_row(scene).reason is Reason.UNTRACKED, "it is not tracked again by itself"
    scene.anna.change(ref, categories=("Tracked",))
    scene.until_idle("anna")
    assert scene.subjects() == ["Offer"]


def test_a_category_counts_for_nothing_where_the_organisation_does_not_track_by_it() -> None:
    scene = a_scene(OrganisationSettings(track_by_category=False))
    scene.anna.deliver(a_message("Offer", categories=("Tracked",)))
    scene.until_idle("anna")
    assert scene.subjects() == []


# ---- by hand


def test_what_a_person_asks_for_is_tracked_with_the_regarding_that_they_gave() -> None:
    scene = a_scene()
    scene.anna.deliver(a_message("Offer"))
    scene.until_idle("anna")
    write_todo(scene, TodoKind.TRACK, the_row(scene), regarding=RecordRef("account", "fabrikam"))
    scene.until_idle("anna")
    [activity_id] = scene.activity_ids()
    assert scene.activity(activity_id).record.regarding == RecordRef("account", "fabrikam")
    assert scene.content(activity_id).acceptance is Reason.BY_HAND


def test_what_a_person_asks_for_stays_asked_for_while_it_cannot_be_read() -> None:
    scene = a_scene()
    ref = scene.anna.deliver(a_message("Offer"))
    scene.until_idle("anna")
    scene.anna.unreadable[ref.id] = ItemUnreadable("for the moment")
    write_todo(scene, TodoKind.TRACK, the_row(scene), regarding=RecordRef("account", "fabrikam"))
    scene.until_idle("anna")
    assert the_row(scene).verdict is Verdict.FAILING
    scene.anna.unreadable.clear()
    scene.clock.advance(15 * MINUTE)
    scene.until_idle("anna")
    assert scene.activity(scene.activity_ids()[0]).record.regarding == RecordRef("account", "fabrikam")


def test_what_other_mailboxes_brought_before_is_read_together() -> None:
    scene = a_scene(accepting=IncomingFilteringMethod.ALL)
    everybody = ["anna@contoso.example", "ben@contoso.example"]
    for mail in (scene.ben, scene.anna):
        for number in range(30):
            mail.deliver(a_message(f"Offer {number}", to=everybody))
    scene.until_idle("ben")
    scene.world.calls.clear()
    scene.until_idle("anna")
    assert len(scene.subjects()) == 30
    assert scene.world.calls.count("activities.contents") == 1
    assert "activities.content" not in scene.world.calls


def test_an_email_that_was_deleted_is_not_stored_again() -> None:
    scene = a_scene(accepting=IncomingFilteringMethod.ALL)
    scene.ben.deliver(a_message("Offer", to=["ben@contoso.example"]))
    scene.until_idle("ben")
    stored = scene.activity(scene.activity_ids("ben")[0])
    scene.stores.activities.erase(replace(stored.record, deleted_on=MONDAY), stored.etag)
    scene.anna.deliver(a_message("Offer", to=["ben@contoso.example"]))
    scene.until_idle("anna")
    assert (the_row(scene).verdict, the_row(scene).reason) == (Verdict.SKIPPED, Reason.DELETED)
    assert scene.subjects() == []
