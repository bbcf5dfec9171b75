"""One bad item never blocks a mailbox: not one that fails, not one that makes calls fail, not one that kills the process."""

from datetime import timedelta

import pytest

from shared.domain.choices import Reason, Verdict
from shared.domain.errors import ItemError, ItemUnreadable, Unreachable
from shared.domain.operations import RunOutcome
from shared.sync.budgets import ItemLimits
from shared.sync.careful import MOST_SUSPECTS
from tests.builders import MONDAY, a_message
from tests.unit.sync.faults import Fault
from tests.unit.sync.in_memory_mail import ProcessDied
from tests.unit.sync.scene import Scene

LONGER_THAN_A_LEASE = timedelta(minutes=10)
MINUTE = timedelta(minutes=1)

# ---- an item that kills the process


def test_an_item_that_kills_the_process_each_time_is_quarantined_and_the_rest_is_stored() -> None:
    scene = Scene()
    refs = [scene.anna.deliver(a_message(f"Offer {number}")) for number in range(5)]
    scene.anna.deadly.add(refs[2].id)
    deaths = 0
    while (outcome := scene.attempt()) is not RunOutcome.IDLE:
        deaths += outcome is None
        scene.clock.advance(LONGER_THAN_A_LEASE)
        assert deaths < 5, "the message of the queue would be poison by now"
    assert deaths == 3
    assert scene.subjects() == ["Offer 0", "Offer 1", "Offer 3", "Offer 4"]
    [quarantined] = scene.stores.quarantine.list(scene.mailboxes["anna"].id).items
    assert (quarantined.ref, quarantined.error, quarantined.raw_blob) == (refs[2], "stopped_the_process", None)
    [item] = [item for item in scene.ledger().values() if item.verdict is Verdict.QUARANTINED]
    assert item.reason is Reason.STOPPED_THE_PROCESS
    state = scene.head().state
    assert state is not None
    assert state.takeovers == 0


def test_two_deadly_items_do_not_keep_the_others_from_being_stored() -> None:
    scene = Scene()
    refs = [scene.anna.deliver(a_message(f"Offer {number}")) for number in range(5)]
    scene.anna.deadly |= {refs[0].id, refs[4].id}
    scene.until_idle("anna")
    assert scene.subjects() == ["Offer 1", "Offer 2", "Offer 3"]
    assert len(scene.stores.quarantine.list(scene.mailboxes["anna"].id).items) == 2


def test_an_item_that_kills_the_process_when_it_is_retried_is_quarantined_too() -> None:
    scene = Scene()
    bad = scene.anna.deliver(a_message("Bad"))
    scene.anna.deliver(a_message("Good"))
    scene.anna.unreadable[bad.id] = ItemUnreadable("broken")
    scene.run()
    scene.anna.deadly.add(bad.id)
    scene.clock.advance(timedelta(minutes=15))
    scene.anna.deliver(a_message("New"))
    scene.until_nothing_is_left()
    assert scene.subjects() == ["Good", "New"]
    assert Verdict.QUARANTINED in scene.verdicts()
    assert scene.head().todos == ()


def test_a_raw_form_that_kills_the_process_is_given_up() -> None:
    scene = Scene(limits=ItemLimits(attempts=1))
    bad = scene.anna.deliver(a_message("Bad"))
    scene.anna.unreadable[bad.id] = ItemUnreadable("broken")
    scene.anna.raw_fails[bad.id] = ProcessDied("out of memory")
    scene.until_idle("anna")
    [kept] = scene.stores.quarantine.list(scene.mailboxes["anna"].id).items
    assert (kept.error, kept.raw_blob) == ("stopped_the_process", None)


# ---- one item never blocks a mailbox


@pytest.mark.parametrize("failure", [Unreachable("cut short"), KeyError("a bug")])
def test_an_item_during_which_calls_always_fail_does_not_block_the_mailbox(failure: Exception) -> None:
    scene = Scene()
    refs = [scene.anna.deliver(a_message(f"Offer {number}")) for number in range(4)]
    scene.anna.fetching_fails[refs[1].id] = [failure] * 100
    for _ in range(3):
        assert scene.run() is RunOutcome.FAILED
        scene.clock.advance(scene.wait())
    assert scene.run() is RunOutcome.COMPLETED
    assert scene.subjects() == ["Offer 0", "Offer 2", "Offer 3"]
    assert Verdict.FAILING in scene.verdicts()


def test_several_items_in_a_row_during_which_calls_always_fail_do_not_block_the_mailbox() -> None:
    """The same bad message sent three times, say."""
    scene = Scene()
    refs = [scene.anna.deliver(a_message(f"Offer {hour}", received=MONDAY - timedelta(hours=9 - hour))) for hour in range(5)]
    for ref in refs[1:4]:
        scene.anna.fetching_fails[ref.id] = [Unreachable("cut short")] * 100
    for _ in range(4):
        scene.run()
        scene.clock.advance(scene.wait())
    assert scene.subjects() == ["Offer 0", "Offer 4"]
    assert scene.verdicts().count(Verdict.FAILING) == 3


def test_items_that_make_calls_fail_when_they_are_retried_do_not_keep_new_mail_out() -> None:
    scene = Scene()
    refs = [scene.anna.deliver(a_message(f"Bad {number}")) for number in range(2)]
    scene.anna.unreadable = {ref.id: ItemUnreadable("broken") for ref in refs}
    scene.run()
    scene.anna.fetching_fails = {ref.id: [Unreachable("cut short")] * 100 for ref in refs}
    scene.clock.advance(15 * MINUTE)
    scene.anna.deliver(a_message("New"))
    for _ in range(4):
        scene.run()
        scene.clock.advance(scene.wait())
    assert scene.subjects() == ["New"]
    assert {item.attempts for item in scene.ledger().values() if item.verdict is Verdict.FAILING} == {2}


def test_a_server_that_is_down_is_asked_for_few_items() -> None:
    scene = Scene()
    for number in range(60):
        ref = scene.anna.deliver(a_message(f"Offer {number}"))
        scene.anna.fetching_fails[ref.id] = [Unreachable("down") for _ in range(50)]
    for _ in range(3):
        assert scene.run() is RunOutcome.FAILED
    scene.anna.fetched.clear()
    assert scene.run() is RunOutcome.FAILED
    assert len(scene.anna.fetched) == MOST_SUSPECTS + 1


@pytest.mark.parametrize("failure", [ProcessDied("of this item"), Unreachable("cut short")])
def test_an_item_that_would_be_skipped_does_not_block_a_page_that_is_repeated(failure: BaseException) -> None:
    """Whether it was promoted before the page was interrupted can only be told by reading it."""
    scene = Scene()
    old = scene.anna.deliver(a_message("Ancient", message_id=None, received=MONDAY - timedelta(days=99)))
    scene.anna.deliver(a_message("Offer"))
    scene.anna.fetching_fails[old.id] = [failure] * 100
    scene.fail_at_first("timeline.put", Fault.DEATH_BEFORE)
    assert scene.attempt() is None
    scene.clock.advance(LONGER_THAN_A_LEASE)
    scene.until_idle("anna")
    assert scene.subjects() == ["Offer"]


def test_an_outage_while_items_are_read_blames_no_item() -> None:
    scene = Scene()
    refs = [scene.anna.deliver(a_message(f"Offer {number}")) for number in range(4)]
    for ref in refs:
        scene.anna.fetching_fails[ref.id] = [Unreachable("down") for _ in range(50)]
    for _ in range(12):
        assert scene.run() is RunOutcome.FAILED
        scene.clock.advance(scene.wait())
    assert scene.ledger() == {}
    scene.anna.fetching_fails.clear()
    assert scene.run() is RunOutcome.COMPLETED
    assert scene.verdicts() == [Verdict.PROMOTED] * 4


def test_after_an_outage_of_the_listing_items_are_read_together() -> None:
    scene = Scene()
    for number in range(4):
        scene.anna.deliver(a_message(f"Offer {number}"))
    scene.anna.listing_fails = [Unreachable("down") for _ in range(5)]
    for _ in range(5):
        assert scene.run() is RunOutcome.FAILED
    scene.world.calls.clear()
    assert scene.run() is RunOutcome.COMPLETED
    assert scene.world.calls.count("mail.fetch") == 1


def test_a_message_that_cannot_be_converted_fails_alone() -> None:
    scene = Scene()
    scene.anna.deliver(a_message("Bad", sent="not a date"))
    scene.anna.deliver(a_message("Good"))
    assert scene.run() is RunOutcome.COMPLETED
    assert scene.subjects() == ["Good"]
    [bad] = [item for item in scene.ledger().values() if item.verdict is Verdict.FAILING]
    assert bad.detail == "TypeError while the message was converted."


def test_a_mailbox_whose_server_answers_nonsense_does_not_delay_the_others() -> None:
    scene = Scene()
    scene.anna.listing_fails = [ValueError("not XML")] * 20
    scene.ben.deliver(a_message("Offer"))
    assert scene.run("anna") is RunOutcome.FAILED
    assert scene.run("ben") is RunOutcome.COMPLETED
    assert scene.subjects("ben") == ["Offer"]


def test_an_item_that_always_fails_ends_in_quarantine_even_where_its_raw_form_fails_transiently() -> None:
    scene = Scene()
    bad = scene.anna.deliver(a_message("Bad"))
    scene.anna.unreadable[bad.id] = ItemUnreadable("broken")
    scene.anna.raw_fails[bad.id] = Unreachable("cut short")
    for _ in range(30):
        scene.attempt()
        scene.clock.advance(15 * MINUTE)
    [item] = scene.ledger().values()
    assert item.verdict is Verdict.QUARANTINED
    [kept] = scene.stores.quarantine.list(scene.mailboxes["anna"].id).items
    assert kept.raw_blob is None


def test_every_error_of_an_item_ends_as_a_verdict_not_as_the_end_of_the_run() -> None:
    scene = Scene()
    ref = scene.anna.deliver(a_message("Bad"))
    scene.anna.unreadable[ref.id] = ItemError("of any kind")
    assert scene.run() is RunOutcome.COMPLETED
    assert scene.verdicts() == [Verdict.FAILING]
