"""Every refusal of an IMAP server and every failure of its connection, mapped once: what our caller does next is in the type.

Response codes are those of RFC 5530 and what Gmail and Exchange add. Messages carry the command and the code, never the
server's own text: that may quote addresses and subjects.
"""

import imaplib
import re
from collections.abc import Mapping

from shared.connectors.internet.connection import mapped as mapped_connection
from shared.domain.errors import (
    AccessDenied,
    AuthenticationFailed,
    Busy,
    Disabled,
    FolderNotFound,
    ItemError,
    MailboxError,
    NoMailServer,
    SyncError,
    Throttled,
    TransientError,
    Unreachable,
)


class ConnectionLost(Unreachable):
    """A connection that had been opened broke during a command, or the server said what cannot be understood."""


class SignInInTheClearRefused(MailboxError):
    """The server takes no password over this connection, or none at all."""

    code = "password_refused"
    remedy = (
        "The server takes no password over this connection: let the profile use TLS, or sign in with a token (OAuth) if the"
        " server takes no passwords at all."
    )


class NotLetIn(AccessDenied):
    """Signed in, but to no mailbox, or not to this one."""

    code = "not_let_in"
    remedy = (
        "The credentials are good, but open no mailbox: check that the mailbox exists, that IMAP is allowed for it, and that"
        " the account or application that signs in has a right to it."
    )


class NoLastingIds(MailboxError):
    """The server does not keep the ids of messages (UIDNOTSTICKY, or no UIDVALIDITY): nothing could be told from anything."""

    code = "no_lasting_ids"
    remedy = "The mailbox cannot be read by IMAP: its server gives messages no lasting ids. Read it by POP3, or move it."


_CODES: Mapping[type[SyncError], str] = {
    AuthenticationFailed: "AUTHENTICATIONFAILED EXPIRED WEBALERT",
    NotLetIn: "AUTHORIZATIONFAILED NOPERM",
    SignInInTheClearRefused: "PRIVACYREQUIRED",
    Disabled: "CONTACTADMIN",
    Busy: "UNAVAILABLE INUSE",
    Throttled: "LIMIT THROTTLED OVERQUOTA",
    FolderNotFound: "NONEXISTENT TRYCREATE",
}
_BY_CODE: Mapping[str, type[SyncError]] = {code: kind for kind, codes in _CODES.items() for code in codes.split()}

_CODE = re.compile(rb"^\s*\[([A-Za-z][A-Za-z0-9_/-]*)")
_TOO_MANY = re.compile(rb"too many|rate limit|try again later|temporar", re.IGNORECASE)
"""Gmail and others say so of connections and sign-ins, without a code that tells it from a wrong password."""
_FAILS = re.compile(rb"\[(?:SERVERBUG|CORRUPTION)\]|unavailable|internal|server error|timed out", re.IGNORECASE)
"""It fails itself: nothing is said about passwords, nor whether there is a folder. (It may be a single message's fault.)"""
_NO_MAILBOX = re.compile(rb"authenticated but not connected", re.IGNORECASE)
"""Exchange: the token is good, and opens no mailbox of that name."""


def refused(command: str, text: bytes, otherwise: type[SyncError], *, profile_wide: bool = False) -> SyncError:
    """The error for a command that was answered NO, BAD or BYE, with the server's `text`; `otherwise` where that has no code
    that tells more."""
    found = _CODE.match(text)
    code = found[1].decode("ascii").upper() if found else ""
    kind = _BY_CODE.get(code)
    if _NO_MAILBOX.search(text):
        kind = NotLetIn
    elif kind is NotLetIn and issubclass(otherwise, ItemError):
        kind = otherwise  # the mailbox can be read all the same
    elif kind is None and _TOO_MANY.search(text):
        kind = Throttled
    elif kind is None:
        kind = Busy if _FAILS.search(text) and not issubclass(otherwise, ItemError | Unreachable) else otherwise
    message = f"{command}: {code or 'refused'}"
    return kind(message, profile_wide=profile_wide) if issubclass(kind, AuthenticationFailed) else kind(message)


def mapped(error: Exception, command: str, *, greets: bool = False) -> SyncError:
    """The error for what imaplib, a parser or the socket raises. `greets`: the server has said nothing that is IMAP yet.
    Raise it `from` the original."""
    match error:
        case SyncError():
            return error
        case imaplib.IMAP4.error() if greets:
            text = str(error.args[0] if error.args else "").encode("utf-8", "replace")
            return Unreachable(f"{command}: the server hung up") if b"EOF" in text else NoMailServer(f"{command}: no IMAP")
        case imaplib.IMAP4.error() | ValueError() | LookupError() | TypeError():
            return ConnectionLost(f"{command}: {type(error).__name__}")
        case _:
            return _lost(mapped_connection(error, command))


def _lost(error: SyncError) -> SyncError:
    return ConnectionLost(str(error)) if type(error) in (Unreachable, TransientError) else error
