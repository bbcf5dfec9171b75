"""What tests of joining have in common: conversations in which each message answers the one before, and what became of them."""

import base64
from dataclasses import replace
from datetime import timedelta

from shared.domain.choices import Direction, RegardingSource
from shared.domain.email import EmailActivity, IncomingMessage, ListOf
from shared.domain.ids import ActivityId, email_id
from shared.domain.organisation import OrganisationSettings
from shared.domain.records import RecordRef
from tests.builders import MONDAY, a_message
from tests.unit.sync.aftermath import MINUTE
from tests.unit.sync.in_memory_mail import InMemoryMail
from tests.unit.sync.scene import Scene

FABRIKAM = RecordRef("account", "fabrikam")


def a_scene(page_items: int = 1, settings: OrganisationSettings | None = None) -> Scene:
    """Anna and Ben accept all mail; every page holds one message."""
    anna, ben = (InMemoryMail(f"server/{name}", page_items=page_items) for name in ("anna", "ben"))
    scene = Scene(anna, ben)
    scene.stores.settings.put(settings or OrganisationSettings(), None)
    return scene


def chain(length: int) -> list[IncomingMessage]:
    """Each answers the one before."""
    return [
        a_message(
            f"Offer {place}",
            message_id=f"{place}@fabrikam.example",
            in_reply_to=f"{place - 1}@fabrikam.example" if place else None,
            received=MONDAY - timedelta(hours=9) + place * MINUTE,
            to=["anna@contoso.example", "ben@contoso.example"],
        )
        for place in range(length)
    ]


def the_id(place: int | str, direction: Direction = Direction.INCOMING) -> ActivityId:
    return email_id(f"{place}@fabrikam.example", direction)


def email(scene: Scene, place: int | str, direction: Direction = Direction.INCOMING) -> EmailActivity:
    return scene.activity(the_id(place, direction)).record


def index(answers: int) -> str:
    """A conversation index: what its conversation has in common, and five bytes for each answer."""
    return base64.b64encode(bytes(range(1, 23 + 5 * answers))).decode()


def let_time_pass(scene: Scene, *names: str) -> None:
    """Until every original was waited for as long as one is."""
    for wait in (16 * MINUTE, 125 * MINUTE):
        scene.clock.advance(wait)
        scene.until_idle(*names)


def about(scene: Scene, record: RecordRef = FABRIKAM) -> list[str]:
    whose = f"{record.type}:{record.id}"
    return sorted(entry.subject for entry in scene.stores.timeline.list(ListOf.REGARDING, whose, limit=100).items)


def set_regarding(scene: Scene, place: int, record: RecordRef | None, source: RegardingSource = RegardingSource.HAND) -> None:
    stored = scene.activity(the_id(place))
    scene.stores.activities.replace(replace(stored.record, regarding=record, regarding_set_by=source), stored.etag)
