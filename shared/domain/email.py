"""Email: what a connector lists and fetches, and what is stored as an activity. Times are aware UTC, sizes are bytes."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from shared.domain.choices import (
    ActivityState,
    Direction,
    EmailStatus,
    Notifications,
    ParticipationType,
    Priority,
    SenderOrigin,
)
from shared.domain.ids import ActivityId, MailboxId, OwnerId


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder of a mailbox. `id` is opaque outside its connector, and stable over renames."""

    id: str
    name: str


INBOX = Folder(id="inbox", name="Inbox")


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
    """One entry of a page: the item and the few columns that decisions need. Absent columns are None.

    Of a deletion or a read-flag change only `ref` and `kind` are known.
    """

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


@dataclass(frozen=True, slots=True)
class Page:
    """What a connector hands over at once, newest first or in any order; committed at once together with `watermark`."""

    items: tuple[ListedItem, ...]
    watermark: str
    """Changes after this page."""
    more: bool
    """The server has further changes now."""


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
    identity: str | None = None
    """Of an attached message: what identifies it where the server renders its MIME form differently each time."""


@dataclass(frozen=True, slots=True)
class IncomingMessage:
    """A message as a connector fetched it."""

    ref: ItemRef
    received: datetime
    subject: str = ""
    message_id: str | None = None
    """Normalised, like `in_reply_to` and `references`."""
    in_reply_to: str | None = None
    references: tuple[str, ...] = ()
    sender: Address | None = None
    """From; Sender where From is missing."""
    to: tuple[Address, ...] = ()
    cc: tuple[Address, ...] = ()
    sent: datetime | None = None
    priority: Priority = Priority.NORMAL
    body_html: str | None = None
    body_text: str | None = None
    """Plain text as received; None where only HTML was received."""
    attachments: tuple[IncomingAttachment, ...] = ()
    conversation_index: str | None = None
    """Base64, as PR_CONVERSATION_INDEX."""
    sender_origin: SenderOrigin = SenderOrigin.UNKNOWN
    size: int = 0


@dataclass(frozen=True, slots=True)
class Party:
    """activityparty: an address that takes part, and the record that it resolved to, if any."""

    type: ParticipationType
    address: str
    name: str = ""
    record_kind: str | None = None
    """`user`, `queue`, or the type of a record of the address book."""
    record_id: str | None = None


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


@dataclass(frozen=True, slots=True)
class EmailContent:
    """What never changes about an email."""

    subject: str
    message_id: str | None
    in_reply_to: str | None
    references: tuple[str, ...]
    parties: tuple[Party, ...]
    sent: datetime | None
    received: datetime
    priority: Priority
    body_html: str | None
    body_text: str
    attachments: tuple[Attachment, ...]
    conversation_index: str | None
    sender_claims_own_address: bool = False
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
    created_on: datetime
    owner: OwnerId | None
    receiving_mailbox: MailboxId
    """The mailbox that brought it first (receivingmailboxid)."""
    attachment_count: int = 0
    variant_of: ActivityId | None = None
    has_variants: bool = False
    """Other content came with the same Message-ID."""


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


class ListOf(StrEnum):
    """Whose list a timeline row belongs to."""

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
