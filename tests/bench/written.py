"""Emails to send: so many of so many bytes, all different; and how they wait in storage to be sent."""

import random
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from datetime import datetime

from shared.domain.choices import ActivityState, Direction, EmailStatus, ParticipationType, Priority, Reason
from shared.domain.configuration import Mailbox
from shared.domain.delivery import Delivery, OutboxEntry
from shared.domain.email import EmailActivity, EmailContent, NewEmail, Party, Sighting
from shared.domain.ids import ActivityId, email_id
from shared.domain.listings import unsent_entry
from shared.ports import Stores
from shared.sync.text import text_of_html
from tests.bench.mail import words

_PARAGRAPH = 400
_MARKED_UP = 480
_AT_ONCE = 25


@dataclass(frozen=True, slots=True)
class Written:
    """What somebody wrote, as a program of any kind has it."""

    message_id: str
    """Without angle brackets."""
    sender: str
    to: str
    subject: str
    html: str
    text: str

    @property
    def activity_id(self) -> ActivityId:
        return email_id(self.message_id, Direction.OUTGOING)


def written(count: int, size: int, sender: str, to: str, batch: str) -> Iterator[Written]:
    """About `size` bytes of HTML, and the same as text. `batch` makes the Message-IDs its own."""
    chance = random.Random(1)
    for number in range(count):
        inner = "".join(f"<p style='margin:0'>{words(chance, _PARAGRAPH)}</p>\r\n" for _ in range(size // _MARKED_UP))
        html = f"<html><body>{inner}</body></html>"
        yield Written(
            message_id=f"bench.{batch}.{number}@contoso.example",
            sender=sender,
            to=to,
            subject=f"Order {number}: {words(chance, 40)[:40]}",
            html=html,
            text=text_of_html(html),
        )


def hand_over(stores: Stores, mailbox: Mailbox, emails: Sequence[Written], now: datetime, executor: Executor) -> None:
    """All of them wait to be sent, as `send` of the API leaves them."""

    def some(part: Sequence[NewEmail]) -> None:
        stores.timeline.put([unsent_entry(each.activity) for each in part])
        stores.outbox.put([_entry(each.activity) for each in part])
        stores.activities.create(part)

    new = [_pending(each, mailbox, now) for each in emails]
    list(executor.map(some, [new[place : place + _AT_ONCE] for place in range(0, len(new), _AT_ONCE)]))


def _pending(email: Written, mailbox: Mailbox, now: datetime) -> NewEmail:
    activity_id = email.activity_id
    activity = EmailActivity(
        id=activity_id,
        fingerprint="",
        content_id=activity_id,
        direction=Direction.OUTGOING,
        state=ActivityState.COMPLETED,
        status=EmailStatus.PENDING_SEND,
        subject=email.subject,
        sender=email.sender,
        received=now,
        created_on=now,
        owner=mailbox.owner,
        receiving_mailbox=mailbox.id,
        conversation=activity_id,
        delivery=Delivery(mailbox.id, submission=activity_id, submitted_on=now, due=now),
    )
    content = EmailContent(
        subject=email.subject,
        message_id=email.message_id,
        in_reply_to=None,
        references=(),
        parties=(Party(ParticipationType.SENDER, email.sender), Party(ParticipationType.TO, email.to)),
        sent=None,
        received=now,
        priority=Priority.NORMAL,
        body_html=email.html,
        body_text="",
        attachments=(),
        conversation_index=None,
        acceptance=Reason.BY_HAND,
    )
    return NewEmail(activity, content, Sighting(activity_id, mailbox.id, now, ""))


def _entry(email: EmailActivity) -> OutboxEntry:
    return OutboxEntry(email.receiving_mailbox, email.id, email.id, email.received, email.received)
