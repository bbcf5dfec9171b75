"""Emails and items that a later version of Sidesync wrote, as after an update that was taken back: what each row is about is
left as it is and told, and everything else goes on. Over the tables, where rows have versions."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from shared.domain.choices import EmailStatus, IncomingFilteringMethod, ServerType, Verdict, Workload
from shared.domain.errors import ItemUnreadable, UnreadableRow
from shared.domain.folders import Folder, TreeFolder
from shared.domain.ids import ActivityId
from shared.domain.ledger import LedgerItem, Todo, UnreadableItems
from shared.domain.operations import RunOutcome
from shared.domain.organisation import OrganisationSettings
from shared.domain.records import AddressBookRecord
from shared.ports import Stores
from shared.stores.entities import (
    activity_partition,
    content_row,
    item_row,
    ledger_partition,
    outbox_row,
    record_key,
    sighting_row,
    todo_row,
)
from tests.builders import a_message, a_profile, a_rule
from tests.contracts.later_version import LATER, Key, Tables, told
from tests.unit.sync.faults import Fault, FaultyWorld
from tests.unit.sync.in_memory_mail import ProcessDied
from tests.unit.sync.outgoing.in_memory_servers import InMemoryDrafting, InMemorySending
from tests.unit.sync.outgoing.scene import OutgoingScene
from tests.unit.sync.scene import Scene

# ---- outgoing


@pytest.fixture(params=["smtp", "exchange"])
def outgoing(request: pytest.FixtureRequest, on_azurite: Stores) -> OutgoingScene:
    world = FaultyWorld()
    if request.param == "smtp":
        profile = a_profile(server_type=ServerType.IMAP_SMTP)
        return OutgoingScene(InMemorySending(world=world), world, profile, stores=on_azurite)
    return OutgoingScene(InMemoryDrafting(world=world), world, a_profile(), stores=on_azurite)


def activity(_: OutgoingScene, email: ActivityId) -> Key:
    return "Activities", activity_partition(email), email


def content(_: OutgoingScene, email: ActivityId) -> Key:
    return "Activities", activity_partition(email), content_row(email)


def entry(scene: OutgoingScene, email: ActivityId) -> Key:
    [found] = [each for each in scene.waiting() if each.activity_id == email]
    return "Outbox", scene.mailbox.id, outbox_row(found)


@pytest.mark.parametrize("written", [activity, content, entry])
def test_an_email_that_waits_is_set_aside_and_sent_after_the_update(
    outgoing: OutgoingScene, tables: Tables, written: Callable[[OutgoingScene, ActivityId], Key]
) -> None:
    emails = [outgoing.send(subject) for subject in ("First", "Second", "Third")]
    key = written(outgoing, emails[1])
    entry_key = entry(outgoing, emails[1])
    before = tables.later_version_writes(*key)

    assert outgoing.run() is RunOutcome.COMPLETED
    assert [outgoing.status(each) for each in (emails[0], emails[2])] == [EmailStatus.SENT] * 2
    assert tables.row(*key) == before
    assert tables.row(*entry_key)
    [run] = outgoing.stores.runs.list(outgoing.mailbox.id).items
    assert run.verdicts == {"sent": 2, "set_aside": 1}
    told(outgoing.alerts(), Workload.OUTGOING)

    outgoing.clock.advance(outgoing.wait())
    outgoing.run()
    told(outgoing.alerts(), Workload.OUTGOING)
    assert tables.row(*key) == before

    tables.update(*key)
    outgoing.until_settled()
    assert outgoing.status(emails[1]) is EmailStatus.SENT
    assert outgoing.waiting() == []


def test_unreadable_entries_take_no_place_of_others(on_azurite: Stores, tables: Tables) -> None:
    world = FaultyWorld()
    scene = OutgoingScene(InMemorySending(world=world), world, a_profile(server_type=ServerType.IMAP_SMTP), stores=on_azurite)
    emails = []
    for number in range(7):
        emails.append(scene.send(f"Email {number}"))
        scene.clock.advance(timedelta(seconds=1))
    for each in emails[:5]:
        tables.later_version_writes(*entry(scene, each))
    found = on_azurite.outbox.due(scene.mailbox.id, scene.clock(), 1)

    assert [each.activity_id for each in found.entries] == emails[5:6]
    assert len(found.unreadable) == 5
    assert [each.activity_id for each in scene.waiting()] == emails[5:]

    scene.run()
    assert [scene.status(each) for each in emails[5:]] == [EmailStatus.SENT] * 2
    assert "4 more cannot be read either" in told(scene.alerts(), Workload.OUTGOING).cause


def test_an_entry_that_cannot_be_read_is_looked_at_when_it_is_due_though_nothing_else_waits(
    outgoing: OutgoingScene, tables: Tables
) -> None:
    email = outgoing.send("Later", after=timedelta(hours=2))
    key = entry(outgoing, email)
    before = tables.later_version_writes(*key)
    outgoing.run()
    assert outgoing.wait() == timedelta(hours=2)
    outgoing.clock.advance(outgoing.wait())
    outgoing.run()
    assert outgoing.wait() == timedelta(minutes=1)
    assert tables.row(*key) == before

    tables.update(*key)
    outgoing.clock.advance(outgoing.wait())
    outgoing.run()
    assert outgoing.status(email) is EmailStatus.SENT


def test_an_email_that_a_later_version_takes_over_while_it_is_sent_is_left_to_that(
    outgoing: OutgoingScene, tables: Tables
) -> None:
    """Its receipt finds a row that cannot be read; those of the others are written."""
    emails = [outgoing.send(subject) for subject in ("First", "Second", "Third")]
    key = activity(outgoing, emails[1])

    def take_over(name: str) -> None:
        if name in ("mail.send", "mail.submit"):
            outgoing.world.watch = None
            tables.later_version_writes(*key)

    outgoing.world.watch = take_over
    outgoing.run()
    assert [outgoing.status(each) for each in (emails[0], emails[2])] == [EmailStatus.SENT] * 2
    with pytest.raises(UnreadableRow):
        outgoing.status(emails[1])
    tables.update(*key)
    outgoing.clock.advance(outgoing.wait())
    outgoing.until_settled()
    assert outgoing.status(emails[1]) is EmailStatus.SENT


@pytest.mark.parametrize("row", ["state"])
def test_what_a_run_holds_to_ends_it_with_an_alert_at_once_and_is_not_written_over(
    outgoing: OutgoingScene, tables: Tables, row: str
) -> None:
    first = outgoing.send("First")
    outgoing.run()
    before = tables.later_version_writes("Ledger", ledger_partition(outgoing.mailbox.id, Workload.OUTGOING), row)
    second = outgoing.send("Second")

    assert outgoing.run() is RunOutcome.FAILED
    assert (outgoing.status(first), outgoing.status(second)) == (EmailStatus.SENT, EmailStatus.PENDING_SEND)
    assert tables.row("Ledger", before.partition, row) == before
    told(outgoing.alerts(), Workload.OUTGOING)


# ---- incoming


@pytest.fixture
def incoming(on_azurite: Stores) -> Scene:
    return Scene(stores=on_azurite)


def rows(scene: Scene, name: str = "anna") -> list[LedgerItem]:
    return list(scene.ledger(name).values())


def test_a_message_whose_email_a_later_version_stored_fails_alone_and_is_tried_again(incoming: Scene, tables: Tables) -> None:
    """The same message came through Ben's mailbox before."""
    shared = a_message("shared")
    incoming.ben.deliver(shared)
    incoming.run("ben")
    [row] = rows(incoming, "ben")
    assert row.activity_id is not None
    key = ("Activities", activity_partition(row.activity_id), row.activity_id)
    before = tables.later_version_writes(*key)
    for each in (a_message("one"), shared, a_message("two")):
        incoming.anna.deliver(each)

    assert incoming.run("anna") is RunOutcome.COMPLETED
    assert sorted(each.verdict for each in rows(incoming)) == sorted([Verdict.PROMOTED, Verdict.PROMOTED, Verdict.FAILING])
    assert tables.row(*key) == before

    tables.update(*key)
    incoming.clock.advance(incoming.limits.retry_after)
    incoming.run("anna")
    assert {each.verdict for each in rows(incoming)} == {Verdict.PROMOTED}


def ledger_key(scene: Scene, row: str) -> Key:
    return "Ledger", ledger_partition(scene.mailboxes["anna"].id, Workload.INCOMING), row


def test_an_item_that_a_later_version_decided_about_is_not_decided_again(incoming: Scene, tables: Tables) -> None:
    """A change of it is passed over, and so is the whole page when it comes again."""
    refs = [incoming.anna.deliver(a_message(subject)) for subject in ("one", "two")]
    incoming.run()
    first = next(each for each in rows(incoming) if each.ref == refs[0])
    before = tables.later_version_writes(*ledger_key(incoming, item_row(first.key)))
    with pytest.raises(UnreadableItems) as told_of:
        rows(incoming)
    assert told_of.value.keys == {first.key}

    for ref in refs:
        incoming.anna.change(ref, categories=("Red",))
    incoming.anna.deliver(a_message("three"))
    assert incoming.run() is RunOutcome.COMPLETED
    told(incoming.alerts(), Workload.INCOMING)
    assert incoming.runs()[0].verdicts["set_aside"] == 1

    incoming.anna.generation += 1
    incoming.run()
    assert tables.row(*ledger_key(incoming, item_row(first.key))) == before
    tables.update(*ledger_key(incoming, item_row(first.key)))
    assert [each.verdict for each in rows(incoming)] == [Verdict.PROMOTED] * 3


def test_the_words_about_an_item_that_a_later_version_decided_about_are_not_for_this_one_to_remove(
    incoming: Scene, tables: Tables
) -> None:
    for subject in ("one", "two"):
        incoming.anna.deliver(a_message(subject))
    incoming.run()
    before = tables.later_version_writes(*ledger_key(incoming, item_row(rows(incoming)[0].key)))

    assert sum(incoming.stores.ledger.remove_details_before(LATER)) == 1
    assert tables.row(*ledger_key(incoming, before.row)) == before


def test_a_category_that_is_taken_from_an_email_that_cannot_be_read_holds_up_nothing(incoming: Scene, tables: Tables) -> None:
    ref = incoming.anna.deliver(a_message("one", categories=(OrganisationSettings().tracked_category,)))
    incoming.run()
    [row] = rows(incoming)
    assert row.activity_id is not None
    key = "Activities", activity_partition(row.activity_id), row.activity_id
    before = tables.later_version_writes(*key)
    incoming.anna.change(ref, categories=())
    incoming.anna.deliver(a_message("two"))

    assert incoming.run() is RunOutcome.COMPLETED
    assert incoming.subjects() == ["one", "two"]
    told(incoming.alerts(), Workload.INCOMING)
    assert tables.row(*key) == before


def test_an_item_of_an_interrupted_page_that_may_be_stored_already_fails_alone(incoming: Scene, tables: Tables) -> None:
    """A run that died had stored its email; since then its mailbox accepts nothing, and a later version has seen it too."""
    incoming.anna.deliver(a_message("one"))
    incoming.fail_at_first("timeline.put", Fault.DEATH_AFTER)
    with pytest.raises(ProcessDied):
        incoming.run()
    incoming.world.revive()
    [activity_id] = incoming.activity_ids()
    owner = incoming.mailboxes["anna"].owner
    assert owner is not None
    stored = incoming.stores.owners.get(owner.kind, owner.id)
    assert stored is not None
    nothing = replace(stored.record, filtering_method=IncomingFilteringMethod.NONE)
    incoming.stores.owners.replace(nothing, stored.etag)
    row = sighting_row(activity_id, incoming.mailboxes["anna"].id)
    tables.later_version_writes("Activities", activity_partition(activity_id), row)
    incoming.anna.deliver(a_message("two"))
    incoming.clock.advance(timedelta(hours=1))

    assert incoming.run() is RunOutcome.COMPLETED
    assert incoming.verdicts() == sorted([Verdict.FAILING, Verdict.SKIPPED])


@pytest.mark.parametrize("is_listed_again", [False, True])
def test_what_was_moved_waits_while_the_row_that_says_what_became_of_it_cannot_be_read(
    incoming: Scene, tables: Tables, is_listed_again: bool
) -> None:
    """A person may have taken it from the list of his mailbox, or it was never read: neither passing it over nor judging it is
    safe."""
    category = OrganisationSettings().tracked_category
    alpha = Folder("folder-alpha", "Alpha")
    incoming.anna.folders_below.append(TreeFolder(alpha.id, alpha.name))
    incoming.stores.tracking_rules.put(a_rule(incoming.mailboxes["anna"], alpha), None)
    ref = incoming.anna.deliver(a_message("one", categories=(category,)))
    incoming.run()
    incoming.anna.change(ref, categories=())
    incoming.run()
    [row] = rows(incoming)
    before = tables.later_version_writes(*ledger_key(incoming, item_row(row.key)))
    incoming.anna.file(ref, alpha)
    incoming.anna.generation += is_listed_again
    incoming.run()

    assert incoming.subjects() == []
    assert tables.row(*ledger_key(incoming, item_row(row.key))) == before
    tables.update(*ledger_key(incoming, item_row(row.key)))
    assert incoming.verdicts() == sorted([Verdict.SKIPPED, Verdict.FAILING])


def test_a_todo_that_a_later_version_wrote_keeps_none_of_the_others_from_being_done(incoming: Scene, tables: Tables) -> None:
    todos = failing_twice(incoming)
    before = tables.later_version_writes(*ledger_key(incoming, todo_row(todos[0])))
    incoming.clock.advance(incoming.limits.retry_after)
    incoming.run()

    assert incoming.verdicts() == sorted([Verdict.FAILING, Verdict.PROMOTED])
    assert tables.row(*ledger_key(incoming, before.row)) == before
    told(incoming.alerts(), Workload.INCOMING)
    assert incoming.run() is RunOutcome.IDLE, "what cannot be read is nothing to do"
    tables.update(*ledger_key(incoming, before.row))
    incoming.run()
    assert incoming.verdicts() == [Verdict.PROMOTED] * 2


def test_what_is_to_be_done_with_an_item_waits_while_its_row_cannot_be_read(incoming: Scene, tables: Tables) -> None:
    todos = failing_twice(incoming)
    key = ledger_key(incoming, item_row(todos[0].item.key))
    before = tables.later_version_writes(*key)
    incoming.clock.advance(incoming.limits.retry_after)
    incoming.run()

    assert tables.row(*key) == before
    told(incoming.alerts(), Workload.INCOMING)
    assert incoming.head().todos == (), "it is not looked at again at once"
    tables.update(*key)
    assert incoming.verdicts() == sorted([Verdict.FAILING, Verdict.PROMOTED])
    incoming.clock.advance(incoming.limits.retry_after)
    incoming.run()
    assert incoming.verdicts() == [Verdict.PROMOTED] * 2


def failing_twice(scene: Scene) -> list[Todo]:
    """Two messages that could not be read, and can be from now on."""
    refs = [scene.anna.deliver(a_message(subject)) for subject in ("one", "two")]
    scene.anna.unreadable |= {ref.id: ItemUnreadable("It is broken.") for ref in refs}
    scene.run()
    scene.anna.unreadable.clear()
    return list(scene.stores.ledger.head(scene.mailboxes["anna"].id, Workload.INCOMING, LATER).todos)


def test_an_answer_to_what_cannot_be_read_fails_alone(incoming: Scene, tables: Tables) -> None:
    incoming.anna.deliver(a_message("original"))
    incoming.run()
    [original] = rows(incoming)
    assert original.activity_id is not None
    key = ("Activities", activity_partition(original.activity_id), original.activity_id)
    tables.later_version_writes(*key)
    incoming.anna.deliver(a_message("answer", in_reply_to=original.message_id))
    incoming.anna.deliver(a_message("another"))
    incoming.run()

    assert incoming.verdicts() == sorted([Verdict.PROMOTED, Verdict.PROMOTED, Verdict.FAILING])
    tables.update(*key)
    incoming.clock.advance(incoming.limits.retry_after)
    incoming.run()
    assert incoming.verdicts() == [Verdict.PROMOTED] * 3


def test_a_sender_whose_record_cannot_be_read_holds_up_nobody_else(incoming: Scene, tables: Tables) -> None:
    incoming.stores.address_book.put(AddressBookRecord("contact", "kim", "Kim", ("kim@fabrikam.example",)))
    key = ("Records", *record_key("contact", "kim"))
    before = tables.later_version_writes(*key)
    incoming.anna.deliver(a_message("one", sender="kim@fabrikam.example"))
    incoming.anna.deliver(a_message("two"))
    incoming.run()

    assert incoming.verdicts() == sorted([Verdict.PROMOTED, Verdict.FAILING])
    assert tables.row(*key) == before


def test_an_email_that_cannot_be_read_is_joined_to_its_conversation_later(incoming: Scene, tables: Tables) -> None:
    original = "original@fabrikam.example"
    incoming.anna.deliver(a_message("answer", in_reply_to=original, references=(original,)))
    incoming.run()
    [answer] = rows(incoming)
    assert answer.activity_id is not None
    key = ("Activities", activity_partition(answer.activity_id), answer.activity_id)
    incoming.anna.deliver(a_message("original"))
    incoming.run()
    tables.later_version_writes(*key)
    incoming.clock.advance(incoming.limits.judged_again_after[0])
    incoming.run()
    told(incoming.alerts(), Workload.INCOMING)
    assert incoming.head().todos == (), "it is not looked at again at once"

    tables.update(*key)
    incoming.clock.advance(incoming.limits.retry_after)
    incoming.run()
    assert not incoming.activity(answer.activity_id).record.is_fragment
