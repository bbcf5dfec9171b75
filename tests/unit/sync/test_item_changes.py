"""What people want of items: written under the lease, whatever fails, however often, whoever else has the mailbox."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from shared.domain.choices import IncomingFilteringMethod, OwnerKind, Reason, Verdict, Workload
from shared.domain.email import ItemRef
from shared.domain.errors import ItemUnreadable, TransientError
from shared.domain.ids import OwnerId, RunId
from shared.domain.ledger import ItemKey, LedgerCommit, LedgerItem, RunState, TodoKind, item_key
from shared.domain.operations import QuarantinedItem, RunOutcome
from shared.domain.records import RecordRef
from shared.messages import ChangeItems, ItemTask, Queue, SyncMailbox
from shared.sync.budgets import RunBudget
from shared.sync.item_changes import RUN_COMES_WITHIN, ItemChanges
from shared.sync.lease import run_id_of
from shared.sync.poison import Poison
from tests.builders import MONDAY, a_message
from tests.unit.sync.faults import Fault, FaultyWorld
from tests.unit.sync.in_memory_mail import InMemoryMail, ProcessDied
from tests.unit.sync.scene import Scene
from tests.unit.sync.snapshots import outcome_of

CONTOSO = RecordRef("account", "contoso")
BROKEN = ItemUnreadable("the server cannot convert it")


def a_scene(world: FaultyWorld | None = None) -> Scene:
    """Anna accepts answers only: one message was promoted before, one is skipped, one is quarantined."""
    scene = Scene(InMemoryMail("server/anna"), world=FaultyWorld())
    scene.anna.deliver(a_message("Promoted"))
    scene.run()
    accepts(scene, IncomingFilteringMethod.RESPONSES)
    scene.anna.deliver(a_message("Skipped"))
    accepts(scene, IncomingFilteringMethod.ALL, "ben")
    scene.run()
    accepts(scene, IncomingFilteringMethod.ALL)
    broken = scene.anna.deliver(a_message("Broken"))
    scene.anna.unreadable[broken.id] = BROKEN
    scene.until_nothing_is_left()
    accepts(scene, IncomingFilteringMethod.RESPONSES)
    scene.queued(Queue.SYNC_INCOMING)
    scene.world = world or FaultyWorld()
    assert [row_of(scene, name).verdict for name in ("promoted", "skipped", "broken")] == [
        Verdict.PROMOTED,
        Verdict.SKIPPED,
        Verdict.QUARANTINED,
    ]
    return scene


def accepts(scene: Scene, method: IncomingFilteringMethod, name: str = "anna") -> None:
    stored = scene.stores.owners.get(OwnerKind.USER, OwnerId(f"user-{name}"))
    assert stored is not None
    scene.stores.owners.replace(replace(stored.record, filtering_method=method), stored.etag)
    scene.clock.advance(timedelta(minutes=5))


def row_of(scene: Scene, name: str) -> LedgerItem:
    [row] = [row for row in scene.ledger().values() if (row.message_id or "").startswith(f"{name}@")]
    return row


def asks(scene: Scene, task: ItemTask, name: str | None = None, **more: str) -> ChangeItems:
    key = row_of(scene, name).key if name is not None else None
    return ChangeItems("request", scene.mailboxes["anna"].id, task, key.identity if key else None, **more)


def changes(scene: Scene, budget: RunBudget | None = None) -> ItemChanges:
    return ItemChanges(scene.world.stores(scene.stores), scene.clock, budget)


def until_done(scene: Scene, message: ChangeItems, patience: int = 20) -> None:
    """As the host delivers it: again after a failure, and what is queued again too, until a run has done it all."""
    waiting = [message]
    for delivery in range(1, patience):
        if not waiting:
            break
        for each in waiting:
            try:
                changes(scene).run(each, delivery)
            except (ProcessDied, TransientError):
                scene.world.revive()
                scene.stores.queues.send(Queue.CHANGE_ITEMS, each.to_json())
        scene.clock.advance(timedelta(minutes=10))
        scene.until_idle("anna")
        waiting = [each for each in scene.queued(Queue.CHANGE_ITEMS) if isinstance(each, ChangeItems)]
    assert not waiting, "the message never comes to an end"
    scene.until_nothing_is_left()


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


# ---- quarantine


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
