"""A password that is wrong for sending only, over sockets: each run is that of a worker that knows nothing of the others."""

from dataclasses import replace
from datetime import timedelta

import pytest

from local.mailserver import MailServer
from shared.connectors.connect import Connect
from shared.domain.choices import CredentialSource, EmailStatus, Workload
from shared.domain.configuration import Credentials, SecretRef
from shared.domain.operations import RunOutcome
from shared.messages import Queue, SyncMailbox, parse
from shared.stores.memory.work import MemoryQueues
from shared.sync.enumeration import Enumeration
from shared.sync.incoming import IncomingSync
from shared.sync.outgoing import OutgoingSync
from tests.contracts.exchange_mailboxes import PASSWORD, KnownSecrets
from tests.unit.sync.outgoing.scene import OutgoingScene, by_smtp

NAMES = ("anna", "ben", "carol")
RELAY = "relay@contoso.example"
HOUR = timedelta(hours=1)


@pytest.fixture
def scene(fresh: MailServer) -> OutgoingScene:
    """Three mailboxes are read by IMAP with a password that works, and sent from with one that does not."""
    for name in NAMES:
        fresh.add_mailbox(f"{name}@contoso.example", password=PASSWORD)
    fresh.add_mailbox("carol@fabrikam.example")
    fresh.add_account(RELAY, "another password")
    scene = by_smtp(
        incoming_location="127.0.0.1",
        incoming_port=fresh.imap_port,
        incoming_use_tls=False,
        credential_source=CredentialSource.MAILBOX,
        credentials=Credentials(),
        use_same_settings_for_outgoing=False,
        outgoing_location="127.0.0.1",
        outgoing_port=fresh.smtp_port,
        outgoing_use_tls=False,
        outgoing_credential_source=CredentialSource.PROFILE,
        outgoing_credentials=Credentials(RELAY, SecretRef("the relay's password", "1")),
    )
    scene.add_colleagues(*NAMES[1:])
    for mailbox in scene.stores.mailboxes.list().items:
        own = Credentials(mailbox.record.address, SecretRef(PASSWORD, "1"))
        scene.stores.mailboxes.replace(replace(mailbox.record, credentials=own), mailbox.etag, mailbox.schedule)
    return scene


def minute(scene: OutgoingScene) -> list[tuple[Workload, RunOutcome]]:
    """What the timer enqueues, each run by a worker that has just started."""
    Enumeration(scene.stores, scene.clock).enumerate_all()
    queues = scene.stores.queues
    assert isinstance(queues, MemoryQueues)
    found = []
    for queue in (Queue.SYNC_OUTGOING, Queue.SYNC_INCOMING):
        for text in queues.receive(queue):
            message = parse(text)
            assert isinstance(message, SyncMailbox)
            found.append((message.workload, run(scene, message)))
    return found


def run(scene: OutgoingScene, message: SyncMailbox) -> RunOutcome:
    connect = Connect(KnownSecrets(), allow_local_servers=True)
    try:
        if message.workload is Workload.OUTGOING:
            return OutgoingSync(scene.stores, connect.outgoing, scene.clock).run(message)
        return IncomingSync(scene.stores, connect, scene.clock).run(message)
    finally:
        connect.close()


def tried(server: MailServer) -> int:
    return server.requests.count("AUTH", head="smtp")


def test_a_password_that_is_wrong_for_sending_is_tried_by_one_mailbox_while_all_are_read(
    scene: OutgoingScene, fresh: MailServer
) -> None:
    emails = scene.everybody_sends()
    outcomes = minute(scene)
    assert outcomes.count((Workload.OUTGOING, RunOutcome.FAILED)) == tried(fresh) == 1
    assert outcomes.count((Workload.OUTGOING, RunOutcome.REFUSED)) == 2
    scene.clock.advance(timedelta(minutes=20))
    assert minute(scene) == [(Workload.INCOMING, RunOutcome.IDLE)] * 3
    assert tried(fresh) == 1
    [alert] = scene.alerts()
    assert (alert.about, alert.code, alert.parameters["workload"]) == ("profile:contoso", "authentication_failed", "outgoing")
    assert {scene.status(each) for each in emails} == {EmailStatus.PENDING_SEND}


def test_once_the_server_takes_it_one_tries_and_then_all_send(scene: OutgoingScene, fresh: MailServer) -> None:
    emails = scene.everybody_sends()
    minute(scene)
    fresh.set_password(RELAY, "the relay's password")
    scene.clock.advance(HOUR)
    before = tried(fresh)
    assert [each for each in minute(scene) if each[0] is Workload.OUTGOING] == [(Workload.OUTGOING, RunOutcome.COMPLETED)]
    assert tried(fresh) - before == 2, "to find out, and to send"
    minute(scene)
    assert {scene.status(each) for each in emails} == {EmailStatus.SENT}
    assert len(fresh.accepted()) == len(NAMES)
    assert next(scene.stores.profiles.list()).breakers == {}


def test_another_password_is_tried_by_everybody_at_once(scene: OutgoingScene) -> None:
    emails = scene.everybody_sends()
    minute(scene)
    stored = next(scene.stores.profiles.list())
    right = Credentials(RELAY, SecretRef("another password", "1"))
    scene.stores.profiles.replace(replace(stored.record, outgoing_credentials=right), stored.etag)
    scene.clock.advance(timedelta(minutes=1))
    minute(scene)
    assert {scene.status(each) for each in emails} == {EmailStatus.SENT}
