"""The settings of the organisation (table organization of the model): typed, few, each with its effect. No hidden switches."""

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from shared.domain.choices import AlertLevel, CorrelationMethod, IncomingFilteringMethod
from shared.domain.ids import ProfileId


class InternalMail(StrEnum):
    """What becomes of mail between own users (ignoreinternalemail)."""

    SKIP = "skip"
    """It is left in the mailboxes, except where a queue among its recipients accepts it (donotignoreinternalemailtoqueues)."""
    ONE_ACTIVITY = "one_activity"
    """Stored once, as outgoing or incoming, whichever copy is read first."""
    TWO_ACTIVITIES = "two_activities"
    """One outgoing for the sender and one incoming for the recipients: the model's own behaviour."""


class DoNotEmail(StrEnum):
    """What becomes of an email that has recipients who are not to be written to (donotemail)."""

    REFUSE = "refuse"
    """It cannot be sent, and is told so when that is asked for."""
    LEAVE_OUT = "leave_out"
    """It is sent to the others only."""


@dataclass(frozen=True, slots=True)
class OrganisationSettings:
    """One record for the whole deployment. Sizes are bytes."""

    default_profile_id: ProfileId | None = None
    """defaultemailserverprofileid: the profile that a new mailbox with server-side synchronization gets."""
    require_approval_for_users: bool = True
    """requireapprovalforuseremail: mailboxes of users are processed only after their address was approved."""
    require_approval_for_queues: bool = True
    """requireapprovalforqueueemail: mailboxes of queues are processed only after their address was approved."""
    filter_ceiling: IncomingFilteringMethod | None = None
    """sssforcefilteringmethodforusermailboxes: no user or queue accepts more than this; None sets no limit. ALL is the widest,
    NONE the narrowest. What is wider is refused when it is written, and counts as the ceiling when mail is judged."""
    exclude: tuple[str, ...] = ()
    """Addresses (a@b.example) and domains (b.example, and those under it) that are never tracked: mail from them, and sent
    items of which all recipients are among them. Rules, categories and tracking by hand do not change that."""
    internal_mail: InternalMail = InternalMail.SKIP
    """ignoreinternalemail; what becomes of mail between own users."""
    track_sent_items: bool = False
    """autotracksentfolderitems: what users write in their mail client becomes outgoing activities, by the same filters.
    Exchange only."""
    track_automatic_replies: bool = False
    """Out-of-office and other automatic answers (RFC 3834) are judged like other mail; False skips them."""
    correlation_methods: tuple[CorrelationMethod, ...] = (
        CorrelationMethod.IN_REPLY_TO,
        CorrelationMethod.TRACKING_TOKEN,
        CorrelationMethod.CONVERSATION_INDEX,
    )
    """Methods that find the conversation an email continues (emailcorrelationenabled, enablesmartmatching). Each can be
    switched off; smart matching is off unless it is named."""
    correlate_forwards: bool = False
    """donotcorrelateforwardedemailsasreplies, the other way round: True takes a forwarded email for an answer."""
    tracking_prefix: str = "SYNC:"
    """trackingprefix; starts the token in the subject of what is sent."""
    former_tracking_prefixes: tuple[str, ...] = ()
    """Prefixes used before, the latest last: their tokens are still understood. A changed prefix joins them by itself. Prefixes
    can be added, and are not taken away: of more than 20 the oldest give way."""
    tracking_digits: int = 7
    """trackingtokeniddigits; digits of the token's number."""
    token_in_subject: bool = False
    """A tracking token is added to the subject of what is sent, so that answers are known whose mail program drops the headers;
    only while correlation by tracking token is on. An answer keeps the token that its subject has."""
    longest_subject: int = 255
    """maximumsubjectlengthonmailserver: characters of a subject with its token; a longer one is cut before the token."""
    allow_unresolved_recipients: bool = True
    """allowunresolvedpartiesonemailsend: False sends only to addresses that a user, queue or record of the address book has."""
    do_not_email: DoNotEmail = DoNotEmail.REFUSE
    """What becomes of emails to records that are not to be written to."""
    delegate_sending: bool = False
    """enablemailboxdelegationforoutgoingemail: what a user writes for another sender goes through the user's own mailbox, which
    needs the right to send as, or on behalf of, the sender; False sends through the mailbox of the sender."""
    create_contacts: bool = False
    """autocreatecontactonpromote: an unknown sender of tracked mail becomes a contact."""
    unresolve_ambiguous_senders: bool = False
    """unresolvesenderincaseofmultiplematch: True leaves a sender whom several active records match unresolved; False takes the
    first by the model's order. The email is marked either way."""
    unresolve_ambiguous_recipients: bool = False
    """unresolveemailaddressifmultiplematch: True leaves a recipient whom several records match unresolved; False makes every
    match a party."""
    track_by_category: bool = True
    """trackcategorizeditems: a person tracks a message by giving it the category in the mail client, and untracks it by taking
    that away. Exchange only."""
    stamp_categories: bool = False
    """Tracked mail is given the tracking category, and mail that could not be stored the undeliverable one. Exchange only."""
    tracked_category: str = "Tracked"
    """Name of the tracking category in the mailboxes."""
    undeliverable_category: str = "Undeliverable"
    """Name of the category of mail that could not be stored."""
    largest_message: int = 150 * 1024 * 1024
    """A larger message is not stored. The default is the most that Exchange Online takes."""
    largest_attachment: int = 150 * 1024 * 1024
    """maxuploadfilesize: a larger attachment is left out of the activity, which says so."""
    blocked_attachments: tuple[str, ...] = ()
    """blockedattachments: extensions without a dot that are left out of the activity, which says so."""
    alert_level: AlertLevel = AlertLevel.WARNING
    """generatealertsforerrors, generatealertsforwarnings, generatealertsforinformation; alerts below it are not raised,
    except for what a test found."""
    keep_runs: timedelta = timedelta(days=30)
    """How long runs that did something and finished bulk loads are listed; housekeeping removes them."""
    keep_ledger_details: timedelta = timedelta(days=30)
    """How long the ledger says in words what was wrong with an item; after that only verdict, reason and code of the error. An
    item that is tried again or in quarantine keeps its words."""
    keep_alerts: timedelta = timedelta(days=30)
    """tracelogpersistencetimeindays; how long an alert is kept after it was raised last."""
    keep_audit: timedelta = timedelta(days=365)
    """How long it can be looked up who changed what; removed by whole days (UTC)."""
    allow_insecure_servers: bool = False
    """Mail servers without TLS and on private or loopback addresses. For one machine only; metadata addresses stay refused."""


def is_blocked(name: str, settings: OrganisationSettings) -> bool:
    """Whether an attachment of this name has a blocked extension. Dots and spaces at the end of a name do not hide it: Windows
    drops them."""
    _, dot, extension = name.rstrip(". ").rpartition(".")
    return bool(dot) and extension.lower() in settings.blocked_attachments


@dataclass(frozen=True, slots=True)
class StoredSettings:
    record: OrganisationSettings
    etag: str | None
    """None: nothing was ever written, all defaults."""
