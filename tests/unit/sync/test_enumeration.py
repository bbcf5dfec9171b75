"""Which mailboxes an enumeration enqueues: every due one that may run, once, however many enumerate at the same time."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta
from threading import Barrier
from typing import Any

import pytest

from shared.domain.choices import Approval, EmailDeliveryMethod, ServerType, Workload
from shared.domain.configuration import Breaker, EmailServerProfile, Mailbox, WorkloadSchedule
from shared.domain.eligibility import Ineligible, credential_version
from shared.domain.errors import AccessDenied, AuthenticationFailed
from shared.domain.ids import ProfileId
from shared.domain.operations import RunOutcome
from shared.domain.scheduling import ineligibility
from shared.messages import EnumerateShards, Queue, SyncMailbox, SyncReason
from shared.sync.budgets import EnumerationBudget
from shared.sync.enumeration import Enumeration
from shared.sync.incoming import IncomingSync
from tests.builders import MONDAY, a_mailbox, a_profile, a_sync_of
from tests.unit.sync.scene import Scene

HOUR = timedelta(hours=1)


def many(count: int, **changes: object) -> dict[str, Mailbox]:
    return {f"user{number}": a_mailbox(f"user{number}", **changes) for number in range(count)}


def enumeration(scene: Scene, **budget: Any) -> Enumeration:
    stores = scene.world.stores(scene.stores)
    return Enumeration(stores, scene.clock, replace(EnumerationBudget(), **budget))


def sent(scene: Scene) -> list[SyncMailbox]:
    return [message for message in scene.queued(Queue.SYNC_INCOMING) if isinstance(message, SyncMailbox)]


def everybody(scene: Scene) -> list[str]:
    return sorted(mailbox.id for mailbox in scene.mailboxes.values())


def test_every_due_mailbox_is_enqueued_once_and_marked() -> None:
    scene = Scene(mailboxes=many(40))
    assert enumeration(scene).enumerate_all().enqueued == 40
    assert sorted(message.mailbox_id for message in sent(scene)) == everybody(scene)
    assert enumeration(scene).enumerate_all().enqueued == 0
    assert scene.schedule("user1").queued_until == scene.clock() + timedelta(minutes=15)


def test_a_message_that_got_lost_is_sent_again_when_its_mark_expires() -> None:
    scene = Scene(mailboxes=many(2))
    enumeration(scene).enumerate_all()
    sent(scene)
    scene.clock.advance(timedelta(minutes=15))
    enumeration(scene).enumerate_all()
    assert len(sent(scene)) == 2


def test_mailboxes_that_are_not_due_are_left_alone() -> None:
    scene = Scene(mailboxes=many(3))
    later = WorkloadSchedule(due=MONDAY + HOUR)
    scene.stores.mailboxes.reschedule(scene.mailboxes["user0"].id, Workload.INCOMING, later)
    scene.stores.mailboxes.reschedule(scene.mailboxes["user1"].id, Workload.INCOMING, WorkloadSchedule())
    enumeration(scene).enumerate_all()
    assert [message.mailbox_id for message in sent(scene)] == [scene.mailboxes["user2"].id]


def test_two_enumerators_at_once_enqueue_every_mailbox_once() -> None:
    single = Scene(mailboxes=many(8))
    enumeration(single).enumerate_all()
    for at in range(1, len(single.world.calls) + 1):
        scene = Scene(mailboxes=many(8))

        def watch(_: str, scene: Scene = scene, at: int = at) -> None:
            if len(scene.world.calls) == at:
                Enumeration(scene.stores, scene.clock).enumerate_all()

        scene.world.watch = watch
        enumeration(scene).enumerate_all()
        assert sorted(message.mailbox_id for message in sent(scene)) == everybody(scene), f"at call {at}"


@pytest.mark.parametrize("budget", [{"mailboxes": 5}, {"time": timedelta(seconds=1)}])
def test_more_than_one_invocation_should_walk_is_handed_on_in_slices(budget: dict[str, object]) -> None:
    scene = Scene(mailboxes=many(60))
    if "time" in budget:
        scene.world.watch = lambda name: scene.clock.advance(timedelta(seconds=0.2)) if "mark" in name else None
    walk = enumeration(scene, **budget).enumerate_all()
    assert walk.handed_on > 0
    assert 0 < walk.enqueued < 60
    rounds = 0
    while slices := scene.queued(Queue.ENUMERATE_SHARDS):
        rounds += 1
        assert rounds < 30, "slices never end"
        for message in slices:
            assert isinstance(message, EnumerateShards)
            enumeration(scene, **budget).enumerate_shards(message)
    assert sorted(message.mailbox_id for message in sent(scene)) == everybody(scene)


def test_a_slice_is_walked_to_its_end_though_a_slow_store_spends_the_time_before_it_begins() -> None:
    scene = Scene(mailboxes=many(12))
    scene.world.watch = lambda name: scene.clock.advance(timedelta(seconds=21)) if name == "profiles.list" else None
    enumeration(scene).enumerate_all()
    for _ in range(12):
        for message in scene.queued(Queue.ENUMERATE_SHARDS):
            assert isinstance(message, EnumerateShards)
            enumeration(scene).enumerate_shards(message)
    assert sorted(message.mailbox_id for message in sent(scene)) == everybody(scene)


# ---- profiles


@pytest.mark.parametrize("changes", [{"active": False}, None])
def test_mailboxes_on_an_inactive_or_unknown_profile_are_not_enqueued(changes: dict[str, object] | None) -> None:
    if changes is None:
        scene = Scene(mailboxes=many(3, profile_id=ProfileId("gone")))
    else:
        scene = Scene(mailboxes=many(3), profile=a_profile(**changes))
    assert enumeration(scene).enumerate_all().enqueued == 0
    assert sent(scene) == []


def broken(scene: Scene, profile: EmailServerProfile, probe_after: timedelta) -> None:
    breaker = Breaker("authentication_failed", MONDAY, MONDAY + probe_after, credential=credential_version(profile))
    scene.stores.profiles.set_breaker(profile.id, Workload.INCOMING, breaker, replacing=None)


def test_nothing_is_enqueued_while_the_breaker_of_the_profile_is_open() -> None:
    scene = Scene(mailboxes=many(5))
    broken(scene, a_profile(), HOUR)
    assert enumeration(scene).enumerate_all().enqueued == 0


def test_at_the_probe_of_the_breaker_exactly_one_mailbox_is_enqueued() -> None:
    scene = Scene(mailboxes=many(40))
    broken(scene, a_profile(), timedelta())
    assert enumeration(scene).enumerate_all().enqueued == 1
    assert [message.reason for message in sent(scene)] == [SyncReason.PROBE]
    assert enumeration(scene).enumerate_all().enqueued == 0
    scene.clock.advance(timedelta(minutes=15))
    assert enumeration(scene).enumerate_all().enqueued == 1, "the probe got lost, so another one is sent"


def test_a_probe_that_comes_twice_late_or_at_once_tries_the_password_once() -> None:
    scene = Scene(mailboxes=many(5))
    broken(scene, a_profile(), timedelta())
    for mailbox in scene.mailboxes.values():
        scene.servers.refuses[mailbox.address] = AuthenticationFailed("401", profile_wide=True)
    enumeration(scene).enumerate_all()
    [late] = sent(scene)
    scene.clock.advance(timedelta(minutes=15))
    enumeration(scene).enumerate_all()
    [probe] = sent(scene)
    processes, together = [scene.process() for _ in range(8)], Barrier(8)

    def deliver(number: int) -> RunOutcome:
        together.wait()
        return processes[number].run((late, probe)[number % 2])

    with ThreadPoolExecutor(8) as threads:
        outcomes = sorted(threads.map(deliver, range(8)))
    assert outcomes == sorted([RunOutcome.FAILED] + [RunOutcome.REFUSED] * 7)
    assert len(scene.servers.attempts) == 1


def test_of_runs_that_come_late_to_a_half_open_breaker_one_tries() -> None:
    scene = Scene(mailboxes=many(5))
    broken(scene, a_profile(), timedelta())
    for mailbox in scene.mailboxes.values():
        scene.servers.refuses[mailbox.address] = AuthenticationFailed("401", profile_wide=True)
    processes, together = [scene.process() for _ in range(5)], Barrier(5)

    def deliver(process: IncomingSync, mailbox: Mailbox) -> RunOutcome:
        together.wait()
        return process.run(a_sync_of(mailbox))

    with ThreadPoolExecutor(5) as threads:
        outcomes = list(threads.map(deliver, processes, scene.mailboxes.values()))
    assert sorted(outcomes) == sorted([RunOutcome.FAILED] + [RunOutcome.REFUSED] * 4)
    assert len(scene.servers.attempts) == 1


def test_slices_that_are_walked_one_after_the_other_send_one_probe() -> None:
    scene = Scene(mailboxes=many(60))
    broken(scene, a_profile(), timedelta())
    for first in range(0, 256, 16):
        enumeration(scene).enumerate_shards(EnumerateShards("slice", first, first + 15))
    assert len(sent(scene)) == 1


def test_a_probe_that_signs_in_closes_the_breaker_though_its_own_mailbox_fails() -> None:
    scene = Scene(mailboxes=many(5))
    broken(scene, a_profile(), timedelta())
    enumeration(scene).enumerate_all()
    [probe] = sent(scene)
    [address] = [mailbox.address for mailbox in scene.mailboxes.values() if mailbox.id == probe.mailbox_id]
    scene.servers.refuses[address] = AccessDenied("signed in, but this mailbox is not yours")
    scene.process().run(probe)
    assert enumeration(scene).enumerate_all().enqueued == 4


def test_when_the_probe_succeeded_everybody_is_enqueued_again() -> None:
    scene = Scene()
    broken(scene, a_profile(), timedelta())
    enumeration(scene).enumerate_all()
    [probe] = sent(scene)
    scene.process().run(probe)
    enumeration(scene).enumerate_all()
    assert len(sent(scene)) == 1


# ---- eligibility of (mailbox, profile, workload)


@pytest.mark.parametrize(
    ("mailbox", "profile", "expected"),
    [
        ({}, {}, None),
        ({"active": False}, {}, Ineligible.MAILBOX_INACTIVE),
        ({"incoming_method": EmailDeliveryMethod.NONE}, {}, Ineligible.METHOD_NONE),
        ({"incoming_method": EmailDeliveryMethod.OUTLOOK}, {}, Ineligible.METHOD_NONE),
        ({"approval": Approval.PENDING}, {}, Ineligible.NOT_APPROVED),
        ({"approval": Approval.REJECTED}, {}, Ineligible.NOT_APPROVED),
        ({"profile_id": None}, {}, Ineligible.NO_PROFILE),
        ({}, None, Ineligible.UNKNOWN_PROFILE),
        ({}, {"active": False}, Ineligible.PROFILE_INACTIVE),
        ({}, {"server_type": ServerType.POP3_SMTP}, None),
        ({}, {"server_type": ServerType.IMAP_SMTP}, None),
    ],
)
def test_eligibility_names_the_first_reason(
    mailbox: dict[str, object], profile: dict[str, object] | None, expected: Ineligible | None
) -> None:
    scene = Scene(mailboxes={"anna": a_mailbox("anna", **mailbox)}, profile=a_profile(**(profile or {})))
    stored_profile = next(scene.stores.profiles.list()) if profile is not None else None
    assert ineligibility(scene.stored_mailbox(), stored_profile, Workload.INCOMING, MONDAY) is expected


@pytest.mark.parametrize(
    ("credential", "now", "expected"),
    [
        ("same", MONDAY, Ineligible.PROFILE_BREAKER_OPEN),
        ("same", MONDAY + HOUR, None),
        ("another", MONDAY, None),
        (None, MONDAY, Ineligible.PROFILE_BREAKER_OPEN),
    ],
)
def test_the_breaker_of_a_profile_holds_for_its_credential_until_its_probe(
    credential: str | None, now: datetime, expected: Ineligible | None
) -> None:
    scene = Scene()
    version = credential_version(a_profile()) if credential == "same" else credential
    breaker = Breaker("x", MONDAY, MONDAY + HOUR, credential=version)
    scene.stores.profiles.set_breaker(a_profile().id, Workload.INCOMING, breaker, replacing=None)
    assert ineligibility(scene.stored_mailbox(), next(scene.stores.profiles.list()), Workload.INCOMING, now) is expected
