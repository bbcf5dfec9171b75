"""Signing in to POP3, IMAP and SMTP: passwords, SASL PLAIN (RFC 4616) and XOAUTH2, and whose mailbox is opened then."""

import base64
import binascii
import hashlib
import json
import secrets
from dataclasses import dataclass

from local.mailserver.accounts import Account, Accounts
from local.mailserver.model import Mailbox, MailStore, NoSuchMailbox

MECHANISMS = ("PLAIN", "XOAUTH2")
POP3, IMAP, SMTP = "POP.AccessAsUser.All", "IMAP.AccessAsUser.All", "SMTP.Send"
"""What the owner of a mailbox consents to at Microsoft for each protocol."""
_BEARER = "auth=Bearer "


@dataclass(frozen=True, slots=True)
class Claim:
    """Who somebody says he is and whose mailbox he wants; `account` is None where he has not proven it."""

    username: str
    wanted: str
    """Address of the mailbox; empty: his own."""
    account: Account | None
    by_token: bool = False

    def address(self, store: MailStore) -> str | None:
        """Of the mailbox that this is about, whether or not it is opened."""
        own = self.account.mailbox if self.account is not None else None
        named = self.wanted or own or self.username
        try:
            return store.mailbox(named).address
        except NoSuchMailbox:
            return named or None


class Denied(Exception):
    """Not proven, or no mailbox that he may open."""


class NotConnected(Denied):
    """He is who he says, and his mailbox cannot be opened."""


def by_password(accounts: Accounts, username: str, password: str) -> Claim:
    return Claim(username, "", accounts.sign_in(username, password))


def by_digest(accounts: Accounts, username: str, digest: str, timestamp: str) -> Claim:
    """APOP (RFC 1939 section 7)."""
    account = accounts.find(username)
    password = "" if account is None or account.is_application else account.password
    proof = hashlib.md5((timestamp + password).encode(), usedforsecurity=False).hexdigest()
    return Claim(username, "", account if password and secrets.compare_digest(proof, digest.lower()) else None)


def by_response(accounts: Accounts, mechanism: str, response: bytes, protocol: str) -> Claim:
    """What a SASL client answered, in base64, at the server of a protocol. Raises ValueError where it is malformed."""
    try:
        decoded = base64.b64decode(response, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError) as error:
        raise ValueError("no base64") from error
    return _plain(accounts, decoded) if mechanism == "PLAIN" else _xoauth2(accounts, decoded, protocol)


def _plain(accounts: Accounts, decoded: str) -> Claim:
    fields = decoded.split("\0")
    if len(fields) != 3 or not fields[1]:
        raise ValueError("no PLAIN message")
    wanted, username, password = fields
    return Claim(username, "" if wanted == username else wanted, accounts.sign_in(username, password))


def _xoauth2(accounts: Accounts, decoded: str, protocol: str) -> Claim:
    fields = decoded.removesuffix("\x01\x01").split("\x01")
    user = next((part.removeprefix("user=") for part in fields if part.startswith("user=")), "")
    token = next((part[len(_BEARER) :] for part in fields if part.lower().startswith(_BEARER.lower())), "")
    if not user or not token or not decoded.endswith("\x01\x01"):
        raise ValueError("no XOAUTH2 message")
    known = accounts.token(token)
    account = known.account if known is not None and _goes_for(protocol, known.scope) else None
    return Claim(user, user, account, by_token=True)


def _goes_for(protocol: str, scope: str) -> bool:
    """A token that names protocols goes for these alone; those of applications, and Google's, name none."""
    named = {each.rpartition("/")[2] for each in scope.split()} & {POP3, IMAP, SMTP}
    return not named or protocol in named


def challenge_of_error() -> bytes:
    """What XOAUTH2 says of a token that is no good, before it refuses: the client answers with an empty line."""
    error = {"status": "401", "schemes": "bearer", "scope": "https://outlook.office365.com/.default"}
    return base64.b64encode(json.dumps(error).encode())


def opened(claim: Claim, store: MailStore) -> Mailbox:
    """Raises Denied, NotConnected."""
    account = claim.account
    if account is None or not account.enabled:
        raise Denied
    address = claim.wanted or account.mailbox
    if address is None:
        raise NotConnected
    try:
        mailbox = store.mailbox(address)
    except NoSuchMailbox:
        raise (NotConnected if account.can_open(address) else Denied) from None
    if not account.can_open(mailbox.address) and not (account.is_application and account.can_impersonate(mailbox.address)):
        raise Denied
    if not mailbox.enabled:
        raise NotConnected
    return mailbox
