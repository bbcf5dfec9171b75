"""An idle poll of one mailbox: what it asks of the mail server and of storage, and what it costs in CPU time.

Requests are counted on the wire, by proxies in front of the server and of each storage service, in a worker that has polled
before (its profile and connections are at hand). The CPU time is measured without proxies.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from uuid import uuid4

from local.azurite import Azurite
from shared.connectors.connect import Connect
from shared.domain.choices import Workload
from shared.domain.configuration import Mailbox
from shared.domain.operations import RunOutcome
from shared.messages import SyncMailbox
from shared.stores.azure import StorageConnection, azure_stores, create_missing
from shared.sync.incoming import IncomingSync
from tests.bench.figures import Figures
from tests.bench.machine import SECRETS_KEY, a_mail_server, configure
from tests.bench.wire import through, wire_to

MESSAGES = 50
POLLS = 300


def measure() -> Figures:
    with ExitStack() as running:
        azurite = running.enter_context(Azurite())
        server = running.enter_context(a_mail_server())
        server.add_mailbox("anna", MESSAGES, 20_000)
        server.add_mailbox("bruno", MESSAGES, 20_000)
        requests = running.enter_context(_requests_of_a_poll(azurite, server.ews_url))
        milliseconds, seconds = _cost_of_a_poll(azurite.connection_string, server.ews_url)
    mail, storage = requests
    return Figures(
        {
            "idle_poll_server_requests": len(mail),
            "idle_poll_storage_requests": len(storage),
            "idle_poll_cpu_ms": round(milliseconds, 2),
            "idle_polls_per_second": round(1 / seconds),
        },
        (f"storage: {'; '.join(storage)}", f"CPU over {POLLS} polls in a row, one thread"),
    )


@contextmanager
def _requests_of_a_poll(azurite: Azurite, ews_url: str) -> Iterator[tuple[Sequence[str], Sequence[str]]]:
    """The requests to the mail server, and to storage."""
    with ExitStack() as running:
        mail = running.enter_context(wire_to(ews_url))
        services = {url: running.enter_context(wire_to(url)) for url in azurite.endpoints.values()}
        connection_string = azurite.connection_string
        for url, wire in services.items():
            connection_string = connection_string.replace(url, through(url, wire))
        sync, mailbox, connect = _caught_up(connection_string, through(ews_url, mail), "anna", "Counted")
        running.callback(connect.close)
        for wire in (mail, *services.values()):
            wire.reset()
        _poll(sync, mailbox)
        storage = [
            f"{request.method} {request.path.partition('?')[0]}" for wire in services.values() for request in wire.requests
        ]
        yield [request.path for request in mail.requests], storage


def _cost_of_a_poll(connection_string: str, ews_url: str) -> tuple[float, float]:
    """CPU milliseconds and seconds of one poll."""
    sync, mailbox, connect = _caught_up(connection_string, ews_url, "bruno", "Timed")
    started, cpu = time.perf_counter(), time.process_time()
    for _ in range(POLLS):
        _poll(sync, mailbox)
    used = (time.process_time() - cpu) / POLLS * 1000, (time.perf_counter() - started) / POLLS
    connect.close()
    return used


def _caught_up(connection_string: str, ews_url: str, name: str, prefix: str) -> tuple[IncomingSync, Mailbox, Connect]:
    account = StorageConnection(connection_string)
    create_missing(account, prefix=prefix)
    stores = azure_stores(account, secrets_key=SECRETS_KEY, prefix=prefix)
    (mailbox,) = configure(stores, ews_url, [name])
    connect = Connect(stores.secrets, allow_local_servers=True)
    sync = IncomingSync(stores, connect, lambda: datetime.now(UTC))
    assert _run(sync, mailbox) is RunOutcome.COMPLETED
    _poll(sync, mailbox)
    return sync, mailbox, connect


def _poll(sync: IncomingSync, mailbox: Mailbox) -> None:
    assert _run(sync, mailbox) is RunOutcome.IDLE


def _run(sync: IncomingSync, mailbox: Mailbox) -> RunOutcome:
    return sync.run(SyncMailbox(uuid4().hex, mailbox.id, Workload.INCOMING))
