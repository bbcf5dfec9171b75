"""What a server's refusals mean for an email and its recipients. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from shared.connectors.smtp.errors import of_server
from shared.connectors.smtp.replies import Reply, retry_hint
from shared.domain.delivery import RefusedRecipient
from shared.domain.errors import (
    DeliveryPostponed,
    DeliveryRefused,
    EmailTooLarge,
    RecipientsRefused,
    SendAsDenied,
    SyncError,
)

_OUT_OF_SEQUENCE = 503
"""The server and we are not at the same place: nothing is said about the email."""


@dataclass(frozen=True, slots=True)
class Recipient:
    place: int
    """In `OutgoingMessage.everybody`."""
    address: str
    """As the message has it."""
    written: str
    """As the envelope has it."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """A recipient whom the server does not take."""

    recipient: Recipient
    reply: Reply
    """The server's, or ours where the server was not asked."""

    @property
    def is_for_now(self) -> bool:
        """He may be taken later."""
        return self.reply.is_transient or self.reply.is_quota

    def told(self) -> RefusedRecipient:
        return RefusedRecipient(self.recipient.address, self.reply.status or self.reply.supposed_status, self.reply.words)


def of_email(command: str, reply: Reply) -> SyncError:
    """The error for a refusal of MAIL or of the content: it is about the whole email, if not about the server."""
    known = _about_sending(command, reply)
    if known is not None:
        return known
    if reply.is_throttling:
        return of_server(command, reply)
    if reply.is_size:
        return EmailTooLarge(reply.words, status_code=reply.status)
    if reply.is_transient or reply.code == _OUT_OF_SEQUENCE:
        return DeliveryPostponed(reply.words, status_code=reply.status, retry_after=retry_hint(reply.text))
    return DeliveryRefused(reply.words, status_code=reply.status)


def of_all(refusals: Sequence[Refusal]) -> SyncError:
    """The error for an email that the server takes for nobody."""
    if not refusals:
        return RecipientsRefused("The email has no recipients.", status_code="5.5.4")
    said = [_about_sending("RCPT", refusal.reply) for refusal in refusals]
    for known in said:
        if known is not None and (not isinstance(known, SendAsDenied) or all(isinstance(each, SendAsDenied) for each in said)):
            return known
    refused = tuple(refusal.told() for refusal in refusals)
    first = next((refusal for refusal in refusals if refusal.reply.is_transient), refusals[0]).reply
    if first.is_transient:
        return DeliveryPostponed(first.words, status_code=first.status, refused=refused, retry_after=longest_hint(refusals))
    return RecipientsRefused(first.words, status_code=first.status, refused=refused)


def longest_hint(refusals: Sequence[Refusal]) -> timedelta | None:
    hints = [hint for refusal in refusals if (hint := retry_hint(refusal.reply.text)) is not None]
    return max(hints, default=None)


def _about_sending(command: str, reply: Reply) -> SyncError | None:
    """What is about who sends, whomever he writes to; None where the refusal is of another kind."""
    if reply.denies_sender:
        return SendAsDenied(reply.words, status_code=reply.status)
    return of_server(command, reply) if reply.wants_tls or reply.wants_sign_in or reply.is_quota else None
