"""What tests of requests about items have in common: a scene with items of every kind, a request, and its delivery."""

from dataclasses import replace
from datetime import timedelta

from shared.domain.choices import IncomingFilteringMethod, OwnerKind, Verdict
from shared.domain.errors import ItemUnreadable, TransientError
from shared.domain.ids import OwnerId
from shared.domain.ledger import LedgerItem
from shared.messages import ChangeItems, ItemTask, Queue
from shared.sync.budgets import RunBudget
from shared.sync.item_changes import ItemChanges
from tests.builders import a_message
from tests.unit.sync.faults import FaultyWorld
from tests.unit.sync.in_memory_mail import InMemoryMail, ProcessDied
from tests.unit.sync.scene import Scene

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
