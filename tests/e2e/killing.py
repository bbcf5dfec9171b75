"""A host that can be killed (kill -9) at a chosen request, and what time would bring after that.

A proxy stands between the host and its mail server and tables; at the n-th request it kills the host, before the request is
forwarded or when its effect has happened and the reply is lost. What would be a wait (for the lease of the dead run to
expire, for its queue message to count as lost) is shortened by writing what that time would bring.
"""

import base64
import os
import secrets
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock

from local.azurite import Azurite
from local.demo.api import run_function
from local.mailserver import MailServer
from local.processes import Child
from shared.domain.choices import IncomingFilteringMethod, Workload
from shared.domain.configuration import Credentials, Mailbox, WorkloadSchedule
from shared.domain.ledger import LedgerCommit
from shared.ports import Stores
from shared.stores.azure import StorageConnection, azure_stores, create_missing
from tests.bench.wire import Dropped, Request, Wire, through, wire_to
from tests.builders import a_mailbox, a_profile, an_owner
from tests.e2e.organisation import LONG_AGO, PASSWORD, USERNAME

ROOT = Path(__file__).parents[2]
PATIENCE = 120.0


@dataclass
class World:
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

    def trigger(self, mailbox: Mailbox, workload: Workload = Workload.INCOMING) -> None:
        """Has the mailbox read, or sent for, now."""
        self.stores.mailboxes.reschedule(mailbox.id, workload, WorkloadSchedule(due=datetime.now(UTC)))
        run_function(str(self.host.greeting["base_url"]), str(self.host.greeting["master_key"]), "enumerate_mailboxes")

    def configure(self, name: str, accepting: IncomingFilteringMethod = IncomingFilteringMethod.ALL) -> Mailbox:
        """A user with this filter, and their mailbox, which is not due before it is triggered."""
        self.stores.owners.create(an_owner(name, filtering_method=accepting))
        mailbox = a_mailbox(name)
        self.stores.mailboxes.create(mailbox, {Workload.INCOMING: WorkloadSchedule()})
        return mailbox

    def restart(self) -> None:
        """The host that was killed starts again; nothing interferes any more."""
        self.watch(None, effect_happens=False)
        self.host.kill()
        self.host.start()

    def let_time_pass(self, mailbox: Mailbox, workload: Workload = Workload.INCOMING) -> None:
        """The lease of a dead run expires."""
        now = datetime.now(UTC)
        head = self.stores.ledger.head(mailbox.id, workload, now)
        if head.state is not None and head.state.expires is not None:
            expired = LedgerCommit(state=replace(head.state, expires=now))
            self.stores.ledger.commit(mailbox.id, workload, head.etag, expired)

    def is_caught_up(self, mailbox: Mailbox, folders: int = 1) -> bool:
        head = self.stores.ledger.head(mailbox.id, Workload.INCOMING, datetime.now(UTC))
        released = head.state is not None and head.state.holder is None
        return released and len(head.marks) == folders and all(mark.caught_up for mark in head.marks)


@contextmanager
def a_world(logs: Path) -> Iterator[World]:
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
        host = Child("the host", command, logs / "host.log", environment)
        running.callback(host.kill)
        host.start()
        yield World(server, stores, mail_wire, table_wire, host)


def _configure_profile(stores: Stores, ews_url: str) -> None:
    credentials = Credentials(username=USERNAME, secret=stores.secrets.set("profile-contoso", PASSWORD))
    stores.profiles.create(
        a_profile(incoming_location=ews_url, credentials=credentials, process_emails_received_after=LONG_AGO)
    )


def wait_until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.1)
