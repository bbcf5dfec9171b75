"""The stores on Azure Storage, put together. The SDKs are imported when they are first needed, not here."""

from collections.abc import Callable, Iterable

from shared.messages import Queue
from shared.ports import Stores
from shared.stores.account import Account, StorageConnection, account_of
from shared.stores.blobs import StorageBlobs
from shared.stores.parallel import Parallel
from shared.stores.queues import StorageQueues
from shared.stores.secrets import LocalSecrets
from shared.stores.tables.activities import TableActivities
from shared.stores.tables.fast import FastGateway
from shared.stores.tables.gateway import Gateway
from shared.stores.tables.ledger import TableLedger
from shared.stores.tables.mailboxes import TableMailboxes
from shared.stores.tables.operations import TableAlerts, TableQuarantine, TableRuns
from shared.stores.tables.owners import TableAddresses, TableOwners
from shared.stores.tables.profiles import TableProfiles
from shared.stores.tables.sdk import SdkGateway
from shared.stores.tables.table import Table
from shared.stores.tables.timeline import TableTimeline
from shared.stores.text_blobs import TextBlobs

__all__ = ["StorageConnection", "azure_stores", "create_missing", "fast_gateway"]

_TABLES = (
    "Profiles",
    "Owners",
    "Addresses",
    "Mailboxes",
    "Activities",
    "Timeline",
    "Ledger",
    "Quarantine",
    "Alerts",
    "Runs",
    "Secrets",
)


def fast_gateway(account: Account) -> FastGateway:
    """Our own gateway; missing tables are created through the SDK."""
    return FastGateway(account, SdkGateway(account).create_table)


def azure_stores(
    account: StorageConnection,
    *,
    secrets_key: str,
    prefix: str = "",
    gateway: Callable[[Account], Gateway] = fast_gateway,
) -> Stores:
    """`prefix` (letters and digits) keeps several organisations apart in one account. Raises InvalidConnection,
    WrongSecretsKey; connects to nothing."""
    where = account_of(account)
    tables = gateway(where)
    parallel = Parallel()
    blobs = StorageBlobs(where, prefix.lower())
    texts = TextBlobs(blobs)

    def table(name: str) -> Table:
        return Table(tables, prefix + name)

    owners = TableOwners(table("Owners"), table("Addresses"))
    return Stores(
        profiles=TableProfiles(table("Profiles")),
        owners=owners,
        addresses=TableAddresses(owners, table("Addresses"), parallel),
        mailboxes=TableMailboxes(table("Mailboxes")),
        activities=TableActivities(table("Activities"), texts, parallel),
        timeline=TableTimeline(table("Timeline"), parallel),
        ledger=TableLedger(table("Ledger"), texts),
        quarantine=TableQuarantine(table("Quarantine")),
        alerts=TableAlerts(table("Alerts")),
        runs=TableRuns(table("Runs")),
        blobs=blobs,
        queues=StorageQueues(where, parallel, prefix.lower()),
        secrets=LocalSecrets(table("Secrets"), secrets_key),
    )


def create_missing(account: StorageConnection, *, prefix: str = "", queues: Iterable[str] = tuple(Queue)) -> None:
    """Creates the tables, the container and the queues with their poison queues, where they are missing."""
    where = account_of(account)
    parallel = Parallel()
    parallel.each(SdkGateway(where).create_table, [prefix + name for name in _TABLES])
    StorageBlobs(where, prefix.lower()).create_container()
    storage_queues = StorageQueues(where, parallel, prefix.lower())
    parallel.each(storage_queues.create, [name for queue in queues for name in (queue, f"{queue}-poison")])
