"""Joining answers to their conversations that fails at any external call, in any way, ends as if it had never failed."""

import base64
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from shared.domain.choices import CorrelationMethod, Direction
from shared.domain.email import DeliveryReport, ListOf, OptOut, RecipientReport
from shared.domain.folders import Folder, TreeFolder
from shared.domain.ids import ActivityId, email_id
from shared.domain.organisation import OrganisationSettings
from shared.sync.budgets import RunBudget
from shared.sync.incoming import IncomingSync
from tests.builders import MONDAY, a_message, a_rule, a_sync_of
from tests.unit.sync.aftermath import MINUTE
from tests.unit.sync.faults import Fault, FaultyWorld
from tests.unit.sync.in_memory_mail import InMemoryMail
from tests.unit.sync.scene import Scene
from tests.unit.sync.snapshots import outcome_of

FABRIKAM = Folder("folder-fabrikam", "Fabrikam")
SETTINGS = OrganisationSettings(correlation_methods=tuple(method for method in CorrelationMethod if method > 1))
INDEX = base64.b64encode(bytes(range(1, 28))).decode()
BOTH = ["anna@contoso.example", "ben@contoso.example"]


def a_scene(world: FaultyWorld) -> Scene:
    scene = Scene(
        InMemoryMail("server/anna", page_items=2),
        InMemoryMail("server/ben", page_items=2),
        world,
        budget=RunBudget(batch_items=2),
    )
    scene.stores.settings.put(SETTINGS, None)
    scene.stores.tracking_rules.put(a_rule(scene.mailboxes["ben"], FABRIKAM, "fabrikam"), None)
    scene.ben.folders_below.append(TreeFolder(FABRIKAM.id, FABRIKAM.name))
    return scene


def answers_come(scene: Scene) -> None:
    answer = a_message("Re: Offer SYNC:0001234", message_id="answer@x.example", in_reply_to="offer@x.example", to=BOTH)
    answer = replace(answer, conversation_index=INDEX)
    further = a_message("Further", message_id="further@x.example", in_reply_to="answer@x.example", to=BOTH)
    scene.anna.deliver(_at(3, further))
    scene.ben.deliver(_at(3, further))
    scene.anna.deliver(_at(2, answer))
    scene.ben.deliver(_at(4, a_message("Left", message_id="left@x.example", in_reply_to="secret@x.example")))
    report = DeliveryReport("offer@x.example", (RecipientReport("carol@fabrikam.example", "failed", "5.1.1"),))
    told = a_message("Undeliverable", message_id="undeliverable@x.example", report=report, item_class="REPORT.IPM.Note.NDR")
    scene.ben.deliver(_at(5, told))


def originals_come(scene: Scene) -> None:
    secret = email_id("secret@x.example", Direction.INCOMING)
    scene.stores.correlations.opt_out(OptOut(secret, "ben", MONDAY))
    scene.ben.deliver(_at(1, a_message("Offer", message_id="offer@x.example")), FABRIKAM)
    scene.anna.deliver(_at(1, a_message("Secret", message_id="secret@x.example")))


def waiting(world: FaultyWorld) -> Scene:
    """Until the originals have come, and nobody has looked for them yet."""
    scene = a_scene(world)
    answers_come(scene)
    scene.until_idle()
    originals_come(scene)
    scene.clock.advance(5 * MINUTE)
    scene.until_idle()
    return scene


def end(scene: Scene) -> None:
    for wait in (20, 130, 130):
        scene.clock.advance(wait * MINUTE)
        scene.until_idle()


def played(world: FaultyWorld) -> Scene:
    scene = waiting(world)
    end(scene)
    return scene


def _at(hour: int, message: Any) -> Any:
    return replace(message, received=MONDAY - timedelta(days=1) + timedelta(hours=hour))


def outcome(scene: Scene) -> dict[str, Any]:
    """Where the watermarks stand depends on when each folder was asked last."""
    content = outcome_of(scene.stores)
    for ledger in content["ledger"].values():
        ledger["marks"] = sorted(ledger["marks"])
    return content


def the_id(name: str) -> ActivityId:
    return email_id(f"{name}@x.example", Direction.INCOMING)


UNDISTURBED = played(FaultyWorld())
EXPECTED = outcome(UNDISTURBED)


def test_the_undisturbed_sync_joins_what_belongs_together() -> None:
    stores = UNDISTURBED.stores
    emails = {name: UNDISTURBED.activity(the_id(name)).record for name in ("answer", "further", "left", "undeliverable")}
    assert {name: email.conversation for name, email in emails.items()} == {
        "answer": the_id("offer"),
        "further": the_id("offer"),
        "left": the_id("secret"),
        "undeliverable": the_id("offer"),
    }
    assert not any(email.is_fragment for email in emails.values())
    about = sorted(each.subject for each in stores.timeline.list(ListOf.REGARDING, "account:fabrikam").items)
    assert about == ["Further", "Offer", "Re: Offer SYNC:0001234", "Undeliverable"]
    assert [note.report for note in stores.activities.annotations(the_id("offer"))] == [the_id("undeliverable")]
    assert UNDISTURBED.head("anna").todos == UNDISTURBED.head("ben").todos == ()


@pytest.mark.parametrize("fault", list(Fault))
def test_failing_at_any_call_changes_nothing_in_the_end(fault: Fault) -> None:
    for at, call in enumerate(UNDISTURBED.world.calls, 1):
        scene = played(FaultyWorld(at=at, fault=fault))
        assert outcome(scene) == EXPECTED, f"{fault} at call {at}, {call}"


def test_two_mailboxes_that_join_the_same_answers_at_once_join_them_once() -> None:
    """At a call of Anna's run that of Ben comes in between, from start to end."""
    begun = len(waiting(FaultyWorld()).world.calls)
    for at in range(begun + 1, len(UNDISTURBED.world.calls), 2):
        scene = waiting(FaultyWorld())
        second = IncomingSync(scene.stores, scene.servers, scene.clock, scene.budget, scene.limits)

        def intervene(_: str, scene: Scene = scene, second: IncomingSync = second, at: int = at) -> None:
            if len(scene.world.calls) == at:
                second.run(a_sync_of(scene.mailboxes["ben"], message_id="second"))

        scene.world.watch = intervene
        end(scene)
        present = outcome(scene)
        for part in ("activities", "timeline", "correlations"):
            assert present[part] == EXPECTED[part], f"at call {at}, {scene.world.calls[at - 1]}"


def test_reading_everything_again_after_it_was_joined_changes_nothing() -> None:
    scene = played(FaultyWorld())
    before = outcome(scene)
    for mail in (scene.anna, scene.ben):
        mail.generation += 1
    scene.until_idle()
    assert outcome(scene)["activities"] == before["activities"]
    assert without_marks(outcome(scene)) == without_marks(before)
    end(scene)
    assert without_marks(outcome(scene)) == without_marks(before)


def test_a_ledger_that_was_lost_is_rebuilt_over_the_same_conversations() -> None:
    scene = played(FaultyWorld())
    scene.stores = replace(scene.stores, ledger=Scene().stores.ledger)
    scene.until_idle()
    end(scene)
    after = outcome(scene)
    for part in ("activities", "timeline"):
        assert after[part] == EXPECTED[part]


def without_marks(content: dict[str, Any]) -> dict[str, Any]:
    for ledger in content["ledger"].values():
        ledger.pop("marks", None)
        ledger.pop("state", None)
    return content
