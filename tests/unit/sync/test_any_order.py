"""Whatever happens in whatever order, nothing is lost and nothing is there twice: many random schedules, each repeatable.

Before calls of the run chosen at random mail comes (some of it answers), changes, is read, filed, categorized or removed,
watermarks expire, the clock jumps in both directions, marks cannot be set, calls fail, lose their replies or stop the process.
"""

from dataclasses import dataclass, field
from datetime import timedelta
from random import Random

import pytest

from shared.domain.choices import Verdict
from shared.domain.email import ItemRef, ListOf
from shared.domain.errors import ItemError, Unreachable
from shared.domain.folders import INBOX, Folder, TreeFolder
from shared.domain.organisation import OrganisationSettings
from shared.sync.budgets import RunBudget
from tests.builders import MONDAY, a_message, a_rule
from tests.unit.sync.faults import Fault
from tests.unit.sync.in_memory_mail import InMemoryMail
from tests.unit.sync.scene import Scene

EVENTS_AT_MOST = 40
CHANCE = 0.12
FABRIKAM = Folder("folder-fabrikam", "Fabrikam")


@dataclass
class Weather:
    """What happens around a scene, drawn from `random`."""

    random: Random
    scene: Scene
    present: dict[str, ItemRef] = field(default_factory=dict)
    """Per subject, what is in the mailbox now."""
    delivered: int = 0
    events: int = 0

    def strike(self, _: str) -> None:
        if self.events < EVENTS_AT_MOST and not self.scene.world.is_dead and self.random.random() < CHANCE:
            self.events += 1
            happenings = [self.deliver, self.deliver, self.touch, self.file, self.categorize, self.remove, self.expire]
            self.random.choice([*happenings, self.jump, self.fail, self.refuse_marks])()

    def deliver(self) -> None:
        self.delivered += 1
        subject = f"Offer {self.delivered}"
        message_id = self.random.choice([None, "constant@example", f"{self.delivered}@example"])
        attachments = [subject.encode()] if self.random.random() < 0.3 else []
        received = MONDAY - timedelta(hours=200 - self.delivered)
        answered = f"{self.random.randint(1, self.delivered)}@example" if self.random.random() < 0.5 else None
        message = a_message(subject, message_id=message_id, attachments=attachments, received=received, in_reply_to=answered)
        self.present[subject] = self.scene.anna.deliver(message, self.random.choice([INBOX, INBOX, FABRIKAM]))

    def touch(self) -> None:
        if self.present:
            ref = self.present[self.random.choice(sorted(self.present))]
            if self.random.random() < 0.5:
                self.scene.anna.mark_read(ref)
            else:
                self.scene.anna.change(ref, size=3000)

    def file(self) -> None:
        """Into the folder with the rule, or back into the Inbox."""
        if self.present:
            subject = self.random.choice(sorted(self.present))
            self.present[subject] = self.scene.anna.file(self.present[subject], self.random.choice([INBOX, FABRIKAM]))

    def categorize(self) -> None:
        if self.present:
            ref = self.present[self.random.choice(sorted(self.present))]
            self.scene.anna.change(ref, categories=(*self.scene.anna.categories(ref), "Tracked"))

    def refuse_marks(self) -> None:
        self.scene.anna.marking_fails.append(self.random.choice([ItemError("not now"), Unreachable("cut short")]))

    def remove(self) -> None:
        if self.present:
            self.scene.anna.remove(self.present.pop(self.random.choice(sorted(self.present))))

    def expire(self) -> None:
        self.scene.anna.generation += 1

    def jump(self) -> None:
        self.scene.clock.advance(timedelta(minutes=self.random.choice([-30, -5, 1, 5, 10])))

    def fail(self) -> None:
        world = self.scene.world
        world.at, world.fault = len(world.calls), self.random.choice(list(Fault))


@pytest.mark.parametrize("seed", range(60))
def test_whatever_happens_every_message_is_there_once(seed: int) -> None:
    random = Random(seed)
    budget = RunBudget(batch_items=random.choice([1, 2, 100]), pages=random.choice([1, 2, 5]))
    scene = Scene(anna=InMemoryMail("server/anna", page_items=random.choice([2, 3, 5])), budget=budget)
    scene.stores.settings.put(OrganisationSettings(stamp_categories=True), None)
    scene.anna.folders_below.append(TreeFolder(FABRIKAM.id, FABRIKAM.name))
    scene.stores.tracking_rules.put(a_rule(scene.mailboxes["anna"], FABRIKAM, "fabrikam"), None)
    weather = Weather(random, scene)
    for _ in range(random.randint(3, 15)):
        weather.deliver()
    scene.world.watch = weather.strike
    for _ in range(60):
        scene.attempt()
        scene.clock.advance(timedelta(minutes=random.choice([0, 0, 1, 7])))
    scene.world.watch = None
    scene.clock.advance(timedelta(hours=2))
    scene.until_nothing_is_left()

    listed = scene.subjects()
    given_up = {item.ref for item in scene.ledger().values() if item.verdict is Verdict.QUARANTINED}
    assert len(listed) == len(set(listed))
    assert [subject for subject, ref in weather.present.items() if subject not in listed and ref not in given_up] == []
    assert weather.delivered > len(given_up)
    about = {entry.subject for entry in scene.stores.timeline.list(ListOf.REGARDING, "account:fabrikam", limit=1000).items}
    filed = {subject for subject, ref in weather.present.items() if ref.folder == FABRIKAM.id and ref not in given_up}
    assert filed <= about
    assert scene.head().todos == ()
    assert weather.events > 0
