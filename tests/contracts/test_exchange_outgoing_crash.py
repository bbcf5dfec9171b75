"""Exactly once over real sockets: a run that fails or dies at any call, of the store or of Exchange, sends no email twice and
leaves none behind."""

import re
from collections.abc import Mapping
from datetime import timedelta

import pytest

from local.mailserver import MailServer
from shared.connectors.connect import Connect
from shared.connectors.exchange.pool import RequestBody
from shared.connectors.exchange.session import Session
from shared.domain.choices import EmailStatus, Priority
from shared.domain.configuration import Credentials, SecretRef
from shared.domain.errors import ConnectionRefused, NoAnswer
from shared.domain.ids import ActivityId
from shared.sync.budgets import RunBudget
from tests.contracts.exchange_mailboxes import PASSWORD, SERVICE
from tests.unit.sync.faults import Fault, FaultyWorld
from tests.unit.sync.outgoing.scene import OutgoingScene, by_exchange

ANNA = "anna@contoso.example"
OPERATION = re.compile(rb"Body><m:(\w+)")

pytestmark = pytest.mark.slow


def scene_over(server: MailServer, connect: Connect, world: FaultyWorld, monkeypatch: pytest.MonkeyPatch) -> OutgoingScene:
    """Anna's mailbox is on the mail server, and every request to that is a call of the world."""
    server.reset()
    server.add_mailbox(ANNA)
    server.add_account(SERVICE, PASSWORD, impersonation=True)
    credentials = Credentials(username=SERVICE, secret=SecretRef(PASSWORD, "1"))
    scene = by_exchange(world, incoming_location=server.ews_url, credentials=credentials, use_impersonation=True)
    scene.outward = connect.outgoing  # type: ignore[assignment]  # a fake there
    scene.budget = RunBudget(window=3, drafts_at_once=2, outbox_batch=4)

    def reply(session: Session, body: RequestBody, headers: Mapping[str, str | bytes]) -> bytes:
        found = OPERATION.search(body if isinstance(body, bytes) else next(iter(body)))
        assert found is not None
        return world.perform(found[1].decode(), lambda: answered(session, body, headers))

    monkeypatch.setattr(Session, "reply", reply)
    return scene


answered = Session.reply


def written(scene: OutgoingScene) -> dict[str, ActivityId]:
    emails = {subject: scene.send(subject) for subject in ("First", "Second", "Third")}
    emails["Attached"] = scene.send("Attached", attachments=[b"drawing", b"plan"])
    emails["Large"] = scene.send("Large", attachments=[b"x" * 600_000])
    emails["Urgent"] = scene.send("Urgent", priority=Priority.HIGH)
    return emails


@pytest.mark.parametrize("fault", list(Fault))
def test_each_email_goes_out_exactly_once_whatever_fails_where(
    server: MailServer, connect: Connect, monkeypatch: pytest.MonkeyPatch, fault: Fault
) -> None:
    healthy = scene_over(server, connect, FaultyWorld(), monkeypatch)
    written(healthy)
    healthy.until_settled()
    calls = healthy.world.calls
    assert {"CreateItem", "CreateAttachment", "SendItem", "activities.advance"} <= set(calls)
    for at in range(1, len(calls) + 1):
        scene = scene_over(server, connect, FaultyWorld(at=at, fault=fault), monkeypatch)
        emails = written(scene)
        scene.until_settled()
        where = f"{fault} at call {at}, {scene.world.calls[at - 1]}"
        assert {scene.status(email) for email in emails.values()} == {EmailStatus.SENT}, where
        assert not any(scene.delivery(email).may_be_twice for email in emails.values()), where
        assert sorted(each.subject for each in server.accepted()) == sorted(emails), where
        assert server.items(ANNA, "drafts") == [], where
        assert len(server.items(ANNA, "sentitems")) == len(emails), where


# ---- people see the drafts


def somebody_discards_all_drafts(server: MailServer) -> None:
    for draft in server.items(ANNA, "drafts"):
        server.move(ANNA, draft, "deleteditems")


def check_nothing_is_lost_in_silence(
    server: MailServer, scene: OutgoingScene, emails: dict[str, ActivityId], where: str
) -> None:
    went_out = [each.subject for each in server.accepted()]
    for subject, email in emails.items():
        expected = EmailStatus.SENT if went_out.count(subject) == 1 else EmailStatus.FAILED
        assert scene.status(email) is expected, f"{where}: {subject} went out {went_out.count(subject)} times"
        assert went_out.count(subject) <= 1, where
        assert scene.delivery(email).error == (None if expected is EmailStatus.SENT else "draft_taken"), where
    assert server.items(ANNA, "drafts") == [], where


@pytest.mark.parametrize("fault", [Fault.DEATH_AFTER, Fault.REPLY_LOST])
def test_a_draft_that_somebody_discards_after_a_fault_at_any_call_is_told_from_one_that_was_sent(
    server: MailServer, connect: Connect, monkeypatch: pytest.MonkeyPatch, fault: Fault
) -> None:
    healthy = scene_over(server, connect, FaultyWorld(), monkeypatch)
    written(healthy)
    healthy.until_settled()
    for at in range(1, len(healthy.world.calls) + 1):
        scene = scene_over(server, connect, FaultyWorld(at=at, fault=fault), monkeypatch)
        emails = written(scene)
        scene.until_dead()
        somebody_discards_all_drafts(server)
        scene.until_settled()
        where = f"{fault} at call {at}, {scene.world.calls[at - 1]}"
        check_nothing_is_lost_in_silence(server, scene, emails, where)


@pytest.mark.parametrize("fault", list(Fault))
def test_a_fault_at_any_call_while_discarded_drafts_are_traced_changes_nothing_about_that(
    server: MailServer, connect: Connect, monkeypatch: pytest.MonkeyPatch, fault: Fault
) -> None:
    at, is_over = 0, False
    while not is_over:
        at += 1
        scene = scene_over(server, connect, FaultyWorld(), monkeypatch)
        emails = {subject: scene.send(subject) for subject in ("First", "Second")}
        scene.world.watch = lambda name, scene=scene: scene.world.die() if name == "SendItem" else None
        assert scene.attempt() is None
        scene.world.watch = None
        somebody_discards_all_drafts(server)
        scene.clock.advance(timedelta(minutes=10))
        began = len(scene.world.calls)
        scene.world.at, scene.world.fault = began + at, fault
        scene.until_settled()
        assert [scene.status(email) for email in emails.values()] == [EmailStatus.FAILED] * 2, f"{fault} at call {at}"
        check_nothing_is_lost_in_silence(server, scene, emails, f"{fault} at call {at} of the recovery")
        is_over = len(scene.world.calls) < began + at
    assert {"GetItem", "FindItem", "FindFolder"} <= set(scene.world.calls)


# ---- the server goes away


def test_what_a_server_was_not_given_when_it_refuses_connections_waits_as_before_and_no_attempt_counts(
    server: MailServer, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    healthy = scene_over(server, connect, FaultyWorld(), monkeypatch)
    written(healthy)
    healthy.run()
    for at, name in enumerate(healthy.world.calls, start=1):
        scene = scene_over(server, connect, FaultyWorld(), monkeypatch)
        emails = written(scene)

        def refuses(name: str, scene: OutgoingScene = scene, at: int = at) -> None:
            if len(scene.world.calls) >= at and name[0].isupper():
                raise ConnectionRefused(f"{name}: ConnectionRefusedError")

        scene.world.watch = refuses
        scene.run()
        where = f"away from call {at}, {name}"
        statuses = {subject: scene.status(email) for subject, email in emails.items()}
        went_out = sorted(each.subject for each in server.accepted())
        assert sorted(subject for subject, status in statuses.items() if status is EmailStatus.SENT) == went_out, where
        waiting = [emails[subject] for subject in set(emails) - set(went_out)]
        assert {scene.status(email) for email in waiting} <= {EmailStatus.PENDING_SEND}, where
        assert {scene.delivery(email).attempts for email in waiting} <= {0}, where
        scene.world.watch = None
        scene.until_settled()
        assert sorted(each.subject for each in server.accepted()) == sorted(emails), where
        assert server.items(ANNA, "drafts") == [], where


def test_drafts_that_the_server_makes_after_its_caller_gave_up_are_removed_within_a_day(
    server: MailServer, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = scene_over(server, connect, FaultyWorld(), monkeypatch)
    emails = written(scene)
    faithful = Session.reply
    late: list[tuple[Session, RequestBody, Mapping[str, str | bytes]]] = []

    def reply(session: Session, body: RequestBody, headers: Mapping[str, str | bytes]) -> bytes:
        if isinstance(body, bytes) and b"CreateItem" in body and not late:
            late.append((session, body, headers))
            raise NoAnswer("CreateItem: ReadTimeout")
        return faithful(session, body, headers)

    monkeypatch.setattr(Session, "reply", reply)
    scene.run()
    answered(*late[0])
    assert len(server.items(ANNA, "drafts")) == 2
    scene.until_settled()
    scene.clock.advance(timedelta(days=1))
    scene.run()
    assert server.items(ANNA, "drafts") == []
    assert sorted(each.subject for each in server.accepted()) == sorted(emails)
