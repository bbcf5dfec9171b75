"""An idle poll of a mailbox over POP3 and over IMAP: how often it waits for the mail server, and what it asks of storage.

Counted on the wire, by a tap in front of Dovecot and proxies in front of each storage service. A poll connects, signs in and
takes leave: both protocols hold a connection per mailbox, and POP3 locks the maildrop as long.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import uuid4

from local.azurite import Azurite
from shared.connectors.connect import Connect
from shared.domain.choices import ServerType, Workload
from shared.domain.operations import RunOutcome
from shared.messages import SyncMailbox
from shared.stores.azure import StorageConnection, azure_stores, create_missing
from shared.sync.incoming import IncomingSync
from tests.bench.figures import Figures
from tests.bench.machine import SECRETS_KEY, an_internet_profile, with_mailboxes
from tests.bench.pop3 import fill
from tests.bench.wire import Wire, through, wire_to
from tests.dovecot import PASSWORD, Dovecot
from tests.tap import Tap, tap_on

MESSAGES = 50


@dataclass(frozen=True, slots=True)
class _Counted:
    round_trips: int
    said: str
    """First words of what was said, none of which is an argument."""
    storage_requests: int


def measure() -> Figures:
    if Dovecot.installed() is None:
        return Figures({}, (f"skipped: Dovecot is not installed ({Dovecot.installing()})",))
    numbers, notes = {}, []
    with ExitStack() as running:
        dovecot = running.enter_context(Dovecot())
        azurite = running.enter_context(Azurite())
        for name, port, server_type in (
            ("pop3", dovecot.pop3_port, ServerType.POP3_SMTP),
            ("imap", dovecot.imap_port, ServerType.IMAP_SMTP),
        ):
            fill(dovecot, name, MESSAGES)
            with tap_on(dovecot.host, port) as tap:
                counted = _poll(azurite, tap, name, server_type)
            numbers[f"idle_{name}_poll_round_trips"] = float(counted.round_trips)
            numbers[f"idle_{name}_poll_storage_requests"] = float(counted.storage_requests)
            notes.append(f"{name}: the greeting, {counted.said}")
    return Figures(numbers, notes)


def _poll(azurite: Azurite, tap: Tap, name: str, server_type: ServerType) -> _Counted:
    """One poll of a worker that has polled before."""
    with storage_through_wires(azurite) as (connection_string, wires):
        account = StorageConnection(connection_string)
        create_missing(account, prefix=name.title())
        stores = azure_stores(account, secrets_key=SECRETS_KEY, prefix=name.title())
        profile = an_internet_profile(stores, server_type, tap.port, PASSWORD)
        (mailbox,) = with_mailboxes(stores, profile, [name])
        connect = Connect(stores.secrets, allow_local_servers=True)
        sync = IncomingSync(stores, connect, lambda: datetime.now(UTC))
        for expected in (RunOutcome.COMPLETED, RunOutcome.IDLE, RunOutcome.IDLE):
            tap.settle()
            tap.reset()
            for wire in wires:
                wire.reset()
            assert sync.run(SyncMailbox(uuid4().hex, mailbox.id, Workload.INCOMING)) is expected
        tap.settle()
        connect.close()
        return _Counted(tap.round_trips, _words(tap, server_type), sum(len(wire.requests) for wire in wires))


@contextmanager
def storage_through_wires(azurite: Azurite) -> Iterator[tuple[str, list[Wire]]]:
    with ExitStack() as running:
        connection_string, wires = azurite.connection_string, []
        for url in azurite.endpoints.values():
            wires.append(running.enter_context(wire_to(url)))
            connection_string = connection_string.replace(url, through(url, wires[-1]))
        yield connection_string, wires


def _words(tap: Tap, server_type: ServerType) -> str:
    place = 1 if server_type is ServerType.IMAP_SMTP else 0
    return ", ".join(line.split()[place].decode() for line in tap.said if len(line.split()) > place)
