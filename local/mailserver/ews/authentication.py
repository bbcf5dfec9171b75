"""Signing in over HTTP: Basic, bearer tokens, NTLM. Answers only who it is; what they may do is for others to say."""

import base64
import binascii
from collections.abc import Collection
from dataclasses import dataclass

from local.mailserver import ntlm
from local.mailserver.accounts import Account, Accounts
from local.mailserver.web import Reply, Request

SCHEMES = ("ntlm", "basic", "bearer")


@dataclass(frozen=True, slots=True)
class Challenge:
    """Not signed in (yet): what to answer."""

    reply: Reply


def authenticate(request: Request, accounts: Accounts, schemes: Collection[str]) -> Account | Challenge:
    scheme, _, credentials = request.headers.get("authorization", "").partition(" ")
    scheme = scheme.lower()
    if scheme == "basic" and "basic" in schemes:
        account = _basic(credentials, accounts)
    elif scheme == "ntlm" and "ntlm" in schemes:
        return _ntlm(request, credentials, accounts, schemes)
    elif scheme == "bearer" and "bearer" in schemes:
        account = accounts.bearer(credentials.strip())
    else:
        signed_in = request.connection.signed_in
        account = signed_in if isinstance(signed_in, Account) and not scheme else None
    return account or Challenge(unauthorized(schemes))


def _basic(credentials: str, accounts: Accounts) -> Account | None:
    try:
        username, _, password = base64.b64decode(credentials, validate=True).decode("utf-8", "replace").partition(":")
    except (binascii.Error, ValueError):
        return None
    return accounts.sign_in(username, password)


def _ntlm(request: Request, credentials: str, accounts: Accounts, schemes: Collection[str]) -> Account | Challenge:
    """Two requests on one connection, which is signed in from then on."""
    connection = request.connection
    try:
        token = base64.b64decode(credentials, validate=True)
    except binascii.Error:
        return Challenge(unauthorized(schemes))
    if ntlm.is_negotiate(token):
        connection.handshake, message = ntlm.challenge()
        return Challenge(Reply(401, headers=[("WWW-Authenticate", f"NTLM {base64.b64encode(message).decode()}")]))
    handshake, connection.handshake = connection.handshake, None
    account = ntlm.signed_in(token, handshake, accounts) if isinstance(handshake, ntlm.Handshake) else None
    connection.signed_in = account
    return account or Challenge(unauthorized(schemes))


def unauthorized(schemes: Collection[str]) -> Reply:
    """401 as IIS gives it: one header per scheme, no body."""
    offered = {
        "ntlm": "NTLM",
        "basic": 'Basic realm="mail.contoso.example"',
        "bearer": 'Bearer client_id="00000002-0000-0ff1-ce00-000000000000", trusted_issuers="*@*"',
    }
    return Reply(401, headers=[("WWW-Authenticate", offered[scheme]) for scheme in SCHEMES if scheme in schemes])
