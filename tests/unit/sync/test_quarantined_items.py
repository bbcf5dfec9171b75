"""Items in quarantine: tried again, given up, gone from the server; and what becomes of their raw form and their alert."""

import pytest

from shared.domain.choices import IncomingFilteringMethod, Reason, Verdict
from shared.domain.operations import QuarantinedItem
from shared.messages import ChangeItems, ItemTask
from tests.builders import a_message
from tests.unit.sync.asking import BROKEN, a_scene, accepts, asks, row_of, until_done
from tests.unit.sync.scene import Scene


def kept(scene: Scene) -> list[QuarantinedItem]:
    return list(scene.stores.quarantine.list(scene.mailboxes["anna"].id).items)


def has_raw(scene: Scene, item: QuarantinedItem) -> bool:
    assert item.raw_blob is not None
    try:
        return bool(b"".join(scene.stores.blobs.read(item.raw_blob)))
    except KeyError:
        return False


def test_a_replay_that_succeeds_leaves_nothing_in_quarantine_and_settles_its_alert() -> None:
    scene = a_scene()
    [item] = kept(scene)
    accepts(scene, IncomingFilteringMethod.ALL)
    scene.anna.unreadable.clear()
    until_done(scene, asks(scene, ItemTask.REPLAY, "broken", server=item.key.server))
    assert (scene.subjects(), kept(scene), has_raw(scene, item)) == (["Broken", "Promoted"], [], False)
    assert [(alert.code, alert.acknowledged_by) for alert in scene.alerts()] == [("item_quarantined", "Sidesync")]


def test_a_replay_is_one_attempt_and_until_it_succeeds_the_item_stays() -> None:
    scene = a_scene()
    attempts = kept(scene)[0].attempts
    fetched = len(scene.anna.fetched)
    until_done(scene, asks(scene, ItemTask.REPLAY))
    [item] = kept(scene)
    assert (item.attempts, has_raw(scene, item)) == (attempts + 1, True)
    assert len(scene.anna.fetched) == fetched + 1
    assert row_of(scene, "broken").verdict is Verdict.QUARANTINED
    assert [alert.acknowledged_by for alert in scene.alerts()] == [None]


def test_what_is_gone_from_the_server_stays_in_quarantine_and_says_so_once() -> None:
    scene = a_scene()
    [item] = kept(scene)
    scene.anna.unreadable.clear()
    scene.anna.remove(item.ref)
    for _ in range(2):
        until_done(scene, asks(scene, ItemTask.REPLAY))
    [item] = kept(scene)
    assert item.detail.count("not where it lay in the mailbox") == 1
    assert has_raw(scene, item)
    assert row_of(scene, "broken").verdict is Verdict.QUARANTINED


@pytest.mark.parametrize("is_mended", [True, False])
def test_who_gives_the_category_to_what_is_in_quarantine_has_it_tried_once_more(is_mended: bool) -> None:
    scene = a_scene()
    [item] = kept(scene)
    if is_mended:
        scene.anna.unreadable.clear()
    fetched = len(scene.anna.fetched)
    scene.anna.change(item.ref, categories=("Tracked",))
    scene.until_nothing_is_left()
    assert len(scene.anna.fetched) == fetched + 1
    assert [each.ref for each in kept(scene)] == ([] if is_mended else [item.ref])
    assert row_of(scene, "broken").verdict is (Verdict.PROMOTED if is_mended else Verdict.QUARANTINED)
    assert [alert.acknowledged_by for alert in scene.alerts()] == (["Sidesync"] if is_mended else [None])


def test_what_is_given_up_leaves_quarantine_for_good_and_the_ledger_says_why() -> None:
    scene = a_scene()
    [item] = kept(scene)
    until_done(scene, asks(scene, ItemTask.GIVE_UP, "broken", server=item.key.server, note="advertising"))
    row = row_of(scene, "broken")
    assert (row.verdict, row.reason, row.detail) == (Verdict.SKIPPED, Reason.DISCARDED, "advertising")
    assert (kept(scene), has_raw(scene, item)) == ([], False)
    assert [alert.acknowledged_by for alert in scene.alerts()] == ["Sidesync"]
    accepts(scene, IncomingFilteringMethod.ALL)
    scene.anna.unreadable.clear()
    until_done(scene, asks(scene, ItemTask.JUDGE))
    assert "Broken" not in scene.subjects()


def test_of_several_copies_in_quarantine_only_the_one_that_is_meant_is_given_up() -> None:
    scene = a_scene()
    [item] = kept(scene)
    accepts(scene, IncomingFilteringMethod.ALL)
    again = scene.anna.deliver(a_message("Broken"))
    scene.anna.unreadable[again.id] = BROKEN
    scene.until_nothing_is_left()
    assert len(kept(scene)) == 2
    meant = ChangeItems(
        "request", scene.mailboxes["anna"].id, ItemTask.GIVE_UP, item.key.identity, item.key.server, note="twice"
    )
    until_done(scene, meant)
    assert [each.ref for each in kept(scene)] == [again]


def test_what_a_version_gave_up_itself_it_does_not_try_again() -> None:
    scene = a_scene()
    [item] = kept(scene)
    fetched = len(scene.anna.fetched)
    until_done(scene, asks(scene, ItemTask.REPLAY, tried_by=item.version))
    assert len(scene.anna.fetched) == fetched
    until_done(scene, asks(scene, ItemTask.REPLAY, tried_by="another"))
    assert len(scene.anna.fetched) == fetched + 1
