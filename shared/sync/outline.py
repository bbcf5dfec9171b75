"""What the envelope of a message tells of the email that it becomes: everything but its content. Pure."""

from datetime import datetime

from shared.domain.choices import ActivityState, CorrelationMethod, Direction, EmailStatus, Priority
from shared.domain.email import EmailActivity, EmailContent
from shared.domain.ids import ActivityId
from shared.sync.acceptance import claims_own_address
from shared.sync.judged import Judged
from shared.sync.special import is_automatic, is_encrypted

ANSWERS = (CorrelationMethod.IN_REPLY_TO, CorrelationMethod.CONVERSATION_INDEX)
"""Methods that find what a message answers proper (parentactivityid)."""


def outline_of(judged: Judged, activity_id: ActivityId, now: datetime | None = None) -> tuple[EmailActivity, EmailContent]:
    """The activity and its content, the latter without body and attachments, and both without what is derived from these.

    What people have tracked although its conversation was opted out belongs to that conversation, but continues nothing:
    answers to it are left like all others.
    """
    return _activity(judged, activity_id, now or judged.envelope.received), _content(judged)


def _activity(judged: Judged, activity_id: ActivityId, now: datetime) -> EmailActivity:
    envelope, judgement, original, regarding = judged.envelope, judged.judgement, judged.original, judged.regarding
    is_outgoing = judged.direction is Direction.OUTGOING
    method = judgement.correlation.method
    return EmailActivity(
        id=activity_id,
        fingerprint="",
        content_id=activity_id,
        direction=judged.direction,
        state=ActivityState.COMPLETED,
        status=EmailStatus.SENT if is_outgoing else EmailStatus.RECEIVED,
        subject=envelope.subject,
        sender=envelope.sender.address if envelope.sender else "",
        received=envelope.received,
        created_on=now,
        owner=judged.resolution.owner,
        receiving_mailbox=judged.facts.mailbox.id,
        accepted_by=judgement.accepted_by,
        conversation=original.conversation if original else judgement.correlation.conversation or activity_id,
        is_fragment=judged.is_fragment,
        correlated_to=original.activity_id if original else None,
        parent=original.activity_id if original and method in ANSWERS else None,
        correlation_method=method,
        regarding=regarding.record if regarding else None,
        regarding_set_by=regarding.set_by if regarding else None,
        regarding_rule=regarding.rule if regarding else None,
    )


def _content(judged: Judged) -> EmailContent:
    envelope = judged.envelope
    return EmailContent(
        subject=envelope.subject,
        message_id=envelope.message_id,
        in_reply_to=envelope.in_reply_to,
        references=envelope.references,
        parties=judged.resolution.parties,
        sent=envelope.sent,
        received=envelope.received,
        priority=Priority.NORMAL,
        body_html=None,
        body_text="",
        attachments=(),
        conversation_index=envelope.conversation_index,
        acceptance=judged.judgement.reason,
        queues=judged.judgement.queues,
        sender_claims_own_address=claims_own_address(envelope, judged.facts),
        sender_is_ambiguous=judged.resolution.sender_is_ambiguous,
        is_encrypted=is_encrypted(envelope),
        is_automatic=is_automatic(envelope),
        authentication_results=envelope.headers.get("authentication-results"),
    )
