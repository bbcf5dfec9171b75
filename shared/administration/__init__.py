"""What configuring and looking does: one facade over the use cases, built once per worker by the composition root.

Knows the ports and nothing of HTTP, storage or mail servers.
"""

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

from shared.administration.activities import Activities
from shared.administration.address_book import AddressBookAdministration
from shared.administration.auditing import Auditing, AuditLog
from shared.administration.consenting import Consenting
from shared.administration.emails import Emails, FoundBy, found_by_nothing
from shared.administration.explanation import Explanations
from shared.administration.forward_mailboxes import ForwardMailboxes
from shared.administration.housekeeping import Housekeeping
from shared.administration.items import ItemRequests
from shared.administration.loading import Loads
from shared.administration.mailbox_records import MailboxRecords
from shared.administration.mailboxes import MailboxAdministration
from shared.administration.operations import Operations
from shared.administration.outgoing import Outgoing
from shared.administration.owners import OwnerAdministration
from shared.administration.profiles import ProfileAdministration
from shared.administration.rules import Rules
from shared.administration.settings import SettingsAdministration
from shared.administration.testing import Testing
from shared.administration.tracking_rules import TrackingRuleAdministration
from shared.domain.choices import OwnerKind, Workload
from shared.ports import Alerts, Clock, ConsentIssuer, Discover, Probe, Stores

__all__ = ["Administration", "Rules"]


class Administration:
    """Every use case of the API, by what it is about."""

    def __init__(
        self,
        stores: Stores,
        clock: Clock,
        rules: Rules,
        probes: Mapping[Workload, Probe] = MappingProxyType({}),
        discover: Discover | None = None,
        findings: Alerts | None = None,
        version: str = "",
        found_by: FoundBy = found_by_nothing,
        consent_issuer: ConsentIssuer | None = None,
    ) -> None:
        """`findings` takes what tests found: whoever asked for a test is told, whatever level of alerts is raised. `found_by`
        says what a deleted email leaves in `Correlations`."""
        auditing = Auditing(stores.audit, clock)
        records = MailboxRecords(stores, clock, auditing)
        self.settings = SettingsAdministration(stores, auditing)
        self.profiles = ProfileAdministration(stores, clock, rules, auditing)
        self.users = OwnerAdministration(OwnerKind.USER, stores, records, auditing)
        self.queues = OwnerAdministration(OwnerKind.QUEUE, stores, records, auditing)
        self.mailboxes = MailboxAdministration(stores, clock, records, self.users, self.queues)
        self.consents = Consenting(stores, clock, records, consent_issuer)
        self.forward_mailboxes = ForwardMailboxes(stores, records, self.consents)
        self.tracking_rules = TrackingRuleAdministration(stores, clock, auditing)
        self.testing = Testing(replace(stores, alerts=findings or stores.alerts), clock, probes, discover)
        self.address_book = AddressBookAdministration(stores, clock)
        self.loads = Loads(stores, clock)
        self.activities = Activities(stores)
        self.emails = Emails(stores, clock, auditing, found_by)
        self.outgoing = Outgoing(stores, clock, auditing)
        self.items = ItemRequests(stores, clock, auditing)
        self.operations = Operations(stores, clock, auditing)
        self.housekeeping = Housekeeping(stores, clock, version=version)
        self.audit = AuditLog(stores.audit)
        self.explanations = Explanations(stores, clock)
        self.secret_set_on = stores.secrets.set_on
