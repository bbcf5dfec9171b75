"""What a POP3 server's refusals mean: response codes (RFC 2449, RFC 3206; those of RFC 5530 where servers use them here too).

The text behind -ERR is written for people and may name them: it is looked at, and kept nowhere.
"""

import re

from shared.connectors.internet.connection import mapped as mapped_connection
from shared.connectors.internet.sign_in import NoTokensTaken
from shared.domain.errors import (
    AccessDenied,
    AuthenticationFailed,
    Busy,
    MailboxError,
    NoMailServer,
    SyncError,
    Throttled,
    TransientError,
)

_CODE = re.compile(rb"\s*\[([A-Za-z0-9/_-]{1,40})")
_TRANSIENT = frozenset({"IN-USE", "SYS/TEMP", "UNAVAILABLE", "LIMIT", "SERVERBUG", "INUSE"})
_LOCKED = re.compile(
    rb"\block|in use|\bbusy\b|try again|temporar|too many|already|unavailable|internal|server error|timed out", re.IGNORECASE
)
"""How servers without response codes say that a maildrop is in use, or that they fail themselves."""


class PopNotAllowed(AccessDenied):
    """The server knows who signs in, and gives no maildrop."""

    remedy = "Allow POP3 for this mailbox on the mail server, and check that its account is enabled."


class DigestRefused(AuthenticationFailed):
    """APOP was refused."""

    remedy = (
        "Check user name and password. Where the server offers APOP but keeps no password for it, choose Basic as the"
        " authentication of the profile, or better TLS."
    )


class TokensRefused(NoTokensTaken):
    """The server takes no tokens at all (XOAUTH2)."""

    remedy = "Allow modern authentication (OAuth) for POP3 on the mail server, or let the profile sign in with a password."


class UidlMissing(MailboxError):
    """Without UIDL nobody can tell new messages from those that were read."""

    code = "uidl_missing"
    remedy = "Use another protocol for this mailbox, such as IMAP: its POP3 server does not number messages lastingly (UIDL)."


class Refused(Exception):
    """The server answered -ERR. The connection goes on."""

    def __init__(self, operation: str, line: bytes) -> None:
        found = _CODE.match(line.removeprefix(b"-ERR"))
        self.code = found[1].decode().upper() if found else ""
        self.operation = operation
        self._line = line
        super().__init__(f"{operation}: -ERR" + (f" [{self.code}]" if self.code else ""))

    @property
    def is_transient(self) -> bool:
        """The server says itself that it will pass."""
        return self.code in _TRANSIENT or self.code.startswith("LOGIN-DELAY")

    def at_sign_in(self, kind: type[AuthenticationFailed], *, profile_wide: bool) -> SyncError:
        """The error that it means for who signs in; `kind` where nothing else is known."""
        if self.code == "LOGIN-DELAY":
            return Throttled(str(self))
        if self.is_transient or (not self.code and _LOCKED.search(self._line)):
            return Busy(str(self))
        if self.code == "SYS/PERM":
            return PopNotAllowed(str(self))
        return kind(str(self), profile_wide=profile_wide)


class NoPop3(Exception):
    """What was said is no POP3."""


class ReplyTooLong(Exception):
    """A reply went on beyond what it may be. The connection cannot be used any more."""


def mapped(error: Exception, operation: str) -> SyncError:
    """The error for whatever a connection raises. Raise it `from` the original."""
    match error:
        case Refused():
            return Busy(str(error))
        case NoPop3():
            return NoMailServer(f"{operation}: the answer is none of a POP3 server.")
        case ReplyTooLong():
            return TransientError(f"{operation}: the server does not come to an end.")
        case _:
            return mapped_connection(error, operation)
