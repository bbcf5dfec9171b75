"""How one signs in at a POP3 server: USER and PASS, APOP (RFC 1939 section 7), or a token (AUTH XOAUTH2, RFC 5034)."""

import base64

from shared.connectors.internet.connection import Security, Server
from shared.connectors.internet.sign_in import Password
from shared.connectors.pop3.connection import Connection
from shared.connectors.pop3.errors import DigestRefused, Refused, TokensRefused
from shared.domain.choices import AuthenticationProtocol
from shared.domain.errors import AuthenticationFailed


def by_password(connection: Connection, who: Password, server: Server, protocol: AuthenticationProtocol) -> None:
    """Over a connection in the clear by digest, where the server offers it and nothing else was chosen.

    Raises AuthenticationFailed, AccessDenied, TransientError, and what the connection raises."""
    if {"\r", "\n"} & {*who.username, *who.password}:
        raise AuthenticationFailed("The user name or password has a line break.", profile_wide=who.profile_wide)
    in_the_clear = server.security is Security.NONE
    if in_the_clear and protocol is AuthenticationProtocol.AUTO_DETECT and connection.offers_apop:
        _by_digest(connection, who)
        return
    try:
        connection.user(who.username)
        connection.pass_(who.password)
    except Refused as error:
        raise error.at_sign_in(AuthenticationFailed, profile_wide=who.profile_wide) from error


def _by_digest(connection: Connection, who: Password) -> None:
    try:
        connection.apop(who.username, who.password)
    except Refused as error:
        raise error.at_sign_in(DigestRefused, profile_wide=who.profile_wide) from error


def by_token(connection: Connection, username: str, token: str, *, profile_wide: bool) -> None:
    """Raises TokensRefused where the server takes no tokens at all; else as `by_password`."""
    response = base64.b64encode(f"user={username}\x01auth=Bearer {token}\x01\x01".encode()).decode()
    try:
        connection.command("AUTH XOAUTH2")
    except Refused as error:
        raise error.at_sign_in(TokensRefused, profile_wide=profile_wide) from error
    try:
        answer = connection.respond(response)
        if not answer.startswith(b"+OK"):  # why it is refused, in base64; the refusal follows when the client has read it
            connection.respond("")
            raise AuthenticationFailed("AUTH: the token is refused.", profile_wide=profile_wide)
    except Refused as error:
        raise error.at_sign_in(AuthenticationFailed, profile_wide=profile_wide) from error
