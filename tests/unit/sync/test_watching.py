"""Which folders a run reads, which rule holds in each, and what rules do to mail that lies there."""

from dataclasses import replace
from datetime import timedelta

import pytest

from shared.domain.choices import IncomingFilteringMethod, Reason, RegardingSource, Verdict
from shared.domain.folders import INBOX, SENT_ITEMS, Folder, TreeFolder
from shared.domain.operations import RunOutcome
from shared.domain.organisation import OrganisationSettings
from shared.domain.records import FolderTrackingRule, RecordRef
from shared.messages import Queue
from shared.stores.memory import memory_stores
from shared.sync.watching import TREE_LIFE, lost_rules, rules_that_hold
from tests.builders import MONDAY, a_mailbox, a_message, a_rule, with_organisation
from tests.unit.sync.scene import Scene

ANNA = a_mailbox("anna")
PROJECTS, ALPHA, BETA = (Folder(f"folder-{name.lower()}", name) for name in ("Projects", "Alpha", "Beta"))
TREE = (TreeFolder(PROJECTS.id, "Projects"), TreeFolder(ALPHA.id, "Alpha", PROJECTS.id), TreeFolder(BETA.id, "Beta", ALPHA.id))


def a_scene(*rules: FolderTrackingRule, accepting: IncomingFilteringMethod = IncomingFilteringMethod.NONE) -> Scene:
    """Anna, who accepts nothing unless told, with folders below the Inbox."""
    scene = Scene()
    assert ANNA.owner is not None
    owner = scene.stores.owners.get(ANNA.owner.kind, ANNA.owner.id)
    assert owner is not None
    scene.stores.owners.replace(replace(owner.record, filtering_method=accepting), owner.etag)
    scene.anna.folders_below += TREE
    for rule in rules:
        scene.stores.tracking_rules.put(rule, None)
    return scene


# ---- which rule holds where


@pytest.mark.parametrize(
    ("rules", "holding"),
    [
        ([], {}),
        ([a_rule(ANNA, PROJECTS)], {PROJECTS.id: "Projects"}),
        (
            [a_rule(ANNA, PROJECTS, include_subfolders=True)],
            {PROJECTS.id: "Projects", ALPHA.id: "Projects", BETA.id: "Projects"},
        ),
        (
            [a_rule(ANNA, PROJECTS, include_subfolders=True), a_rule(ANNA, ALPHA)],
            {PROJECTS.id: "Projects", ALPHA.id: "Alpha", BETA.id: "Projects"},
        ),
        (
            [a_rule(ANNA, PROJECTS, include_subfolders=True), a_rule(ANNA, ALPHA, include_subfolders=True)],
            {PROJECTS.id: "Projects", ALPHA.id: "Alpha", BETA.id: "Alpha"},
        ),
        ([a_rule(ANNA, BETA)], {BETA.id: "Beta"}),
    ],
)
def test_a_folder_has_its_own_rule_or_that_of_the_nearest_folder_above_that_includes_those_below(
    rules: list[FolderTrackingRule], holding: dict[str, str]
) -> None:
    assert {folder: rule.folder_name for folder, rule in rules_that_hold(rules, TREE).items()} == holding


def test_a_tree_with_a_ring_in_it_ends() -> None:
    ring = (TreeFolder(ALPHA.id, "Alpha", BETA.id), TreeFolder(BETA.id, "Beta", ALPHA.id))
    assert rules_that_hold([a_rule(ANNA, PROJECTS, include_subfolders=True)], ring) == {}


def test_a_rule_whose_folder_is_not_below_the_inbox_is_lost() -> None:
    rule = a_rule(ANNA, Folder("elsewhere", "Elsewhere"))
    assert lost_rules([rule, a_rule(ANNA, ALPHA)], TREE) == (rule,)


# ---- what a run reads


def test_a_mailbox_without_rules_asks_the_store_for_none_and_the_server_for_no_tree() -> None:
    scene = a_scene()
    scene.run()
    assert not {"tracking_rules.list", "folder_trees.get", "mail.tree"} & set(scene.world.calls)


def test_an_idle_poll_with_rules_asks_for_each_watched_folder_and_for_no_tree() -> None:
    scene = a_scene(a_rule(ANNA, ALPHA))
    scene.until_idle("anna")
    scene.world.calls.clear()
    assert scene.run() is RunOutcome.IDLE
    assert scene.world.calls.count("mail.changes") == 2
    assert "mail.tree" not in scene.world.calls


def test_mail_in_a_folder_with_a_rule_is_tracked_whatever_its_date_and_filter() -> None:
    scene = a_scene(a_rule(ANNA, ALPHA, "fabrikam"))
    scene.anna.deliver(a_message("Ancient", received=MONDAY - timedelta(days=900)), ALPHA)
    scene.anna.deliver(a_message("Beside it"), BETA)
    scene.anna.deliver(a_message("Not filed"))
    scene.until_idle("anna")
    assert scene.subjects() == ["Ancient"]
    email = scene.activity(scene.activity_ids()[0]).record
    assert (email.regarding, email.regarding_set_by) == (RecordRef("account", "fabrikam"), RegardingSource.RULE)
    assert scene.content(email.id).acceptance is Reason.FOLDER_RULE


@pytest.mark.parametrize("closed", [ALPHA, SENT_ITEMS])
def test_a_folder_that_must_not_be_read_stops_no_other_and_is_told(closed: Folder) -> None:
    scene = a_scene(a_rule(ANNA, ALPHA), accepting=IncomingFilteringMethod.ALL)
    scene.stores.settings.put(OrganisationSettings(track_sent_items=True), None)
    scene.anna.closed = {closed.id}
    scene.anna.deliver(a_message("Offer"))
    assert scene.run() is RunOutcome.COMPLETED
    assert scene.subjects() == ["Offer"]
    [alert] = scene.alerts()
    assert (alert.code, alert.parameters) == ("access_denied", {"folder": closed.name})


def test_an_inbox_that_must_not_be_read_is_a_mailbox_that_must_not_be_opened() -> None:
    scene = a_scene(a_rule(ANNA, ALPHA))
    scene.anna.closed = {INBOX.id}
    assert scene.run() is RunOutcome.FAILED


def test_a_new_rule_for_a_folder_full_of_old_mail_holds_up_no_new_mail() -> None:
    scene = a_scene(a_rule(ANNA, BETA))
    scene.until_idle("anna")
    for number in range(9):
        scene.anna.deliver(a_message(f"Old {number}", received=MONDAY - timedelta(days=900)), ALPHA)
    scene.anna.page_items = 2
    scene.stores.tracking_rules.put(a_rule(ANNA, ALPHA), None)
    scene.clock.advance(TREE_LIFE)
    scene.anna.deliver(a_message("New"), BETA)
    assert scene.run() is RunOutcome.CONTINUED
    assert "New" in scene.subjects()
    assert len(scene.subjects()) < 9
    assert scene.queued(Queue.SYNC_BACKFILL)
    scene.until_idle("anna")
    assert len(scene.subjects()) == 10


def test_a_new_rule_takes_what_lies_in_its_folder_already() -> None:
    scene = a_scene()
    scene.anna.deliver(a_message("Filed before"), ALPHA)
    scene.until_idle("anna")
    scene.stores.tracking_rules.put(a_rule(ANNA, ALPHA), None)
    scene.until_idle("anna")
    assert scene.subjects() == ["Filed before"]


def test_an_inactive_rule_tracks_nothing_and_what_it_tracked_stays() -> None:
    scene = a_scene(a_rule(ANNA, ALPHA))
    scene.anna.deliver(a_message("Before"), ALPHA)
    scene.until_idle("anna")
    [stored] = scene.stores.tracking_rules.list(ANNA.id)
    scene.stores.tracking_rules.put(replace(stored.record, active=False), stored.etag)
    scene.anna.deliver(a_message("After"), ALPHA)
    scene.until_idle("anna")
    assert scene.subjects() == ["Before"]


def test_a_folder_that_is_moved_out_of_the_inbox_is_not_watched_any_more_and_somebody_is_told() -> None:
    scene = a_scene(a_rule(ANNA, ALPHA), a_rule(ANNA, PROJECTS))
    scene.until_idle("anna")
    scene.anna.folders_below.remove(TREE[1])
    assert scene.run() is RunOutcome.IDLE
    assert [(alert.code, alert.parameters["folder"]) for alert in scene.alerts()] == [("folder_not_watched", "Alpha")]
    scene.anna.deliver(a_message("Still tracked"), PROJECTS)
    scene.until_idle("anna")
    assert scene.subjects() == ["Still tracked"]
    scene.anna.folders_below.append(TREE[1])
    scene.anna.deliver(a_message("Back again"), ALPHA)
    scene.clock.advance(timedelta(minutes=15))
    scene.until_idle("anna")
    assert scene.subjects() == ["Back again", "Still tracked"]


def test_mail_that_is_moved_to_another_folder_with_a_regarding_takes_that_one() -> None:
    scene = a_scene(a_rule(ANNA, ALPHA, "fabrikam"), a_rule(ANNA, BETA, "tailspin"), a_rule(ANNA, PROJECTS))
    ref = scene.anna.deliver(a_message("Filed"), ALPHA)
    scene.until_idle("anna")
    ref = scene.anna.file(ref, BETA)
    scene.until_idle("anna")
    assert scene.activity(scene.activity_ids()[0]).record.regarding == RecordRef("account", "tailspin")
    scene.anna.file(ref, PROJECTS)
    scene.until_idle("anna")
    assert scene.activity(scene.activity_ids()[0]).record.regarding == RecordRef("account", "tailspin"), "that rule has none"


def test_of_two_mailboxes_whose_rules_disagree_the_first_wins() -> None:
    ben = a_mailbox("ben")
    scene = a_scene(a_rule(ANNA, ALPHA, "fabrikam"), a_rule(ben, BETA, "tailspin"))
    scene.ben.folders_below += TREE
    message = a_message("Shared", to=["anna@contoso.example", "ben@contoso.example"])
    scene.anna.deliver(message, ALPHA)
    scene.ben.deliver(message, BETA)
    scene.until_idle()
    [activity_id] = scene.activity_ids("ben")
    assert scene.activity(activity_id).record.regarding == RecordRef("account", "fabrikam")


def test_mail_that_is_moved_back_to_the_inbox_stays_what_it_was() -> None:
    scene = a_scene(a_rule(ANNA, ALPHA))
    ref = scene.anna.deliver(a_message("Filed"), ALPHA)
    scene.until_idle("anna")
    scene.anna.file(ref, Folder("inbox", "Inbox"))
    scene.until_idle("anna")
    assert [(row.verdict, row.reason) for row in scene.ledger().values()] == [(Verdict.PROMOTED, Reason.FOLDER_RULE)] * 2


def test_what_borrows_the_message_id_of_filed_mail_is_not_taken_for_that_mail() -> None:
    scene = a_scene(a_rule(ANNA, ALPHA))
    scene.anna.deliver(a_message("Filed"), ALPHA)
    scene.until_idle("anna")
    borrowed = a_message("Borrowed", message_id="filed@fabrikam.example", received=MONDAY)
    scene.anna.deliver(borrowed)
    scene.until_idle("anna")
    verdicts = {row.ref.folder: (row.verdict, row.reason) for row in scene.ledger().values()}
    assert verdicts["inbox"] == (Verdict.SKIPPED, Reason.FILTER_NONE)


def test_sent_items_are_read_only_where_the_organisation_says_so() -> None:
    scene = a_scene(accepting=IncomingFilteringMethod.ALL)
    scene.anna.deliver(a_message("Written", sender="anna@contoso.example", to=["carol@fabrikam.example"]), SENT_ITEMS)
    scene.until_idle("anna")
    assert scene.subjects() == []
    scene.stores.settings.put(OrganisationSettings(track_sent_items=True), None)
    scene.until_idle("anna")
    assert scene.subjects() == ["Written"]


def test_the_stores_of_an_organisation_know_nothing_of_rules_until_there_is_one() -> None:
    stores = with_organisation(memory_stores(), ANNA)
    before = stores.mailboxes.get(ANNA.id)
    assert before is not None
    assert not before.has_rules
    stores.tracking_rules.put(a_rule(ANNA, ALPHA), None)
    after = stores.mailboxes.get(ANNA.id)
    assert after is not None
    assert after.has_rules


# ---- what people said of a message before it was moved


@pytest.mark.parametrize("accepting", [IncomingFilteringMethod.ALL, IncomingFilteringMethod.RESPONSES])
def test_what_a_person_untracked_stays_untracked_wherever_it_is_moved(accepting: IncomingFilteringMethod) -> None:
    scene = a_scene(a_rule(ANNA, ALPHA, "fabrikam"), accepting=accepting)
    ref = scene.anna.deliver(a_message("Offer", categories=("Tracked",)))
    scene.until_idle("anna")
    scene.anna.change(ref, categories=())
    scene.until_idle("anna")
    for place in (ALPHA, INBOX):
        ref = scene.anna.file(ref, place)
        scene.until_idle("anna")
        assert scene.subjects() == []
        assert {row.reason for row in scene.ledger().values()} == {Reason.UNTRACKED}
    scene.anna.change(ref, categories=("Tracked",))
    scene.until_idle("anna")
    ref = scene.anna.file(ref, ALPHA)
    scene.anna.change(ref, categories=())
    scene.until_idle("anna")
    assert scene.subjects() == ["Offer"], "a person tracked it again before it was moved"


def test_what_was_untracked_is_tracked_again_where_a_person_says_so_as_they_move_it() -> None:
    scene = a_scene(a_rule(ANNA, ALPHA))
    ref = scene.anna.deliver(a_message("Offer", categories=("Tracked",)))
    scene.until_idle("anna")
    scene.anna.change(ref, categories=())
    scene.until_idle("anna")
    scene.anna.change(ref, categories=("Tracked",))
    scene.anna.file(ref, ALPHA)
    scene.until_idle("anna")
    assert scene.subjects() == ["Offer"]


def test_a_mailbox_that_watches_one_folder_looks_for_no_former_place_of_its_mail() -> None:
    scene = a_scene(accepting=IncomingFilteringMethod.ALL)
    scene.anna.deliver(a_message("Offer"))
    scene.until_idle("anna")
    assert "ledger.find" not in scene.world.calls


def test_while_older_mail_is_read_only_what_is_known_is_looked_for_where_it_lay_before() -> None:
    scene = a_scene(a_rule(ANNA, ALPHA))
    scene.anna.page_items = 2
    scene.budget = replace(scene.budget, pages=1)
    for number in range(8):
        scene.anna.deliver(a_message(f"Offer {number}"))
    scene.run()
    scene.world.calls.clear()
    scene.until_idle("anna")
    assert len(scene.ledger()) == 8
    assert "ledger.find" not in scene.world.calls
