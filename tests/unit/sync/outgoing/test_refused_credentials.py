"""A password that all mailboxes of a profile send with is wrong: one tries it, one alert tells it, and reading goes on."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from shared.connectors.smtp.errors import NotWelcome, SubmissionOff
from shared.domain.choices import AuthenticationProtocol, CredentialSource, EmailStatus, Workload
from shared.domain.configuration import Breaker, Credentials, SecretRef, whose_sign_in
from shared.domain.eligibility import credential_version
from shared.domain.errors import AccessDenied, AuthenticationFailed, SyncError, Unreachable
from shared.domain.operations import RunOutcome
from shared.messages import Queue, SyncMailbox, SyncReason, parse
from shared.stores.memory.work import MemoryQueues
from shared.sync.enumeration import Enumeration
from tests.builders import a_profile
from tests.unit.sync.outgoing.scene import MINUTE, OutgoingScene, by_exchange, by_smtp

HOUR = timedelta(hours=1)
WRONG_PASSWORD = AuthenticationFailed("535", profile_wide=True)
RELAY: dict[str, Any] = {
    "use_same_settings_for_outgoing": False,
    "outgoing_location": "smtp.contoso.example",
    "outgoing_credential_source": CredentialSource.PROFILE,
    "outgoing_credentials": Credentials("relay", SecretRef("relay", "1")),
}


def a_relay(*colleagues: str) -> OutgoingScene:
    """Everybody sends through one server, with one password that is not the one that they are read with."""
    scene = by_smtp(**RELAY)
    scene.add_colleagues(*colleagues)
    return scene


def minute(scene: OutgoingScene) -> list[SyncMailbox]:
    """What the timer enqueues, of which the outgoing part is run. Nobody reads: those messages are as good as lost."""
    Enumeration(scene.stores, scene.clock).enumerate_all()
    found = queued(scene, Queue.SYNC_OUTGOING)
    for message in found:
        scene.process().run(message)
    return [*found, *queued(scene, Queue.SYNC_INCOMING)]


def queued(scene: OutgoingScene, queue: Queue) -> list[SyncMailbox]:
    assert isinstance(scene.stores.queues, MemoryQueues)
    messages = [parse(text) for text in scene.stores.queues.receive(queue)]
    return [message for message in messages if isinstance(message, SyncMailbox)]


def breaker(scene: OutgoingScene, workload: Workload) -> Breaker | None:
    found = scene.stores.profiles.get(scene.profile.id)
    assert found is not None
    return found.breakers.get(workload)


def has_breaker(scene: OutgoingScene, workload: Workload) -> None:
    """Open for an hour."""
    now = scene.clock()
    opened = Breaker("authentication_failed", now, now + HOUR, credential=credential_version(scene.profile))
    assert scene.stores.profiles.set_breaker(scene.profile.id, workload, opened, replacing=None)


# ---- a sign-in of its own


@pytest.mark.parametrize("colleagues", [(), ("ben", "carol", "dora", "emil")])
def test_a_wrong_password_is_tried_once_an_hour_however_many_mailboxes_send_with_it(colleagues: tuple[str, ...]) -> None:
    scene = a_relay(*colleagues)
    emails = scene.everybody_sends()
    scene.outward.refuses = [WRONG_PASSWORD] * 100
    for _ in range(180):
        minute(scene)
        scene.clock.advance(MINUTE)
    assert scene.outward.opened == 3
    assert {scene.status(each) for each in emails} == {EmailStatus.PENDING_SEND}
    assert {scene.delivery(each).attempts for each in emails} == {0}


def test_one_alert_tells_it_and_says_which_credentials_are_meant() -> None:
    scene = a_relay("ben", "carol")
    scene.outward.refuses = [WRONG_PASSWORD] * 100
    scene.everybody_sends()
    for _ in range(3):
        minute(scene)
        scene.clock.advance(HOUR)
    [alert] = scene.alerts()
    assert (alert.about, alert.code) == ("profile:contoso", "authentication_failed")
    assert alert.parameters == {"workload": "outgoing"}
    assert alert.cause.startswith("Outgoing: ")
    assert "outgoing_credentials" in alert.remedy


def test_where_emails_are_sent_with_the_password_that_reads_the_alert_names_that() -> None:
    scene = by_smtp()
    scene.send("Offer")
    scene.outward.refuses = [WRONG_PASSWORD]
    minute(scene)
    [alert] = scene.alerts()
    assert alert.parameters == {"workload": "outgoing"}
    assert "outgoing_credentials" not in alert.remedy


def test_reading_goes_on_while_nobody_may_send() -> None:
    scene = a_relay("ben")
    scene.everybody_sends()
    scene.outward.refuses = [WRONG_PASSWORD]
    minute(scene)
    scene.clock.advance(timedelta(minutes=20))
    assert {message.workload for message in minute(scene)} == {Workload.INCOMING}
    assert breaker(scene, Workload.INCOMING) is None
    assert breaker(scene, Workload.OUTGOING) is not None


def test_when_the_server_takes_the_password_again_everybody_sends() -> None:
    scene = a_relay("ben", "carol")
    emails = scene.everybody_sends()
    scene.outward.refuses = [WRONG_PASSWORD]
    minute(scene)
    scene.clock.advance(HOUR)
    assert [message.reason for message in minute(scene) if message.workload is Workload.OUTGOING] == [SyncReason.PROBE]
    assert breaker(scene, Workload.OUTGOING) is None
    minute(scene)
    assert {scene.status(each) for each in emails} == {EmailStatus.SENT}
    assert set(scene.server.copies().values()) == {1}


@pytest.mark.parametrize(
    "changes",
    [{"outgoing_credentials": Credentials("relay", SecretRef("relay", "2"))}, {"outgoing_location": "smtp2.contoso.example"}],
)
def test_another_password_or_server_is_tried_at_once(changes: dict[str, Any]) -> None:
    scene = a_relay("ben")
    emails = scene.everybody_sends()
    scene.outward.refuses = [WRONG_PASSWORD]
    minute(scene)
    stored = scene.stores.profiles.get(scene.profile.id)
    assert stored is not None
    scene.stores.profiles.replace(replace(stored.record, **changes), stored.etag)
    scene.clock.advance(MINUTE)
    minute(scene)
    assert {scene.status(each) for each in emails} == {EmailStatus.SENT}
    assert breaker(scene, Workload.OUTGOING) is None


def test_a_mailbox_that_is_asked_to_send_meanwhile_tries_nothing() -> None:
    scene = a_relay()
    has_breaker(scene, Workload.OUTGOING)
    scene.send("Offer")
    assert scene.run(SyncReason.REQUESTED) is RunOutcome.REFUSED
    assert scene.outward.opened == 0


@pytest.mark.parametrize("message_id", ["probe", None])
def test_of_messages_that_come_when_it_is_half_open_one_tries(message_id: str | None) -> None:
    scene = a_relay("ben")
    has_breaker(scene, Workload.OUTGOING)
    scene.clock.advance(HOUR)
    scene.outward.refuses = [WRONG_PASSWORD] * 10
    outcomes = [scene.run(SyncReason.PROBE, message_id) for _ in range(3)]
    assert outcomes == [RunOutcome.FAILED, RunOutcome.REFUSED, RunOutcome.REFUSED]
    assert scene.outward.opened == 1


def test_a_password_of_its_own_that_is_refused_stops_its_mailbox_only() -> None:
    scene = a_relay("ben")
    emails = scene.everybody_sends()
    scene.outward.refuses = [AuthenticationFailed("535")]
    minute(scene)
    assert breaker(scene, Workload.OUTGOING) is None
    assert [alert.about.split(":")[0] for alert in scene.alerts()] == ["mailbox"]
    assert sorted(scene.status(each) for each in emails) == sorted([EmailStatus.PENDING_SEND, EmailStatus.SENT])


# ---- probes


@pytest.mark.parametrize(
    ("wrong", "is_probed"), [(timedelta(days=-365), True), (-HOUR / 2, False), (timedelta(minutes=-1), False)]
)
def test_a_clock_that_was_set_back_far_does_not_keep_the_breaker_open(wrong: timedelta, is_probed: bool) -> None:
    scene = a_relay()
    has_breaker(scene, Workload.OUTGOING)
    scene.clock.advance(wrong)
    scene.send("Offer")
    assert [each.reason for each in minute(scene) if each.workload is Workload.OUTGOING] == [SyncReason.PROBE] * is_probed
    assert (breaker(scene, Workload.OUTGOING) is None) == is_probed


@pytest.mark.parametrize("error", [NotWelcome("220"), SubmissionOff("535"), Unreachable("connecting")])
def test_a_probe_that_did_not_get_as_far_as_signing_in_is_followed_by_another_one_in_a_quarter_of_an_hour(
    error: SyncError,
) -> None:
    scene = a_relay("ben")
    has_breaker(scene, Workload.OUTGOING)
    scene.clock.advance(HOUR)
    scene.outward.refuses = [error]
    minute(scene)
    found = breaker(scene, Workload.OUTGOING)
    assert found is not None
    assert found.probe_after == scene.clock() + timedelta(minutes=15)


def test_a_probe_that_signs_in_closes_the_breaker_though_its_own_mailbox_fails() -> None:
    scene = a_relay("ben")
    has_breaker(scene, Workload.OUTGOING)
    scene.clock.advance(HOUR)
    scene.outward.refuses = [AccessDenied("signed in, but not for this mailbox")]
    minute(scene)
    assert breaker(scene, Workload.OUTGOING) is None


@pytest.mark.parametrize("is_repaired", [True, False])
@pytest.mark.parametrize(("build", "workload"), [(by_exchange, Workload.INCOMING), (a_relay, Workload.OUTGOING)])
def test_a_probe_signs_in_though_nothing_waits(
    build: Callable[[], OutgoingScene], workload: Workload, is_repaired: bool
) -> None:
    scene = build()
    has_breaker(scene, workload)
    if not is_repaired:
        scene.outward.refuses = [WRONG_PASSWORD]
    scene.clock.advance(HOUR)
    outcome = scene.run(SyncReason.PROBE)
    assert outcome is (RunOutcome.IDLE if is_repaired else RunOutcome.FAILED)
    assert scene.outward.opened == 1
    assert ("mail.check" in scene.world.calls) is is_repaired
    assert (breaker(scene, workload) is None) is is_repaired


# ---- whose breaker


def test_a_refused_password_of_imap_does_not_stop_sending_and_sending_does_not_close_its_breaker() -> None:
    scene = by_smtp()
    has_breaker(scene, Workload.INCOMING)
    scene.send("Offer")
    assert scene.run() is RunOutcome.COMPLETED
    assert breaker(scene, Workload.INCOMING) is not None


def test_a_password_that_reads_and_sends_over_exchange_has_one_breaker_and_one_alert() -> None:
    scene = by_exchange()
    scene.add_colleagues("ben")
    scene.everybody_sends()
    scene.outward.refuses = [WRONG_PASSWORD] * 10
    minute(scene)
    assert breaker(scene, Workload.OUTGOING) is None
    assert breaker(scene, Workload.INCOMING) is not None
    scene.clock.advance(timedelta(minutes=20))
    assert minute(scene) == []
    assert scene.outward.opened == 1
    [alert] = scene.alerts()
    assert (alert.about, alert.parameters) == ("profile:contoso", {})


@pytest.mark.parametrize("own", [{"outgoing_authentication": AuthenticationProtocol.NTLM}, RELAY])
def test_exchange_with_a_sign_in_of_its_own_for_sending_has_a_breaker_of_its_own(own: dict[str, Any]) -> None:
    scene = by_exchange(**{"use_same_settings_for_outgoing": False} | own)
    has_breaker(scene, Workload.INCOMING)
    scene.send("Offer")
    assert scene.run() is RunOutcome.COMPLETED
    assert breaker(scene, Workload.INCOMING) is not None


def test_settings_of_its_own_that_are_the_same_share_the_breaker() -> None:
    location = a_profile().incoming_location
    scene = by_exchange(use_same_settings_for_outgoing=False, outgoing_location=location)
    has_breaker(scene, Workload.INCOMING)
    scene.send("Offer")
    assert scene.run() is RunOutcome.REFUSED


# ---- enumeration


def test_a_breaker_holds_back_only_what_signs_in_alike() -> None:
    for held_back, goes_on in [(Workload.INCOMING, Workload.OUTGOING), (Workload.OUTGOING, Workload.INCOMING)]:
        scene = a_relay()
        has_breaker(scene, held_back)
        assert [message.workload for message in minute(scene)] == [goes_on]
    scene = by_exchange()
    has_breaker(scene, Workload.INCOMING)
    assert minute(scene) == []


def test_a_shared_breaker_is_probed_by_one_workload_only_and_two_by_one_each() -> None:
    scene = by_exchange()
    scene.add_colleagues("ben")
    has_breaker(scene, Workload.INCOMING)
    scene.clock.advance(HOUR)
    scene.outward.refuses = [WRONG_PASSWORD]
    assert [message.reason for message in minute(scene)] == [SyncReason.PROBE]
    scene = a_relay("ben")
    for workload in (Workload.INCOMING, Workload.OUTGOING):
        has_breaker(scene, workload)
    scene.clock.advance(HOUR)
    found = [(message.workload, message.reason) for message in minute(scene)]
    assert found == [(Workload.OUTGOING, SyncReason.PROBE), (Workload.INCOMING, SyncReason.PROBE)]


@pytest.mark.parametrize("build", [a_relay, by_exchange])
def test_to_send_a_probe_costs_the_timer_three_requests_however_many_mailboxes_are_due(
    build: Callable[[], OutgoingScene],
) -> None:
    scene = build()
    scene.add_colleagues(*(f"colleague-{number}" for number in range(40)))
    has_breaker(scene, whose_sign_in(scene.profile, Workload.OUTGOING))
    scene.clock.advance(HOUR)
    Enumeration(scene.world.stores(scene.stores), scene.clock).enumerate_all()
    found = [call for call in requests(scene) if call.startswith("profiles.") or call == "mailboxes.get"]
    assert found == ["profiles.list", "mailboxes.get", "profiles.get", "profiles.set_breaker"]


def test_open_breakers_cost_the_timer_no_request_for_a_mailbox_or_a_profile() -> None:
    scene = a_relay("ben", "carol", "dora")
    for workload in (Workload.INCOMING, Workload.OUTGOING):
        has_breaker(scene, workload)
    Enumeration(scene.world.stores(scene.stores), scene.clock).enumerate_all()
    assert set(requests(scene)) == {"profiles.list", "mailboxes.due"}
    assert requests(scene).count("profiles.list") == 1


def requests(scene: OutgoingScene) -> list[str]:
    return [call for call in scene.world.calls if not call.endswith(".next")]
