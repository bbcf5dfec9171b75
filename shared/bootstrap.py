"""The composition root: the only place that knows everybody. Built once per worker process, on first use.

Nothing here connects: stores and mail servers are reached by the first call that needs them.
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from threading import Lock

from shared.administration import Administration, Rules
from shared.connectors.connect import Connect
from shared.connectors.internet.consenting import ConsentIssuers
from shared.connectors.probe import probes
from shared.organisation import LevelledAlerts, RecentSettings
from shared.ports import Clock, ConsentIssuer, Discover, OpenMailbox, OpenOutgoing, OrganisationStore, Stores
from shared.settings import Settings, read_settings
from shared.stores.account import StorageConnection
from shared.stores.azure import azure_stores
from shared.sync.budgets import RunBudget
from shared.sync.correlation import entries_of
from shared.sync.enumeration import Enumeration
from shared.sync.folders import Folders
from shared.sync.incoming import IncomingSync
from shared.sync.item_changes import ItemChanges
from shared.sync.outgoing import OutgoingSync
from shared.sync.poison import Poison
from shared.sync.preview import Preview
from shared.sync.relinking import Relinking

VERSION = "0.1.0"
"""Of Sidesync: quarantined items name the version that gave up on them."""

_STORING_THREADS = 16
"""Calls of the stores that run beside the fetching and sending, over all runs of a worker."""


@dataclass(frozen=True, slots=True)
class Sidesync:
    """Everything that a function may call."""

    settings: Settings
    stores: Stores
    enumeration: Enumeration
    incoming: IncomingSync
    outgoing: OutgoingSync
    items: ItemChanges
    relinking: Relinking
    preview: Preview
    folders: Folders
    poison: Poison
    administration: Administration


def compose(
    settings: Settings,
    stores: Stores,
    open_mailbox: OpenMailbox,
    open_outgoing: OpenOutgoing,
    clock: Clock,
    discover: Discover | None = None,
    consent_issuer: ConsentIssuer | None = None,
) -> Sidesync:
    """Puts the parts together; which stores, which mail servers and which clock is the caller's choice."""
    recent = RecentSettings(stores.settings, clock)
    findings, stores = stores.alerts, replace(stores, alerts=LevelledAlerts(stores.alerts, recent))
    budget = RunBudget(time=settings.run_budget, pages=settings.page_budget)
    executor = ThreadPoolExecutor(_STORING_THREADS, thread_name_prefix="storing")
    return Sidesync(
        settings=settings,
        stores=stores,
        enumeration=Enumeration(stores, clock),
        incoming=IncomingSync(
            stores,
            open_mailbox,
            clock,
            budget=budget,
            executor=executor,
            version=VERSION,
            discover=discover,
        ),
        outgoing=OutgoingSync(stores, open_outgoing, clock, budget=budget, executor=executor, discover=discover),
        items=ItemChanges(stores, clock, budget),
        relinking=Relinking(stores, clock, budget),
        preview=Preview(stores, open_mailbox, clock, executor, discover),
        folders=Folders(stores, open_mailbox, clock, discover),
        poison=Poison(stores, clock),
        administration=Administration(
            stores,
            clock,
            Rules(allow_local_servers=settings.allow_local_servers),
            probes(open_mailbox, open_outgoing),
            discover,
            findings,
            VERSION,
            entries_of,
            consent_issuer,
        ),
    )


def build(settings: Settings) -> Sidesync:
    """Sidesync over Azure Storage and real mail servers."""
    storage = settings.storage
    connection = StorageConnection(storage.connection_string, storage.account_name, storage.client_id)
    stores = azure_stores(connection, secrets_key=settings.secrets_key, key_vault_url=settings.key_vault_url)
    local_servers = LocalServers(stores.settings, utc_now, always=settings.allow_local_servers)
    connect = Connect(stores.secrets, allow_local_servers=local_servers, shares=stores.shares, consents=stores.consents)
    issuers = ConsentIssuers(stores.secrets, allow_local_servers=local_servers)
    return compose(settings, stores, connect, connect.outgoing, utc_now, connect.discover, issuers)


_SETTINGS_LIFE = timedelta(minutes=1)
"""How long the organisation's settings count as fresh where every connection depends on them."""


class LocalServers:
    """Whether mail servers on this machine and without TLS are allowed: by the deployment, or now by the organisation."""

    def __init__(self, settings: OrganisationStore, clock: Clock, *, always: bool) -> None:
        self._settings = settings
        self._clock = clock
        self._always = always
        self._read: tuple[datetime, bool] | None = None

    def __call__(self) -> bool:
        """Raises TransientError."""
        if self._always:
            return True
        now = self._clock()
        if self._read is None or now - self._read[0] >= _SETTINGS_LIFE:
            self._read = (now, self._settings.get().record.allow_insecure_servers)
        return self._read[1]


def utc_now() -> datetime:
    return datetime.now(UTC)


_lock = Lock()
_instance: Sidesync | None = None


def sidesync() -> Sidesync:
    """The one of this process. Raises MissingSetting."""
    global _instance
    with _lock:
        if _instance is None:
            _instance = build(read_settings())
        return _instance


def use(instance: Sidesync | None) -> None:
    """Puts another one in its place, or none, so that the next call builds it afresh."""
    global _instance
    with _lock:
        _instance = instance
