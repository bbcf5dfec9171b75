"""What a person or program gives of an email that it writes here. Everything else about the email follows from it."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from shared.domain.choices import Priority
from shared.domain.configuration import OwnerRef
from shared.domain.ids import ActivityId, OwnerId
from shared.domain.records import RecordRef


@dataclass(frozen=True, slots=True)
class Recipient:
    """Whom an email is written to: a record, an address, or a record by one of its addresses."""

    address: str | None = None
    """Left out: the first one of the record."""
    name: str = ""
    """Display name; empty: that of the record, where there is one."""
    type: str | None = None
    """`user`, `queue`, or the type of a record of the address book; goes with `id`."""
    id: str | None = None


class AnswerKind(StrEnum):
    """How an email continues another one."""

    REPLY = "reply"
    """To the sender, or where he wants answers (Reply-To); of an email that was sent from here, to its recipients,
    unless who answers is one of them."""
    REPLY_ALL = "reply_all"
    """Likewise, and to all recipients but the one who answers."""
    FORWARD = "forward"
    """To others, with the attachments."""


@dataclass(frozen=True, slots=True)
class Answered:
    """The email that another one answers or forwards."""

    activity_id: ActivityId
    kind: AnswerKind


@dataclass(frozen=True, slots=True)
class Draft:
    """An email as it is written; attachments are uploaded beside it."""

    sender: OwnerRef
    """emailsender: the user or queue whose address the email comes from. It may change until the email is sent for the first
    time."""
    submitter: OwnerId | None = None
    """submittedby: id of the user who writes it for the sender; null where the sender does."""
    to: tuple[Recipient, ...] = ()
    cc: tuple[Recipient, ...] = ()
    bcc: tuple[Recipient, ...] = ()
    subject: str = ""
    body_html: str | None = None
    body_text: str = ""
    """With `body_html` the alternative for programs that show no HTML; left empty, it is derived. Exchange takes one body, and
    derives the other itself."""
    priority: Priority = Priority.NORMAL
    """prioritycode; high priority is sent first."""
    read_receipt: bool = False
    """readreceiptrequested: the recipient's mail program is asked to say that it was read."""
    delivery_receipt: bool = False
    """deliveryreceiptrequested: the servers on the way are asked to report its arrival."""
    regarding: RecordRef | None = None
    """regardingobjectid: the record that it is about; of an answer, left out, that of the email which it answers."""
    send_after: datetime | None = None
    """delayedemailsendtime: it is not sent before."""
