"""Every port, on the pages of this package. A capability is a type: what an adapter cannot do, it does not offer.

The contract suites in `tests/contracts` are the definition of each port. All calls are synchronous and may raise
`TransientError`; what else they raise is said here. Stores never see a clock: times come in with the records.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from shared.ports.configuration import (
    AddressBook,
    Addresses,
    BulkLoads,
    Consents,
    FolderTrees,
    Mailboxes,
    OrganisationStore,
    Owners,
    Profiles,
    TrackingRules,
)
from shared.ports.emails import (
    LEDGER_COMMIT_ROWS,
    OUTBOX_AT_ONCE,
    TODOS_AT_ONCE,
    Activities,
    Correlations,
    DueEntries,
    Ledger,
    Outbox,
    Timeline,
)
from shared.ports.mail_servers import (
    PAGE_ITEMS,
    ConnectionShares,
    ConsentIssuer,
    Discover,
    Drafting,
    FolderTree,
    Granted,
    IncomingEmail,
    Marking,
    OpenMailbox,
    OpenOutgoing,
    OutgoingEmail,
    Probe,
    Sending,
)
from shared.ports.operations import Alerts, Audit, Blobs, Quarantine, Runs, Secrets, WorkQueues
from shared.ports.slices import Slice

__all__ = [
    "LEDGER_COMMIT_ROWS",
    "OUTBOX_AT_ONCE",
    "PAGE_ITEMS",
    "TODOS_AT_ONCE",
    "Activities",
    "AddressBook",
    "Addresses",
    "Alerts",
    "Audit",
    "Blobs",
    "BulkLoads",
    "Clock",
    "ConnectionShares",
    "ConsentIssuer",
    "Consents",
    "Correlations",
    "Discover",
    "Drafting",
    "DueEntries",
    "FolderTree",
    "FolderTrees",
    "Granted",
    "IncomingEmail",
    "Ledger",
    "Mailboxes",
    "Marking",
    "OpenMailbox",
    "OpenOutgoing",
    "OrganisationStore",
    "Outbox",
    "OutgoingEmail",
    "Owners",
    "Probe",
    "Profiles",
    "Quarantine",
    "Runs",
    "Secrets",
    "Sending",
    "Slice",
    "Stores",
    "Timeline",
    "TrackingRules",
    "WorkQueues",
]

type Clock = Callable[[], datetime]
"""Now, aware UTC."""


@dataclass(frozen=True, slots=True)
class Stores:
    """The stores of one organisation."""

    settings: OrganisationStore
    profiles: Profiles
    owners: Owners
    addresses: Addresses
    mailboxes: Mailboxes
    address_book: AddressBook
    bulk_loads: BulkLoads
    tracking_rules: TrackingRules
    folder_trees: FolderTrees
    consents: Consents
    shares: ConnectionShares
    activities: Activities
    outbox: Outbox
    timeline: Timeline
    correlations: Correlations
    ledger: Ledger
    quarantine: Quarantine
    alerts: Alerts
    audit: Audit
    runs: Runs
    blobs: Blobs
    queues: WorkQueues
    secrets: Secrets
