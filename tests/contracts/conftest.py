"""The stores under contract: in memory, and on Azurite over each of the two gateways to the Table service; and Exchange, as the
local mail server plays it."""

import base64
from collections.abc import Iterator
from itertools import count

import pytest

from local.mailserver import MailServer
from shared.connectors import destinations
from shared.connectors.connect import Connect
from shared.domain.ledger import LedgerCommit
from shared.ports import Stores
from shared.stores.account import StorageConnection, account_of
from shared.stores.azure import azure_stores, fast_gateway
from shared.stores.memory import memory_stores
from shared.stores.tables.sdk import SdkGateway
from shared.stores.tables.transport import Connections
from tests.contracts.consenting import Deployment
from tests.contracts.exchange_mailboxes import PASSWORD, SERVICE, KnownSecrets, ServedByExchange, a_new_mailbox, a_profile
from tests.contracts.exchange_outgoing import Outbound, opened
from tests.contracts.gateways import WatchedGateway
from tests.contracts.later_version import Tables
from tests.contracts.records import INCOMING, a_mailbox, a_run, a_state, an_email, an_item
from tests.contracts.wires import Wire, over

SECRETS_KEY = base64.urlsafe_b64encode(bytes(range(32))).decode()

_numbers = count(1)


@pytest.fixture
def prefix() -> str:
    """Keeps the tables, queues and blobs of one test apart from those of the others."""
    return f"t{next(_numbers)}"


@pytest.fixture
def connection(request: pytest.FixtureRequest) -> StorageConnection:
    return StorageConnection(request.getfixturevalue("azurite").connection_string)


@pytest.fixture(params=["memory", "fast", "sdk"])
def stores(request: pytest.FixtureRequest, prefix: str) -> Iterator[Stores]:
    """Every table store, over everything that implements it."""
    if request.param == "memory":
        yield memory_stores()
        return
    connection = request.getfixturevalue("connection")
    gateway = fast_gateway if request.param == "fast" else SdkGateway
    yield azure_stores(connection, secrets_key=SECRETS_KEY, prefix=prefix, gateway=gateway)


@pytest.fixture
def tables(connection: StorageConnection, prefix: str) -> Tables:
    return Tables(fast_gateway(account_of(connection)), prefix)


@pytest.fixture
def watched(connection: StorageConnection) -> WatchedGateway:
    return WatchedGateway(fast_gateway(account_of(connection)))


@pytest.fixture
def on_watched(connection: StorageConnection, prefix: str, watched: WatchedGateway) -> Stores:
    """For what happens between two requests."""
    return azure_stores(connection, secrets_key=SECRETS_KEY, prefix=prefix, gateway=lambda _: watched)


@pytest.fixture
def on_azurite(connection: StorageConnection, prefix: str) -> Stores:
    """For what only the stores on Azure Storage have."""
    return azure_stores(connection, secrets_key=SECRETS_KEY, prefix=prefix)


@pytest.fixture
def wire(connection: StorageConnection) -> Wire:
    return Wire(Connections(account_of(connection).table_endpoint))


@pytest.fixture
def faulty(connection: StorageConnection, prefix: str, wire: Wire) -> Stores:
    """Stores on Azurite over a wire that fails on demand; nobody waits."""
    stores = azure_stores(connection, secrets_key=SECRETS_KEY, prefix=prefix, gateway=lambda account: over(account, wire))
    stores.ledger.commit(a_mailbox().id, INCOMING, None, LedgerCommit(a_state("before"), items=(an_item(),)))
    stores.mailboxes.create(a_mailbox(), {})
    stores.activities.create([an_email("before")])
    stores.runs.put(a_run())
    return stores


@pytest.fixture(scope="module")
def server() -> Iterator[MailServer]:
    with MailServer(tls=True) as running:
        yield running


@pytest.fixture
def served(server: MailServer) -> Iterator[ServedByExchange]:
    """A new mailbox on a server that remembers nothing, and a service account that may act as it."""
    server.reset()
    server.add_account(SERVICE, PASSWORD, impersonation=True)
    yield a_new_mailbox(server)
    server.reset()


@pytest.fixture
def connect() -> Iterator[Connect]:
    connecting = Connect(KnownSecrets(), allow_local_servers=True)
    yield connecting
    connecting.close()


@pytest.fixture(params=[True, False], ids=["impersonating", "as a delegate"])
def outbound(connect: Connect, served: ServedByExchange, request: pytest.FixtureRequest) -> Iterator[Outbound]:
    """Sends as the mailbox, by either right of the service account."""
    if not request.param:
        served.server.add_account(SERVICE, PASSWORD, full_access=[served.address])
        served.server.grant_sending(served.address, SERVICE)
    with opened(connect, served, a_profile(served.server.ews_url, use_impersonation=request.param)) as found:
        yield found


@pytest.fixture
def trusting(server: MailServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """This machine trusts the mail server's certificate."""
    monkeypatch.setenv("SSL_CERT_FILE", str(server.certificate_file))
    destinations.tls_context.cache_clear()
    yield
    destinations.tls_context.cache_clear()


@pytest.fixture
def fresh(server: MailServer) -> Iterator[MailServer]:
    server.reset()
    yield server
    server.reset()


@pytest.fixture
def deployment(fresh: MailServer) -> Deployment:
    return Deployment(fresh)
