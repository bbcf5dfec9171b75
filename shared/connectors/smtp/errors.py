"""What failures and refusals at sign-in mean, mapped once. What a server says of an email is in `refusals`.

Errors of the server or the mailbox are told by codes alone: alerts and logs carry them, and a server's words may name people.
"""

from datetime import timedelta

from shared.connectors.internet.connection import mapped as mapped_connection
from shared.connectors.internet.sign_in import NoTokensTaken
from shared.connectors.smtp.replies import Reply, retry_hint
from shared.domain.errors import (
    AccessDenied,
    AuthenticationFailed,
    Busy,
    MailboxError,
    NoMailServer,
    SendingQuotaSpent,
    SyncError,
    Throttled,
)

QUOTA_AGAIN_AFTER = timedelta(hours=1)
"""Quotas of a day open gradually; servers do not say when."""


class TlsRequired(MailboxError):
    """The server takes nothing over a connection in the clear."""

    code = "tls_required"
    remedy = "Switch TLS on in the profile: the server takes mail and passwords only over an encrypted connection."


class SignInRequired(MailboxError):
    """The server takes no mail from whom it does not know."""

    code = "sign_in_required"
    remedy = "Let the profile sign in to send, with a password or a token (OAuth): the server takes no mail otherwise."


class PasswordsNotTaken(MailboxError):
    """The server offers no sign-in with a password on this connection."""

    code = "password_refused"
    remedy = (
        "The server takes no password over this connection: let the profile use TLS, check that the port is that of mail"
        " submission (587 or 465), or sign in with a token (OAuth) if the server takes no passwords at all."
    )


class SubmissionOff(AccessDenied):
    """The credentials may be right, but sending over SMTP is switched off for the mailbox, or for all."""

    code = "submission_off"
    proves_sign_in = False
    remedy = "Allow authenticated SMTP for this mailbox on the mail server (Exchange Online: Set-CASMailbox)."


class NotWelcome(AccessDenied):
    """The server speaks with nobody at this address."""

    code = "not_welcome"
    proves_sign_in = False
    remedy = "Let the mail server accept connections from the address of this deployment: it refuses them."


class TokensRefused(NoTokensTaken):
    """The server takes no tokens at all (XOAUTH2)."""

    remedy = "Allow modern authentication (OAuth) for SMTP on the mail server, or let the profile sign in with a password."


class NoSmtp(Exception):
    """What was said is no SMTP."""


class Closing(Exception):
    """The server ends the connection (421). `command` is what it says so to."""

    def __init__(self, command: str, reply: Reply) -> None:
        super().__init__(f"{command}: {reply.codes}")
        self.command = command
        self.reply = reply


def mapped(error: Exception, operation: str) -> SyncError:
    """The error for whatever a connection raises. Raise it `from` the original."""
    match error:
        case NoSmtp():
            return NoMailServer(f"{operation}: the answer is none of an SMTP server.")
        case Closing():
            return of_server(error.command, error.reply)
        case _:
            return mapped_connection(error, operation)


def of_server(command: str, reply: Reply) -> SyncError:
    """The error for a refusal that is about no email: of a connection, or of everything."""
    message = f"{command}: {reply.codes}"
    if reply.wants_tls:
        return TlsRequired(message)
    if reply.wants_sign_in:
        return SignInRequired(message)
    if reply.is_quota:
        return SendingQuotaSpent(message, retry_hint(reply.text) or QUOTA_AGAIN_AFTER)
    if reply.is_throttling:
        return Throttled(message, retry_hint(reply.text))
    return Busy(message, retry_hint(reply.text)) if reply.is_transient else NotWelcome(message)


def at_sign_in(reply: Reply, kind: type[AuthenticationFailed], *, profile_wide: bool) -> SyncError:
    """The error for who is not let in (RFC 4954 section 6); `kind` where nothing else is known."""
    message = f"AUTH: {reply.codes}"
    if reply.wants_tls:
        return TlsRequired(message)
    if reply.says_submission_is_off:
        return SubmissionOff(message)
    if reply.is_transient and reply.code != _PASSWORD_TRANSITION:
        return (Throttled if reply.is_throttling else Busy)(message, retry_hint(reply.text))
    return kind(message, profile_wide=profile_wide)


_PASSWORD_TRANSITION = 432
"""RFC 4954: the password has to be set anew."""
