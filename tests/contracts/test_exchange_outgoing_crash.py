"""Exactly once over real sockets: a run that fails or dies at any call, of the store or of Exchange, sends no email twice and
leaves none behind."""

import re
from collections.abc import Mapping

import pytest

from local.mailserver import MailServer
from shared.connectors.connect import Connect
from shared.connectors.exchange.pool import RequestBody
from shared.connectors.exchange.session import Session
from shared.domain.choices import EmailStatus, Priority
from shared.domain.configuration import Credentials, SecretRef
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
