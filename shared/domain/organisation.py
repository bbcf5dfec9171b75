"""The settings of the organisation (table organization of the model): typed, few, each with its effect. No hidden switches."""

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from shared.domain.choices import AlertLevel, CorrelationMethod, IncomingFilteringMethod
from shared.domain.ids import ProfileId


class InternalMail(StrEnum):
    """What becomes of mail between own users (ignoreinternalemail)."""

    SKIP = "skip"
    """It is left in the mailboxes."""
    ONE_ACTIVITY = "one_activity"
    """Stored once, as the sender's outgoing email where that is tracked, else as an incoming one."""
    TWO_ACTIVITIES = "two_activities"
    """One outgoing for the sender and one incoming for the recipients: the model's own behaviour."""


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
    NONE the narrowest. What is wider is refused when it is written; judging mail by it takes effect with relevance filters."""
    exclude: tuple[str, ...] = ()
    """Addresses (a@b.example) and domains (b.example, and those under it) that are never tracked; takes effect with relevance
    filters."""
    internal_mail: InternalMail = InternalMail.SKIP
    """ignoreinternalemail; what becomes of mail between own users; takes effect with relevance filters.
    Until then it is skipped, as in the default."""
    correlation_methods: tuple[CorrelationMethod, ...] = (
        CorrelationMethod.IN_REPLY_TO,
        CorrelationMethod.TRACKING_TOKEN,
        CorrelationMethod.CONVERSATION_INDEX,
    )
    """Methods that find the conversation an email continues (emailcorrelationenabled, enablesmartmatching); takes effect with
    relevance filters."""
    tracking_prefix: str = "SYNC:"
    """trackingprefix; starts the token in the subject of what is sent; takes effect with relevance filters."""
    tracking_digits: int = 7
    """trackingtokeniddigits; digits of the token's number; takes effect with relevance filters."""
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


@dataclass(frozen=True, slots=True)
class StoredSettings:
    record: OrganisationSettings
    etag: str | None
    """None: nothing was ever written, all defaults."""
