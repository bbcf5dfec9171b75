"""Emails that lie in a folder take the regarding that its rule was given later, and no other emails do."""

from dataclasses import replace
from datetime import timedelta

import pytest

from shared.domain.choices import RegardingSource
from shared.domain.email import ListOf, StoredActivity
from shared.domain.errors import TransientError
from shared.domain.folders import Folder, KnownTree, TreeFolder
from shared.domain.listings import whose_record
from shared.domain.records import FolderTrackingRule, RecordRef
from shared.messages import Queue, RelinkFolder
from shared.sync.budgets import RunBudget
from shared.sync.relinking import Relinking, by_hand
from tests.builders import MONDAY, a_message, a_rule
from tests.unit.sync.faults import Fault, FaultyWorld
from tests.unit.sync.in_memory_mail import ProcessDied
from tests.unit.sync.scene import Scene
from tests.unit.sync.snapshots import outcome_of

PROJECTS, OTHERS, BELOW = (Folder(f"folder-{name}", name.title()) for name in ("projects", "others", "below"))
CONTOSO, FABRIKAM = RecordRef("account", "contoso"), RecordRef("account", "fabrikam")


def a_scene(world: FaultyWorld | None = None, **changes: object) -> Scene:
    """Three emails lie in a folder whose rule says Contoso, one in another folder, one below the first."""
    scene = Scene()
    scene.anna.folders_below += [
        TreeFolder(PROJECTS.id, PROJECTS.name),
        TreeFolder(OTHERS.id, OTHERS.name),
        TreeFolder(BELOW.id, BELOW.name, PROJECTS.id),
    ]
    put(scene, rule(scene, "contoso", **changes))
    put(scene, a_rule(scene.mailboxes["anna"], OTHERS, "others"))
    for number in range(3):
        scene.anna.deliver(a_message(f"Project {number}"), PROJECTS)
    scene.anna.deliver(a_message("Other"), OTHERS)
    scene.anna.deliver(a_message("Below"), BELOW)
    scene.until_idle("anna")
    scene.queued(Queue.SYNC_INCOMING)
    scene.queued(Queue.SYNC_BACKFILL)
    scene.world = world or FaultyWorld()
    return scene


def rule(scene: Scene, regarding: str | None, **changes: object) -> FolderTrackingRule:
    return a_rule(scene.mailboxes["anna"], PROJECTS, regarding, **changes)


def put(scene: Scene, wanted: FolderTrackingRule) -> None:
    present = scene.stores.tracking_rules.get(wanted.mailbox_id, wanted.folder_id)
    scene.stores.tracking_rules.put(wanted, present.etag if present else None)


def a_request(scene: Scene, regarding: RecordRef = FABRIKAM) -> RelinkFolder:
    until = (MONDAY + timedelta(hours=1)).isoformat()
    return RelinkFolder("request", scene.mailboxes["anna"].id, PROJECTS.id, regarding.type, regarding.id, until)


def relinks(scene: Scene, message: RelinkFolder | None = None, budget: RunBudget | None = None) -> int:
    return Relinking(scene.world.stores(scene.stores), scene.clock, budget).run(message or a_request(scene))


def about(scene: Scene, record: RecordRef) -> list[str]:
    """As the list of the record shows it; confirmed by each email."""
    listed = scene.stores.timeline.list(ListOf.REGARDING, whose_record(record.type, record.id), limit=100)
    for each in listed.items:
        assert scene.activity(each.activity_id).record.regarding == record
    return sorted(each.subject for each in listed.items)


def email(scene: Scene, subject: str) -> StoredActivity:
    [found] = [each for each in map(scene.activity, scene.activity_ids()) if each.record.subject == subject]
    return found


def test_all_mail_of_the_folder_takes_the_new_regarding_and_no_other_mail() -> None:
    scene = a_scene()
    put(scene, rule(scene, "fabrikam"))
    relinks(scene)
    assert about(scene, FABRIKAM) == ["Project 0", "Project 1", "Project 2"]
    assert (about(scene, CONTOSO), about(scene, RecordRef("account", "others"))) == ([], ["Other"])


def test_mail_of_folders_below_goes_with_it_where_the_rule_includes_them() -> None:
    scene = a_scene(include_subfolders=True)
    assert about(scene, CONTOSO) == ["Below", "Project 0", "Project 1", "Project 2"]
    put(scene, rule(scene, "fabrikam", include_subfolders=True))
    relinks(scene)
    assert about(scene, FABRIKAM) == ["Below", "Project 0", "Project 1", "Project 2"]


def test_the_rule_wins_over_what_a_person_set_before_it() -> None:
    scene = a_scene()
    stored = email(scene, "Project 0")
    by_person = replace(stored.record, regarding=CONTOSO, regarding_set_by=RegardingSource.HAND, regarding_rule=None)
    scene.stores.activities.replace(by_person, stored.etag)
    put(scene, rule(scene, "fabrikam"))
    relinks(scene)
    assert about(scene, FABRIKAM) == ["Project 0", "Project 1", "Project 2"]


def test_what_another_mailbox_or_another_folder_says_stays() -> None:
    scene = a_scene()
    for subject, name in (("Project 0", f"{scene.mailboxes['ben'].id}:x"), ("Project 1", f"{scene.mailboxes['anna'].id}:x")):
        stored = email(scene, subject)
        scene.stores.activities.replace(replace(stored.record, regarding_rule=name), stored.etag)
    put(scene, rule(scene, "fabrikam"))
    relinks(scene)
    assert about(scene, FABRIKAM) == ["Project 2"]


def test_a_deleted_email_is_left_alone() -> None:
    scene = a_scene()
    stored = email(scene, "Project 0")
    scene.stores.activities.replace(replace(stored.record, deleted_on=MONDAY), stored.etag)
    put(scene, rule(scene, "fabrikam"))
    relinks(scene)
    assert scene.activity(stored.record.id).record.regarding == CONTOSO


def test_what_a_rule_set_is_not_changed_by_hand() -> None:
    scene = a_scene()
    record = email(scene, "Project 0").record
    assert by_hand(record, FABRIKAM) == record


def test_a_rule_that_is_announced_and_not_written_yet_is_waited_for() -> None:
    scene = a_scene()
    assert relinks(scene) == 0
    assert scene.queued(Queue.RELINK_FOLDER) == [a_request(scene)]
    put(scene, rule(scene, "fabrikam"))
    relinks(scene)
    assert len(about(scene, FABRIKAM)) == 3


@pytest.mark.parametrize("wanted", ["tailspin", None])
def test_a_rule_that_says_something_else_by_now_is_waited_for_an_hour_at_most(wanted: str | None) -> None:
    scene = a_scene()
    put(scene, rule(scene, wanted))
    scene.clock.advance(timedelta(hours=2))
    assert relinks(scene) == 0
    assert scene.queued(Queue.RELINK_FOLDER) == []
    assert about(scene, FABRIKAM) == []


@pytest.mark.parametrize("changes", [{"active": False}, {"from_now_on": True}])
def test_an_inactive_rule_and_one_from_now_on_relink_nothing(changes: dict[str, object]) -> None:
    scene = a_scene()
    put(scene, rule(scene, "fabrikam", **changes))
    relinks(scene)
    assert about(scene, FABRIKAM) == []


def test_when_the_time_is_spent_the_next_message_goes_on_from_there() -> None:
    scene = a_large_scene(120)
    put(scene, rule(scene, "fabrikam"))
    waiting, seen = [a_request(scene)], 0
    while waiting:
        [message] = waiting
        seen += relinks(scene, message, RunBudget(time=timedelta()))
        waiting = [each for each in scene.queued(Queue.RELINK_FOLDER) if isinstance(each, RelinkFolder)]
    assert seen == 120
    assert len(about_many(scene)) == 120


def test_repeating_it_changes_nothing_more() -> None:
    scene = a_scene()
    put(scene, rule(scene, "fabrikam"))
    relinks(scene)
    before = outcome_of(scene.stores)
    relinks(scene)
    assert outcome_of(scene.stores) == before


@pytest.mark.parametrize("fault", Fault)
def test_whatever_call_fails_repeating_the_message_completes_it(fault: Fault) -> None:
    undisturbed = a_scene()
    put(undisturbed, rule(undisturbed, "fabrikam"))
    relinks(undisturbed)
    expected = outcome_of(undisturbed.stores)
    for at in range(1, len(undisturbed.world.calls) + 1):
        scene = a_scene(FaultyWorld(at=at, fault=fault))
        put(scene, rule(scene, "fabrikam"))
        for _ in range(2):
            try:
                relinks(scene)
            except (ProcessDied, TransientError):
                scene.world.revive()
        assert outcome_of(scene.stores) == expected, undisturbed.world.calls[at - 1]


def test_the_tree_that_is_kept_says_what_lies_below() -> None:
    scene = a_scene()
    scene.stores.folder_trees.put(scene.mailboxes["anna"].id, KnownTree((), MONDAY))
    put(scene, rule(scene, "fabrikam", include_subfolders=True))
    relinks(scene)
    assert about(scene, FABRIKAM) == ["Project 0", "Project 1", "Project 2"]


def a_large_scene(count: int) -> Scene:
    scene = Scene()
    scene.anna.folders_below.append(TreeFolder(PROJECTS.id, PROJECTS.name))
    put(scene, rule(scene, "contoso"))
    for number in range(count):
        scene.anna.deliver(a_message(f"Project {number}"), PROJECTS)
    scene.until_idle("anna")
    scene.queued(Queue.SYNC_INCOMING)
    scene.queued(Queue.SYNC_BACKFILL)
    return scene


def about_many(scene: Scene) -> list[str]:
    listed = scene.stores.timeline.list(ListOf.REGARDING, whose_record("account", "fabrikam"), limit=1000)
    return [each.subject for each in listed.items]
