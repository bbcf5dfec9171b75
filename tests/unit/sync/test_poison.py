"""What becomes of queue messages that failed for good."""

from datetime import timedelta

import pytest

from shared.domain.choices import Workload
from shared.domain.ids import MailboxId, ProfileId
from shared.domain.operations import RunOutcome
from shared.messages import (
    EnumerateShards,
    LoadRecords,
    ProbeMailbox,
    ProfileTask,
    Queue,
    RelinkFolder,
    SyncMailbox,
    VisitMailboxes,
    parse,
)
from shared.sync.poison import Poison
from tests.builders import a_message, a_sync_of, queues_in_memory
from tests.unit.sync.faults import Fault
from tests.unit.sync.scene import Scene


def died_in_the_middle() -> Scene:
    scene = Scene()
    scene.anna.deliver(a_message("Offer"))
    scene.fail_at_first("timeline.put", Fault.DEATH_BEFORE)
    assert scene.attempt() is None
    return scene


@pytest.mark.parametrize("text", ["not json", "{}", '{"v": 99}', "[]", '{"v":1,"kind":"sync_mailbox"}'])
def test_a_malformed_message_is_an_alert_about_its_queue(text: str) -> None:
    scene = Scene()
    Poison(scene.stores, scene.clock).handle("sync-incoming", text)
    [alert] = scene.alerts()
    assert (alert.about, alert.code) == ("queue:sync-incoming", "malformed_message")


def test_the_lease_of_the_run_that_the_message_started_is_expired_and_the_mailbox_is_due() -> None:
    scene = died_in_the_middle()
    Poison(scene.stores, scene.clock).handle("sync-incoming", a_sync_of(scene.mailboxes["anna"]).to_json())
    assert scene.wait() <= timedelta(minutes=1)
    assert [(alert.about, alert.code) for alert in scene.alerts()] == [
        (f"mailbox:{scene.mailboxes['anna'].id}", "poison_message")
    ]
    assert scene.run() is RunOutcome.COMPLETED
    assert scene.subjects() == ["Offer"]


def test_the_lease_of_another_run_is_left_alone() -> None:
    scene = died_in_the_middle()
    before = scene.head()
    other = a_sync_of(scene.mailboxes["anna"], message_id="message-10")
    Poison(scene.stores, scene.clock).handle("sync-incoming", other.to_json())
    assert scene.head() == before
    assert scene.run() is RunOutcome.HELD


def test_a_takeover_of_an_expired_lease_is_still_counted() -> None:
    scene = died_in_the_middle()
    Poison(scene.stores, scene.clock).handle("sync-incoming", a_sync_of(scene.mailboxes["anna"]).to_json())
    takeovers = []

    def watch(name: str) -> None:
        if name == "mail.fetch":
            state = scene.head().state
            assert state is not None
            takeovers.append(state.takeovers)

    scene.world.watch = watch
    scene.run()
    assert takeovers == [1]


def test_messages_that_are_always_poison_make_the_mailbox_due_less_and_less_often() -> None:
    scene = Scene()
    poison = Poison(scene.stores, scene.clock)
    waits = []
    for _ in range(12):
        poison.handle("sync-incoming", a_sync_of(scene.mailboxes["anna"]).to_json())
        waits.append(scene.wait())
    assert waits == sorted(waits)
    assert scene.schedule().breaker is not None


def test_an_unknown_mailbox_and_an_enumeration_do_no_harm() -> None:
    scene = Scene()
    poison = Poison(scene.stores, scene.clock)
    poison.handle("sync-incoming", SyncMailbox("m", MailboxId(scene.mailboxes["anna"].id + "x"), Workload.INCOMING).to_json())
    poison.handle("enumerate-shards", EnumerateShards("m", 0, 15).to_json())
    assert [alert.about for alert in scene.alerts()] == ["queue:enumerate-shards"]


@pytest.mark.parametrize(
    ("message", "about"),
    [
        (ProbeMailbox("p1", MailboxId("m1")), "mailbox:m1"),
        (VisitMailboxes("v1", ProfileId("contoso"), ProfileTask.TEST), "profile:contoso"),
        (VisitMailboxes("v1", ProfileId("contoso"), ProfileTask.RELEASE), "profile:contoso"),
        (LoadRecords("l1", "load"), "load:load"),
    ],
)
def test_a_task_that_failed_is_an_alert_about_what_it_was_for(
    message: ProbeMailbox | VisitMailboxes | LoadRecords, about: str
) -> None:
    scene = Scene()
    Poison(scene.stores, scene.clock).handle("any", message.to_json())
    [alert] = scene.alerts()
    assert (alert.about, alert.code) == (about, "poison_message")
    assert alert.remedy


def test_a_bulk_load_that_failed_gets_another_message_so_that_it_goes_on_or_gives_up() -> None:
    scene = Scene()
    Poison(scene.stores, scene.clock).handle(Queue.LOAD_RECORDS, LoadRecords("l1", "load").to_json())
    [again] = queues_in_memory(scene.stores).waiting(Queue.LOAD_RECORDS)
    assert again.delay > timedelta()
    message = parse(again.text)
    assert isinstance(message, LoadRecords)
    assert message.load_id == "load"


def test_a_relinking_that_stopped_is_told_with_the_mailbox() -> None:
    scene = Scene()
    mailbox_id = scene.mailboxes["anna"].id
    message = RelinkFolder("request", mailbox_id, "folder", "account", "contoso", "2026-11-23T09:00:00Z")
    Poison(scene.stores, scene.clock).handle(Queue.RELINK_FOLDER, message.to_json())
    [alert] = scene.alerts()
    assert (alert.about, alert.code) == (f"mailbox:{mailbox_id}", "poison_message")
    assert "regarding" in alert.cause
