"""Mail over POP3 and IMAP through real runs: a failure or the end of the process at any call, and a connection that breaks at
any command, lose nothing, double nothing, and delete nothing that is not stored."""

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest

from local.mailserver import MailServer
from shared.connectors.connect import Connect
from shared.domain.choices import CredentialSource, IncomingFilteringMethod, OwnerKind, Reason, ServerType, Verdict, Workload
from shared.domain.configuration import Credentials, EmailServerProfile, OwnerRef, SecretRef
from shared.domain.email import ListOf
from shared.domain.errors import TransientError
from shared.domain.ids import OwnerId, mailbox_id_of
from shared.domain.ledger import LedgerCommit, LedgerItem
from shared.domain.operations import RunOutcome
from shared.domain.organisation import OrganisationSettings
from shared.stores.memory import memory_stores
from shared.sync.budgets import RunBudget
from shared.sync.incoming import IncomingSync
from tests.builders import MONDAY, SettableClock, a_mailbox, a_profile, a_sync_of, with_organisation
from tests.contracts.exchange_mailboxes import PASSWORD, KnownSecrets
from tests.unit.sync.faults import Fault, FaultyWorld
from tests.unit.sync.in_memory_mail import ProcessDied
from tests.unit.sync.snapshots import outcome_of

SERVER_TYPES = (ServerType.POP3_SMTP, ServerType.IMAP_SMTP)
SUBJECTS = [f"Letter {number}" for number in range(5)]
QUEUE = OwnerRef(OwnerKind.QUEUE, OwnerId("support"))
_numbers = iter(range(1, 1_000_000))


@pytest.fixture(scope="module")
def server() -> Iterator[MailServer]:
    with MailServer() as server:
        yield server


def a_letter(subject: str) -> bytes:
    name = subject.lower().replace(" ", "-")
    return (
        f"Received: from client.example by mail.contoso.example; Mon, 23 Nov 2026 07:00:00 +0000\r\n"
        f"From: carol@fabrikam.example\r\nTo: support@contoso.example\r\nSubject: {subject}\r\n"
        f"Date: Mon, 23 Nov 2026 06:59:00 +0000\r\nMessage-ID: <{name}@fabrikam.example>\r\n\r\nAbout: {subject}\r\n"
    ).encode()


class Queue:
    """The mailbox of a queue that accepts all mail, on one of the heads of the local mail server; it is emptied."""

    def __init__(self, server: MailServer, server_type: ServerType, world: FaultyWorld | None = None) -> None:
        self.server = server
        self.world = world or FaultyWorld()
        self.clock = SettableClock()
        self.address = f"support-{next(_numbers)}@contoso.example"
        server.add_mailbox(self.address, password=PASSWORD)
        for subject in SUBJECTS:
            server.deliver(a_letter(subject), [self.address], MONDAY - timedelta(hours=1), internal=False)
        self.profile = _profile(server, server_type, self.address)
        self.mailbox = replace(
            a_mailbox("support", id=mailbox_id_of(QUEUE.kind, QUEUE.id), owner=QUEUE), process_and_delete=True
        )
        self.stores = with_organisation(
            memory_stores(), self.mailbox, profile=self.profile, accepting=IncomingFilteringMethod.ALL
        )
        self.stores.settings.put(OrganisationSettings(), None)

    def keep_on_server(self) -> None:
        stored = self.stores.mailboxes.get(self.mailbox.id)
        assert stored is not None
        self.mailbox = replace(self.mailbox, process_and_delete=False)
        self.stores.mailboxes.replace(self.mailbox, stored.etag, {})

    def attempt(self) -> RunOutcome | None:
        """A process that has just started runs; None if it did not come to an end."""
        connect = Connect(KnownSecrets(), allow_local_servers=True)
        sync = IncomingSync(self.world.stores(self.stores), self.world.opener(connect), self.clock, RunBudget(batch_items=2))
        try:
            return sync.run(a_sync_of(self.mailbox, message_id=f"message-{next(_numbers)}"))
        except (ProcessDied, TransientError):
            self.world.revive()
            return None
        finally:
            connect.close()

    def until_idle(self) -> None:
        for _ in range(20):
            outcome = self.attempt()
            if outcome is RunOutcome.IDLE:
                return
            if outcome in (None, RunOutcome.FAILED, RunOutcome.HELD):
                self.clock.advance(timedelta(minutes=20))
        raise AssertionError("never idle")

    def settle(self) -> None:
        self.until_idle()
        self.clock.advance(timedelta(minutes=20))  # what could not be deleted is tried again
        self.until_idle()

    @property
    def subjects(self) -> list[str]:
        listed = self.stores.timeline.list(ListOf.QUEUE, QUEUE.id, limit=100)
        return sorted(entry.subject for entry in listed.items)

    @property
    def held(self) -> int:
        """Messages on the server."""
        return len(self.server.items(self.address))

    @property
    def rows(self) -> list[LedgerItem]:
        return list(self.stores.ledger.items(self.mailbox.id, Workload.INCOMING))

    @property
    def promoted(self) -> int:
        return sum(row.verdict is Verdict.PROMOTED for row in self.rows)

    def untrack(self, message_id: str) -> LedgerItem:
        """As a request by hand leaves it."""
        head = self.stores.ledger.head(self.mailbox.id, Workload.INCOMING, self.clock())
        assert head.state is not None
        (row,) = [row for row in self.rows if row.message_id == message_id]
        row = replace(row, verdict=Verdict.SKIPPED, reason=Reason.UNTRACKED)
        self.stores.ledger.commit(self.mailbox.id, Workload.INCOMING, head.etag, LedgerCommit(head.state, items=(row,)))
        return row


def _profile(server: MailServer, server_type: ServerType, address: str) -> EmailServerProfile:
    port = server.pop3_port if server_type is ServerType.POP3_SMTP else server.imap_port
    return a_profile(
        server_type=server_type,
        incoming_location="127.0.0.1",
        incoming_port=port,
        incoming_use_tls=False,
        credential_source=CredentialSource.PROFILE,
        credentials=Credentials(username=address, secret=SecretRef(PASSWORD, "1")),
    )


@pytest.mark.parametrize("server_type", SERVER_TYPES)
def test_what_is_stored_is_deleted_and_stays_an_activity(server: MailServer, server_type: ServerType) -> None:
    queue = Queue(server, server_type)
    queue.settle()
    assert queue.subjects == SUBJECTS
    assert queue.held == 0


@pytest.mark.parametrize("server_type", SERVER_TYPES)
@pytest.mark.parametrize("fault", list(Fault))
def test_failing_at_any_call_loses_and_doubles_nothing(server: MailServer, server_type: ServerType, fault: Fault) -> None:
    undisturbed = Queue(server, server_type)
    undisturbed.settle()
    expected = _compared(undisturbed)
    for at in range(1, len(undisturbed.world.calls) + 1):
        queue = Queue(server, server_type, FaultyWorld(at=at, fault=fault))
        queue.settle()
        what = f"{fault} at call {at}, {undisturbed.world.calls[at - 1]}"
        assert queue.subjects == SUBJECTS, what
        assert queue.held == 0, what
        assert _compared(queue) == expected, what


def _compared(queue: Queue) -> dict[str, object]:
    """Activities and lists; ids of items on the server and addresses are other ones each time."""
    content = outcome_of(queue.stores)
    return {name: content[name] for name in ("timeline", "correlations", "quarantine", "alerts")} | {
        "promoted": queue.promoted,
        "todos": queue.stores.ledger.head(queue.mailbox.id, Workload.INCOMING, queue.clock()).todos,
    }


@pytest.mark.parametrize("server_type", SERVER_TYPES)
def test_nothing_is_deleted_before_its_row_is_committed(server: MailServer, server_type: ServerType) -> None:
    undisturbed = Queue(server, server_type)
    undisturbed.settle()
    calls = undisturbed.world.calls
    deaths = [at for at, call in enumerate(calls, 1) if at <= calls.index("mail.discard") + 1]
    for at in deaths:
        queue = Queue(server, server_type, FaultyWorld(at=at, fault=Fault.DEATH_BEFORE))
        queue.attempt()
        assert queue.held == len(SUBJECTS), f"dead at call {at}, {calls[at - 1]}"
    assert queue.promoted == len(SUBJECTS), "the last one died when it was about to delete"


COMMANDS = {
    ServerType.POP3_SMTP: ("Connect", "CAPA", "USER", "PASS", "STAT", "UIDL", "LIST", "TOP", "RETR", "DELE", "QUIT"),
    ServerType.IMAP_SMTP: ("Connect", "AUTHENTICATE", "EXAMINE", "FETCH", "SELECT", "STORE", "EXPUNGE"),
}


@pytest.mark.parametrize(("server_type", "command"), [(kind, each) for kind, names in COMMANDS.items() for each in names])
@pytest.mark.parametrize("kind", ["connection_reset", "reply_lost", "truncated_reply"])
def test_a_connection_that_breaks_at_a_command_loses_and_doubles_nothing(
    server: MailServer, server_type: ServerType, command: str, kind: str
) -> None:
    queue = Queue(server, server_type)
    before = len([one for one in server.requests if one.operation == command])
    fault = server.faults.add(
        kind, None if command in ("Connect", "CAPA", "USER") else queue.address, operation=command, count=1
    )
    try:
        queue.settle()
    finally:
        server.faults.clear(fault)
    assert len([one for one in server.requests if one.operation == command]) > before, "the command is used"
    assert queue.subjects == SUBJECTS
    assert queue.held == 0


def test_a_process_that_is_killed_between_dele_and_quit_has_deleted_nothing(server: MailServer) -> None:
    """POP3 deletes when the session ends with QUIT (RFC 1939 section 6)."""
    queue = Queue(server, ServerType.POP3_SMTP)
    fault = server.faults.add("slow_reply", queue.address, operation="DELE", after=2, seconds=2, count=1)
    script = f"from tests.e2e.test_maildrops import discard_all; import sys;discard_all({server.pop3_port}, {queue.address!r})"
    process = subprocess.Popen([sys.executable, "-c", script])  # noqa: S603 (our own words)
    try:
        while sum(one.operation == "DELE" and one.mailbox == queue.address for one in server.requests) < 3:
            assert process.poll() is None
        process.send_signal(signal.SIGKILL)
        assert process.wait(10) == -signal.SIGKILL
    finally:
        process.kill()
        process.wait()
        server.faults.clear(fault)
    assert queue.held == len(SUBJECTS)
    while queue.attempt() is RunOutcome.FAILED:  # until the server notices that nobody is there
        queue.clock.advance(timedelta(minutes=20))
        time.sleep(0.2)
    queue.settle()
    assert (queue.subjects, queue.held) == (SUBJECTS, 0)


def discard_all(port: int, address: str) -> None:
    """What the process does that is killed."""
    profile = replace(_profile_at(port), credentials=Credentials(username=address, secret=SecretRef(PASSWORD, "1")))
    with Connect(KnownSecrets(), allow_local_servers=True)(profile, a_mailbox("support")) as mail:
        inbox, *_ = mail.folders()
        mail.discard([item.ref for item in mail.changes(inbox, None).items])


def _profile_at(port: int) -> EmailServerProfile:
    return a_profile(
        server_type=ServerType.POP3_SMTP, incoming_location="127.0.0.1", incoming_port=port, incoming_use_tls=False
    )


@pytest.mark.parametrize("server_type", SERVER_TYPES)
def test_mail_whose_identities_all_changed_is_neither_lost_nor_doubled(server: MailServer, server_type: ServerType) -> None:
    """UIDVALIDITY or every UIDL is another one: all is listed again."""
    queue = Queue(server, server_type)
    queue.keep_on_server()
    more = [f"Offer {number}" for number in range(10)]
    for subject in more:
        server.deliver(a_letter(subject), [queue.address], MONDAY, internal=False)
    queue.until_idle()
    taken_back = queue.untrack("letter-2@fabrikam.example")
    server.renumber_folder(queue.address)
    server.deliver(a_letter("New"), [queue.address], MONDAY, internal=False)
    queue.until_idle()
    assert queue.subjects == [*SUBJECTS, "New", *more]
    assert queue.held == len(SUBJECTS) + len(more) + 1
    rows = [row for row in queue.rows if row.message_id == taken_back.message_id]
    assert [row.reason for row in rows] == [Reason.UNTRACKED] * 2, "what a person said of it holds"


def test_a_maildrop_from_which_somebody_deleted_is_listed_once_more_and_not_at_every_poll(server: MailServer) -> None:
    queue = Queue(server, ServerType.POP3_SMTP)
    queue.keep_on_server()
    queue.until_idle()
    server.remove(queue.address, server.items(queue.address)[0])
    assert queue.attempt() is RunOutcome.COMPLETED
    for _ in range(2):
        before = len(server.requests.of(mailbox=queue.address))
        assert queue.attempt() is RunOutcome.IDLE
        asked = [one.operation for one in server.requests.of(mailbox=queue.address)[before:]]
        assert (asked.count("STAT"), asked.count("UIDL")) == (1, 1), "the last one is looked at, and none is listed"
