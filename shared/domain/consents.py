"""Consents: that the owner of a mailbox allowed an application of ours to read it. Pure: what one is given for, and until when.

The application works with a refresh token, which is a secret and stands here by reference only.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from shared.domain.choices import AuthenticationProtocol, ConsentStatus, CredentialSource, OAuthProvider, ServerType
from shared.domain.configuration import Credentials, EmailServerProfile, Mailbox, SecretRef
from shared.domain.ids import MailboxId

UNUSED = {OAuthProvider.MICROSOFT: timedelta(days=90), OAuthProvider.GOOGLE: timedelta(days=180)}
"""A refresh token ends when it was not used for so long: at Microsoft 90 days, each use gives another; at Google six months.
https://learn.microsoft.com/entra/identity-platform/refresh-tokens, https://developers.google.com/identity/protocols/oauth2"""

_PROTOCOLS = {ServerType.POP3_SMTP: "POP", ServerType.IMAP_SMTP: "IMAP"}
_SOVEREIGN = {
    "login.microsoftonline.us": "https://outlook.office365.us",
    "login.partner.microsoftonline.cn": "https://partner.outlook.cn",
}
"""By the authority of the credentials: whose tokens the mail servers of that cloud take."""


@dataclass(frozen=True, slots=True)
class ConsentTerms:
    """What an owner consents to: this application may do that there, by the word of this provider. Other terms need another
    consent: a refresh token goes to no other issuer than it came from, and what it gives to no other mail server."""

    provider: OAuthProvider
    authority: str | None
    tenant_id: str | None
    client_id: str
    scopes: tuple[str, ...]
    server: str
    """Host of the mail server, in lower case."""


@dataclass(frozen=True, slots=True)
class Consent:
    """What the owner of a mailbox consented to. Stands beside the mailbox's record: never changes its ETag."""

    mailbox_id: MailboxId
    terms: ConsentTerms
    refresh_token: SecretRef
    granted_on: datetime
    """When it was given; also tells it from one that is given later."""
    granted_by: str
    """Who asked for it: the owner of the mailbox has no name here."""
    renewed_on: datetime
    """When the provider last gave a token for it."""
    expires_on: datetime | None = None
    """When it ends, used or not; None where the provider names no time."""
    ended_on: datetime | None = None
    """Since when the provider does not accept it any more."""
    renewing_until: datetime | None = None
    """A worker is asking the provider, and no other one does so before: of two, one would use what the other used up."""


@dataclass(frozen=True, slots=True)
class StoredConsent:
    record: Consent
    etag: str


@dataclass(frozen=True, slots=True)
class ConsentRequest:
    """An owner was asked to consent, and has not answered yet. The answer carries the state, of which a hash is the key."""

    key: str
    mailbox_id: MailboxId
    terms: ConsentTerms
    redirect_uri: str
    salt: str
    """What the verifier of the code (RFC 7636) is made of, together with the state: nobody who has one of both has it."""
    asked_by: str
    expires_on: datetime


def needs_consent(profile: EmailServerProfile) -> bool:
    """Its mailboxes are read in the name of their owners."""
    return profile.authentication is AuthenticationProtocol.OAUTH and profile.credential_source is CredentialSource.MAILBOX


def terms_of(profile: EmailServerProfile) -> ConsentTerms | None:
    """To what the owners of its mailboxes have to consent now; None where they need not, or the profile is incomplete."""
    provider, client_id = profile.oauth_provider, profile.credentials.client_id
    if provider is None or not client_id or profile.server_type not in _PROTOCOLS or not needs_consent(profile):
        return None
    credentials, server = profile.credentials, (profile.incoming_location or "").lower()
    return ConsentTerms(provider, credentials.authority, credentials.tenant_id, client_id, _scopes(provider, profile), server)


def _scopes(provider: OAuthProvider, profile: EmailServerProfile) -> tuple[str, ...]:
    """No more than reading a mailbox takes, also when its owner is away."""
    if provider is OAuthProvider.GOOGLE:
        return ("https://mail.google.com/",)  # Google has none that only reads by POP3 or IMAP
    server = _SOVEREIGN.get((profile.credentials.authority or "").lower(), "https://outlook.office.com")
    return (f"{server}/{_PROTOCOLS[profile.server_type]}.AccessAsUser.All", "offline_access")


def server_of_tokens(credentials: Credentials) -> str:
    """For whom Microsoft issues the tokens that an application shows at POP3 and IMAP servers."""
    return _SOVEREIGN.get((credentials.authority or "").lower(), "https://outlook.office365.com")


def end_of(consent: Consent) -> datetime:
    """When it ends if nothing uses it from now on."""
    unused = consent.renewed_on + UNUSED[consent.terms.provider]
    return unused if consent.expires_on is None else min(unused, consent.expires_on)


def status_of(consent: Consent | None, profile: EmailServerProfile | None) -> ConsentStatus:
    """`profile` is the one that the mailbox is on."""
    if profile is None or not needs_consent(profile):
        return ConsentStatus.NOT_NEEDED
    if consent is None:
        return ConsentStatus.MISSING
    if consent.terms != terms_of(profile):
        return ConsentStatus.OUTDATED
    return ConsentStatus.GRANTED if consent.ended_on is None else ConsentStatus.ENDED


def signs_in_as(mailbox: Mailbox) -> str:
    """The user name of the mailbox at its server."""
    return mailbox.credentials.username or mailbox.address
