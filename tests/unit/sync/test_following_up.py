"""What becomes of items after their page: judged again, tracked by hand or by category, marked, moved and deleted."""

import base64
from dataclasses import replace
from datetime import timedelta

import pytest

from shared.domain.choices import Direction, IncomingFilteringMethod, OwnerKind, Reason, Verdict, Workload
from shared.domain.email import SENT_ITEMS, ItemRef, OptOut
from shared.domain.errors import (
    AccessDenied,
    FolderNotFound,
    ItemError,
    ItemUnreadable,
    MailboxError,
    Throttled,
    Unreachable,
)
from shared.domain.ids import OwnerId, email_id
from shared.domain.ledger import LedgerCommit, LedgerItem, Todo, TodoKind
from shared.domain.operations import RunOutcome
from shared.domain.organisation import OrganisationSettings
from shared.domain.records import AddressBookRecord, RecordRef
from shared.messages import SyncReason
from shared.ports import TODOS_AT_ONCE
from shared.sync.budgets import ItemLimits
from tests.builders import MONDAY, a_mailbox, a_message, a_profile
from tests.unit.sync.scene import Scene

MINUTE = timedelta(minutes=1)
STAMPING = OrganisationSettings(stamp_categories=True)


def a_scene(
    settings: OrganisationSettings | None = None,
    accepting: IncomingFilteringMethod = IncomingFilteringMethod.RESPONSES,
    **changes: object,
) -> Scene:
    """Anna accepts answers only, unless told."""
    scene = Scene(**changes)  # type: ignore[arg-type]
    scene.stores.settings.put(settings or OrganisationSettings(), None)
    owner = scene.stores.owners.get(OwnerKind.USER, OwnerId("user-anna"))
    assert owner is not None
    scene.stores.owners.replace(replace(owner.record, filtering_method=accepting), owner.etag)
    return scene


def the_row(scene: Scene) -> LedgerItem:
    [row] = scene.ledger().values()
    return row


def write_todo(scene: Scene, kind: TodoKind, row: LedgerItem, **changes: object) -> None:
    """As the queue message that a person's request becomes."""
    head = scene.head()
    assert head.state is not None
    todo = Todo(kind, row.decided_on, row, **changes)  # type: ignore[arg-type]
    commit = LedgerCommit(replace(head.state, nonce="asked"), items=(row,), todos=(todo,))
    scene.stores.ledger.commit(scene.mailboxes["anna"].id, Workload.INCOMING, head.etag, commit)


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


# ---- conversations


def test_answers_in_a_conversation_that_was_opted_out_are_left_and_so_are_answers_to_them() -> None:
    scene = a_scene(accepting=IncomingFilteringMethod.ALL)
    scene.anna.deliver(a_message("Offer"))
    scene.until_idle("anna")
    [offer] = scene.activity_ids()
    scene.stores.correlations.opt_out(OptOut(offer, "anna", MONDAY))
    scene.anna.deliver(a_message("Re: Offer", in_reply_to="offer@fabrikam.example", message_id="one@fabrikam.example"))
    scene.until_idle("anna")
    scene.anna.deliver(a_message("Re: Offer", in_reply_to="one@fabrikam.example", message_id="two@fabrikam.example"))
    scene.until_idle("anna")
    assert scene.subjects() == ["Offer"]
    assert sorted(row.reason for row in scene.ledger().values()) == [Reason.OPTED_OUT, Reason.OPTED_OUT, Reason.RELEVANT]


def test_an_answer_in_the_same_page_takes_conversation_and_regarding_from_its_original() -> None:
    scene = a_scene(accepting=IncomingFilteringMethod.ALL)
    scene.anna.deliver(a_message("Offer", received=MONDAY - 3 * MINUTE))
    answer = a_message("Re: Offer", in_reply_to="offer@fabrikam.example", message_id="one@fabrikam.example")
    scene.anna.deliver(replace(answer, received=MONDAY - 2 * MINUTE))
    again = a_message("Re: Re: Offer", references=("one@fabrikam.example",), message_id="two@fabrikam.example")
    scene.anna.deliver(replace(again, received=MONDAY - MINUTE))
    scene.run()
    offer, one, two = (
        scene.activity(email_id(f"{name}@fabrikam.example", Direction.INCOMING)).record for name in ("offer", "one", "two")
    )
    assert offer.conversation == one.conversation == two.conversation == offer.id
    assert (one.parent, two.parent) == (offer.id, one.id)


@pytest.mark.parametrize("filter_", [IncomingFilteringMethod.ALL, IncomingFilteringMethod.LEADS_CONTACTS_ACCOUNTS])
@pytest.mark.parametrize("number", range(6))
def test_of_mail_that_came_within_one_second_answers_find_what_they_answer(
    number: int, filter_: IncomingFilteringMethod
) -> None:
    """Whatever their keys are: hashes of their Message-IDs."""
    scene = a_scene(accepting=filter_)
    scene.stores.address_book.put(AddressBookRecord("contact", "carol", "Carol", ("carol@fabrikam.example",)))
    first, second, third = (f"{number}.{place}@fabrikam.example" for place in range(3))
    answer = a_message("Re: Offer", received=MONDAY, references=(first,), in_reply_to=first, message_id=second)
    again = a_message("Re: Re: Offer", received=MONDAY, references=(first, second), in_reply_to=second, message_id=third)
    for message in (again, answer, a_message("Offer", received=MONDAY, message_id=first)):
        scene.anna.deliver(message)
    scene.run()
    offer, one, two = (scene.activity(email_id(each, Direction.INCOMING)).record for each in (first, second, third))
    assert (one.parent, two.parent) == (offer.id, one.id)
    assert offer.conversation == one.conversation == two.conversation == offer.id


def test_what_a_person_tracks_of_a_conversation_that_was_opted_out_brings_no_further_answers_with_it() -> None:
    scene = a_scene(accepting=IncomingFilteringMethod.ALL)
    scene.anna.deliver(a_message("Offer"))
    scene.until_idle("anna")
    [offer] = scene.activity_ids()
    scene.stores.correlations.opt_out(OptOut(offer, "anna", MONDAY))
    answer = a_message("Re: Offer", in_reply_to="offer@fabrikam.example", message_id="one@fabrikam.example")
    scene.anna.deliver(replace(answer, received=MONDAY - 2 * MINUTE, categories=("Tracked",)))
    scene.anna.deliver(
        a_message("Re: Re", received=MONDAY, in_reply_to="one@fabrikam.example", message_id="two@fabrikam.example")
    )
    scene.until_idle("anna")
    scene.anna.deliver(a_message("Re: Re: Re", in_reply_to="one@fabrikam.example", message_id="three@fabrikam.example"))
    scene.until_idle("anna")
    assert scene.subjects() == ["Offer", "Re: Offer"]
    tracked = scene.activity(email_id("one@fabrikam.example", Direction.INCOMING)).record
    assert (tracked.conversation, tracked.correlated_to) == (offer, None)


def delete(scene: Scene, message_id: str) -> None:
    stored = scene.activity(email_id(message_id, Direction.INCOMING))
    scene.stores.activities.erase(replace(stored.record, deleted_on=MONDAY), stored.etag)


def test_nothing_continues_an_email_that_was_deleted_whatever_leads_to_it() -> None:
    scene = a_scene(accepting=IncomingFilteringMethod.ALL)
    base, answer = bytes(range(1, 23)), bytes(5)
    index = base64.b64encode(base + answer).decode()
    for number in range(3):
        received = MONDAY - (9 - number) * MINUTE
        scene.anna.deliver(a_message(f"Offer {number}", received=received, conversation_index=index))
    scene.until_idle("anna")
    delete(scene, "offer-2@fabrikam.example")
    scene.anna.deliver(a_message("Order", received=MONDAY, conversation_index=index))
    scene.until_idle("anna")
    order = scene.activity(email_id("order@fabrikam.example", Direction.INCOMING)).record
    assert order.correlated_to == email_id("offer-1@fabrikam.example", Direction.INCOMING)
    for name in ("offer-0", "offer-1", "order"):
        delete(scene, f"{name}@fabrikam.example")
    scene.anna.deliver(a_message("Invoice", received=MONDAY, conversation_index=index))
    scene.until_idle("anna")
    invoice = scene.activity(email_id("invoice@fabrikam.example", Direction.INCOMING)).record
    assert (invoice.correlated_to, invoice.conversation) == (None, invoice.id)


# ---- on the server


def test_what_is_tracked_gets_the_category_and_what_is_not_gets_none() -> None:
    scene = a_scene(STAMPING, IncomingFilteringMethod.ALL)
    tracked = scene.anna.deliver(a_message("Offer", categories=("Blue",)))
    skipped = scene.anna.deliver(a_message("Lunch", item_class="IPM.Schedule.Meeting.Request"))
    scene.run()
    assert scene.anna.categories(tracked) == ("Blue", "Tracked")
    assert scene.anna.categories(skipped) == ()
    assert {row.category for row in scene.ledger().values()} == {"Tracked", None}
    scene.until_idle("anna")
    assert scene.head().todos == ()


def test_taking_a_stamp_away_untracks() -> None:
    scene = a_scene(STAMPING, IncomingFilteringMethod.ALL)
    ref = scene.anna.deliver(a_message("Offer"))
    scene.until_idle("anna")
    scene.anna.change(ref, categories=())
    scene.until_idle("anna")
    assert the_row(scene).reason is Reason.UNTRACKED
    assert scene.anna.categories(ref) == ()


def rename_the_category(scene: Scene, **changes: object) -> None:
    stored = scene.stores.settings.get()
    scene.stores.settings.put(replace(stored.record, **changes), stored.etag)  # type: ignore[arg-type]
    scene.clock.advance(timedelta(hours=1))  # processes remember settings for a while


def test_calling_the_category_something_else_untracks_nothing_and_taking_the_former_away_still_does() -> None:
    scene = a_scene(STAMPING, IncomingFilteringMethod.ALL)
    stamped = scene.anna.deliver(a_message("Offer"))
    given = scene.anna.deliver(a_message("Order", categories=("tracked",)))
    scene.until_idle("anna")
    rename_the_category(scene, tracked_category="In CRM")
    scene.anna.change(stamped, categories=("Tracked", "Blue"))
    scene.anna.change(given, size=2500)
    scene.until_idle("anna")
    assert scene.subjects() == ["Offer", "Order"]
    scene.anna.change(stamped, categories=("Blue",))
    scene.until_idle("anna")
    assert scene.subjects() == ["Order"]


def test_what_is_untracked_by_hand_loses_the_category_that_it_was_given_by_its_former_name() -> None:
    scene = a_scene(STAMPING, IncomingFilteringMethod.ALL)
    ref = scene.anna.deliver(a_message("Offer"))
    scene.until_idle("anna")
    rename_the_category(scene, tracked_category="In CRM")
    untracked = replace(the_row(scene), verdict=Verdict.SKIPPED, reason=Reason.UNTRACKED)
    write_todo(scene, TodoKind.STAMP, untracked)
    scene.until_idle("anna")
    assert scene.anna.categories(ref) == ()
    assert the_row(scene).category is None


@pytest.mark.parametrize("failure", [ItemError("not now"), Unreachable("cut short")])
def test_a_stamp_that_fails_is_tried_five_times_and_the_item_stays_tracked(failure: Exception) -> None:
    scene = a_scene(STAMPING, IncomingFilteringMethod.ALL)
    ref = scene.anna.deliver(a_message("Offer"))
    scene.anna.marking_fails = [failure] * 5
    for _ in range(6):
        assert scene.run() in (RunOutcome.COMPLETED, RunOutcome.IDLE)
        scene.clock.advance(15 * MINUTE)
    assert scene.anna.marking_fails == []
    assert (the_row(scene).verdict, the_row(scene).category) == (Verdict.PROMOTED, None)
    assert scene.anna.categories(ref) == ()
    assert scene.head().todos == ()


def test_a_server_that_wants_to_be_left_alone_is_left_alone_and_the_stamp_is_not_lost() -> None:
    scene = a_scene(STAMPING, IncomingFilteringMethod.ALL)
    ref = scene.anna.deliver(a_message("Offer"))
    scene.anna.marking_fails = [Throttled("slow down", retry_after=7 * MINUTE)]
    assert scene.run() is RunOutcome.FAILED
    assert scene.wait() == 7 * MINUTE
    scene.until_idle("anna")
    assert scene.anna.categories(ref) == ("Tracked",)


@pytest.mark.parametrize("deletes", [False, True])
@pytest.mark.parametrize("failure", [AccessDenied("ErrorAccessDenied"), FolderNotFound("not there"), MailboxError("full")])
def test_who_may_read_and_not_write_reads_on_and_one_alert_says_so(failure: Exception, deletes: bool) -> None:
    boxes = {"anna": a_mailbox("anna", process_and_delete=deletes), "ben": a_mailbox("ben")}
    scene = a_scene(STAMPING, IncomingFilteringMethod.ALL, mailboxes=boxes)
    for number in range(3):
        scene.anna.deliver(a_message(f"Offer {number}"))
    scene.anna.marking_fails = [failure] * 100
    for _ in range(6):
        assert scene.run() in (RunOutcome.COMPLETED, RunOutcome.IDLE)
        scene.clock.advance(15 * MINUTE)
    assert len(scene.subjects()) == 3
    assert scene.head().todos == ()
    [alert] = scene.alerts()
    assert (alert.code, alert.parameters["kind"]) == ("marking_failed", "discard" if deletes else "stamp")


def test_a_server_that_does_not_permit_a_mark_is_asked_once_in_a_run() -> None:
    scene = a_scene(STAMPING, IncomingFilteringMethod.ALL)
    refs = [scene.anna.deliver(a_message(f"Offer {number}")) for number in range(20)]
    scene.anna.marking_fails = [AccessDenied("ErrorAccessDenied")]
    assert scene.run() is RunOutcome.COMPLETED
    assert {scene.anna.categories(ref) for ref in refs} == {()}
    scene.clock.advance(15 * MINUTE)
    scene.until_idle("anna")
    assert {scene.anna.categories(ref) for ref in refs} == {("Tracked",)}, "the right was given meanwhile"


def test_new_mail_is_read_though_the_server_never_lets_us_mark_what_was_stored_before() -> None:
    scene = a_scene(STAMPING, IncomingFilteringMethod.ALL)
    scene.anna.marking_fails = [Throttled("slow down", retry_after=7 * MINUTE)] * 100
    for number in range(3):
        scene.anna.deliver(a_message(f"Offer {number}"))
        assert scene.run() is RunOutcome.FAILED
        scene.clock.advance(8 * MINUTE)
    assert scene.subjects() == ["Offer 0", "Offer 1", "Offer 2"]
    scene.anna.marking_fails.clear()
    scene.until_idle("anna")
    assert {row.category for row in scene.ledger().values()} == {"Tracked"}


def test_more_todos_than_one_run_takes_up_are_taken_up_by_its_continuation() -> None:
    scene = a_scene()
    for number in range(TODOS_AT_ONCE + 5):
        scene.anna.deliver(a_message(f"Re: {number}", in_reply_to="offer@fabrikam.example"))
    scene.until_idle("anna")
    scene.clock.advance(15 * MINUTE)
    assert scene.run() is RunOutcome.CONTINUED
    assert scene.run(reason=SyncReason.CONTINUATION) is RunOutcome.COMPLETED
    assert scene.head().todos == ()


def test_mail_that_is_gone_needs_no_stamp() -> None:
    scene = a_scene(STAMPING, IncomingFilteringMethod.ALL)
    ref = scene.anna.deliver(a_message("Offer"))
    scene.world.watch = lambda name: scene.anna.remove(ref) if name == "mail.categorize" else None
    assert scene.run() is RunOutcome.COMPLETED
    scene.world.watch = None
    scene.until_idle("anna")
    assert scene.head().todos == ()
    assert scene.subjects() == ["Offer"]


def test_what_is_given_up_is_marked_and_moved_and_a_replay_finds_it_where_it_is() -> None:
    scene = a_scene(
        STAMPING, IncomingFilteringMethod.ALL, profile=a_profile(move_undeliverable=True), limits=ItemLimits(attempts=1)
    )
    ref = scene.anna.deliver(a_message("Bad"))
    scene.anna.unreadable[ref.id] = ItemUnreadable("cannot be converted")
    scene.until_idle("anna")
    assert (scene.anna.folder_of(ref), scene.anna.categories(ref)) == ("folder-Undeliverable", ("Undeliverable",))
    [kept] = scene.stores.quarantine.list(scene.mailboxes["anna"].id).items
    assert kept.ref == the_row(scene).ref == ItemRef(ref.id, "folder-Undeliverable")
    scene.anna.unreadable.clear()
    write_todo(scene, TodoKind.RETRY, the_row(scene))
    scene.until_idle("anna")
    assert scene.subjects() == ["Bad"]
    assert scene.stores.quarantine.list(scene.mailboxes["anna"].id).items == []


def test_a_person_who_categorizes_what_was_given_up_has_it_tried_again() -> None:
    scene = a_scene(STAMPING, IncomingFilteringMethod.ALL, limits=ItemLimits(attempts=1))
    ref = scene.anna.deliver(a_message("Bad"))
    scene.anna.unreadable[ref.id] = ItemUnreadable("cannot be converted")
    scene.until_idle("anna")
    assert (the_row(scene).verdict, scene.anna.categories(ref)) == (Verdict.QUARANTINED, ("Undeliverable",))
    scene.anna.unreadable.clear()
    scene.anna.change(ref, categories=("Tracked", "Undeliverable"))
    scene.until_idle("anna")
    assert (scene.subjects(), scene.anna.categories(ref)) == (["Bad"], ("Tracked",))
    assert scene.stores.quarantine.list(scene.mailboxes["anna"].id).items == []


def test_process_and_delete_leaves_mail_of_which_attachments_were_left_out() -> None:
    boxes = {"anna": a_mailbox("anna", process_and_delete=True), "ben": a_mailbox("ben")}
    scene = a_scene(OrganisationSettings(blocked_attachments=("bin",)), accepting=IncomingFilteringMethod.ALL, mailboxes=boxes)
    whole = scene.anna.deliver(a_message("Offer"))
    partly = scene.anna.deliver(a_message("Order", attachments=[b"a program"]))
    scene.until_idle("anna")
    assert scene.subjects() == ["Offer", "Order"]
    assert (scene.anna.holds(whole), scene.anna.holds(partly)) == (False, True)


def test_process_and_delete_leaves_what_was_sent() -> None:
    boxes = {"anna": a_mailbox("anna", process_and_delete=True), "ben": a_mailbox("ben")}
    scene = a_scene(OrganisationSettings(track_sent_items=True), accepting=IncomingFilteringMethod.ALL, mailboxes=boxes)
    sent = scene.anna.deliver(a_message("Answer", sender="anna@contoso.example", to=["carol@fabrikam.example"]), SENT_ITEMS)
    scene.until_idle("anna")
    assert (scene.subjects(), scene.anna.holds(sent)) == (["Answer"], True)


def test_process_and_delete_deletes_what_is_stored_and_nothing_else() -> None:
    boxes = {"anna": a_mailbox("anna", process_and_delete=True), "ben": a_mailbox("ben")}
    scene = a_scene(accepting=IncomingFilteringMethod.ALL, mailboxes=boxes)
    stored = scene.anna.deliver(a_message("Offer"))
    skipped = scene.anna.deliver(a_message("A draft"), is_draft=True)
    bad = scene.anna.deliver(a_message("Bad"))
    scene.anna.unreadable[bad.id] = ItemUnreadable("cannot be converted")
    scene.until_idle("anna")
    assert not scene.anna.holds(stored)
    assert scene.anna.holds(skipped)
    assert scene.anna.holds(bad)
    assert scene.subjects() == ["Offer"]
