"""What a response code of CreateItem, CreateAttachment and SendItem means for the one email that it is about.

The codes of everything else stand in `errors`; one that neither knows is about the email, and for good. Unlike there, the
message carries the server's own text: it is kept with the email, for whoever wrote that.
"""

from collections.abc import Mapping

from lxml.etree import _Element

from shared.connectors.exchange.errors import QUOTA_WAIT, RequestRefused, SendingBlocked, is_known
from shared.connectors.exchange.operation import Operation
from shared.connectors.exchange.records import M
from shared.connectors.exchange.xml import MalformedReply
from shared.domain.errors import (
    AccessDenied,
    DeliveryError,
    DeliveryPostponed,
    DeliveryRefused,
    EmailTooLarge,
    FolderNotFound,
    ItemError,
    MailboxError,
    RecipientsRefused,
    SendAsDenied,
    SyncError,
    Throttled,
    TransientError,
)

LONGEST_TEXT = 500
"""Characters of the server's own text."""


class StaleDraft(DeliveryPostponed):
    """The draft was changed since its version was read; nothing else is wrong."""


_CODES: Mapping[type[DeliveryError], str] = {
    SendAsDenied: "ErrorSendAsDenied",
    RecipientsRefused: "ErrorInvalidRecipients ErrorMissingRecipients ErrorMailRecipientNotFound ErrorRecipientNotFound",
    EmailTooLarge: "ErrorMessageSizeExceeded ErrorAttachmentSizeLimitExceeded ErrorDataSizeLimitExceeded",
    StaleDraft: """
        ErrorStaleObject ErrorIrresolvableConflict ErrorInvalidChangeKey ErrorChangeKeyRequired
        ErrorChangeKeyRequiredForWriteOperations""",
}
_BY_NAME: Mapping[str, type[DeliveryError]] = {name: kind for kind, names in _CODES.items() for name in names.split()}

_MAILBOX_FULL = frozenset({"ErrorQuotaExceeded", "ErrorMessagePerFolderCountReceiveQuotaExceeded"})
"""A smaller email may still go out: it is the email that waits, not all of them."""


class DeliveryOperation(Operation):
    """An operation that brings an email on its way."""

    GONE: type[DeliveryError] = DeliveryPostponed
    """What it means that the item is not there."""

    def refusal(self, message: _Element) -> SyncError | None:
        """As `error`, told for an email: a DeliveryError where that is what it is about. Raises MalformedReply."""
        code = message.findtext(f"{M}ResponseCode")
        if not code:
            raise MalformedReply("a response message says neither that it was done nor that it was not")
        if code == "NoError":
            return None
        words = _words(code, message)
        if code in _MAILBOX_FULL:
            return DeliveryPostponed(words, retry_after=QUOTA_WAIT)
        if kind := self.GONE if code == "ErrorItemNotFound" else _BY_NAME.get(code):
            return kind(words)
        error = self.error(message)
        return error if is_known(code) and not isinstance(error, ItemError | RequestRefused) else DeliveryRefused(words)


def of_email(error: SyncError) -> DeliveryError:
    """An error that turned out to be one email's."""
    if isinstance(error, DeliveryError):
        return error
    if isinstance(error, TransientError):
        return DeliveryPostponed(str(error), retry_after=error.retry_after).because_of(error)
    if isinstance(error, MailboxError) and not isinstance(error, AccessDenied):
        return DeliveryPostponed(str(error)).because_of(error)
    return DeliveryRefused(str(error)).because_of(error)


def is_of_everybody(error: SyncError) -> bool:
    """Whether no other email would do better now, whatever the server lets us see of the mailbox."""
    return isinstance(error, Throttled | SendingBlocked | FolderNotFound)


def _words(code: str, message: _Element) -> str:
    text = " ".join((message.findtext(f"{M}MessageText") or "").split())[:LONGEST_TEXT]
    return f"{code}: {text}" if text else code
