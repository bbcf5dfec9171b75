"""Email: what a connector lists and fetches, and what is stored as an activity. Times are aware UTC, sizes are bytes."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from shared.domain.choices import (
    ActivityState,
    CorrelationMethod,
    Direction,
    EmailStatus,
    Notifications,
    ParticipationType,
    Priority,
    Reason,
    RegardingSource,
    SenderOrigin,
)
from shared.domain.configuration import OwnerRef
from shared.domain.delivery import Delivery
from shared.domain.ids import ActivityId, MailboxId, OwnerId
from shared.domain.records import RecordRef


@dataclass(frozen=True, slots=True)
class ItemRef:
    """An item on the server. `id` is opaque; an item that moves gets another one."""

    id: str
    folder: str


class ChangeKind(StrEnum):
    CREATED = "created"
    UPDATED = "updated"
    DELETED = "deleted"
    READ_FLAG = "read_flag"


@dataclass(frozen=True, slots=True)
class ListedItem:
    """One entry of a page: the item and the few columns that decisions need, None where absent. Of a deletion or a read-flag
    change only `ref` and `kind` are known."""

    ref: ItemRef
    kind: ChangeKind
    item_class: str = "IPM.Note"
    """MAPI message class; other sources give IPM.Note."""
    message_id: str | None = None
    """Normalised."""
    sender: str | None = None
    """Address of From, normalised; None where there is none."""
    sender_origin: SenderOrigin = SenderOrigin.UNKNOWN
    received: datetime | None = None
    size: int = 0
    is_draft: bool = False
    is_own_copy: bool = False
    """A copy of something that this mailbox sent (it never went through transport)."""
    categories: tuple[str, ...] = ()
    """Categories that people or programs gave the item, as they are called in the mailbox."""


@dataclass(frozen=True, slots=True)
class Page:
    """What a connector hands over at once, newest first or in any order; committed at once together with `watermark`."""

    items: tuple[ListedItem, ...]
    watermark: str
    """Changes after this page."""
    more: bool
    """The server has further changes now."""
    is_worth_keeping: bool = False
    """Of a page without items: its watermark saves work, so it is committed all the same."""


@dataclass(frozen=True, slots=True)
class Address:
    """An address as it stands in a message: `address` as written, `name` may be empty."""

    address: str
    name: str = ""


@dataclass(frozen=True, slots=True)
class IncomingAttachment:
    """An attachment whose bytes are still on the server."""

    name: str
    content_type: str
    size: int
    chunks: Callable[[], Iterator[bytes]]
    """Streams the content; may be called again. Raises SyncError."""
    content_id: str | None = None
    is_inline: bool = False
    is_message: bool = False
    """An attached message; `chunks` gives its MIME form."""
    message: "Callable[[], IncomingMessage] | None" = None
    """Of an attached message: reads it; its `ref` is that of the item it came in. May be called again. Raises SyncError."""
    identity: str | None = None
    """Of an attached message: what identifies it where the server renders its MIME form differently each time."""


@dataclass(frozen=True, slots=True)
class Envelope:
    """What judging a message needs of it: everything but its content."""

    ref: ItemRef
    received: datetime
    subject: str = ""
    message_id: str | None = None
    """Normalised, like `in_reply_to` and `references`."""
    in_reply_to: str | None = None
    references: tuple[str, ...] = ()
    """Oldest first, as the header has them."""
    sender: Address | None = None
    """From; Sender where From is missing."""
    to: tuple[Address, ...] = ()
    cc: tuple[Address, ...] = ()
    bcc: tuple[Address, ...] = ()
    """Known of one's own sent items only."""
    sent: datetime | None = None
    conversation_index: str | None = None
    """Base64, as PR_CONVERSATION_INDEX."""
    sender_origin: SenderOrigin = SenderOrigin.UNKNOWN
    size: int = 0
    item_class: str = "IPM.Note"
    headers: Mapping[str, str] = field(default_factory=dict)
    """Those of `JUDGED_HEADERS` that the message has, by lower-case name; the first where one stands there twice."""
    categories: tuple[str, ...] = ()
    forwarded_by: Address | None = None
    """Of the original in a message that a forward mailbox received: From of that message; empty where there is none."""


JUDGED_HEADERS = (
    "auto-submitted",
    "precedence",
    "x-auto-response-suppress",
    "x-autoreply",
    "x-loop",
    "content-type",
    "content-class",
    "authentication-results",
)
"""Headers that judging reads (RFC 3834 for the automatic ones). A connector gives those that the message has."""


@dataclass(frozen=True, slots=True)
class RecipientReport:
    """What a delivery report says of one recipient (RFC 3464)."""

    address: str
    action: str
    """failed, delayed, delivered, relayed or expanded."""
    status: str
    """The enhanced status code, such as 5.1.1; empty where there is none."""
    diagnostic: str = ""


@dataclass(frozen=True, slots=True)
class DeliveryReport:
    """A delivery report (RFC 3464), or an Exchange report that says the same."""

    original_message_id: str | None
    """Of the email it speaks of; normalised."""
    recipients: tuple[RecipientReport, ...] = ()


@dataclass(frozen=True, slots=True)
class IncomingMessage(Envelope):
    """A message as a connector fetched it."""

    priority: Priority = Priority.NORMAL
    body_html: str | None = None
    body_text: str | None = None
    """Plain text as received; None where only HTML was received."""
    reply_to: tuple[Address, ...] = ()
    """As the header has it."""
    attachments: tuple[IncomingAttachment, ...] = ()
    report: DeliveryReport | None = None
    """Where the message is one."""


@dataclass(frozen=True, slots=True)
class Party:
    """activityparty: an address that takes part, and the record that it resolved to, if any."""

    type: ParticipationType
    address: str
    name: str = ""
    record_kind: str | None = None
    """`user`, `queue`, or the type of a record of the address book."""
    record_id: str | None = None
    is_named: bool = False
    """Of a recipient of an email that is written here: the record was given, not found by the address."""
    is_left_out: bool = False
    """Of a recipient of an email that is written here: not written to, as its record asks for (donotemail)."""


@dataclass(frozen=True, slots=True)
class Attachment:
    """activitymimeattachment: a stored attachment; its bytes are the blob `blob`."""

    name: str
    content_type: str
    size: int
    sha256: str
    blob: str
    content_id: str | None = None
    is_inline: bool = False
    upload: str | None = None
    """Of an email that is written here: names the upload while its content is still on the way (then `sha256` and `blob` are
    empty) or being removed. Then the email cannot be sent."""


@dataclass(frozen=True, slots=True)
class EmailContent:
    """What never changes about an email."""

    subject: str
    message_id: str | None
    in_reply_to: str | None
    references: tuple[str, ...]
    parties: tuple[Party, ...]
    sent: datetime | None
    """Its Date, of mail that was read; of an email that is written here `delivery` says when it was sent."""
    received: datetime
    priority: Priority
    body_html: str | None
    body_text: str
    attachments: tuple[Attachment, ...]
    conversation_index: str | None
    reply_to: tuple[Address, ...] = ()
    """Where answers go instead of to the sender (Reply-To, RFC 5322 section 3.6.2), as it was written; none where the sender
    wants them himself."""
    acceptance: Reason = Reason.RELEVANT
    """Why it was accepted."""
    queues: tuple[OwnerId, ...] = ()
    """Queues whose item it is, as the mailbox that brought it first saw it."""
    sender_claims_own_address: bool = False
    sender_is_ambiguous: bool = False
    """isduplicatesenderunresolved: several active records have the sender's address."""
    is_encrypted: bool = False
    """Its body cannot be read (S/MIME, PGP, rights management); kept as it came."""
    is_automatic: bool = False
    """A program answered, nobody wrote it."""
    authentication_results: str | None = None
    """The header of that name, as the own server wrote it."""
    report: DeliveryReport | None = None
    notifications: Notifications = Notifications.NONE


@dataclass(frozen=True, slots=True)
class EmailActivity:
    """The activity row: the decision, and what may change about it."""

    id: ActivityId
    fingerprint: str
    content_id: ActivityId
    """Folder of its blobs: derived from Message-ID, direction and fingerprint."""
    direction: Direction
    state: ActivityState
    status: EmailStatus
    subject: str
    sender: str
    """Address of the sender as written, empty where there is none."""
    received: datetime
    """By which lists are ordered; of an email that is written here when it was written, and once it is sent, when that was."""
    created_on: datetime
    owner: OwnerRef | None
    receiving_mailbox: MailboxId
    """The mailbox that brought it first (receivingmailboxid)."""
    accepted_by: OwnerRef | None = None
    """acceptingentityid; None where a person, a rule or a category tracked it."""
    conversation: ActivityId | None = None
    """The email that its conversation began with; its own id where it began one."""
    is_fragment: bool = False
    """Its conversation began with an answer to what was not stored, and may be joined to that later."""
    correlated_to: ActivityId | None = None
    """correlatedactivityid: the email that it continues."""
    parent: ActivityId | None = None
    """parentactivityid: as `correlated_to`, for answers proper (In-Reply-To, References, conversation index)."""
    correlation_method: CorrelationMethod = CorrelationMethod.NONE
    regarding: RecordRef | None = None
    """regardingobjectid: the record that it is about."""
    regarding_set_by: RegardingSource | None = None
    regarding_rule: str | None = None
    """`<mailbox id>:<hash of the folder id>` of the folder-level tracking rule that set it."""
    deleted_on: datetime | None = None
    """Deleted by hand: the row stays as a tombstone, so that the message is not stored again."""
    attachment_count: int = 0
    variant_of: ActivityId | None = None
    has_variants: bool = False
    """Other content came with the same Message-ID."""
    delivery: Delivery | None = None
    """Of an email that is written here: how it is on its way. None of mail that was read from a mailbox."""


@dataclass(frozen=True, slots=True)
class Sighting:
    """A mailbox in which the email was seen."""

    activity_id: ActivityId
    mailbox_id: MailboxId
    seen_on: datetime
    item_id: str
    """The server's id of the copy that was seen first in this mailbox."""


@dataclass(frozen=True, slots=True)
class NewEmail:
    """What is created in one transaction."""

    activity: EmailActivity
    content: EmailContent
    sighting: Sighting


@dataclass(frozen=True, slots=True)
class Annotation:
    """What a delivery report said later about an email. Annotates, and decides nothing."""

    about: ActivityId
    report: ActivityId
    """The activity that the report itself is."""
    time: datetime
    recipients: tuple[RecipientReport, ...]


class CorrelationKind(StrEnum):
    """What an email can be found by when In-Reply-To does not lead to it."""

    CONVERSATION = "conversation"
    """Base of the conversation index."""
    TOKEN = "token"  # noqa: S105 - the word for what a subject carries, no secret
    WORDS = "words"
    """The words of its subject."""
    MESSAGE = "message"
    """A Message-ID that no activity has: a member of a conversation that was opted out, or one that a server rewrote."""


@dataclass(frozen=True, slots=True)
class CorrelationEntry:
    """By `key`, later emails find this one."""

    kind: CorrelationKind
    key: str
    activity_id: ActivityId
    conversation: ActivityId
    time: datetime
    addresses: tuple[str, ...] = ()
    """Hashes of the addresses that take part; for TOKEN and WORDS."""
    is_fragment: bool = False


@dataclass(frozen=True, slots=True)
class OptOut:
    """A conversation that is not tracked any more."""

    conversation: ActivityId
    by: str
    opted_out_on: datetime


class ListOf(StrEnum):
    """Whose list a timeline row belongs to."""

    UNSENT = "unsent"
    """Of a mailbox: emails written here that were not sent: drafts, failed and canceled ones, by when they were created."""
    SENT = "sent"
    """Of a mailbox: emails written here that were sent."""

    MAILBOX = "mailbox"
    REGARDING = "regarding"
    QUEUE = "queue"
    PARTY = "party"


@dataclass(frozen=True, slots=True)
class TimelineEntry:
    """One row of a listing, newest first; carries what a list shows."""

    list_of: ListOf
    whose: str
    activity_id: ActivityId
    time: datetime
    subject: str
    sender: str
    direction: Direction = Direction.INCOMING
    attachment_count: int = 0


@dataclass(frozen=True, slots=True)
class StoredActivity:
    record: EmailActivity
    etag: str
    created: bool = field(default=False)
    """This call created it; False: it was there already, and `record` is what is stored."""
