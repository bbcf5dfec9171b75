"""What people want of items: written under the lease, whatever fails, however often, whoever else has the mailbox."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from shared.domain.choices import IncomingFilteringMethod, Reason, Verdict, Workload
from shared.domain.email import ItemRef
from shared.domain.ids import RunId
from shared.domain.ledger import ItemKey, LedgerCommit, LedgerItem, RunState, TodoKind, item_key
from shared.domain.operations import RunOutcome
from shared.domain.records import RecordRef
from shared.messages import ChangeItems, ItemTask, Queue, SyncMailbox
from shared.sync.budgets import RunBudget
from shared.sync.item_changes import RUN_COMES_WITHIN, ItemChanges
from shared.sync.lease import run_id_of
from shared.sync.poison import Poison
from tests.builders import MONDAY, a_message
from tests.unit.sync.asking import a_scene, accepts, asks, changes, row_of, until_done
from tests.unit.sync.faults import Fault, FaultyWorld
from tests.unit.sync.scene import Scene
from tests.unit.sync.snapshots import outcome_of

CONTOSO = RecordRef("account", "contoso")


# ---- what each does


def test_what_was_skipped_is_judged_again_by_the_settings_of_now() -> None:
    scene = a_scene()
    accepts(scene, IncomingFilteringMethod.ALL)
    until_done(scene, asks(scene, ItemTask.JUDGE))
    assert scene.subjects() == ["Promoted", "Skipped"]


def test_only_mail_received_since_then_is_judged_again() -> None:
    scene = a_scene()
    accepts(scene, IncomingFilteringMethod.ALL)
    until_done(scene, asks(scene, ItemTask.JUDGE, since=(MONDAY + timedelta(minutes=1)).isoformat()))
    assert scene.subjects() == ["Promoted"]


def test_a_message_is_tracked_by_hand_with_what_it_is_about() -> None:
    scene = a_scene()
    until_done(scene, asks(scene, ItemTask.TRACK, "skipped", regarding_type="account", regarding_id="contoso"))
    row = row_of(scene, "skipped")
    assert (row.verdict, row.reason) == (Verdict.PROMOTED, Reason.BY_HAND)
    assert row.activity_id is not None
    assert scene.activity(row.activity_id).record.regarding == CONTOSO


def test_what_is_untracked_leaves_the_mailbox_and_stays_an_activity() -> None:
    scene = a_scene()
    activity_id = row_of(scene, "promoted").activity_id
    assert activity_id is not None
    until_done(scene, asks(scene, ItemTask.UNTRACK, "promoted"))
    assert (row_of(scene, "promoted").verdict, row_of(scene, "promoted").reason) == (Verdict.SKIPPED, Reason.UNTRACKED)
    assert (scene.subjects(), scene.stores.activities.sightings(activity_id)) == ([], [])
    assert scene.activity(activity_id).record.subject == "Promoted"


def test_nothing_but_a_person_brings_back_what_a_person_took_back() -> None:
    scene = a_scene()
    until_done(scene, asks(scene, ItemTask.UNTRACK, "promoted"))
    accepts(scene, IncomingFilteringMethod.ALL)
    until_done(scene, asks(scene, ItemTask.JUDGE))
    assert scene.subjects() == ["Skipped"]
    until_done(scene, asks(scene, ItemTask.TRACK, "promoted"))
    assert scene.subjects() == ["Promoted", "Skipped"]


# ---- whatever fails, however often


TASKS = {
    "judge": (ItemTask.JUDGE, None, {}),
    "track": (ItemTask.TRACK, "skipped", {"regarding_type": "account", "regarding_id": "contoso"}),
    "untrack": (ItemTask.UNTRACK, "promoted", {}),
    "replay": (ItemTask.REPLAY, "broken", {}),
    "replay all": (ItemTask.REPLAY, None, {"tried_by": "another"}),
    "give up": (ItemTask.GIVE_UP, "broken", {"note": "advertising"}),
}


def played(name: str, world: FaultyWorld, *, times: int = 1) -> Scene:
    task, item, more = TASKS[name]
    scene = a_scene(world)
    if task is ItemTask.REPLAY:
        scene.anna.unreadable.clear()
    message = asks(scene, task, item, **more)
    for _ in range(times):
        until_done(scene, message)
    return scene


def outcome(scene: Scene) -> object:
    """A mailbox that was opened again after a failure counts more polls; and the next page that is read after a lease was lost
    is looked at for what it may have left half done."""
    content = outcome_of(scene.stores)
    for ledger in content["ledger"].values():
        ledger["state"].pop("page_open")
    for alert in content["alerts"].values():
        alert.pop("acknowledged_on", None)
    return {name: each for name, each in content.items() if name != "mailboxes"}


@pytest.mark.parametrize("name", TASKS)
def test_a_message_that_comes_twice_changes_nothing_more(name: str) -> None:
    assert outcome(played(name, FaultyWorld(), times=2)) == outcome(played(name, FaultyWorld()))


@pytest.mark.parametrize("fault", Fault)
@pytest.mark.parametrize("name", TASKS)
def test_whatever_call_fails_the_message_is_done_in_the_end(name: str, fault: Fault) -> None:
    undisturbed = played(name, FaultyWorld())
    expected, calls = outcome(undisturbed), len(undisturbed.world.calls)
    for at in range(1, min(calls, 80) + 1):
        assert outcome(played(name, FaultyWorld(at=at, fault=fault))) == expected, (at, undisturbed.world.calls[at - 1])


# ---- whoever else has the mailbox


def test_a_mailbox_that_a_run_has_is_left_to_it_and_the_message_comes_back() -> None:
    scene = a_scene()
    holds(scene, "another:1", scene.clock() + timedelta(minutes=1))
    before = scene.head()
    message = asks(scene, ItemTask.UNTRACK, "promoted")
    assert not changes(scene).run(message)
    assert scene.head() == before
    assert scene.queued(Queue.CHANGE_ITEMS) == [message]


@pytest.mark.parametrize("holder", ["another:1", "request:1"])
def test_a_lease_that_was_abandoned_is_taken_over_and_what_it_left_half_done_stays_noted(holder: str) -> None:
    scene = a_scene()
    holds(scene, holder, scene.clock() - timedelta(minutes=1))
    assert changes(scene).run(asks(scene, ItemTask.UNTRACK, "promoted"), 2)
    assert row_of(scene, "promoted").reason is Reason.UNTRACKED
    state = scene.head().state
    assert state is not None
    assert (state.holder, state.page_open) == (None, True)


def test_a_lease_of_a_run_that_died_of_one_item_is_left_to_a_run_while_one_may_come() -> None:
    scene = a_scene()
    tried = row_of(scene, "skipped").key
    holds(scene, "another:1", scene.clock() - timedelta(minutes=1), trying=tried)
    message = asks(scene, ItemTask.UNTRACK, "promoted")
    assert not changes(scene).run(message)
    state = scene.head().state
    assert state is not None
    assert (state.holder, state.trying) == ("another:1", tried)
    assert [type(each) for each in scene.queued(Queue.SYNC_INCOMING)] == [SyncMailbox], "a run is asked for"
    scene.clock.advance(RUN_COMES_WITHIN)
    assert changes(scene).run(message)


def test_a_message_that_failed_for_good_is_an_alert_and_gives_the_mailbox_free() -> None:
    scene = a_scene()
    message = asks(scene, ItemTask.UNTRACK, "promoted")
    holds(scene, run_id_of(message.id, 5), scene.clock() + timedelta(minutes=5))
    Poison(scene.stores, scene.clock).handle(Queue.CHANGE_ITEMS, message.to_json())
    assert ("poison_message", f"mailbox:{message.mailbox_id}") in [(alert.code, alert.about) for alert in scene.alerts()]
    scene.anna.deliver(a_message("Later"))
    assert scene.run() is not RunOutcome.HELD


def test_a_mailbox_that_may_not_be_run_is_not_woken() -> None:
    scene = a_scene()
    stored = scene.stored_mailbox()
    scene.stores.mailboxes.replace(replace(stored.record, active=False), stored.etag, {})
    assert changes(scene).run(asks(scene, ItemTask.UNTRACK, "promoted"))
    assert scene.queued(Queue.SYNC_INCOMING) == []


def test_a_mailbox_that_is_not_there_any_more_ends_the_message() -> None:
    scene = Scene()
    message = replace(ChangeItems("request", scene.mailboxes["anna"].id, ItemTask.JUDGE), mailbox_id=scene.mailboxes["ben"].id)
    stored = scene.stored_mailbox("ben")
    scene.stores.mailboxes.delete(stored.record.id, stored.etag)
    assert changes(scene).run(message)
    assert scene.queued(Queue.CHANGE_ITEMS) == []


def test_a_run_between_the_parts_of_a_message_does_what_is_written_and_the_message_goes_on() -> None:
    scene = a_large_scene(200)
    message = ChangeItems("request", scene.mailboxes["anna"].id, ItemTask.JUDGE)
    spent = RunBudget(time=timedelta())
    parts = 0
    waiting = [message]
    while waiting:
        [message] = waiting
        changes(scene, spent).run(message)
        parts += 1
        scene.clock.advance(timedelta(minutes=1))
        scene.until_idle("anna")
        waiting = [each for each in scene.queued(Queue.CHANGE_ITEMS) if isinstance(each, ChangeItems)]
        assert parts < 50, "it begins anew each time"
    assert parts > 1
    assert len([row for row in scene.ledger().values() if row.verdict is Verdict.GONE]) == 200


# ---- many items


def a_large_scene(count: int) -> Scene:
    """A mailbox whose ledger has many skipped items."""
    scene = Scene()
    mailbox_id = scene.mailboxes["anna"].id
    etag = None
    for first in range(0, count, 90):
        rows = tuple(a_row(number) for number in range(first, min(first + 90, count)))
        etag = scene.stores.ledger.commit(mailbox_id, Workload.INCOMING, etag, LedgerCommit(RunState("1"), items=rows))
    return scene


def a_row(number: int) -> LedgerItem:
    ref, message_id = ItemRef(f"old-{number}", "inbox"), f"{number}@fabrikam.example"
    key = item_key(message_id, ref)
    return LedgerItem(key, ref, message_id, MONDAY, 1000, Verdict.SKIPPED, Reason.NO_CORRELATION_MATCH, MONDAY, RunId("run-1"))


def test_thousands_of_items_are_written_in_transactions_of_bounded_size_and_renew_the_lease() -> None:
    scene = a_large_scene(5_000)
    sizes: list[int] = []
    commit = scene.stores.ledger.commit

    class Watched:
        def __getattr__(self, name: str) -> object:
            return getattr(scene.stores.ledger, name)

        def commit(self, mailbox_id: object, workload: object, etag: object, rows: LedgerCommit) -> str:
            sizes.append(rows.rows)
            scene.clock.advance(timedelta(seconds=1))
            return commit(mailbox_id, workload, etag, rows)  # type: ignore[arg-type]  # passed on as it came

    stores = replace(scene.stores, ledger=Watched())  # type: ignore[arg-type]  # the port, watched
    assert ItemChanges(stores, scene.clock).run(ChangeItems("request", scene.mailboxes["anna"].id, ItemTask.JUDGE))
    todos = scene.stores.ledger.head(scene.mailboxes["anna"].id, Workload.INCOMING, scene.clock()).todos
    assert max(sizes) <= 99
    assert sum(sizes) == 5_000
    assert {todo.kind for todo in todos} == {TodoKind.JUDGE}


def test_items_that_nothing_becomes_of_cost_no_writing() -> None:
    scene = a_large_scene(1_200)
    world = scene.world = FaultyWorld()
    assert changes(scene).run(ChangeItems("request", scene.mailboxes["anna"].id, ItemTask.UNTRACK))
    assert world.calls.count("ledger.commit") <= 3


def holds(scene: Scene, holder: str, expires: datetime, trying: ItemKey | None = None) -> None:
    head = scene.head()
    assert head.state is not None
    state = replace(head.state, nonce="held", holder=RunId(holder), expires=expires, trying=trying)
    scene.stores.ledger.commit(scene.mailboxes["anna"].id, Workload.INCOMING, head.etag, LedgerCommit(state))
