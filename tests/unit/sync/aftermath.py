"""What tests of the time after a page have in common: a scene, its only row, and a todo written into its ledger."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

from shared.domain.choices import IncomingFilteringMethod, OwnerKind, Workload
from shared.domain.ids import OwnerId
from shared.domain.ledger import LedgerCommit, LedgerItem, Todo, TodoKind
from shared.domain.organisation import OrganisationSettings
from tests.unit.sync.scene import Scene

MINUTE = timedelta(minutes=1)
STAMPING = OrganisationSettings(stamp_categories=True)


def a_scene(
    settings: OrganisationSettings | None = None,
    accepting: IncomingFilteringMethod = IncomingFilteringMethod.RESPONSES,
    **changes: Any,
) -> Scene:
    """Anna accepts answers only, unless told."""
    scene = Scene(**changes)
    scene.stores.settings.put(settings or OrganisationSettings(), None)
    owner = scene.stores.owners.get(OwnerKind.USER, OwnerId("user-anna"))
    assert owner is not None
    scene.stores.owners.replace(replace(owner.record, filtering_method=accepting), owner.etag)
    return scene


def the_row(scene: Scene) -> LedgerItem:
    [row] = scene.ledger().values()
    return row


def write_todo(scene: Scene, kind: TodoKind, row: LedgerItem, **changes: Any) -> None:
    """As the queue message that a person's request becomes."""
    head = scene.head()
    assert head.state is not None
    todo = Todo(kind, row.decided_on, row, **changes)
    commit = LedgerCommit(replace(head.state, nonce="asked"), items=(row,), todos=(todo,))
    scene.stores.ledger.commit(scene.mailboxes["anna"].id, Workload.INCOMING, head.etag, commit)
