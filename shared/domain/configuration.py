"""The configuration records: email server profiles, owners (users and queues), mailboxes, and their schedules.

Field names are readable ones; each docstring names the model's logical name where it differs. Times are aware UTC.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from shared.domain.choices import (
    ActDeliveryMethod,
    Approval,
    AuthenticationProtocol,
    CredentialSource,
    EmailDeliveryMethod,
    OwnerKind,
    ServerType,
    Workload,
    WorkloadStatus,
)
from shared.domain.ids import MailboxId, OwnerId, ProfileId


@dataclass(frozen=True, slots=True)
class SecretRef:
    """Where a secret is kept, and which version of it is meant. Never the secret itself."""

    name: str
    version: str


@dataclass(frozen=True, slots=True)
class Credentials:
    """Who signs in: `username` is an account, `client_id` an application; `secret` is the password or client secret."""

    username: str | None = None
    secret: SecretRef | None = None
    tenant_id: str | None = None
    client_id: str | None = None
    authority: str | None = None
    """Host that issues tokens; None is login.microsoftonline.com. Sovereign clouds and the local server differ."""


@dataclass(frozen=True, slots=True)
class EmailServerProfile:
    """How mailboxes on one server are reached (emailserverprofile)."""

    id: ProfileId
    name: str
    server_type: ServerType
    incoming_location: str
    """incomingserverlocation; for Exchange the URL of EWS (https://mail.example.com/EWS/Exchange.asmx)."""
    authentication: AuthenticationProtocol
    credential_source: CredentialSource
    credentials: Credentials = Credentials()
    use_impersonation: bool = True
    """incominguseimpersonation: True acts as the mailbox (ApplicationImpersonation), False opens it as a delegate."""
    process_emails_received_after: datetime | None = None
    min_polling_interval: timedelta = timedelta(minutes=1)
    """minpollingintervalinminutes, 0 to 1440 minutes."""
    max_connections: int = 10
    """maxconcurrentconnections, 1 to 300, per authenticated identity and worker process."""
    timeout: timedelta = timedelta(seconds=100)
    """timeoutmailboxconnectionafteramount, at most 100 seconds for one call."""
    active: bool = True


@dataclass(frozen=True, slots=True)
class Owner:
    """A user or a queue: what a mailbox belongs to, and what an address resolves to."""

    id: OwnerId
    kind: OwnerKind
    name: str
    address: str
    active: bool = True


@dataclass(frozen=True, slots=True)
class OwnerRef:
    kind: OwnerKind
    id: OwnerId


@dataclass(frozen=True, slots=True)
class Mailbox:
    """The configuration of one mailbox. What a run changes stands in its `Schedule`, so that a poll never changes this ETag."""

    id: MailboxId
    name: str
    address: str
    owner: OwnerRef | None
    profile_id: ProfileId | None = None
    incoming_method: EmailDeliveryMethod = EmailDeliveryMethod.SERVER_SIDE
    outgoing_method: EmailDeliveryMethod = EmailDeliveryMethod.NONE
    act_method: ActDeliveryMethod = ActDeliveryMethod.NONE
    approval: Approval = Approval.PENDING
    process_email_received_after: datetime | None = None
    credentials: Credentials = Credentials()
    """Used where the profile's credential source is the mailbox."""
    enabled_on: datetime | None = None
    """When it could first be processed; without a start date, mail received from here on is read."""
    active: bool = True


@dataclass(frozen=True, slots=True)
class Breaker:
    """Stops calls that are bound to fail. Open until `probe_after`; then one run probes, and success closes it."""

    code: str
    """Code of the error that opened it."""
    opened_on: datetime
    probe_after: datetime
    openings: int = 1
    """Openings in a row: the interval grows with them."""
    credential: str | None = None
    """Of a profile's breaker: the credential version that failed; another version closes it at once."""


@dataclass(frozen=True, slots=True)
class WorkloadSchedule:
    """When one workload of one mailbox runs next, and how it fared."""

    due: datetime | None = None
    """None: never (the mailbox is not eligible). While a queue message is under way this is `queued_until`."""
    queued_until: datetime | None = None
    """A queue message is under way; if nothing came of it by then, another is sent."""
    failures: int = 0
    """Transient failures in a row."""
    idle_polls: int = 0
    """Polls in a row that found nothing."""
    breaker: Breaker | None = None
    status: WorkloadStatus = WorkloadStatus.NOT_RUN
    last_run_on: datetime | None = None
    last_error: str | None = None
    """Code of the last error; None after a success."""


type Schedule = Mapping[Workload, WorkloadSchedule]


@dataclass(frozen=True, slots=True)
class StoredProfile:
    record: EmailServerProfile
    etag: str
    breaker: Breaker | None = None


@dataclass(frozen=True, slots=True)
class StoredOwner:
    record: Owner
    etag: str


@dataclass(frozen=True, slots=True)
class StoredMailbox:
    record: Mailbox
    etag: str
    schedule: Schedule = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class DueMailbox:
    """What the enumerator reads of a schedule row: enough to decide and to mark it, no more."""

    id: MailboxId
    profile_id: ProfileId | None
    workload: Workload
    due: datetime
    etag: str


@dataclass(frozen=True, slots=True)
class AddressMatch:
    """A record that has an address now (confirmed against the record itself)."""

    kind: OwnerKind
    id: OwnerId
    name: str
    active: bool = True
