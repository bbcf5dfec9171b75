"""Stored emails for tests that read them."""

from dataclasses import replace
from typing import Any

from shared.domain.choices import ActivityState, Direction, EmailStatus, Priority
from shared.domain.email import EmailActivity, EmailContent, NewEmail, Sighting
from shared.domain.ids import ActivityId, MailboxId
from tests.builders import MONDAY

MESSAGE_ID = "offer@fabrikam.example"


def an_email(activity_id: ActivityId, mailbox_id: MailboxId, **content: Any) -> NewEmail:
    activity = EmailActivity(
        id=activity_id,
        fingerprint="fingerprint",
        content_id=activity_id,
        direction=Direction.INCOMING,
        state=ActivityState.COMPLETED,
        status=EmailStatus.RECEIVED,
        subject="Offer",
        sender="carol@fabrikam.example",
        received=MONDAY,
        created_on=MONDAY,
        owner=None,
        receiving_mailbox=mailbox_id,
    )
    whole = EmailContent(
        subject="Offer",
        message_id=MESSAGE_ID,
        in_reply_to=None,
        references=(),
        parties=(),
        sent=MONDAY,
        received=MONDAY,
        priority=Priority.NORMAL,
        body_html=None,
        body_text="Our offer",
        attachments=(),
        conversation_index=None,
    )
    return NewEmail(activity, replace(whole, **content), Sighting(activity_id, mailbox_id, MONDAY, "item-1"))
