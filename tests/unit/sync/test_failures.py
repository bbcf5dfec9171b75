"""What every kind of error does to a run and to its mailbox: the error table of the design, row by row."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from shared.administration.schedules import after_change
from shared.domain.choices import Workload, WorkloadStatus
from shared.domain.configuration import Credentials, SecretRef, WorkloadSchedule
from shared.domain.errors import (
    AccessDenied,
    AuthenticationFailed,
    MailboxNotFound,
    Throttled,
    Unreachable,
)
from shared.domain.operations import RunOutcome
from shared.messages import SyncReason
from tests.builders import a_message, a_sync_of
from tests.unit.sync.scene import Scene

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)


# ---- transient


def test_a_throttled_mailbox_is_due_when_the_server_said_and_the_run_did_not_sleep() -> None:
    scene = Scene()
    scene.anna.listing_fails = [Throttled("back off", retry_after=timedelta(minutes=7))]
    assert scene.run() is RunOutcome.FAILED
    assert scene.wait() == timedelta(minutes=7)
    schedule = scene.schedule()
    assert (schedule.status, schedule.last_error, schedule.failures) == (WorkloadStatus.FAILURE, "throttled", 1)
    assert scene.alerts() == []
    assert scene.run() is RunOutcome.COMPLETED
    assert (scene.schedule().failures, scene.schedule().last_error) == (0, None)


def test_transient_failures_back_off_and_open_the_breaker_after_ten() -> None:
    scene = Scene()
    scene.servers.refuses["anna@contoso.example"] = Unreachable("no route")
    waits = []
    for _ in range(10):
        assert scene.run() is RunOutcome.FAILED
        waits.append(scene.wait())
        scene.clock.advance(scene.wait())
    assert waits[:6] == [MINUTE, 2 * MINUTE, 4 * MINUTE, 8 * MINUTE, 15 * MINUTE, 15 * MINUTE]
    assert scene.schedule().breaker is not None
    assert [alert.code for alert in scene.alerts()] == ["unreachable"]

    probes = []
    for _ in range(6):
        assert scene.run() is RunOutcome.FAILED
        probes.append(scene.wait())
        scene.clock.advance(scene.wait())
    assert probes == sorted(probes)
    assert probes[-1] == 4 * HOUR
    assert len(scene.alerts()) == 1

    scene.servers.refuses.clear()
    assert scene.run() is RunOutcome.COMPLETED
    assert scene.schedule().breaker is None
    assert scene.wait() == MINUTE


def test_an_exception_that_nobody_knows_is_counted_and_never_loses_the_schedule() -> None:
    scene = Scene()
    scene.servers.refuses["anna@contoso.example"] = KeyError("a bug")
    assert scene.run() is RunOutcome.FAILED
    assert scene.schedule().last_error == "unexpected"
    assert scene.wait() == MINUTE
    assert scene.runs()[0].detail == "KeyError", "a foreign message may hold anything, so only its type is kept"


def test_a_failure_in_the_middle_of_a_page_gives_the_lease_back() -> None:
    scene = Scene()
    ref = scene.anna.deliver(a_message("Offer"))
    scene.anna.fetching_fails[ref.id] = [Unreachable("reset")]
    assert scene.run() is RunOutcome.FAILED
    state = scene.head().state
    assert state is not None
    assert state.holder is None
    assert scene.run() is RunOutcome.COMPLETED
    assert scene.subjects() == ["Offer"]


# ---- errors of the mailbox


@pytest.mark.parametrize("error", [AccessDenied("no rights"), MailboxNotFound("no such"), AuthenticationFailed("its own")])
def test_an_error_of_the_mailbox_switches_it_off_with_an_alert_and_probes_in_an_hour(error: AccessDenied) -> None:
    scene = Scene()
    scene.servers.refuses["anna@contoso.example"] = error
    assert scene.run() is RunOutcome.FAILED
    assert scene.wait() == HOUR
    [alert] = scene.alerts()
    assert (alert.about, alert.code, alert.remedy) == (f"mailbox:{scene.mailboxes['anna'].id}", error.code, error.remedy)
    assert scene.run("ben") is RunOutcome.COMPLETED

    assert scene.run() is RunOutcome.REFUSED
    scene.clock.advance(HOUR)
    scene.servers.refuses.clear()
    assert scene.run() is RunOutcome.COMPLETED
    assert scene.wait() == MINUTE


def test_a_mailbox_that_was_corrected_while_its_run_failed_is_due_at_once() -> None:
    scene = Scene()
    scene.servers.refuses["anna@contoso.example"] = AccessDenied("no rights")

    def correct(name: str) -> None:
        if name == "alerts.put":
            stored = scene.stored_mailbox()
            due = {Workload.INCOMING: WorkloadSchedule(due=scene.clock())}
            scene.stores.mailboxes.replace(replace(stored.record, name="corrected"), stored.etag, due)

    scene.world.watch = correct
    scene.run()
    assert scene.wait() == timedelta()
    assert scene.schedule().breaker is None


def test_a_mailbox_that_was_changed_while_its_run_opened_the_breaker_is_due_at_once() -> None:
    scene = Scene()
    scene.servers.refuses["anna@contoso.example"] = Unreachable("no route")
    for _ in range(9):
        scene.run()
        scene.clock.advance(scene.wait())
    changing_during_a_run(scene, name="corrected")
    scene.run()
    assert scene.wait() == timedelta()
    assert scene.schedule().breaker is None


@pytest.mark.parametrize("error", [None, AccessDenied("no rights"), Unreachable("no route")])
def test_a_mailbox_that_was_deactivated_during_its_run_is_not_due_any_more(error: Exception | None) -> None:
    scene = Scene()
    scene.anna.deliver(a_message("Offer"))
    if error is not None:
        scene.servers.refuses["anna@contoso.example"] = error
    changing_during_a_run(scene, active=False)
    scene.run()
    assert scene.schedule().due is None


def changing_during_a_run(scene: Scene, **changes: Any) -> None:
    """The record is changed once the run has read it, as the administration does."""

    def change(name: str) -> None:
        if name == "open":
            stored = scene.stored_mailbox()
            changed = replace(stored.record, **changes)
            schedule = after_change(changed, stored.schedule, scene.clock())
            scene.stores.mailboxes.replace(changed, stored.etag, schedule)

    scene.world.watch = change


# ---- a credential of the profile


def wrong_password() -> Scene:
    scene = Scene()
    for name in scene.mailboxes:
        scene.servers.refuses[f"{name}@contoso.example"] = AuthenticationFailed("401", profile_wide=True)
    return scene


def test_a_wrong_password_of_a_profile_is_tried_once_not_once_per_mailbox() -> None:
    scene = wrong_password()
    process = scene.process()
    assert process.run(a_sync_of(scene.mailboxes["anna"])) is RunOutcome.FAILED
    assert process.run(a_sync_of(scene.mailboxes["ben"])) is RunOutcome.REFUSED
    assert scene.servers.attempts == ["anna@contoso.example"]
    assert [(alert.about, alert.code) for alert in scene.alerts()] == [("profile:contoso", "authentication_failed")]
    assert scene.schedule().breaker is None, "it is the profile's breaker, not the mailbox's"


def test_runs_that_fail_together_open_one_breaker_once() -> None:
    scene = wrong_password()
    first, second = scene.process(), scene.process()
    stale = second._admission._profiles.get(scene.mailboxes["ben"].profile_id)
    assert stale is not None
    first.run(a_sync_of(scene.mailboxes["anna"]))
    opened = next(scene.stores.profiles.list()).breakers.get(Workload.INCOMING)
    assert second.run(a_sync_of(scene.mailboxes["ben"])) is RunOutcome.FAILED, "it had read the profile before"
    assert next(scene.stores.profiles.list()).breakers.get(Workload.INCOMING) == opened
    assert opened is not None
    assert opened.openings == 1


def test_another_password_closes_the_breaker_of_the_profile_at_once() -> None:
    scene = wrong_password()
    scene.run("anna")
    scene.servers.refuses.clear()
    stored = next(scene.stores.profiles.list())
    other = Credentials(username="contoso\\sync", secret=SecretRef("profile-contoso", "2"))
    scene.stores.profiles.replace(replace(stored.record, credentials=other), stored.etag)
    assert scene.run("ben") is RunOutcome.COMPLETED
    assert next(scene.stores.profiles.list()).breakers.get(Workload.INCOMING) is None


def test_a_password_that_was_replaced_while_it_failed_leaves_the_breaker_of_its_successor_open() -> None:
    scene = wrong_password()
    entered: list[str] = []

    def replace_the_password(name: str) -> None:
        if name == "open" and not entered:
            entered.append(name)
            stored = next(scene.stores.profiles.list())
            other = Credentials(username="contoso\\sync", secret=SecretRef("profile-contoso", "2"))
            scene.stores.profiles.replace(replace(stored.record, credentials=other), stored.etag)
            assert scene.run("ben") is RunOutcome.FAILED

    scene.world.watch = replace_the_password
    assert scene.run("anna") is RunOutcome.FAILED
    assert scene.run("ben") is RunOutcome.REFUSED


def test_a_profile_is_read_again_after_the_clock_was_set_back() -> None:
    scene = Scene()
    process = scene.process()
    process.run(a_sync_of(scene.mailboxes["anna"]))
    stored = next(scene.stores.profiles.list())
    scene.stores.profiles.replace(replace(stored.record, active=False), stored.etag)
    scene.clock.advance(-HOUR)
    assert process.run(a_sync_of(scene.mailboxes["anna"])) is RunOutcome.REFUSED


def test_after_an_hour_one_run_probes_and_success_closes_the_breaker() -> None:
    scene = wrong_password()
    scene.run("anna")
    scene.clock.advance(HOUR)
    assert scene.run("ben") is RunOutcome.FAILED
    breaker = next(scene.stores.profiles.list()).breakers.get(Workload.INCOMING)
    assert breaker is not None
    assert (breaker.openings, breaker.probe_after) == (2, scene.clock() + HOUR)
    assert scene.run("ben", SyncReason.PROBE) is RunOutcome.REFUSED, "a message that was sent to probe before comes late"
    scene.servers.refuses.clear()
    assert scene.run("anna") is RunOutcome.REFUSED
    scene.clock.advance(HOUR)
    assert scene.run("anna") is RunOutcome.COMPLETED
    assert next(scene.stores.profiles.list()).breakers.get(Workload.INCOMING) is None
    assert scene.run("ben") is RunOutcome.COMPLETED
