"""kill -9 of the real host in the middle of a sync: started again, the store is complete, and nothing is in it twice.

A proxy stands between the host and its mail server and tables; at the n-th request it kills the host, before the request is
forwarded or when its effect has happened and the reply is lost. What would be a wait (for the lease of the dead run to
expire, for its queue message to count as lost) is shortened by writing what that time would bring.
"""

import base64
import hashlib
import os
import secrets
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock

import pytest

from local.azurite import Azurite
from local.demo.api import run_function
from local.mailserver import MailServer
from local.processes import Child
from shared.domain.choices import IncomingFilteringMethod, Verdict, Workload
from shared.domain.configuration import Credentials, Mailbox, WorkloadSchedule
from shared.domain.email import ListOf
from shared.domain.ledger import LedgerCommit, LedgerItem
from shared.ports import Stores
from shared.stores.azure import StorageConnection, azure_stores, create_missing
from tests.bench.wire import Dropped, Request, Wire, through, wire_to
from tests.builders import a_mailbox, a_profile, an_owner
from tests.e2e.organisation import LONG_AGO, PASSWORD, USERNAME

ROOT = Path(__file__).parents[2]
MESSAGES = 540
"""More than a page holds; the second page is another run, by way of the backfill queue."""
PATIENCE = 60.0
ATTACHMENT = b"delivery note\r\n" * 400


@dataclass
class _World:
    server: MailServer
    stores: Stores
    mail_wire: Wire
    table_wire: Wire
    host: Child
    count: int = 0

    def watch(self, at: int | None, *, effect_happens: bool) -> None:
        """Kills the host at the `at`-th request from now on, over both wires; None only counts."""
        self.count = 0
        lock = Lock()

        def look(_: Request) -> None:
            with lock:
                self.count += 1
                if at is not None and self.count == at:
                    os.kill(self.host.pid, signal.SIGKILL)
                if at is not None and self.count >= at:
                    raise Dropped

        for wire in (self.mail_wire, self.table_wire):
            wire.before = (lambda _: None) if effect_happens else look
            wire.after = look if effect_happens else (lambda _: None)

    def trigger(self) -> None:
        run_function(str(self.host.greeting["base_url"]), str(self.host.greeting["master_key"]), "enumerate_mailboxes")

    def add_mailbox(self, name: str) -> Mailbox:
        address = f"{name}@contoso.example"
        self.server.add_mailbox(address)
        for number in range(MESSAGES):
            self.server.deliver(_mail(name, number), [address])
        self.stores.owners.create(an_owner(name, filtering_method=IncomingFilteringMethod.ALL))
        mailbox = a_mailbox(name)
        self.stores.mailboxes.create(mailbox, {Workload.INCOMING: WorkloadSchedule(due=datetime.now(UTC))})
        return mailbox

    def let_time_pass(self, mailbox: Mailbox) -> None:
        """The lease of a dead run expires, its queue message counts as lost: the mailbox is due."""
        now = datetime.now(UTC)
        head = self.stores.ledger.head(mailbox.id, Workload.INCOMING, now)
        if head.state is not None and head.state.expires is not None:
            expired = LedgerCommit(state=replace(head.state, expires=now))
            self.stores.ledger.commit(mailbox.id, Workload.INCOMING, head.etag, expired)
        self.stores.mailboxes.reschedule(mailbox.id, Workload.INCOMING, WorkloadSchedule(due=now))

    def is_caught_up(self, mailbox: Mailbox) -> bool:
        head = self.stores.ledger.head(mailbox.id, Workload.INCOMING, datetime.now(UTC))
        released = head.state is not None and head.state.holder is None
        return released and bool(head.marks) and all(mark.caught_up for mark in head.marks)


def _mail(name: str, number: int) -> bytes:
    head = (
        f"From: a{number % 7}@northwind.example\nTo: {name}@contoso.example\nSubject: Number {number}\n"
        f"Message-ID: <{name}.{number}@northwind.example>\nDate: Mon, 02 Nov 2026 08:00:00 +0000\n"
    )
    if number % 90:
        return f"{head}\ntext of number {number}\n".encode()
    content = base64.encodebytes(ATTACHMENT + str(number).encode()).decode()
    return (
        f"{head}Content-Type: multipart/mixed; boundary=x\n\n--x\nContent-Type: text/plain\n\ntext of number {number}\n"
        f"--x\nContent-Type: application/pdf; name=note.pdf\nContent-Transfer-Encoding: base64\n\n{content}--x--\n"
    ).encode()


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[_World]:
    with ExitStack() as running:
        azurite = running.enter_context(Azurite())
        server = running.enter_context(MailServer())
        server.add_account(USERNAME, PASSWORD, impersonation=True)
        mail_wire = running.enter_context(wire_to(server.ews_url))
        table_wire = running.enter_context(wire_to(azurite.endpoints["TableEndpoint"]))
        key = base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()
        account = StorageConnection(azurite.connection_string)
        create_missing(account)
        stores = azure_stores(account, secrets_key=key)
        _configure_profile(stores, through(server.ews_url, mail_wire))
        tables = azurite.endpoints["TableEndpoint"]
        environment = {
            "AzureWebJobsStorage": azurite.connection_string.replace(tables, through(tables, table_wire)),
            "SIDESYNC_SECRETS_KEY": key,
            "SIDESYNC_ALLOW_LOCAL_SERVERS": "true",
            "AzureFunctionsJobHost__extensions__queues__maxPollingInterval": "00:00:00.2",
            "AzureWebJobs.enumerate_mailboxes.Disabled": "false",
        }
        options = ("--app", str(ROOT), "--no-settings", "--port", "0", "--json", "--grace", "5")
        command = (sys.executable, "-m", "local.host", *options)
        host = Child("the host", command, tmp_path_factory.mktemp("host") / "host.log", environment)
        running.callback(host.kill)
        host.start()
        yield _World(server, stores, mail_wire, table_wire, host)


def _configure_profile(stores: Stores, ews_url: str) -> None:
    credentials = Credentials(username=USERNAME, secret=stores.secrets.set("profile-contoso", PASSWORD))
    stores.profiles.create(
        a_profile(incoming_location=ews_url, credentials=credentials, process_emails_received_after=LONG_AGO)
    )


@pytest.fixture(scope="module")
def undisturbed(world: _World) -> int:
    """How many requests a sync takes that nobody disturbs."""
    mailbox = world.add_mailbox("undisturbed")
    world.watch(None, effect_happens=False)
    world.trigger()
    _wait_until(lambda: world.is_caught_up(mailbox))
    requests = world.count
    _assert_complete(world, mailbox, "undisturbed")
    return requests


@pytest.mark.slow
@pytest.mark.parametrize(("share", "effect_happens"), [(0.15, True), (0.4, False), (0.6, True), (0.75, True), (0.88, False)])
def test_a_host_that_is_killed_in_the_middle_loses_and_repeats_nothing(
    world: _World, undisturbed: int, share: float, effect_happens: bool
) -> None:
    name = f"at{round(share * 100)}"
    mailbox = world.add_mailbox(name)
    world.watch(max(1, round(undisturbed * share)), effect_happens=effect_happens)
    world.trigger()
    _wait_until(lambda: not world.host.running)
    assert not world.is_caught_up(mailbox)

    world.watch(None, effect_happens=False)
    world.host.kill()
    world.host.start()
    world.let_time_pass(mailbox)
    world.trigger()
    _wait_until(lambda: world.is_caught_up(mailbox))
    _assert_complete(world, mailbox, name)


def _assert_complete(world: _World, mailbox: Mailbox, name: str) -> None:
    """Every message is one activity with its content and attachment, listed once, and one promoted item of the ledger."""
    stores = world.stores
    expected = {f"{name}.{number}@northwind.example" for number in range(MESSAGES)}
    items = list(stores.ledger.items(mailbox.id, Workload.INCOMING))
    assert Counter(item.message_id for item in items) == Counter(expected)
    assert {item.verdict for item in items} == {Verdict.PROMOTED}
    listed = _listed(stores, mailbox)
    assert Counter(listed) == Counter(item.activity_id for item in items)
    for item in items[:: MESSAGES // 30]:
        assert item.activity_id is not None
        content = stores.activities.content(item.activity_id)
        assert content is not None
        assert content.message_id == item.message_id
        assert [sighting.mailbox_id for sighting in stores.activities.sightings(item.activity_id)] == [mailbox.id]
    _assert_attachments(stores, name, items)


def _assert_attachments(stores: Stores, name: str, items: list[LedgerItem]) -> None:
    by_id = {item.message_id: item.activity_id for item in items}
    for number in range(0, MESSAGES, 90):
        content = stores.activities.content(by_id[f"{name}.{number}@northwind.example"])
        assert content is not None
        (attachment,) = content.attachments
        stored = b"".join(stores.blobs.read(attachment.blob))
        assert stored == ATTACHMENT + str(number).encode()
        assert hashlib.sha256(stored).hexdigest() == attachment.sha256


def _listed(stores: Stores, mailbox: Mailbox) -> list[str]:
    listed: list[str] = []
    continuation: str | None = None
    while True:
        part = stores.timeline.list(ListOf.MAILBOX, mailbox.id, continuation, 500)
        listed.extend(entry.activity_id for entry in part.items)
        continuation = part.continuation
        if continuation is None:
            return listed


def _wait_until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.1)
