"""What a run does with a mailbox, from one message to the next due time."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from shared.domain.choices import (
    Approval,
    EmailDeliveryMethod,
    Workload,
    WorkloadStatus,
)
from shared.domain.configuration import Breaker, WorkloadSchedule
from shared.domain.errors import FolderNotFound, Throttled, TransientError
from shared.domain.ids import MailboxId, ProfileId
from shared.domain.operations import RunOutcome
from shared.messages import Queue, SyncMailbox, SyncReason
from shared.sync.budgets import RunBudget
from tests.builders import MONDAY, a_mailbox, a_message
from tests.unit.sync.scene import Scene

MINUTE = timedelta(minutes=1)

# ---- what it asks of the world


def test_an_idle_poll_is_four_calls() -> None:
    scene = Scene()
    sync = scene.process()
    for _ in range(2):
        scene.world.calls.clear()
        scene.messages += 1
        outcome = sync.run(SyncMailbox("idle", scene.mailboxes["anna"].id, Workload.INCOMING))
    assert outcome is RunOutcome.IDLE
    calls = [call for call in scene.world.calls if call != "open"]
    assert calls == ["mailboxes.get", "ledger.head", "mail.changes", "mailboxes.reschedule"]
    assert scene.runs() == scene.runs()[:1], "idle polls write no run"


def test_an_empty_mailbox_is_listed_from_its_start_only_once() -> None:
    scene = Scene()
    assert scene.run() is RunOutcome.COMPLETED
    [mark] = scene.head().marks
    assert (mark.watermark, mark.caught_up) == ("1:0", True)
    assert scene.run() is RunOutcome.IDLE


def test_a_page_of_98_emails_is_one_call_of_each_kind() -> None:
    scene = Scene()
    for number in range(98):
        scene.anna.deliver(a_message(f"Offer {number}"))
    assert scene.run() is RunOutcome.COMPLETED
    calls = [call for call in scene.world.calls if not call.endswith(".next")]
    assert calls == [
        "mailboxes.get",
        "profiles.get",
        "ledger.head",
        "settings.get",  # once in half a minute, for all mailboxes of the process
        "open",
        "mail.changes",
        "ledger.commit",  # takes the lease
        "mailboxes.get",  # was it changed before that?
        "owners.get",  # what the owner of the mailbox accepts
        "mail.fetch",
        "addresses.find",
        "activities.create",
        "timeline.put",
        "ledger.commit",  # items and mark, and the lease is released
        "mailboxes.reschedule",
        "mailboxes.get",  # was it changed during the run?
        "runs.put",
    ]


def test_the_next_page_is_listed_while_the_present_one_is_being_stored() -> None:
    scene = Scene(budget=RunBudget(pages_before_backfill=20))
    scene.anna.page_items = 2
    for number in range(4):
        scene.anna.deliver(a_message(f"Offer {number}"))
    scene.run()
    calls = scene.world.calls
    second_listing = [place for place, call in enumerate(calls) if call == "mail.changes"][1]
    first_page_commit = [place for place, call in enumerate(calls) if call == "ledger.commit"][1]
    assert second_listing < first_page_commit


# ---- budgets


def test_a_first_listing_goes_on_through_the_backfill_queue() -> None:
    scene = Scene()
    scene.anna.page_items = 2
    for number in range(6):
        scene.anna.deliver(a_message(f"Offer {number}"))
    assert scene.run() is RunOutcome.CONTINUED
    [continuation] = scene.queued(Queue.SYNC_BACKFILL)
    assert isinstance(continuation, SyncMailbox)
    assert continuation.reason is SyncReason.CONTINUATION
    schedule = scene.schedule()
    assert schedule.queued_until == schedule.due == scene.clock() + scene.budget.queued_for
    assert scene.run(reason=continuation.reason) is RunOutcome.COMPLETED
    assert len(scene.subjects()) == 6


def test_a_continuation_that_cannot_be_queued_leaves_the_mailbox_due_soon() -> None:
    scene = Scene()
    scene.anna.page_items = 2
    for number in range(4):
        scene.anna.deliver(a_message(f"Offer {number}"))

    def fail(queue: str, text: str, delay: timedelta = timedelta()) -> None:
        raise TransientError(f"{queue} does not take {len(text)} bytes, not even after {delay}")

    scene.stores.queues.send = fail  # type: ignore[method-assign]  # put in between
    assert scene.run() is RunOutcome.CONTINUED
    assert scene.wait() == MINUTE


def test_new_mail_that_exceeds_the_page_budget_goes_on_through_the_queue_of_new_mail() -> None:
    scene = Scene(budget=RunBudget(pages=2))
    scene.run()
    scene.anna.page_items = 2
    for number in range(6):
        scene.anna.deliver(a_message(f"Offer {number}"))
    assert scene.run() is RunOutcome.CONTINUED
    assert len(scene.queued(Queue.SYNC_INCOMING)) == 1
    scene.until_idle("anna")
    assert len(scene.subjects()) == 6


def test_a_run_whose_time_is_spent_commits_what_it_has_and_goes_on_where_it_stopped() -> None:
    scene = Scene(budget=RunBudget(batch_items=1, time=MINUTE))
    refs = [scene.anna.deliver(a_message(f"Offer {number}", received=MONDAY + number * MINUTE)) for number in range(6)]
    scene.world.watch = lambda name: scene.clock.advance(MINUTE / 3) if name == "timeline.put" else None
    assert scene.run() is RunOutcome.CONTINUED
    assert 0 < len(scene.ledger()) < 6
    scene.until_idle("anna")
    assert len(scene.subjects()) == 6
    assert set(scene.anna.fetched) == {ref.id for ref in refs}


def test_a_lease_is_renewed_when_half_of_it_is_gone() -> None:
    scene = Scene(budget=RunBudget(batch_items=100, time=timedelta(hours=1)))
    for number in range(10):
        scene.anna.deliver(a_message(f"Offer {number}"))
    expiries = []

    def watch(name: str) -> None:
        if name == "mail.fetch.next":
            scene.clock.advance(timedelta(minutes=10))
            state = scene.head().state
            assert state is not None
            assert state.expires is not None
            expiries.append(state.expires)
            assert scene.clock() < state.expires, "the lease never expires while the holder works"

    scene.world.watch = watch
    scene.run()
    assert len(set(expiries)) > 1


def test_memory_is_bounded_by_the_size_of_a_batch() -> None:
    scene = Scene(budget=RunBudget(batch_bytes=5000))
    for number in range(6):
        scene.anna.deliver(a_message(f"Offer {number}"))
    scene.run()
    assert scene.world.calls.count("activities.create") == 2


# ---- folders and watermarks


def test_a_folder_that_is_gone_is_reported_and_the_mailbox_stays_on() -> None:
    scene = Scene()
    scene.anna.listing_fails = [FolderNotFound("no Inbox")]
    assert scene.run() is RunOutcome.IDLE
    assert [(alert.code, alert.parameters) for alert in scene.alerts()] == [("folder_not_found", {"folder": "Inbox"})]
    assert (scene.schedule().status, scene.schedule().last_error) == (WorkloadStatus.FAILURE, "folder_not_found")
    scene.run()
    assert (scene.schedule().status, scene.schedule().last_error) == (WorkloadStatus.SUCCESS, None)


def test_a_watermark_that_expires_between_two_pages_lists_the_folder_again() -> None:
    scene = Scene(budget=RunBudget(pages_before_backfill=20))
    scene.anna.page_items = 2
    for number in range(6):
        scene.anna.deliver(a_message(f"Offer {number}"))

    def expire(name: str) -> None:
        if name == "timeline.put" and scene.anna.generation == 1:
            scene.anna.generation = 2

    scene.world.watch = expire
    scene.until_idle("anna")
    assert len(scene.subjects()) == 6
    assert len(scene.anna.fetched) == 6


def test_a_folder_that_is_listed_again_in_the_middle_of_a_backfill_fetches_nothing_twice() -> None:
    scene = Scene()
    scene.anna.page_items = 2
    for number in range(8):
        scene.anna.deliver(a_message(f"Offer {number}", received=MONDAY + number * MINUTE))
    assert scene.run() is RunOutcome.CONTINUED

    def expire(name: str) -> None:
        if name == "timeline.put" and len(scene.anna.fetched) == 6:
            scene.anna.generation = 2

    scene.world.watch = expire
    scene.until_idle("anna")
    assert sorted(scene.anna.fetched) == sorted(f"item-{number}" for number in range(1, 9))


def test_a_page_is_finished_before_the_failure_of_the_next_listing_counts() -> None:
    scene = Scene(budget=RunBudget(pages_before_backfill=20))
    scene.anna.page_items = 2
    for number in range(4):
        scene.anna.deliver(a_message(f"Offer {number}"))
    listings = []

    def second_listing_fails(name: str) -> None:
        if name == "mail.changes":
            listings.append(name)
            if len(listings) == 2:
                scene.anna.listing_fails = [Throttled("slow down", retry_after=5 * MINUTE)]

    scene.world.watch = second_listing_fails
    assert scene.run() is RunOutcome.FAILED
    assert len(scene.ledger()) == 2
    assert scene.wait() == 5 * MINUTE
    scene.until_idle("anna")
    assert len(scene.subjects()) == 4


def test_a_server_that_promises_more_and_gives_nothing_is_a_failure_not_an_endless_loop() -> None:
    scene = Scene()
    scene.run()
    changes = scene.anna.changes
    scene.anna.changes = lambda *args: replace(changes(*args), more=True)  # type: ignore[method-assign]  # put in between
    assert scene.run() is RunOutcome.FAILED
    assert scene.schedule().last_error == "unreachable"


# ---- admission


def test_an_unknown_mailbox_is_dropped() -> None:
    assert Scene().process().run(SyncMailbox("m", MailboxId("unknown"), Workload.INCOMING)) is RunOutcome.UNKNOWN_MAILBOX


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"active": False}, "mailbox_inactive"),
        ({"approval": Approval.PENDING}, "not_approved"),
        ({"incoming_method": EmailDeliveryMethod.NONE}, "method_none"),
        ({"profile_id": None}, "no_profile"),
    ],
)
def test_a_message_that_slips_through_to_an_ineligible_mailbox_is_refused_with_the_reason(
    changes: dict[str, object], reason: str
) -> None:
    scene = Scene(mailboxes={"anna": a_mailbox("anna", **changes)})
    scene.anna.deliver(a_message())
    assert scene.run() is RunOutcome.REFUSED
    assert scene.servers.attempts == []
    assert scene.schedule().due is None
    assert [(run.outcome, run.error) for run in scene.runs()] == [(RunOutcome.REFUSED, reason)]


def test_a_mailbox_that_is_activated_while_its_message_is_refused_is_due() -> None:
    scene = Scene(mailboxes={"anna": a_mailbox("anna", active=False)})

    def activate(name: str) -> None:
        if name == "mailboxes.reschedule" and not scene.stored_mailbox().record.active:
            stored = scene.stored_mailbox()
            schedule = {Workload.INCOMING: WorkloadSchedule(due=scene.clock())}
            scene.stores.mailboxes.replace(replace(stored.record, active=True), stored.etag, schedule)

    scene.world.watch = activate
    assert scene.run() is RunOutcome.REFUSED
    assert scene.wait() == timedelta()


@pytest.mark.parametrize(("changes", "reason"), [({"active": False}, "profile_inactive"), (None, "unknown_profile")])
def test_a_mailbox_whose_profile_cannot_be_used_is_refused_and_stays_due(changes: dict[str, Any] | None, reason: str) -> None:
    scene = Scene()
    if changes is None:
        stored = scene.stored_mailbox()
        scene.stores.mailboxes.replace(replace(stored.record, profile_id=ProfileId("other")), stored.etag, {})
    else:
        profile = next(scene.stores.profiles.list())
        scene.stores.profiles.replace(replace(profile.record, **changes), profile.etag)
    assert scene.run() is RunOutcome.REFUSED
    assert scene.runs()[0].error == reason
    assert scene.wait() == timedelta()


def test_a_mailbox_whose_breaker_is_open_is_refused_until_its_probe() -> None:
    scene = Scene()
    probe_after = MONDAY + timedelta(hours=1)
    schedule = WorkloadSchedule(due=MONDAY, breaker=Breaker("access_denied", MONDAY, probe_after))
    scene.stores.mailboxes.reschedule(scene.mailboxes["anna"].id, Workload.INCOMING, schedule)
    assert scene.run() is RunOutcome.REFUSED
    assert scene.schedule().due == probe_after
    scene.clock.advance(timedelta(hours=1))
    assert scene.run() is RunOutcome.COMPLETED
    assert scene.schedule().breaker is None


def test_a_message_about_another_workload_is_refused() -> None:
    scene = Scene()
    message = SyncMailbox("m", scene.mailboxes["anna"].id, Workload.ACT)
    assert scene.process().run(message) is RunOutcome.REFUSED
    assert scene.servers.attempts == []


def test_a_backfill_whose_time_is_spent_in_its_last_page_goes_on_as_a_backfill() -> None:
    scene = Scene(budget=RunBudget(batch_items=1, time=MINUTE))
    for number in range(3):
        scene.anna.deliver(a_message(f"Offer {number}"))
    scene.world.watch = lambda name: scene.clock.advance(MINUTE) if name == "timeline.put" else None
    assert scene.run() is RunOutcome.CONTINUED
    assert len(scene.queued(Queue.SYNC_BACKFILL)) == 1
