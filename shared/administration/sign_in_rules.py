"""Which credentials go with which sign-in: by the type of the server, where they come from, and the authentication.

Incoming and outgoing mail obey the same rules, except that only SMTP lets anybody in without credentials.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from shared.domain.choices import AuthenticationProtocol, CredentialSource, OAuthProvider, ServerType
from shared.domain.configuration import Credentials, EmailServerProfile
from shared.domain.errors import InvalidRecord

type _Protocols = tuple[AuthenticationProtocol, ...]

_OVER_HTTP: _Protocols = (AuthenticationProtocol.BASIC, AuthenticationProtocol.NTLM, AuthenticationProtocol.AUTO_DETECT)
_OVER_INTERNET_MAIL: _Protocols = (AuthenticationProtocol.BASIC, AuthenticationProtocol.AUTO_DETECT)
_TOKEN: _Protocols = (AuthenticationProtocol.OAUTH,)

PASSWORD_SOURCES = (CredentialSource.MAILBOX, CredentialSource.PROFILE)
TOKEN_SOURCES = (CredentialSource.APPLICATION, CredentialSource.MANAGED_IDENTITY)


@dataclass(frozen=True, slots=True)
class SignIn:
    """How a profile signs in for one direction; the names of its fields begin with `prefix`."""

    prefix: str
    server_type: ServerType
    source: CredentialSource
    authentication: AuthenticationProtocol
    credentials: Credentials
    use_impersonation: bool
    provider: OAuthProvider | None

    @property
    def path(self) -> str:
        """Of its credentials in the record."""
        return f"{self.prefix}credentials"


def incoming_sign_in(profile: EmailServerProfile) -> SignIn:
    return SignIn(
        "",
        profile.server_type,
        profile.credential_source,
        profile.authentication,
        profile.credentials,
        profile.use_impersonation,
        profile.oauth_provider,
    )


def outgoing_sign_in(profile: EmailServerProfile) -> SignIn | None:
    """None where outgoing mail signs in as incoming mail does."""
    if profile.outgoing_credential_source is None:
        return None
    own = profile.outgoing_authentication
    return SignIn(
        "outgoing_",
        profile.server_type,
        profile.outgoing_credential_source,
        profile.authentication if own is None else own,
        profile.outgoing_credentials,
        profile.outgoing_use_impersonation,
        profile.oauth_provider,
    )


def check_sign_in(profile: EmailServerProfile) -> None:
    """Raises InvalidRecord."""
    incoming, outgoing = incoming_sign_in(profile), outgoing_sign_in(profile)
    _check(incoming)
    _check_provider(incoming, outgoing)
    if outgoing is not None:
        _check(outgoing)
    elif profile.outgoing_authentication is not None:
        raise _not_outgoing("outgoing_authentication")
    else:
        _check_empty(profile.outgoing_credentials)
        if not profile.use_same_settings_for_outgoing:
            _check_impersonation(replace(incoming, prefix="outgoing_", use_impersonation=profile.outgoing_use_impersonation))


def check_secrets_belong(profile: EmailServerProfile, has: Callable[[str], bool]) -> None:
    """A source that signs in with a secret has one, and no other has; `has` tells of a pointer whether a secret is there.

    Raises InvalidRecord.
    """
    _check_secrets(incoming_sign_in(profile), has)
    outgoing = outgoing_sign_in(profile)
    if outgoing is not None:
        _check_secrets(outgoing, has)
        return
    for field in ("outgoing_credentials/secret", "outgoing_credentials/certificate"):
        if has(field):
            raise _not_outgoing(field)


def _check_secrets(sign_in: SignIn, has: Callable[[str], bool]) -> None:
    secret, certificate = f"{sign_in.path}/secret", f"{sign_in.path}/certificate"
    has_secret, has_certificate = has(secret), has(certificate)
    match sign_in.source:
        case CredentialSource.PROFILE:
            _required(secret, sign_in, present=has_secret)
            _superfluous(certificate, sign_in, present=has_certificate)
        case CredentialSource.APPLICATION if sign_in.provider is OAuthProvider.GOOGLE:
            _required(secret, sign_in, present=has_secret)
            _superfluous(certificate, sign_in, present=has_certificate)
        case CredentialSource.MAILBOX if _by_consent(sign_in):
            _required(secret, sign_in, present=has_secret or sign_in.provider is OAuthProvider.MICROSOFT)
            _superfluous(certificate, sign_in, present=has_certificate)
        case CredentialSource.APPLICATION:
            _required(secret, sign_in, present=has_secret or has_certificate)
            if has_secret and has_certificate:
                raise InvalidRecord(
                    certificate,
                    "an application signs in with a secret or with a certificate",
                    f"Set {secret} or {certificate} to null.",
                )
        case _:
            _superfluous(secret, sign_in, present=has_secret)
            _superfluous(certificate, sign_in, present=has_certificate)


def _check(sign_in: SignIn) -> None:
    protocols = _protocols(sign_in)
    _one_of(f"{sign_in.prefix}credential_source", sign_in.source, tuple(protocols), f"with {_name(sign_in.server_type)}")
    if sign_in.server_type is ServerType.EXCHANGE_ONLINE:
        _one_of(f"{sign_in.prefix}authentication", sign_in.authentication, _TOKEN, "for Exchange Online")
    possible = protocols[sign_in.source]
    where = f"with {sign_in.prefix}credential_source {_name(sign_in.source)}"
    _one_of(f"{sign_in.prefix}authentication", sign_in.authentication, possible, where)
    _check_fields(sign_in)
    _check_impersonation(sign_in)


def _check_impersonation(sign_in: SignIn) -> None:
    if _is_exchange(sign_in) and sign_in.authentication is AuthenticationProtocol.OAUTH and not sign_in.use_impersonation:
        field = f"{sign_in.prefix}use_impersonation"
        raise InvalidRecord(field, "an application opens mailboxes by impersonation only", f"Set {field} to true.")


def _protocols(sign_in: SignIn) -> dict[CredentialSource, _Protocols]:
    """Which authentication a source of credentials can do with this server. A source that is missing opens nothing there."""
    passwords = _OVER_HTTP if _is_exchange(sign_in) else _OVER_INTERNET_MAIL
    possible: dict[CredentialSource, _Protocols] = {
        **dict.fromkeys(PASSWORD_SOURCES, passwords),
        **dict.fromkeys(TOKEN_SOURCES, _TOKEN),
    }
    if _is_exchange(sign_in):
        return possible
    if sign_in.prefix:
        possible[CredentialSource.ANONYMOUS] = tuple(AuthenticationProtocol)
    else:
        possible[CredentialSource.MAILBOX] = (*passwords, *_TOKEN)
    if sign_in.provider is OAuthProvider.GOOGLE:
        del possible[CredentialSource.MANAGED_IDENTITY]
    return possible


def _check_provider(incoming: SignIn, outgoing: SignIn | None) -> None:
    by_token = not _is_exchange(incoming) and any(
        each.authentication is AuthenticationProtocol.OAUTH for each in (incoming, outgoing) if each is not None
    )
    if by_token and incoming.provider is None:
        raise InvalidRecord(
            "oauth_provider",
            f"{_name(incoming.server_type)} with authentication oauth needs oauth_provider",
            "Say who issues the tokens: microsoft or google.",
        )
    if incoming.provider is not None and not by_token:
        raise InvalidRecord(
            "oauth_provider",
            "only POP3 and IMAP with authentication oauth have an oauth_provider",
            "Set oauth_provider to null, or authentication to oauth.",
        )


def _by_consent(sign_in: SignIn) -> bool:
    """The owners of mailboxes consent to what the application of the profile does."""
    return sign_in.source is CredentialSource.MAILBOX and sign_in.authentication is AuthenticationProtocol.OAUTH


def _is_exchange(sign_in: SignIn) -> bool:
    return sign_in.server_type in (ServerType.EXCHANGE_SERVER, ServerType.EXCHANGE_ONLINE)


def _check_fields(sign_in: SignIn) -> None:
    credentials, path = sign_in.credentials, sign_in.path
    if sign_in.source is CredentialSource.PROFILE:
        _required(f"{path}/username", sign_in, present=bool(credentials.username))
    else:
        _superfluous(f"{path}/username", sign_in, present=bool(credentials.username))
    if sign_in.provider is OAuthProvider.GOOGLE:
        _superfluous(f"{path}/tenant_id", sign_in, present=bool(credentials.tenant_id))
    elif sign_in.source is CredentialSource.APPLICATION:
        _required(f"{path}/tenant_id", sign_in, present=bool(credentials.tenant_id))
    if sign_in.source is CredentialSource.APPLICATION and sign_in.provider is OAuthProvider.GOOGLE:
        _superfluous(f"{path}/client_id", sign_in, present=bool(credentials.client_id))  # the key says who it is of
    elif sign_in.source is CredentialSource.APPLICATION or _by_consent(sign_in):
        _required(f"{path}/client_id", sign_in, present=bool(credentials.client_id))


def _check_empty(outgoing: Credentials) -> None:
    for field in ("username", "tenant_id", "client_id", "authority"):
        if getattr(outgoing, field) is not None:
            raise _not_outgoing(f"outgoing_credentials/{field}")


def _not_outgoing(field: str) -> InvalidRecord:
    return InvalidRecord(
        field,
        "outgoing mail signs in with the credentials of incoming mail",
        f"Set {field} to null, or add outgoing_credential_source.",
    )


def _one_of[E: (ServerType, AuthenticationProtocol, CredentialSource)](
    field: str, value: E, possible: tuple[E, ...], where: str
) -> None:
    if value not in possible:
        choices = " or ".join(_name(choice) for choice in possible)
        raise InvalidRecord(field, f"{field} {_name(value)} is not possible {where}", f"Choose {choices}.")


def _required(field: str, sign_in: SignIn, *, present: bool) -> None:
    if not present:
        raise InvalidRecord(field, f"{_source(sign_in)} needs {field}", f"Add {field}.")


def _superfluous(field: str, sign_in: SignIn, *, present: bool) -> None:
    if present:
        raise InvalidRecord(
            field, f"{_source(sign_in)} does not use {field}", f"Set {field} to null, or choose another source."
        )


def _source(sign_in: SignIn) -> str:
    return f"{sign_in.prefix}credential_source {_name(sign_in.source)}"


def _name(choice: ServerType | AuthenticationProtocol | CredentialSource) -> str:
    return choice.name.lower()
