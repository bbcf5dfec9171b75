"""Who signs in at a POP3, IMAP or SMTP server for a mailbox, and with what: a password, or a token of one of several kinds.

Knows no mail protocol. What issues tokens is loaded when the first mailbox needs one.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from threading import Lock
from typing import Protocol

from shared.connectors.gate import Gate
from shared.connectors.stored_secrets import stored_secret
from shared.domain.choices import AuthenticationProtocol, CredentialSource, OAuthProvider, Workload
from shared.domain.configuration import Credentials, EmailServerProfile, Mailbox, for_outgoing
from shared.domain.consents import covers, server_of_tokens, signs_in_as
from shared.domain.errors import AuthenticationFailed
from shared.ports import Clock, Consents, Secrets

MOST_IDENTITIES = 10_000
"""Beyond so many the one asked for longest ago is forgotten: at worst a token is asked for once more."""


class Tokens(Protocol):
    """Access tokens of one identity."""

    def token(self) -> str:
        """One that is valid now. Raises AuthenticationFailed, TransientError."""
        ...

    def forget(self) -> None:
        """The server does not accept the token any more."""
        ...


@dataclass(frozen=True, slots=True)
class Password:
    username: str
    password: str
    profile_wide: bool


@dataclass(frozen=True, slots=True)
class Token:
    """For XOAUTH2."""

    username: str
    tokens: Tokens
    profile_wide: bool
    """Whose a refusal of the token by the mail server is. The issuer has accepted the credentials by then, so it is a matter of
    this mailbox, whoever signs in: one that the application may not open must not stop all others."""


type SignIn = Password | Token


class NoTokensTaken(AuthenticationFailed):
    """The server takes no tokens at all (XOAUTH2): another one would not help."""


def signed_in[C](
    who: SignIn,
    gate: Gate | None,
    timeout: timedelta,
    *,
    by_password: Callable[[Password], C],
    by_token: Callable[[Token, str], C],
) -> C:
    """What signing in gives. A password goes through its gate; a token that is refused is replaced once, as it may have been
    withdrawn before its time. Raises what they raise."""
    if isinstance(who, Token):
        return _with_token(who, by_token)
    if gate is None:
        return by_password(who)
    with gate.attempt(timeout.total_seconds()):
        connection = by_password(who)
        gate.passed()
        return connection


def _with_token[C](who: Token, by_token: Callable[[Token, str], C]) -> C:
    token = who.tokens.token()
    try:
        return by_token(who, token)
    except NoTokensTaken:
        raise
    except AuthenticationFailed:
        who.tokens.forget()
        fresh = who.tokens.token()
        if fresh == token:
            raise
        return by_token(who, fresh)


type _Key = tuple[object, ...]


def _utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(slots=True)
class Identities:
    """Tokens by who signs in, kept for the life of the worker. Thread-safe."""

    consents: Consents | None = None
    clock: Clock = _utc_now
    _known: dict[_Key, Tokens] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)

    def tokens(self, key: _Key, make: Callable[[], Tokens]) -> Tokens:
        """Those of `key`. Another secret has another key, so a changed one is tried at once. `make` asks no issuer."""
        with self._lock:
            if key in self._known:
                self._known[key] = self._known.pop(key)
                return self._known[key]
        made = make()
        with self._lock:
            kept = self._known.setdefault(key, made)
            if len(self._known) > MOST_IDENTITIES:
                del self._known[next(iter(self._known))]
            return kept


def sign_in_for(
    profile: EmailServerProfile,
    mailbox: Mailbox,
    secrets: Secrets,
    identities: Identities | None = None,
    *,
    allow_local_servers: bool = False,
) -> SignIn:
    """To read the mailbox. Asks no issuer yet. Raises AuthenticationFailed where the records name nobody, the secret is not
    there, or no consent stands; LocationRefused where the issuer of tokens is none; TransientError where a store fails."""

    def consented(known: Identities) -> Tokens:
        return _consented(Workload.INCOMING, profile, mailbox, secrets, known, allow_local_servers=allow_local_servers)

    return _sign_in(profile, mailbox, secrets, identities or Identities(), consented, allow_local_servers=allow_local_servers)


def sign_in_to_send(
    profile: EmailServerProfile,
    mailbox: Mailbox,
    secrets: Secrets,
    identities: Identities | None = None,
    *,
    allow_local_servers: bool = False,
) -> SignIn | None:
    """At the server that `for_outgoing(profile)` names, and at no other; `profile` is the one that was configured. None: nobody
    signs in, the server knows by our address who we are. Raises as `sign_in_for`."""

    def consented(known: Identities) -> Tokens:
        return _consented(Workload.OUTGOING, profile, mailbox, secrets, known, allow_local_servers=allow_local_servers)

    sending = for_outgoing(profile)
    if sending.credential_source is CredentialSource.ANONYMOUS:
        return None
    return _sign_in(sending, mailbox, secrets, identities or Identities(), consented, allow_local_servers=allow_local_servers)


def _sign_in(
    profile: EmailServerProfile,
    mailbox: Mailbox,
    secrets: Secrets,
    identities: Identities,
    consented: Callable[[Identities], Tokens],
    *,
    allow_local_servers: bool,
) -> SignIn:
    if profile.authentication is not AuthenticationProtocol.OAUTH:
        return _password(profile, mailbox, secrets)
    match profile.credential_source:
        case CredentialSource.MAILBOX:
            tokens = consented(identities)
        case CredentialSource.MANAGED_IDENTITY:
            tokens = _managed(profile, identities)
        case CredentialSource.APPLICATION if profile.oauth_provider is OAuthProvider.GOOGLE:
            tokens = _service_account(profile, mailbox, secrets, identities, allow_local_servers=allow_local_servers)
        case CredentialSource.APPLICATION:
            tokens = _application(profile, secrets, identities, allow_local_servers=allow_local_servers)
        case _:
            raise AuthenticationFailed("The profile signs in with tokens, and names nobody who gets them.", profile_wide=True)
    return Token(signs_in_as(mailbox), tokens, profile_wide=False)


def _password(profile: EmailServerProfile, mailbox: Mailbox, secrets: Secrets) -> Password:
    profile_wide = profile.credential_source is not CredentialSource.MAILBOX
    credentials = profile.credentials if profile_wide else mailbox.credentials
    password = stored_secret(credentials.secret, secrets, profile_wide=profile_wide)
    return Password(credentials.username or mailbox.address, password, profile_wide)


def _application(profile: EmailServerProfile, secrets: Secrets, identities: Identities, *, allow_local_servers: bool) -> Tokens:
    """With the permissions POP.AccessAsApp, IMAP.AccessAsApp and SMTP.SendAsApp, for the mailboxes that its service principal
    may open."""

    def make() -> Tokens:
        from shared.connectors.internet.issuers import ByMsal
        from shared.connectors.tokens import ApplicationTokens, proof_of

        proof = proof_of(credentials, secrets, profile_wide=True)
        return ByMsal(
            ApplicationTokens(credentials, proof, resource, profile_wide=True, allow_local_servers=allow_local_servers)
        )

    credentials, resource = profile.credentials, server_of_tokens(profile.credentials)
    if not credentials.client_id:
        raise AuthenticationFailed("The credentials lack a client id.", profile_wide=True)
    return identities.tokens(("application", *_named(credentials), allow_local_servers), make)


def _named(credentials: Credentials) -> _Key:
    return credentials.authority, credentials.tenant_id, credentials.client_id, credentials.secret, credentials.certificate


def _managed(profile: EmailServerProfile, identities: Identities) -> Tokens:
    def make() -> Tokens:
        from shared.connectors.internet.issuers import ByMsal
        from shared.connectors.tokens import PlatformTokens

        return ByMsal(PlatformTokens(profile.credentials.client_id, server_of_tokens(profile.credentials)))

    return identities.tokens(("managed", profile.credentials.client_id, profile.credentials.authority), make)


def _service_account(
    profile: EmailServerProfile, mailbox: Mailbox, secrets: Secrets, identities: Identities, *, allow_local_servers: bool
) -> Tokens:
    def make() -> Tokens:
        from shared.connectors.internet.service_accounts import ServiceAccountTokens, service_key

        key = service_key(stored_secret(credentials.secret, secrets, profile_wide=True))
        return ServiceAccountTokens(key, address, credentials.authority, allow_local_servers=allow_local_servers)

    credentials, address = profile.credentials, signs_in_as(mailbox)
    return identities.tokens(("service", credentials.authority, credentials.secret, address, allow_local_servers), make)


def _consented(
    workload: Workload,
    profile: EmailServerProfile,
    mailbox: Mailbox,
    secrets: Secrets,
    identities: Identities,
    *,
    allow_local_servers: bool,
) -> Tokens:
    """The consent is read each time: one that was withdrawn must not live on in the memory of a worker."""
    from shared.connectors.internet.consented import ConsentedTokens, ConsentEnded, ConsentMissing, ConsentOutdated

    consents = identities.consents
    stored = None if consents is None else consents.get(mailbox.id)
    if consents is None or stored is None:
        raise ConsentMissing("The owner of the mailbox has not consented.")
    consent = stored.record
    if not covers(consent.terms, profile, workload):
        raise ConsentOutdated("The profile has changed since the owner of the mailbox consented.")
    if consent.ended_on is not None:
        raise ConsentEnded("The issuer of tokens refused the consent before.")

    def make() -> Tokens:
        return ConsentedTokens(
            consent, profile.credentials, consents, secrets, identities.clock, allow_local_servers=allow_local_servers
        )

    who = mailbox.id, consent.granted_on, profile.credentials.secret
    return identities.tokens(("consent", *who, allow_local_servers), make)
