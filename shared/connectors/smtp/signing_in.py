"""How one signs in at an SMTP server (RFC 4954): AUTH PLAIN, LOGIN, or a token (XOAUTH2)."""

import base64

from shared.connectors.internet.sign_in import Password
from shared.connectors.smtp.connection import Connection
from shared.connectors.smtp.errors import PasswordsNotTaken, TokensRefused, at_sign_in
from shared.connectors.smtp.replies import Reply
from shared.domain.errors import AuthenticationFailed

_LONGEST_COMMAND = 500
"""Characters: a longer response goes by itself (RFC 5321 section 4.5.3.1.4)."""
_CONTINUE = 334
_UNKNOWN = frozenset({500, 501, 502, 503, 504})
"""No such command, or no such mechanism."""


def by_password(connection: Connection, who: Password) -> None:
    """Raises AuthenticationFailed, PasswordsNotTaken, TlsRequired, SubmissionOff, TransientError, and what the connection
    raises."""
    offered = _offered(connection)
    if "PLAIN" in offered:
        reply = _asked(connection, "PLAIN", f"\0{who.username}\0{who.password}")
    elif "LOGIN" in offered:
        reply = connection.command("AUTH LOGIN")
        for answer in (who.username, who.password):
            if reply.code == _CONTINUE:
                reply = connection.respond(_encoded(answer))
    else:
        raise PasswordsNotTaken("AUTH: the server offers no sign-in with a password.")
    if not reply.is_positive:
        raise at_sign_in(reply, AuthenticationFailed, profile_wide=who.profile_wide)


def by_token(connection: Connection, username: str, token: str, *, profile_wide: bool) -> None:
    """Raises TokensRefused where the server takes no tokens at all; else as `by_password`."""
    if "XOAUTH2" not in _offered(connection):
        raise TokensRefused("AUTH: the server offers no sign-in with a token.", profile_wide=profile_wide)
    reply = _asked(connection, "XOAUTH2", f"user={username}\x01auth=Bearer {token}\x01\x01")
    if reply.code == _CONTINUE:  # why it is refused, in base64; the refusal follows when the client has read it
        reply = connection.respond("")
    if not reply.is_positive:
        kind = TokensRefused if reply.code in _UNKNOWN else AuthenticationFailed
        raise at_sign_in(reply, kind, profile_wide=profile_wide)


def _asked(connection: Connection, mechanism: str, response: str) -> Reply:
    written = _encoded(response)
    if len(written) <= _LONGEST_COMMAND:
        return connection.command(f"AUTH {mechanism} {written}")
    reply = connection.command(f"AUTH {mechanism}")
    return connection.respond(written) if reply.code == _CONTINUE else reply


def _encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode("ascii")


def _offered(connection: Connection) -> frozenset[str]:
    return frozenset(connection.esmtp_features.get("auth", "").upper().split())
