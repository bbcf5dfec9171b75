"""The configuration records: email server profiles, owners (users and queues), mailboxes, and their schedules.

Field names are readable ones; each docstring names the model's logical name where it differs. Times are aware UTC.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from shared.domain.choices import (
    ActDeliveryMethod,
    Approval,
    AuthenticationProtocol,
    CredentialSource,
    EmailDeliveryMethod,
    IncomingFilteringMethod,
    OAuthProvider,
    OwnerKind,
    QueueView,
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
    """incomingusername, outgoingusername, username; the account that signs in."""
    secret: SecretRef | None = None
    """incomingpassword, outgoingpassword, oauthclientsecret, password; written only, never shown."""
    tenant_id: str | None = None
    """exchangeonlinetenantid; the tenant's id or one of its domain names."""
    client_id: str | None = None
    """oauthclientid; the application that signs in."""
    authority: str | None = None
    """Host that issues tokens, without https://; None is the provider's own (login.microsoftonline.com, Google's). Sovereign
    clouds and the local server differ."""
    certificate: SecretRef | None = None
    """Of an application, instead of `secret`: private key and certificate in PEM."""


@dataclass(frozen=True, slots=True)
class EmailServerProfile:
    """How mailboxes on one server are reached (emailserverprofile)."""

    id: ProfileId
    """emailserverprofileid; chosen by whoever creates it: 1 to 64 letters, digits, dots, hyphens and underscores."""
    name: str
    """name; shown to people."""
    server_type: ServerType
    """servertype; decides which connector opens the mailboxes."""
    incoming_location: str | None
    """incomingserverlocation; for Exchange the URL of EWS (https://mail.example.com/EWS/Exchange.asmx), None with autodiscover;
    for POP3 and IMAP a host name."""
    authentication: AuthenticationProtocol
    """incomingauthenticationprotocol; which ones go with which credential source is checked."""
    credential_source: CredentialSource
    """incomingcredentialretrieval; whose credentials open the connection."""
    credentials: Credentials = Credentials()
    """Those of the profile, where the source is the profile or an application; where owners of mailboxes consent, those of the
    application that they consent to. Of a service account of Google the secret is its key, the whole JSON file."""
    use_impersonation: bool = True
    """incominguseimpersonation: True acts as the mailbox (ApplicationImpersonation), False opens it as a delegate."""
    incoming_port: int | None = None
    """incomingportnumber; None is the protocol's own."""
    incoming_use_tls: bool = True
    """incomingusessl; False only where servers without TLS are allowed."""
    incoming_starttls: bool = False
    """POP3 and IMAP with TLS: the connection begins in the clear and turns to TLS before anybody signs in (STLS, STARTTLS);
    False begins with TLS."""
    oauth_provider: OAuthProvider | None = None
    """POP3 and IMAP with authentication oauth: who issues the tokens. With the credential source application the application or
    service account opens the mailboxes by itself; with mailbox the owner of each consents once."""
    use_autodiscover: bool = False
    """useautodiscover, Exchange only: location, version and authentication are found out per mailbox and kept
    for a day. A password goes to the domain of its user name (user@domain) only, a token to its tenant's, if so named."""
    use_same_settings_for_outgoing: bool = True
    """usesamesettingsforoutgoingconnections; False takes the following `outgoing_` fields. With POP3 and IMAP the
    same settings mean SMTP at the same host, by SMTP's own port; where that is another host, as at Microsoft
    (smtp.office365.com, with `outgoing_starttls`) and Google (smtp.gmail.com), it is given here."""
    outgoing_location: str | None = None
    """outgoingserverlocation; as `incoming_location`, with POP3 and IMAP the host name of the SMTP server."""
    outgoing_port: int | None = None
    """outgoingportnumber; None is the protocol's own: of SMTP 465 with TLS from the start, else 587."""
    outgoing_use_tls: bool = True
    """outgoingusessl; as `incoming_use_tls`."""
    outgoing_authentication: AuthenticationProtocol | None = None
    """outgoingauthenticationprotocol; None is that of incoming mail."""
    outgoing_credential_source: CredentialSource | None = None
    """outgoingcredentialretrieval; None is that of incoming mail. With POP3 and IMAP it may be anonymous: an SMTP server that
    knows by the network address who may send."""
    outgoing_credentials: Credentials = Credentials()
    """As `credentials`, where outgoing mail has settings of its own."""
    outgoing_use_impersonation: bool = True
    """outgoinguseimpersonation; as `use_impersonation`."""
    outgoing_starttls: bool = False
    """SMTP with TLS: as `incoming_starttls`, for the server of outgoing mail."""
    emails_per_minute: int | None = None
    """Emails that each of its mailboxes sends in a minute at most; None leaves it to the server (Exchange Online takes 30)."""
    delivery_attempts: int = 12
    """maximumemaildeliveryattempts: attempts after which an email that the server puts off has failed. Waits double from one
    minute to four hours, so that 12 attempts take about 16 hours."""
    save_sent_items: bool = True
    """ssssaveoutgoingemailtoexchangesentfolder: a copy of what is sent goes to Sent Items of the mailbox. Exchange only."""
    process_emails_received_after: datetime | None = None
    """processemailsreceivedafter; mail received before is not read. The later of this and the mailbox's own holds."""
    min_polling_interval: timedelta = timedelta(minutes=1)
    """minpollingintervalinminutes; its mailboxes are asked for changes no more often."""
    max_connections: int = 10
    """maxconcurrentconnections; connections at once per authenticated identity, over all workers that share it."""
    timeout: timedelta = timedelta(seconds=100)
    """timeoutmailboxconnectionafteramount; how long one call may take."""
    move_undeliverable: bool = False
    """moveundeliveredemails: mail that cannot be processed is moved to the folder Undeliverable beside the Inbox. Exchange
    only."""
    send_email_alert: bool = False
    """sendemailalert: the profile's owner is told when most of its mailboxes fail. Kept for a later version; this one sends
    no alerts by email."""
    owner_address: str | None = None
    """owneremailaddress; where alerts by email go, once a version sends them."""
    active: bool = True
    """statecode; no mailbox of an inactive profile is run."""


@dataclass(frozen=True, slots=True)
class Owner:
    """A user or a queue: what a mailbox belongs to, and what an address resolves to."""

    id: OwnerId
    """systemuserid, queueid; chosen by whoever creates it: 1 to 64 letters, digits, dots, hyphens and underscores."""
    kind: OwnerKind
    """Given by the path."""
    name: str
    """fullname, name; shown to people."""
    address: str
    """internalemailaddress, emailaddress; its mailbox follows, and the other way round. No two owners have the same."""
    filtering_method: IncomingFilteringMethod = IncomingFilteringMethod.RESPONSES
    """incomingemailfilteringmethod. The organisation's ceiling limits what it may be."""
    queue_view: QueueView | None = None
    """queueviewtype; None of a user. Kept for whoever shows queues; nothing in Sidesync depends on it."""
    send_as_allowed: bool = False
    """issendasallowed: other users may write emails as this user. As a queue every user may."""
    active: bool = True
    """statecode; the mailbox of an inactive owner is deactivated, and its address no longer resolves as active."""


@dataclass(frozen=True, slots=True)
class OwnerRef:
    kind: OwnerKind
    id: OwnerId


@dataclass(frozen=True, slots=True)
class Mailbox:
    """The configuration of one mailbox. What a run changes stands in its `Schedule`, so that a poll never changes this ETag."""

    id: MailboxId
    """mailboxid; derived from the owner, chosen by the client for a forward mailbox."""
    name: str
    """name; that of the owner."""
    address: str
    """emailaddress; the owner follows, and the other way round. Another address returns approval to pending."""
    owner: OwnerRef | None
    """regardingobjectid; None of a forward mailbox."""
    profile_id: ProfileId | None = None
    """emailserverprofile; without one the mailbox is never run."""
    incoming_method: EmailDeliveryMethod = EmailDeliveryMethod.SERVER_SIDE
    """incomingemaildeliverymethod; server_side is read by Sidesync, forward_mailbox comes through any forward mailbox to which
    the owner's server forwards it as attachment."""
    outgoing_method: EmailDeliveryMethod = EmailDeliveryMethod.NONE
    """outgoingemaildeliverymethod; only server_side is sent by Sidesync."""
    act_method: ActDeliveryMethod = ActDeliveryMethod.NONE
    """actdeliverymethod; appointments, contacts and tasks. Takes effect with their connectors."""
    approval: Approval = Approval.PENDING
    """emailrouteraccessapproval; decided by approve and reject."""
    process_email_received_after: datetime | None = None
    """processemailreceivedafter; mail received before is not read. The later of this and the profile's holds."""
    credentials: Credentials = Credentials()
    """Used where the profile's credential source is the mailbox."""
    process_and_delete: bool = False
    """processanddeleteemails: received mail is deleted on the server once all of it is stored; mail of which attachments were
    left out stays there. Queues and forward mailboxes only."""
    enabled_on: datetime | None = None
    """When it could first be read; without a start date, mail received from here on is read."""
    active: bool = True
    """statecode; an inactive mailbox is never run."""


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
    """The version of the profile's connection (`eligibility.credential_version`) that failed. What failed says nothing about
    another version: it closes the breakers of a profile at once."""
    probe: str | None = None
    """Of a profile's breaker: the queue message that was sent to probe; once it tries, no message may any more."""


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


@dataclass(frozen=True, slots=True)
class Discovered:
    """What autodiscover found for a mailbox (ewsurl, lastautodiscoveredon)."""

    endpoint: str
    version: str
    """Build of the server as it names it, such as 15.2.2562.17."""
    authentication: AuthenticationProtocol
    discovered_on: datetime


type Schedule = Mapping[Workload, WorkloadSchedule]


@dataclass(frozen=True, slots=True)
class StoredProfile:
    record: EmailServerProfile
    etag: str
    breakers: Mapping[Workload, Breaker] = field(default_factory=dict)
    """Of its credentials, by the workload whose sign-in was refused (`whose_sign_in`)."""


@dataclass(frozen=True, slots=True)
class StoredOwner:
    record: Owner
    etag: str


@dataclass(frozen=True, slots=True)
class StoredMailbox:
    record: Mailbox
    etag: str
    schedule: Schedule = field(default_factory=dict)
    discovered: Discovered | None = None
    has_rules: bool = False
    """It has or had folder-level tracking rules: a run has to look for them."""


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

    kind: str
    """`user` or `queue` of an owner, else the type of a record of the address book."""
    id: str
    name: str
    active: bool = True
    filtering_method: IncomingFilteringMethod | None = None
    """Of a user or queue: which incoming mail it accepts."""
    owner_id: str | None = None
    """Of a record: the user who owns it."""
    do_not_email: bool = False
    """Of a record: it is not to be written to."""

    @property
    def is_own(self) -> bool:
        """Belongs to a user or queue of the organisation."""
        return self.kind in (OwnerKind.USER, OwnerKind.QUEUE)


_ONE_PROTOCOL = (ServerType.EXCHANGE_SERVER, ServerType.EXCHANGE_ONLINE)
"""Servers that speak one protocol (EWS) for everything."""

type Matches = Mapping[str, Sequence[AddressMatch]]
"""Which records have a (normalised) address now."""


def for_outgoing(profile: EmailServerProfile) -> EmailServerProfile:
    """The profile with the settings of outgoing mail in the fields of incoming mail, where connectors look for them.

    A POP3 or IMAP profile with the same settings for both sends by SMTP through the host that it reads from, by SMTP's own
    port: `incoming_port` is that of another protocol."""
    if profile.use_same_settings_for_outgoing:
        return profile if profile.server_type in _ONE_PROTOCOL else replace(profile, incoming_port=None)
    own, authentication = profile.outgoing_credential_source, profile.outgoing_authentication
    return replace(
        profile,
        incoming_location=profile.outgoing_location,
        incoming_port=profile.outgoing_port,
        incoming_use_tls=profile.outgoing_use_tls,
        incoming_starttls=profile.outgoing_starttls,
        use_autodiscover=profile.use_autodiscover and profile.outgoing_location is None,
        authentication=profile.authentication if authentication is None else authentication,
        credential_source=profile.credential_source if own is None else own,
        credentials=profile.credentials if own is None else profile.outgoing_credentials,
        use_impersonation=profile.outgoing_use_impersonation,
    )


def sends_as_it_reads(profile: EmailServerProfile) -> bool:
    """Outgoing mail goes to the server that incoming mail is read from, with the same sign-in: what one finds out about the
    credentials holds for the other. Of another protocol it does not, whoever's the password is: servers that let somebody read
    often let nobody send who signs in with a password."""
    return profile.server_type in _ONE_PROTOCOL and for_outgoing(profile) == profile


def whose_sign_in(profile: EmailServerProfile, workload: Workload) -> Workload:
    """The workload under which it is kept what is known about the sign-in of this one: outgoing mail with a sign-in of its own,
    else incoming mail."""
    return workload if workload is Workload.OUTGOING and not sends_as_it_reads(profile) else Workload.INCOMING
