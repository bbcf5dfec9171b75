"""A sync that fails at any external call, in any way, ends as if it had never failed.

The scenario has everything that writes: replies, attachments, the same message in two mailboxes and twice in one, a constant
Message-ID with different content, one without a Message-ID, items that are skipped, and one that always fails.
"""

from dataclasses import replace
from datetime import timedelta

import pytest

from shared.domain.choices import SenderOrigin, Verdict
from shared.domain.email import IncomingMessage
from shared.domain.errors import ItemUnreadable
from shared.domain.operations import RunOutcome
from shared.sync.budgets import RunBudget
from tests.builders import MONDAY, a_message
from tests.unit.sync.faults import Fault, FaultyWorld
from tests.unit.sync.in_memory_mail import InMemoryMail
from tests.unit.sync.scene import Scene
from tests.unit.sync.snapshots import outcome_of


def a_scene(world: FaultyWorld) -> Scene:
    scene = Scene(InMemoryMail("server/anna", page_items=4), InMemoryMail("server/ben", page_items=4), world)
    scene.budget = RunBudget(batch_items=2)
    anna, ben = scene.anna, scene.ben
    shared = a_message("Shared", to=["anna@contoso.example", "ben@contoso.example"], attachments=[b"drawing"])
    anna.deliver(_at(4, a_message("Old")))
    anna.deliver(_at(5, a_message("First", attachments=[b"one", b"two"])))
    anna.deliver(_at(6, a_message("Reply", in_reply_to="first@fabrikam.example")))
    anna.deliver(_at(7, a_message("Constant one", message_id="constant@example")))
    anna.deliver(_at(8, a_message("Constant two", message_id="constant@example", attachments=[b"three"])))
    anna.deliver(_at(9, a_message("Nameless", message_id=None)))
    broken = anna.deliver(_at(10, a_message("Broken")))
    anna.unreadable[broken.id] = ItemUnreadable("the server cannot convert it")
    anna.deliver(_at(11, a_message("A draft")), is_draft=True)
    anna.deliver(_at(12, shared))
    anna.deliver(_at(13, a_message("Ancient")), received=MONDAY - timedelta(days=90))
    anna.deliver(_at(14, a_message("Internal", sender="ben@contoso.example", sender_origin=SenderOrigin.INTERNAL)))
    ben.deliver(_at(6, a_message("Constant one", message_id="constant@example")))
    ben.deliver(_at(12, shared))
    ben.deliver(_at(12, shared))
    ben.deliver(_at(15, a_message("Forged", sender="anna@contoso.example", to=["ben@contoso.example"])))
    return scene


def _at(hour: int, message: IncomingMessage) -> IncomingMessage:
    return replace(message, received=MONDAY - timedelta(days=1) + timedelta(hours=hour))


UNDISTURBED = a_scene(FaultyWorld())
UNDISTURBED.until_nothing_is_left()
EXPECTED = outcome_of(UNDISTURBED.stores)


def test_the_undisturbed_sync_has_everything_in_it() -> None:
    subjects = ["Constant one", "Constant two", "First", "Nameless", "Old", "Reply", "Shared"]
    assert UNDISTURBED.subjects("anna") == subjects
    assert UNDISTURBED.subjects("ben") == ["Constant one", "Forged", "Shared"]
    assert UNDISTURBED.verdicts("anna") == sorted([*[Verdict.PROMOTED] * 7, *[Verdict.SKIPPED] * 2, Verdict.QUARANTINED])
    assert UNDISTURBED.verdicts("ben") == [Verdict.PROMOTED] * 4
    assert [alert.code for alert in UNDISTURBED.alerts()] == ["item_quarantined"]


@pytest.mark.parametrize("fault", list(Fault))
def test_failing_at_any_call_changes_nothing_in_the_end(fault: Fault) -> None:
    for at in range(1, len(UNDISTURBED.world.calls) + 1):
        scene = a_scene(FaultyWorld(at=at, fault=fault))
        scene.until_nothing_is_left()
        assert outcome_of(scene.stores) == EXPECTED, f"{fault} at call {at}, {scene.world.calls[at - 1]}"


@pytest.mark.parametrize("fault", list(Fault))
def test_a_page_of_several_transactions_that_stops_between_them_is_completed(fault: Fault) -> None:
    """250 items are three transactions: only the last one may move the mark."""

    def a_big_page(world: FaultyWorld) -> Scene:
        scene = Scene(world=world)
        for number in range(250):
            scene.anna.deliver(a_message(f"Draft {number}"), is_draft=True)
        return scene

    undisturbed = a_big_page(FaultyWorld())
    undisturbed.until_idle("anna")
    commits = [place for place, call in enumerate(undisturbed.world.calls, 1) if call == "ledger.commit"]
    assert len(commits) == 4
    for at in commits:
        scene = a_big_page(FaultyWorld(at=at, fault=fault))
        scene.until_idle("anna")
        assert outcome_of(scene.stores) == outcome_of(undisturbed.stores), f"{fault} at call {at}"


def test_a_commit_whose_reply_is_lost_is_settled_and_the_run_goes_on() -> None:
    calls = UNDISTURBED.world.calls
    for at in [place for place, call in enumerate(calls, 1) if call == "ledger.commit"]:
        scene = a_scene(FaultyWorld(at=at, fault=Fault.REPLY_LOST))
        scene.until_nothing_is_left()
        assert RunOutcome.FAILED not in [run.outcome for name in ("anna", "ben") for run in scene.runs(name)]


def test_what_was_decided_before_a_failure_is_kept_and_not_read_again() -> None:
    scene = Scene(budget=RunBudget(batch_items=2))
    for number in range(6):
        scene.anna.deliver(_at(number, a_message(f"Offer {number}")))
    scene.anna.fetching_fails["item-6"] = [TimeoutError("the network")]

    assert scene.run() is RunOutcome.FAILED
    assert scene.verdicts() == [Verdict.PROMOTED] * 4
    scene.anna.fetched.clear()
    assert scene.run() is RunOutcome.COMPLETED
    assert scene.anna.fetched == ["item-5", "item-6"]
    assert len(scene.subjects()) == 6
