"""The choices of the model: enumerations whose integers are those of Dataverse's server-side synchronization.

Where Sidesync needs a choice that the model lacks, it is a `StrEnum`: an integer always means "the model's own number".
"""

from enum import IntEnum, StrEnum


class Workload(StrEnum):
    """What is synchronized for a mailbox. The unit of scheduling is (mailbox, workload)."""

    INCOMING = "incoming"
    OUTGOING = "outgoing"
    ACT = "act"


class ServerType(IntEnum):
    """emailserverprofile.servertype."""

    EXCHANGE_SERVER = 0
    POP3_SMTP = 1
    EXCHANGE_ONLINE = 3
    IMAP_SMTP = 4


class AuthenticationProtocol(IntEnum):
    """emailserverprofile.incomingauthenticationprotocol."""

    AUTO_DETECT = 0
    NEGOTIATE = 1
    NTLM = 2
    BASIC = 3
    OAUTH = 4


class CredentialSource(IntEnum):
    """emailserverprofile.incomingcredentialretrieval: whose credentials open the connection."""

    MAILBOX = 0
    PROFILE = 1
    MANAGED_IDENTITY = 2
    """The model's "server to server": the platform vouches for us, nobody stores a secret."""
    ANONYMOUS = 4
    APPLICATION = 7
    """The model's "Azure AD OAuth": an application registration with its own secret."""


class OAuthProvider(StrEnum):
    """Who issues the tokens of POP3 and IMAP mailboxes. Exchange has but one."""

    MICROSOFT = "microsoft"
    """Microsoft 365 and Outlook.com."""
    GOOGLE = "google"
    """Google Workspace and Gmail."""


class ConsentStatus(StrEnum):
    """Whether a mailbox may be read, and sent from, in the name of its owner."""

    NOT_NEEDED = "not_needed"
    """Its profile does not sign in by the consent of mailboxes' owners."""
    MISSING = "missing"
    """Nobody consented yet, or the consent was withdrawn."""
    GRANTED = "granted"
    OUTDATED = "outdated"
    """It was given for another provider, application, protocol or server than the profile has by now; or for being read alone,
    and the mailbox sends: then it is read all the same."""
    ENDED = "ended"
    """The provider does not accept it any more."""


class IncomingFilteringMethod(IntEnum):
    """usersettings.incomingemailfilteringmethod and the queue's: which incoming mail an owner accepts."""

    ALL = 0
    RESPONSES = 1
    """Only what answers an email that is an activity already."""
    LEADS_CONTACTS_ACCOUNTS = 2
    EMAIL_ENABLED_RECORDS = 3
    NONE = 4


class QueueView(IntEnum):
    """queue.queueviewtype."""

    PUBLIC = 0
    PRIVATE = 1


class CorrelationMethod(IntEnum):
    """email.correlationmethod."""

    NONE = 0
    SKIPPED = 1
    IN_REPLY_TO = 3
    TRACKING_TOKEN = 4
    CONVERSATION_INDEX = 5
    SMART_MATCHING = 6


class Role(StrEnum):
    """What a caller of the API may do."""

    READER = "Sync.Reader"
    """Reads everything that is stored, tracked mail too, but not what was not tracked: raw quarantined messages, dry runs."""
    ADMIN = "Sync.Admin"
    """Reads everything, and changes it."""


class EmailDeliveryMethod(IntEnum):
    """mailbox.incomingemaildeliverymethod and outgoingemaildeliverymethod."""

    NONE = 0
    OUTLOOK = 1
    SERVER_SIDE = 2
    FORWARD_MAILBOX = 3


class ActDeliveryMethod(IntEnum):
    """mailbox.actdeliverymethod. The model orders it differently from the email methods."""

    OUTLOOK = 0
    SERVER_SIDE = 1
    NONE = 2


class Approval(IntEnum):
    """mailbox.emailrouteraccessapproval."""

    EMPTY = 0
    APPROVED = 1
    PENDING = 2
    REJECTED = 3


class WorkloadStatus(IntEnum):
    """mailbox.incomingemailstatus and its siblings."""

    NOT_RUN = 0
    SUCCESS = 1
    FAILURE = 2


class ActivityState(IntEnum):
    """email.statecode."""

    OPEN = 0
    COMPLETED = 1
    CANCELED = 2


class EmailStatus(IntEnum):
    """email.statuscode."""

    DRAFT = 1
    COMPLETED = 2
    SENT = 3
    RECEIVED = 4
    CANCELED = 5
    PENDING_SEND = 6
    SENDING = 7
    FAILED = 8


class Notifications(IntEnum):
    """email.notifications: what is missing of an email that was stored."""

    NONE = 0
    ATTACHMENTS_LEFT_OUT = 1
    """Some attachments were too large or of a blocked type."""


class Direction(IntEnum):
    """email.directioncode, a Boolean of the model: true is outgoing."""

    INCOMING = 0
    OUTGOING = 1


class ParticipationType(IntEnum):
    """activityparty.participationtypemask."""

    SENDER = 1
    TO = 2
    CC = 3
    BCC = 4


class Priority(IntEnum):
    """email.prioritycode."""

    LOW = 0
    NORMAL = 1
    HIGH = 2


class AlertLevel(IntEnum):
    """tracelog.level."""

    INFORMATION = 1
    WARNING = 2
    ERROR = 3


class OwnerKind(StrEnum):
    """What a mailbox can belong to (systemuser, queue). One of neither is a forward mailbox."""

    USER = "user"
    QUEUE = "queue"


class SenderOrigin(StrEnum):
    """Whether the server vouches that the sender is one of its own, signed-in users.

    Exchange says so in the header X-MS-Exchange-Organization-AuthAs, which its transport strips from mail of strangers.
    """

    INTERNAL = "internal"
    EXTERNAL = "external"
    UNKNOWN = "unknown"


class RegardingSource(StrEnum):
    """Who said what an email is about."""

    CORRELATION = "correlation"
    RULE = "rule"
    """A folder-level tracking rule; it holds over what people set by hand."""
    HAND = "hand"
    """Without a regarding: somebody says that it is about nothing."""


class Verdict(StrEnum):
    """What became of an item."""

    PROMOTED = "promoted"
    SKIPPED = "skipped"
    FAILING = "failing"
    QUARANTINED = "quarantined"
    GONE = "gone"


class Reason(StrEnum):
    """Why an item has its verdict; an explanation says it in plain words."""

    # promoted
    RELEVANT = "relevant"
    """Somebody accepts all mail."""
    RESPONSE = "response"
    """It answers an email that is an activity."""
    KNOWN_SENDER = "known_sender"
    """The sender (of a sent item: a recipient) is a lead, contact or account."""
    KNOWN_RECORD = "known_record"
    """The sender (of a sent item: a recipient) is an email-enabled record."""
    SENDER_CLAIMS_OWN_ADDRESS = "sender_claims_own_address"
    FOLDER_RULE = "folder_rule"
    CATEGORY = "category"
    BY_HAND = "by_hand"
    DELIVERY_REPORT = "delivery_report"
    """It speaks of an email that is an activity."""
    # skipped
    DRAFT = "draft"
    OWN_COPY = "own_copy"
    INTERNAL_SENDER = "internal_sender"
    MEETING_MESSAGE = "meeting_message"
    BEFORE_START_DATE = "before_start_date"
    TOO_LARGE = "too_large"
    NOT_A_MESSAGE = "not_a_message"
    EXCLUDED = "excluded"
    AUTOMATIC_REPLY = "automatic_reply"
    LOOP = "loop"
    """It carries the mark of having been sent by one of the own mailboxes already (X-Loop)."""
    OPTED_OUT = "opted_out"
    """Its conversation is not tracked any more."""
    NO_CORRELATION_MATCH = "no_correlation_match"
    """Who votes accepts responses only, and it answers nothing that is known."""
    NO_SENDER_MATCH = "no_sender_match"
    """Who votes accepts mail of known records only, and the sender is none."""
    FILTER_NONE = "filter_none"
    """Who votes accepts nothing."""
    NO_RECIPIENT_MATCH = "no_recipient_match"
    """No recipient is an active user or queue, and the mailbox belongs to none either."""
    PLAIN_FORWARD = "plain_forward"
    """It came to a forward mailbox, and no message is attached to it."""
    UNKNOWN_FORWARDER = "unknown_forwarder"
    """It came to a forward mailbox from somebody who is no user or queue."""
    NOT_COLLECTED = "not_collected"
    """Nobody whom it was for has their mail read through a forward mailbox."""
    UNTRACKED = "untracked"
    """A person took it back."""
    DELETED = "deleted"
    """A person deleted the activity."""
    # failing, quarantined, gone
    REMOVED_BEFORE_READ = "removed_before_read"
    UNREADABLE = "unreadable"
    REJECTED = "rejected"
    STOPPED_THE_PROCESS = "stopped_the_process"
    DISCARDED = "discarded"
    """A person gave a quarantined item up."""
