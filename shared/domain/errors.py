"""Errors say what the caller does next. Foreign exceptions are mapped to these once, at the top of each connector or store.

`code` is stable: alerts, the ledger and the API carry it. `remedy` is what an administrator reads.
"""

from datetime import timedelta
from typing import Self

from shared.domain.delivery import RefusedRecipient


class SyncError(Exception):
    """Root of all errors that Sidesync raises on purpose."""

    code = "sync_error"
    remedy = "Look at the run and its log for the cause."
    calls_for_discovery = False
    """The mailbox may be somewhere else by now: where it is has to be found out anew."""

    def because_of(self, cause: Exception) -> Self:
        """This error with its cause, where it is handed on and not raised."""
        self.__cause__ = cause
        return self


class TransientError(SyncError):
    """Try the same again later: after `retry_after` where the server said so, else after the caller's own back-off."""

    code = "transient"
    remedy = "Nothing to do: the mailbox is tried again by itself."

    def __init__(self, message: str, retry_after: timedelta | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Throttled(TransientError):
    """The server asked us to slow down (429, 503 with Retry-After, ErrorServerBusy)."""

    code = "throttled"


class Unreachable(TransientError):
    """No answer, or one that is cut short or no answer of this protocol at all."""

    code = "unreachable"
    calls_for_discovery = True
    remedy = "Check the server location, the network path and the certificate. The mailbox is tried again by itself."


class NameNotFound(Unreachable):
    """The name of the server is not known (DNS)."""

    code = "name_not_found"
    remedy = "Check the spelling of the server location: its host name is not known. The mailbox is tried again by itself."


class ConnectionRefused(Unreachable):
    """The machine answers, but nothing listens there, or a firewall says no."""

    code = "connection_refused"
    remedy = (
        "Check host name and port of the server location, and that the firewall lets Sidesync through."
        " The mailbox is tried again by itself."
    )


class NoAnswer(Unreachable):
    """Nobody answers in the time allowed."""

    code = "no_answer"
    remedy = (
        "Check host name and port of the server location, and that the firewall lets Sidesync through; if the server is slow,"
        " give the profile more time. The mailbox is tried again by itself."
    )


class CertificateRefused(Unreachable):
    """The server's certificate is not vouched for, has expired, or is for another name."""

    code = "certificate_refused"
    remedy = (
        "Give the server a certificate that is valid, for the host name of the server location, from an authority that this"
        " machine trusts; or correct the host name. The mailbox is tried again by itself."
    )


class NoTls(Unreachable):
    """Something listens there, but does not speak TLS."""

    code = "no_tls"
    remedy = (
        "Check the port of the server location: what listens there does not speak TLS. The mailbox is tried again by itself."
    )


class NoMailServer(Unreachable):
    """Something answers there, but not as a mail server of this protocol does."""

    code = "no_mail_server"
    remedy = (
        "Check the server type and the server location of the profile: what answers there is no mail server of this type."
        " Exchange has a URL with a path (https://<host>/EWS/Exchange.asmx); POP3, IMAP and SMTP have a host name, a port, and"
        " TLS from the start or by STARTTLS. The mailbox is tried again by itself."
    )


class Busy(TransientError):
    """The server, or our own store, cannot do this at the moment."""

    code = "busy"


class MailboxError(SyncError):
    """This workload of this mailbox is off until somebody changes something; it is probed again every hour."""

    code = "mailbox_error"
    proves_sign_in = False
    """It is said only to somebody whose credentials were accepted."""


class AuthenticationFailed(MailboxError):
    """The server refused the credentials. `profile_wide`: they are the profile's, so every mailbox on it is affected."""

    code = "authentication_failed"
    remedy = "Check user name, password or client secret of the credentials named, then save them again."

    def __init__(self, message: str, *, profile_wide: bool = False) -> None:
        super().__init__(message)
        self.profile_wide = profile_wide


class AccessDenied(MailboxError):
    """Signed in, but not allowed to open this mailbox, or EWS is blocked for it."""

    code = "access_denied"
    proves_sign_in = True
    remedy = (
        "Give the profile's identity the right to act for this mailbox (impersonation or full access),"
        " and check that EWS is allowed for it."
    )


class ImpersonationDenied(AccessDenied):
    """Signed in, but not allowed to act as this mailbox."""

    code = "impersonation_denied"
    remedy = "Give the profile's identity the role ApplicationImpersonation for this mailbox, or open mailboxes as a delegate."


class DelegateAccessMissing(AccessDenied):
    """Signed in, but this mailbox was not opened to the identity."""

    code = "delegate_access_missing"
    remedy = "Give the profile's identity full access to this mailbox, or let it act by impersonation."


class MailboxNotFound(MailboxError):
    code = "mailbox_not_found"
    proves_sign_in = True
    calls_for_discovery = True
    remedy = "Check the mailbox's email address: the server has no mailbox of that name."


class NotApproved(MailboxError):
    code = "not_approved"
    remedy = "Approve the email address of the mailbox."


class Disabled(MailboxError):
    code = "disabled"
    remedy = "Activate the mailbox and its profile, and check that the account is enabled on the server."


class AccountDisabled(Disabled):
    """The account or its mailbox is disabled on the server."""

    code = "account_disabled"
    remedy = "Enable the account and its mailbox on the mail server."


class ItemError(SyncError):
    """This item failed; the run goes on with the next one."""

    code = "item_error"


class ItemGone(ItemError):
    """The item was moved or deleted before it could be read. Not a failure: it is recorded as gone."""

    code = "item_gone"


class ItemTooLarge(ItemError):
    code = "item_too_large"
    remedy = "Raise the size limit, or leave the message in the mailbox only."


class ItemUnreadable(ItemError):
    code = "item_unreadable"
    remedy = "Open the message in a mail client; replay it from quarantine after the server was repaired or Sidesync upgraded."


class BeingSent(ItemError):
    """A copy of an email that is being sent at this moment. Not a failure of anything: it is read again later."""

    code = "being_sent"
    remedy = "Nothing to do: the copy is read again when the email is sent."


class ItemRejected(ItemError):
    """The store refuses the item."""

    code = "item_rejected"


class UnreadableRow(ItemError):
    """A stored row, or several, are not what this version of Sidesync writes: a later version wrote them. They are left as they
    are, and what they are about is set aside until there is a version that reads them."""

    code = "unreadable_row"
    remedy = (
        "Update Sidesync: a later version has written to this store. What is set aside meanwhile is taken up by the update, and"
        " nothing of it is lost."
    )

    def __init__(self, message: str, rows: tuple[str, ...]) -> None:
        """`rows`: their keys."""
        super().__init__(message)
        self.rows = rows


class DeliveryError(ItemError):
    """The server's answer about one email that was to be sent; the run goes on with the next one."""

    code = "delivery_error"

    def __init__(self, message: str, *, status_code: str = "", refused: tuple[RefusedRecipient, ...] = ()) -> None:
        """`message` is in the server's own words where it has some; `status_code` is the enhanced one (RFC 3463)."""
        super().__init__(message)
        self.status_code = status_code
        self.refused = refused


class DeliveryPostponed(DeliveryError):
    """Not now (4xx): this email is tried again, after `retry_after` where the server said so."""

    code = "delivery_postponed"
    remedy = "Nothing to do: the email is tried again by itself, after growing waits."

    def __init__(
        self,
        message: str,
        *,
        status_code: str = "",
        refused: tuple[RefusedRecipient, ...] = (),
        retry_after: timedelta | None = None,
    ) -> None:
        super().__init__(message, status_code=status_code, refused=refused)
        self.retry_after = retry_after


class DeliveryUnknown(DeliveryPostponed):
    """The connection was lost after all of the email was given to the server, and before it answered: it may have been
    accepted, and nobody can tell."""

    code = "delivery_unknown"
    remedy = (
        "Nothing to do: the email is sent again with the same Message-ID, so that mail programs can tell that it is the same."
        " Some recipients may get it twice."
    )


class DeliveryRefused(DeliveryError):
    """The server does not take this email, and will not (5xx)."""

    code = "delivery_refused"
    remedy = "Read what the server says, change the email, and send it again."


class NotGiven(DeliveryError):
    """The server was not reached, so it was certainly not given this email; `__cause__` says why. Counts as no attempt."""

    code = "not_given"


class DraftGone(DeliveryError):
    """The draft is not where it was, and this call did not send it: it was sent before, or somebody took it."""

    code = "draft_gone"


class DraftTaken(DeliveryRefused):
    """Somebody deleted or moved the draft before it was sent."""

    code = "draft_taken"
    remedy = (
        "Ask who works in the mailbox: somebody deleted or moved the draft before it was sent. Send the email again if it is"
        " still to go out."
    )


class RecipientsRefused(DeliveryRefused):
    """The server accepts none of the recipients."""

    code = "recipients_refused"
    remedy = "Correct the addresses of the recipients that the server does not accept, and send the email again."


class SendAsDenied(DeliveryRefused):
    """The server does not let the mailbox send as, or on behalf of, this sender."""

    code = "send_as_denied"
    remedy = (
        "On the mail server give the identity that signs in the right to send as the sender (Send As or Send on Behalf), then"
        " send the email again."
    )


class EmailTooLarge(DeliveryRefused):
    """The email is larger than the server takes."""

    code = "email_too_large"
    remedy = "Remove attachments or make them smaller, then send the email again."


class AttachmentLost(DeliveryRefused):
    """The content of an attachment is not in the store any more."""

    code = "attachment_lost"
    remedy = "Remove the attachment, add it again, and send the email again."


class TextLost(DeliveryRefused):
    """A text of the email is not in the store any more."""

    code = "text_lost"
    remedy = "Write the email again: what is left of it cannot be sent."


class SendingQuotaSpent(Throttled):
    """The mailbox has sent as much as the server allows for a time; nothing is wrong with any email."""

    code = "sending_quota_spent"
    remedy = (
        "Nothing to do: the emails wait until the server takes more. Raise the quota on the mail server if it is too small."
    )


class WatermarkExpired(SyncError):
    """The server does not accept the watermark any more: the folder is listed again."""

    code = "watermark_expired"


class FolderNotFound(SyncError):
    """The folder does not exist on the server (any more)."""

    code = "folder_not_found"
    remedy = "Restore the folder, or remove it from what is synchronized."


class SuspiciousChange(SyncError):
    """Too much would be lost at once: stop and ask an administrator."""

    code = "suspicious_change"


class LeaseLost(SyncError):
    """Another worker has the mailbox now: stop quietly."""

    code = "lease_lost"


class InvalidRecord(SyncError):
    """A configuration record breaks a rule. `field` is a JSON pointer without its first slash, `remedy` says what to do."""

    code = "invalid_record"

    def __init__(self, field: str, message: str, remedy: str) -> None:
        super().__init__(message)
        self.field = field
        self.remedy = remedy


class AlreadyExists(SyncError):
    """A record with this key is there already."""

    code = "already_exists"


class Changed(SyncError):
    """The record was changed since it was read (its ETag differs)."""

    code = "changed"
    remedy = "Read the record again and repeat the change on its present state."
