"""The stores in memory: the reference implementation of every store port, for tests and for reading how a port behaves.

Safe for several threads. Same errors and limits as the stores on Azure; the contract suites run over both.
"""

from typing import Protocol, cast

from shared.ports import Stores
from shared.stores.codec import Plain
from shared.stores.memory.address_book import MemoryAddressBook, MemoryAddresses, MemoryBulkLoads
from shared.stores.memory.configuration import MemoryMailboxes, MemoryOwners, MemoryProfiles
from shared.stores.memory.consents import MemoryConsents
from shared.stores.memory.correlations import MemoryCorrelations
from shared.stores.memory.ledger import MemoryLedger
from shared.stores.memory.mail import MemoryActivities, MemoryTimeline
from shared.stores.memory.operations import MemoryAlerts, MemoryAudit, MemoryQuarantine, MemoryRuns
from shared.stores.memory.organisation import MemoryFolderTrees, MemoryOrganisation, MemoryShares, MemoryTrackingRules
from shared.stores.memory.outbox import MemoryOutbox
from shared.stores.memory.work import MemoryBlobs, MemoryQueues, MemorySecrets

__all__ = ["memory_stores", "snapshot"]


class _HasContent(Protocol):
    def snapshot(self) -> dict[str, Plain]: ...


def memory_stores() -> Stores:
    owners, book, mailboxes = MemoryOwners(), MemoryAddressBook(), MemoryMailboxes()
    return Stores(
        settings=MemoryOrganisation(),
        profiles=MemoryProfiles(),
        owners=owners,
        addresses=MemoryAddresses(owners, book),
        mailboxes=mailboxes,
        address_book=book,
        bulk_loads=MemoryBulkLoads(),
        tracking_rules=MemoryTrackingRules(mailboxes),
        folder_trees=MemoryFolderTrees(),
        consents=MemoryConsents(),
        shares=MemoryShares(),
        activities=MemoryActivities(),
        outbox=MemoryOutbox(),
        timeline=MemoryTimeline(),
        correlations=MemoryCorrelations(),
        ledger=MemoryLedger(),
        quarantine=MemoryQuarantine(),
        alerts=MemoryAlerts(),
        audit=MemoryAudit(),
        runs=MemoryRuns(),
        blobs=MemoryBlobs(),
        queues=MemoryQueues(),
        secrets=MemorySecrets(),
    )


def snapshot(stores: Stores) -> dict[str, Plain]:
    """Everything that memory stores hold, as plain nested dicts, sorted, without ETags. Stores are equal if these are."""
    parts = {
        "settings": stores.settings,
        "profiles": stores.profiles,
        "owners": stores.owners,
        "mailboxes": stores.mailboxes,
        "address_book": stores.address_book,
        "bulk_loads": stores.bulk_loads,
        "tracking_rules": stores.tracking_rules,
        "folder_trees": stores.folder_trees,
        "consents": stores.consents,
        "shares": stores.shares,
        "activities": stores.activities,
        "outbox": stores.outbox,
        "timeline": stores.timeline,
        "correlations": stores.correlations,
        "ledger": stores.ledger,
        "quarantine": stores.quarantine,
        "alerts": stores.alerts,
        "audit": stores.audit,
        "runs": stores.runs,
        "blobs": stores.blobs,
        "queues": stores.queues,
        "secrets": stores.secrets,
    }
    return {name: _sorted(cast(_HasContent, part).snapshot()) for name, part in parts.items()}


def _sorted(plain: dict[str, Plain]) -> dict[str, Plain]:
    return {name: _sorted(value) if isinstance(value, dict) else value for name, value in sorted(plain.items())}
