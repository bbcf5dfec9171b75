"""The stores on Azure Storage, put together. The SDKs are imported when they are first needed, not here."""

from collections.abc import Callable, Iterable

from shared.messages import Queue
from shared.ports import Secrets, Stores
from shared.stores.account import Account, StorageConnection, account_of
from shared.stores.blobs import StorageBlobs
from shared.stores.key_vault import KeyVaultSecrets
from shared.stores.parallel import Parallel
from shared.stores.queues import StorageQueues
from shared.stores.secrets import LocalSecrets
from shared.stores.tables.activities import TableActivities
from shared.stores.tables.address_book import TableAddressBook
from shared.stores.tables.addresses import TableAddresses
from shared.stores.tables.audit import TableAudit
from shared.stores.tables.consents import TableConsents
from shared.stores.tables.correlations import TableCorrelations
from shared.stores.tables.fast import FastGateway
from shared.stores.tables.gateway import Gateway
from shared.stores.tables.hints import Hints
from shared.stores.tables.ledger import TableLedger
from shared.stores.tables.loads import TableBulkLoads
from shared.stores.tables.mailboxes import TableMailboxes
from shared.stores.tables.operations import TableAlerts, TableRuns
from shared.stores.tables.organisation import TableOrganisation
from shared.stores.tables.outbox import TableOutbox
from shared.stores.tables.owners import TableOwners
from shared.stores.tables.profiles import TableProfiles
from shared.stores.tables.quarantine import TableQuarantine
from shared.stores.tables.rules import TableTrackingRules
from shared.stores.tables.sdk import SdkGateway
from shared.stores.tables.shares import TableShares
from shared.stores.tables.table import Table
from shared.stores.tables.timeline import TableTimeline
from shared.stores.tables.trees import TableFolderTrees
from shared.stores.text_blobs import TextBlobs

__all__ = ["StorageConnection", "azure_stores", "create_missing", "fast_gateway"]

_TABLES = (
    "Settings",
    "Profiles",
    "Owners",
    "Addresses",
    "Mailboxes",
    "Records",
    "Loads",
    "TrackingRules",
    "FolderTrees",
    "Consents",
    "Shares",
    "Activities",
    "Outbox",
    "Timeline",
    "Correlations",
    "Ledger",
    "Quarantine",
    "Alerts",
    "AlertIds",
    "Audit",
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
    key_vault_url: str | None = None,
    prefix: str = "",
    gateway: Callable[[Account], Gateway] = fast_gateway,
) -> Stores:
    """`prefix` (letters and digits) keeps several organisations apart in one account. Secrets are kept in the Key Vault at
    `key_vault_url`, without one in a table, encrypted with `secrets_key`. Raises InvalidConnection, WrongSecretsKey; connects
    to nothing."""
    where = account_of(account)
    tables = gateway(where)
    parallel = Parallel()
    blobs = StorageBlobs(where, prefix.lower())
    texts = TextBlobs(blobs)

    def table(name: str) -> Table:
        return Table(tables, prefix + name)

    hints = Hints(table("Addresses"), parallel)
    owners = TableOwners(table("Owners"), hints)
    book = TableAddressBook(table("Records"), hints, parallel)
    mailboxes = TableMailboxes(table("Mailboxes"))
    return Stores(
        settings=TableOrganisation(table("Settings")),
        profiles=TableProfiles(table("Profiles")),
        owners=owners,
        addresses=TableAddresses(owners, book, hints, parallel),
        mailboxes=mailboxes,
        address_book=book,
        bulk_loads=TableBulkLoads(table("Loads"), parallel),
        tracking_rules=TableTrackingRules(table("TrackingRules"), mailboxes),
        folder_trees=TableFolderTrees(table("FolderTrees"), texts),
        consents=TableConsents(table("Consents"), parallel),
        shares=TableShares(table("Shares")),
        activities=TableActivities(table("Activities"), texts, parallel),
        outbox=TableOutbox(table("Outbox"), parallel),
        timeline=TableTimeline(table("Timeline"), parallel),
        correlations=TableCorrelations(table("Correlations"), parallel),
        ledger=TableLedger(table("Ledger"), texts, parallel),
        quarantine=TableQuarantine(table("Quarantine"), parallel),
        alerts=TableAlerts(table("Alerts"), table("AlertIds"), parallel),
        audit=TableAudit(table("Audit"), parallel),
        runs=TableRuns(table("Runs"), parallel),
        blobs=blobs,
        queues=StorageQueues(where, parallel, prefix.lower()),
        secrets=_secrets(key_vault_url, where, lambda: LocalSecrets(table("Secrets"), secrets_key)),
    )


def _secrets(key_vault_url: str | None, account: Account, local: Callable[[], Secrets]) -> Secrets:
    return KeyVaultSecrets(key_vault_url, account.client_id) if key_vault_url else local()


def create_missing(account: StorageConnection, *, prefix: str = "", queues: Iterable[str] = tuple(Queue)) -> None:
    """Creates the tables, the container and the queues with their poison queues, where they are missing."""
    where = account_of(account)
    parallel = Parallel()
    parallel.each(SdkGateway(where).create_table, [prefix + name for name in _TABLES])
    StorageBlobs(where, prefix.lower()).create_container()
    storage_queues = StorageQueues(where, parallel, prefix.lower())
    parallel.each(storage_queues.create, [name for queue in queues for name in (queue, f"{queue}-poison")])
