"""What an answer or a forward takes over from the email that it continues: read once, when the draft is created."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from shared.administration.outgoing.checks import is_address, is_content_id
from shared.domain.answering import (
    continued_index,
    known_as,
    new_index,
    recipients_of,
    references_of,
    subject_of,
)
from shared.domain.choices import CorrelationMethod, EmailStatus, RegardingSource
from shared.domain.configuration import Owner
from shared.domain.conversations import conversation_of
from shared.domain.drafts import Answered, AnswerKind, Draft, Recipient
from shared.domain.email import Address, Attachment, EmailActivity, EmailContent
from shared.domain.errors import InvalidRecord
from shared.domain.ids import ActivityId, normalised_address
from shared.domain.ranges import EMAIL_SUBJECT, RECIPIENT_ADDRESS, RECIPIENT_NAME
from shared.ports import Stores


@dataclass(frozen=True, slots=True)
class Continued:
    """The email that a draft continues."""

    kind: AnswerKind
    email: EmailActivity
    content: EmailContent
    conversation: ActivityId


class Answers:
    def __init__(self, stores: Stores) -> None:
        self._stores = stores

    def read(self, answered: Answered) -> Continued:
        """Raises InvalidRecord where there is no such email, or it was not sent yet."""
        found = self._stores.activities.whole([answered.activity_id]).get(answered.activity_id)
        if found is None or found.activity.record.deleted_on is not None:
            raise InvalidRecord(
                "answers/activity_id", f"there is no activity {answered.activity_id}", "Name an email that exists."
            )
        email = found.activity.record
        if email.delivery is not None and email.status is not EmailStatus.SENT:
            raise InvalidRecord("answers/activity_id", "the email was not sent yet", "Name one that was sent or received.")
        return Continued(answered.kind, email, found.content, conversation_of(email, self._known))

    def _known(self, activity_id: ActivityId) -> EmailActivity | None:
        stored = self._stores.activities.get(activity_id)
        return None if stored is None else stored.record


def completed(draft: Draft, continued: Continued, sender: Owner) -> Draft:
    """The draft with what the answer takes over where nothing is given: recipients, subject, regarding."""
    to, cc = draft.to, draft.cc
    if not (to or cc or draft.bcc):
        own = [normalised_address(sender.address)]
        content = _with_legal_reply_to(continued.content)
        to, cc = map(_recipients, recipients_of(continued.kind, continued.email, content, own))
    return replace(
        draft,
        to=to,
        cc=cc,
        subject=draft.subject or subject_of(continued.kind, _line(continued.content.subject))[: EMAIL_SUBJECT.high],
        regarding=draft.regarding or continued.email.regarding,
    )


def answering(email: EmailActivity, continued: Continued, given: Draft) -> EmailActivity:
    """The email in the conversation of the one that it answers; a forward begins one of its own. The regarding that it takes
    over is not one that a person set."""
    if given.regarding is None and continued.email.regarding is not None:
        email = replace(email, regarding_set_by=RegardingSource.CORRELATION)
    if continued.kind is AnswerKind.FORWARD:
        return email
    original = continued.email
    return replace(
        email,
        conversation=continued.conversation,
        is_fragment=original.is_fragment,
        correlated_to=original.id,
        parent=original.id,
        correlation_method=CorrelationMethod.IN_REPLY_TO,
    )


def threaded(content: EmailContent, email: EmailActivity, continued: Continued | None, now: datetime) -> EmailContent:
    """With the headers by which mail programs show it in its conversation."""
    conversation = email.conversation or email.id
    if continued is None or continued.kind is AnswerKind.FORWARD:
        return replace(content, conversation_index=new_index(conversation, now))
    index = continued_index(continued.content.conversation_index, email.id, now)
    return replace(
        content,
        in_reply_to=known_as(continued.email, continued.content),
        references=references_of(continued.email, continued.content),
        conversation_index=index or new_index(conversation, now),
    )


def _with_legal_reply_to(content: EmailContent) -> EmailContent:
    """Without what nothing can be sent to: where that is all there is, the answer goes to the sender."""
    return replace(content, reply_to=tuple(each for each in content.reply_to if is_address(each.address)))


def writable(attachment: Attachment) -> Attachment:
    """With a name and a content id that can stand in headers: strangers wrote them."""
    content_id = attachment.content_id if is_content_id(attachment.content_id or "") else None
    is_inline = attachment.is_inline and content_id is not None
    return replace(attachment, name=_line(attachment.name) or "attachment", content_id=content_id, is_inline=is_inline)


def _recipients(addresses: Sequence[Address]) -> tuple[Recipient, ...]:
    return tuple(Recipient(each.address[: RECIPIENT_ADDRESS.high], _name(each)) for each in addresses)


def _name(address: Address) -> str:
    """Servers give the address for the name where there is none: then the record's name counts, or nothing does."""
    name = _line(address.name)[: RECIPIENT_NAME.high]
    return "" if name.casefold() == address.address.casefold() else name


def _line(text: str) -> str:
    """What strangers wrote, as one line of visible text."""
    return " ".join("".join(each if each.isprintable() else " " for each in text).split())
