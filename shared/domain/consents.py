"""Consents: that the owner of a mailbox allowed an application of ours to read it, and to send from it. Pure: what one is given
for, and until when.

The application works with a refresh token, which is a secret and stands here by reference only.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from shared.domain.choices import AuthenticationProtocol, ConsentStatus, CredentialSource, OAuthProvider, ServerType, Workload
from shared.domain.configuration import Credentials, EmailServerProfile, Mailbox, SecretRef, for_outgoing
from shared.domain.ids import MailboxId

UNUSED = {OAuthProvider.MICROSOFT: timedelta(days=90), OAuthProvider.GOOGLE: timedelta(days=180)}
"""A refresh token ends when it was not used for so long: at Microsoft 90 days, each use gives another; at Google six months.
https://learn.microsoft.com/entra/identity-platform/refresh-tokens, https://developers.google.com/identity/protocols/oauth2"""

_PROTOCOLS = {ServerType.POP3_SMTP: "POP", ServerType.IMAP_SMTP: "IMAP"}
_SENDING = "SMTP.Send"
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
    outgoing_server: str | None = None
    """Host of the SMTP server, in lower case; None where mail is sent by other credentials, or was not sent yet."""


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


def sends_by_consent(profile: EmailServerProfile) -> bool:
    """Mail is sent in the name of the owners of its mailboxes too: outgoing mail has no credentials of its own."""
    has_own = not profile.use_same_settings_for_outgoing and profile.outgoing_credential_source is not None
    return needs_consent(profile) and not has_own


def terms_of(profile: EmailServerProfile) -> ConsentTerms | None:
    """To what the owners of its mailboxes have to consent now; None where they need not, or the profile is incomplete."""
    provider, client_id = profile.oauth_provider, profile.credentials.client_id
    if provider is None or not client_id or profile.server_type not in _PROTOCOLS or not needs_consent(profile):
        return None
    sends = sends_by_consent(profile)
    return ConsentTerms(
        provider,
        profile.credentials.authority,
        profile.credentials.tenant_id,
        client_id,
        _scopes(provider, profile, sends=sends),
        _host(profile),
        _host(for_outgoing(profile)) if sends else None,
    )


def covers(terms: ConsentTerms, profile: EmailServerProfile, workload: Workload) -> bool:
    """Whether who consented to `terms` consented to what this workload does with the profile. A consent to being read stays one
    whatever becomes of outgoing mail."""
    asked = terms_of(profile)
    if asked is None:
        return False
    if workload is Workload.OUTGOING:
        return terms == asked and sends_by_consent(profile)
    return _to_read(terms) == _to_read(asked)


def _to_read(terms: ConsentTerms) -> ConsentTerms:
    scopes = tuple(each for each in terms.scopes if not each.endswith(f"/{_SENDING}"))
    return replace(terms, scopes=scopes, outgoing_server=None)


def _host(profile: EmailServerProfile) -> str:
    return (profile.incoming_location or "").lower()


def _scopes(provider: OAuthProvider, profile: EmailServerProfile, *, sends: bool) -> tuple[str, ...]:
    """No more than it takes to read a mailbox, and to send from it, also when its owner is away."""
    if provider is OAuthProvider.GOOGLE:
        return ("https://mail.google.com/",)  # Google has none that only reads by POP3 or IMAP; it goes for SMTP too
    server = _SOVEREIGN.get((profile.credentials.authority or "").lower(), "https://outlook.office.com")
    reading = f"{server}/{_PROTOCOLS[profile.server_type]}.AccessAsUser.All"
    return (reading, *([f"{server}/{_SENDING}"] if sends else []), "offline_access")


def server_of_tokens(credentials: Credentials) -> str:
    """For whom Microsoft issues the tokens that an application shows at POP3, IMAP and SMTP servers."""
    return _SOVEREIGN.get((credentials.authority or "").lower(), "https://outlook.office365.com")


def end_of(consent: Consent) -> datetime:
    """When it ends if nothing uses it from now on."""
    unused = consent.renewed_on + UNUSED[consent.terms.provider]
    return unused if consent.expires_on is None else min(unused, consent.expires_on)


def status_of(consent: Consent | None, profile: EmailServerProfile | None, *, sends: bool = False) -> ConsentStatus:
    """`profile` is the one that the mailbox is on; `sends`: mail is sent from the mailbox."""
    if profile is None or not needs_consent(profile):
        return ConsentStatus.NOT_NEEDED
    if consent is None:
        return ConsentStatus.MISSING
    workload = Workload.OUTGOING if sends and sends_by_consent(profile) else Workload.INCOMING
    if not covers(consent.terms, profile, workload):
        return ConsentStatus.OUTDATED
    return ConsentStatus.GRANTED if consent.ended_on is None else ConsentStatus.ENDED


def signs_in_as(mailbox: Mailbox) -> str:
    """The user name of the mailbox at its server."""
    return mailbox.credentials.username or mailbox.address
