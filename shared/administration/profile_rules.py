"""What a valid email server profile is: its server, its ranges, and which credentials go with which authentication."""

from dataclasses import replace
from datetime import timedelta

from shared.administration import rules
from shared.administration.locations import authority, server_location
from shared.administration.rules import Rules
from shared.domain.choices import AuthenticationProtocol, CredentialSource, ServerType
from shared.domain.configuration import Credentials, EmailServerProfile
from shared.domain.errors import InvalidRecord
from shared.domain.ids import ProfileId

SERVERS = (ServerType.EXCHANGE_SERVER, ServerType.EXCHANGE_ONLINE)

POLLING_INTERVAL = (timedelta(), timedelta(minutes=1440))
"""minpollingintervalinminutes."""
TIMEOUT = (timedelta(seconds=1), timedelta(seconds=100))
"""timeoutmailboxconnectionafteramount; its zero would mean that no call ever succeeds."""
CONNECTIONS = (1, 300)
"""maxconcurrentconnections."""

PASSWORDS = (AuthenticationProtocol.BASIC, AuthenticationProtocol.NTLM, AuthenticationProtocol.AUTO_DETECT)
PROTOCOLS = {
    CredentialSource.MAILBOX: PASSWORDS,
    CredentialSource.PROFILE: PASSWORDS,
    CredentialSource.APPLICATION: (AuthenticationProtocol.OAUTH,),
    CredentialSource.MANAGED_IDENTITY: (AuthenticationProtocol.OAUTH,),
}
"""Which authentication a credential source can do. A source that is missing here opens no Exchange mailbox."""


def valid_profile(profile: EmailServerProfile, allowed: Rules) -> EmailServerProfile:
    """The profile as it is stored, except for whether its secret is there. Raises InvalidRecord."""
    _one_of("server_type", profile.server_type, SERVERS, "in this version")
    _check_authentication(profile)
    return replace(
        profile,
        id=ProfileId(rules.identifier("id", profile.id)),
        name=rules.text("name", profile.name),
        incoming_location=server_location("incoming_location", profile.incoming_location, allowed),
        credentials=_valid_credentials(profile.credentials, allowed),
        process_emails_received_after=rules.start_date("process_emails_received_after", profile.process_emails_received_after),
        min_polling_interval=rules.duration("min_polling_interval", profile.min_polling_interval, *POLLING_INTERVAL),
        max_connections=rules.number("max_connections", profile.max_connections, *CONNECTIONS),
        timeout=rules.duration("timeout", profile.timeout, *TIMEOUT),
    )


def check_secret_belongs(profile: EmailServerProfile, *, has_secret: bool) -> None:
    """A source that signs in with a secret has one, and no other has."""
    source = profile.credential_source
    if source in (CredentialSource.PROFILE, CredentialSource.APPLICATION):
        _required("credentials/secret", source, present=has_secret)
    else:
        _superfluous("credentials/secret", source, present=has_secret)


def _check_authentication(profile: EmailServerProfile) -> None:
    source, credentials = profile.credential_source, profile.credentials
    _one_of("credential_source", source, tuple(PROTOCOLS), "for an Exchange server")
    if profile.server_type is ServerType.EXCHANGE_ONLINE:
        _one_of("authentication", profile.authentication, (AuthenticationProtocol.OAUTH,), "for Exchange Online")
    _one_of("authentication", profile.authentication, PROTOCOLS[source], f"with credential_source {_name(source)}")
    match source:
        case CredentialSource.PROFILE:
            _required("credentials/username", source, present=bool(credentials.username))
        case CredentialSource.APPLICATION:
            _required("credentials/tenant_id", source, present=bool(credentials.tenant_id))
            _required("credentials/client_id", source, present=bool(credentials.client_id))
            _superfluous("credentials/username", source, present=bool(credentials.username))
        case _:
            _superfluous("credentials/username", source, present=bool(credentials.username))
    _check_impersonation(profile)


def _check_impersonation(profile: EmailServerProfile) -> None:
    if profile.authentication is AuthenticationProtocol.OAUTH and not profile.use_impersonation:
        raise InvalidRecord(
            "use_impersonation",
            "an application opens mailboxes by impersonation only",
            "Set use_impersonation to true.",
        )


def _valid_credentials(credentials: Credentials, allowed: Rules) -> Credentials:
    """Secrets come in separately; whatever reference stands here is not the caller's to choose."""
    return Credentials(
        username=_optional_text("credentials/username", credentials.username, 250),
        tenant_id=_tenant("credentials/tenant_id", credentials.tenant_id),
        client_id=_optional_text("credentials/client_id", credentials.client_id, 100),
        authority=None if credentials.authority is None else authority("credentials/authority", credentials.authority, allowed),
    )


def _optional_text(field: str, value: str | None, longest: int) -> str | None:
    return None if value is None else rules.text(field, value, longest)


def _tenant(field: str, value: str | None) -> str | None:
    if value is None or rules.is_host_name(value):
        return value
    raise InvalidRecord(field, f"{field} names no tenant", "Write the tenant's id or one of its domain names.")


def _one_of[E: (ServerType, AuthenticationProtocol, CredentialSource)](
    field: str, value: E, possible: tuple[E, ...], where: str
) -> None:
    if value not in possible:
        choices = " or ".join(_name(choice) for choice in possible)
        raise InvalidRecord(field, f"{field} {_name(value)} is not possible {where}", f"Choose {choices}.")


def _required(field: str, source: CredentialSource, *, present: bool) -> None:
    if not present:
        raise InvalidRecord(field, f"credential_source {_name(source)} needs {field}", f"Add {field}.")


def _superfluous(field: str, source: CredentialSource, *, present: bool) -> None:
    if present:
        raise InvalidRecord(
            field, f"credential_source {_name(source)} does not use {field}", f"Set {field} to null, or choose another source."
        )


def _name(choice: ServerType | AuthenticationProtocol | CredentialSource) -> str:
    return choice.name.lower()
