"""How an email is on its way: what stands beside its content from the draft to the receipt. Times are aware UTC.

Everything that is tried leaves an `Attempt`; `Delivery` is what the attempts so far come to.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from shared.domain.choices import Priority
from shared.domain.ids import ActivityId, MailboxId, OwnerId


@dataclass(frozen=True, slots=True)
class Delivery:
    """What changes about an email that is written here and sent: part of its activity row, guarded by that row's ETag."""

    mailbox: MailboxId
    """sendermailboxid: the mailbox that it is sent through."""
    submitter: OwnerId | None = None
    """submittedby: the user who writes it for the sender; None where the sender does."""
    read_receipt: bool = False
    """readreceiptrequested: the recipient's mail program is asked to say that it was read."""
    delivery_receipt: bool = False
    """deliveryreceiptrequested: the servers on the way are asked to report its arrival."""
    send_after: datetime | None = None
    """delayedemailsendtime: it is not sent before."""
    submission: str = ""
    """Fresh with every `send`: an outbox entry announces one submission, and says nothing about another. Empty before."""
    submitted_on: datetime | None = None
    due: datetime | None = None
    """postponeemailprocessinguntil: it is not tried before; None unless it waits in the outbox."""
    attempts: int = 0
    """deliveryattempts: tries of this submission that came to an answer about this email, or to an unknown end."""
    last_attempt: int = 0
    """Number of the last attempt over all submissions: the history goes on from there."""
    attempt: str | None = None
    """Id of the attempt under way: the intent. None when its receipt is written."""
    attempted_on: datetime | None = None
    """When the last attempt began; its Date header."""
    sent_on: datetime | None = None
    """senton: when the server accepted it."""
    waiting: tuple[int, ...] = ()
    """Of an email that is sent: the recipients whom the server did not take for now, by their places (from 0) in
    `OutgoingMessage.everybody`. Its entry in the outbox stays until it went to them too, or the attempts are used up."""
    may_be_twice: bool = False
    """An attempt ended without an answer and the server cannot be asked, so it was sent again with the same Message-ID: some
    recipients may have it twice."""
    refused: int = 0
    """Recipients that the server did not accept; the attempt names them."""
    error: str | None = None
    """Code of what the last attempt failed of."""
    status_code: str = ""
    """Enhanced status code (RFC 3463) of the server's last refusal, such as 5.1.1; empty where it gave none."""
    detail: str = ""
    """The server's own words, or what is to be done, for people."""
    server_message_id: str | None = None
    """Normalised Message-ID that the server gave it where it is another one than ours."""


class AttemptOutcome(StrEnum):
    """How an attempt ended."""

    UNDER_WAY = "under_way"
    ACCEPTED = "accepted"
    """By the server, for at least one recipient."""
    POSTPONED = "postponed"
    REFUSED = "refused"
    """For good: the email is Failed."""
    INTERRUPTED = "interrupted"
    """It has no receipt; the next attempt found that out, and repeats it."""
    FOUND_SENT = "found_sent"
    """It has no receipt, and its draft is gone: it was sent, as far as the mailbox can tell; `detail` says where it cannot."""


@dataclass(frozen=True, slots=True)
class RefusedRecipient:
    """A recipient whom the server did not accept."""

    address: str
    status_code: str = ""
    """Enhanced status code (RFC 3463); empty where there is none."""
    detail: str = ""
    """The server's words."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt to send an email: kept as its history."""

    activity_id: ActivityId
    number: int
    """From 1, over all submissions."""
    id: str
    started_on: datetime
    outcome: AttemptOutcome = AttemptOutcome.UNDER_WAY
    ended_on: datetime | None = None
    error: str | None = None
    """Code of what it failed of."""
    status_code: str = ""
    """Enhanced status code (RFC 3463); empty where there is none."""
    detail: str = ""
    """The server's own words."""
    refused: tuple[RefusedRecipient, ...] = ()
    server_id: str = ""
    """What the server calls the email since: its queue id, or its item in Sent Items; empty where it does not say."""


@dataclass(frozen=True, slots=True)
class OutboxEntry:
    """An email that waits to be sent: a hint that announces a submission. The activity row decides."""

    mailbox_id: MailboxId
    activity_id: ActivityId
    submission: str
    due: datetime
    announced_on: datetime
    priority: Priority = Priority.NORMAL
    """Higher ones go first."""
