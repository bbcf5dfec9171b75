"""What is done with items on the server: categories, the folder of undeliverable mail, process and delete."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from shared.domain.choices import IncomingFilteringMethod, Reason, Verdict
from shared.domain.errors import (
    AccessDenied,
    FolderNotFound,
    ItemError,
    ItemUnreadable,
    MailboxError,
    Throttled,
    Unreachable,
)
from shared.domain.folders import SENT_ITEMS
from shared.domain.ledger import TodoKind
from shared.domain.operations import RunOutcome
from shared.domain.organisation import OrganisationSettings
from shared.messages import SyncReason
from shared.ports import TODOS_AT_ONCE
from shared.sync.budgets import ItemLimits
from tests.builders import a_mailbox, a_message, a_profile
from tests.unit.sync.aftermath import MINUTE, STAMPING, a_scene, the_row, write_todo
from tests.unit.sync.faults import Fault
from tests.unit.sync.scene import Scene


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


def rename_the_category(scene: Scene, **changes: Any) -> None:
    stored = scene.stores.settings.get()
    scene.stores.settings.put(replace(stored.record, **changes), stored.etag)
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
    assert not scene.anna.holds(ref), "an item that moves gets another id"
    [kept] = scene.stores.quarantine.list(scene.mailboxes["anna"].id).items
    assert kept.ref == the_row(scene).ref
    assert (scene.anna.folder_of(kept.ref), scene.anna.categories(kept.ref)) == ("folder-Undeliverable", ("Undeliverable",))
    replayed(scene)
    assert scene.subjects() == ["Bad"]
    assert scene.stores.quarantine.list(scene.mailboxes["anna"].id).items == []


def replayed(scene: Scene) -> None:
    write_todo(scene, TodoKind.RETRY, the_row(scene))
    scene.until_idle("anna")


def interrupted_while_moving(settings: OrganisationSettings, **changes: object) -> Scene:
    """The run died when the item was in its new place, and before it could say so."""
    scene = a_scene(
        settings, IncomingFilteringMethod.ALL, profile=a_profile(move_undeliverable=True), limits=ItemLimits(attempts=1)
    )
    ref = scene.anna.deliver(a_message("Bad", **changes))
    scene.anna.unreadable[ref.id] = ItemUnreadable("cannot be converted")
    scene.fail_at_first("mail.move", Fault.DEATH_AFTER)
    assert scene.attempt() is None
    assert not scene.anna.holds(ref)
    scene.anna.unreadable.clear()
    return scene


@pytest.mark.parametrize("settings", [STAMPING, OrganisationSettings()])
def test_what_was_moved_by_a_run_that_died_is_found_where_it_is(settings: OrganisationSettings) -> None:
    scene = interrupted_while_moving(settings)
    scene.until_nothing_is_left()
    [kept] = scene.stores.quarantine.list(scene.mailboxes["anna"].id).items
    assert kept.ref == the_row(scene).ref
    assert scene.anna.folder_of(kept.ref) == "folder-Undeliverable"
    replayed(scene)
    assert scene.subjects() == ["Bad"]


def test_a_replay_that_comes_before_the_move_is_repeated_leaves_an_item_that_can_be_replayed() -> None:
    scene = interrupted_while_moving(STAMPING)
    scene.clock.advance(timedelta(hours=1))  # the lease of the dead is over
    replayed(scene)
    [kept] = scene.stores.quarantine.list(scene.mailboxes["anna"].id).items
    assert "not where it lay" not in kept.detail
    replayed(scene)
    assert scene.subjects() == ["Bad"]


def test_what_was_moved_and_cannot_be_told_from_others_says_that_it_may_have_been_moved() -> None:
    scene = interrupted_while_moving(STAMPING, message_id=None)
    scene.until_nothing_is_left()
    replayed(scene)
    [kept] = scene.stores.quarantine.list(scene.mailboxes["anna"].id).items
    assert kept.detail.startswith("The message is not where it lay in the mailbox: it was deleted, or moved")
    assert kept.raw_blob is not None


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
