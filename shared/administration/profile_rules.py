"""What a valid email server profile is: its servers by their type, its ranges, and which credentials go with which sign-in."""

from dataclasses import replace

from shared.administration import rules
from shared.administration.locations import authority, host_name, server_location
from shared.administration.rules import Rules
from shared.administration.sign_in_rules import check_sign_in
from shared.domain.choices import CredentialSource, ServerType
from shared.domain.configuration import Credentials, EmailServerProfile, for_outgoing
from shared.domain.errors import InvalidRecord
from shared.domain.ids import ProfileId
from shared.domain.ranges import (
    CLIENT_ID,
    CONNECTIONS,
    DELIVERY_ATTEMPTS,
    EMAILS_PER_MINUTE,
    POLLING_INTERVAL,
    PORT,
    PROFILE_USERNAME,
    TIMEOUT,
    Numbers,
)

EXCHANGE = frozenset({ServerType.EXCHANGE_SERVER, ServerType.EXCHANGE_ONLINE})
"""Servers of one protocol for everything; the others read mail over POP3 or IMAP and send it over SMTP."""


def valid_profile(profile: EmailServerProfile, allowed: Rules) -> EmailServerProfile:
    """The profile as it is stored, except for whether its secrets are there. Raises InvalidRecord."""
    _check_incoming_server(profile)
    _check_outgoing_server(profile)
    check_sign_in(profile)
    _check_starttls("incoming", profile, starttls=profile.incoming_starttls, use_tls=profile.incoming_use_tls)
    _check_starttls("outgoing", profile, starttls=profile.outgoing_starttls, use_tls=profile.outgoing_use_tls)
    _check_transport("incoming_use_tls", allowed, use_tls=profile.incoming_use_tls)
    _check_transport("outgoing_use_tls", allowed, use_tls=profile.outgoing_use_tls)
    if profile.send_email_alert and profile.owner_address is None:
        raise InvalidRecord("owner_address", "there is nobody to alert", "Add owner_address, or set send_email_alert to false.")
    return replace(
        profile,
        id=ProfileId(rules.identifier("id", profile.id)),
        name=rules.text("name", profile.name),
        incoming_location=_location("incoming_location", profile.incoming_location, profile.server_type, allowed),
        incoming_port=_optional_number("incoming_port", profile.incoming_port, PORT),
        credentials=_valid_credentials("credentials", profile.credentials, allowed),
        outgoing_location=_location("outgoing_location", profile.outgoing_location, profile.server_type, allowed),
        outgoing_port=_optional_number("outgoing_port", profile.outgoing_port, PORT),
        outgoing_credentials=_valid_credentials("outgoing_credentials", profile.outgoing_credentials, allowed),
        emails_per_minute=_optional_number("emails_per_minute", profile.emails_per_minute, EMAILS_PER_MINUTE),
        delivery_attempts=rules.number("delivery_attempts", profile.delivery_attempts, *DELIVERY_ATTEMPTS),
        process_emails_received_after=rules.start_date("process_emails_received_after", profile.process_emails_received_after),
        min_polling_interval=rules.duration("min_polling_interval", profile.min_polling_interval, *POLLING_INTERVAL),
        max_connections=rules.number("max_connections", profile.max_connections, *CONNECTIONS),
        timeout=rules.duration("timeout", profile.timeout, *TIMEOUT),
        owner_address=None if profile.owner_address is None else rules.email_address("owner_address", profile.owner_address),
    )


# ---- servers


def _check_incoming_server(profile: EmailServerProfile) -> None:
    if profile.server_type not in EXCHANGE:
        _check_internet_mail(profile)
    elif profile.use_autodiscover and profile.incoming_location is not None:
        raise InvalidRecord(
            "incoming_location",
            "with autodiscover every mailbox has a location of its own",
            "Set incoming_location to null, or use_autodiscover to false.",
        )
    elif not profile.use_autodiscover and profile.incoming_location is None:
        raise InvalidRecord(
            "incoming_location",
            "an Exchange server needs a location or autodiscover",
            "Write the URL of EWS, such as https://mail.contoso.com/EWS/Exchange.asmx, or set use_autodiscover to true.",
        )
    elif profile.use_autodiscover and profile.credential_source is CredentialSource.PROFILE:
        _check_searched_domain("credentials/username", profile.credentials.username)


def _check_searched_domain(field: str, username: str | None) -> None:
    """The password of the profile goes to servers of the domain of its user name. Without one it would follow the address of
    whatever mailbox is on the profile."""
    _, at, domain = (username or "").rpartition("@")
    if username is not None and not (at and "." in domain):
        raise InvalidRecord(
            field,
            "with autodiscover the user name has to say in which domain to search",
            "Write it as user@domain, or give the location of the server.",
        )


def _check_internet_mail(profile: EmailServerProfile) -> None:
    kind = profile.server_type.name.lower()
    if profile.incoming_location is None:
        raise InvalidRecord("incoming_location", f"{kind} needs incoming_location", "Write the host name of the server.")
    if profile.use_autodiscover:
        raise InvalidRecord("use_autodiscover", f"{kind} has no autodiscover", "Set use_autodiscover to false.")
    if profile.move_undeliverable:
        raise InvalidRecord("move_undeliverable", f"{kind} moves no mail", "Set move_undeliverable to false.")
    if not profile.save_sent_items:
        raise InvalidRecord("save_sent_items", "SMTP keeps no copy of what is sent", "Set save_sent_items to true.")


def _check_outgoing_server(profile: EmailServerProfile) -> None:
    if profile.use_same_settings_for_outgoing:
        _check_nothing_outgoing(profile)
    elif profile.outgoing_location is None and not (profile.server_type in EXCHANGE and profile.use_autodiscover):
        raise InvalidRecord(
            "outgoing_location",
            "outgoing mail has settings of its own, but no server",
            "Add outgoing_location, or set use_same_settings_for_outgoing to true.",
        )
    elif for_outgoing(profile).use_autodiscover and profile.outgoing_credential_source is CredentialSource.PROFILE:
        _check_searched_domain("outgoing_credentials/username", profile.outgoing_credentials.username)


def _check_nothing_outgoing(profile: EmailServerProfile) -> None:
    """What counts for nothing is refused: nobody shall believe that it counts."""
    given = {
        "outgoing_location": profile.outgoing_location,
        "outgoing_port": profile.outgoing_port,
        "outgoing_authentication": profile.outgoing_authentication,
        "outgoing_credential_source": profile.outgoing_credential_source,
        "outgoing_starttls": profile.outgoing_starttls or None,
    }
    for field, value in given.items():
        if value is not None:
            raise InvalidRecord(
                field,
                "outgoing mail uses the settings of incoming mail",
                f"Set {field} to {'false' if value is True else 'null'}, or use_same_settings_for_outgoing to false.",
            )


def _location(field: str, value: str | None, server_type: ServerType, allowed: Rules) -> str | None:
    if value is None:
        return None
    return server_location(field, value, allowed) if server_type in EXCHANGE else host_name(field, value, allowed)


def _optional_number(field: str, value: int | None, possible: Numbers) -> int | None:
    return None if value is None else rules.number(field, value, *possible)


def _check_starttls(direction: str, profile: EmailServerProfile, *, starttls: bool, use_tls: bool) -> None:
    if not starttls:
        return
    field = f"{direction}_starttls"
    if profile.server_type in EXCHANGE:
        raise InvalidRecord(field, "Exchange has TLS from the start", f"Set {field} to false.")
    if not use_tls:
        raise InvalidRecord(
            field,
            f"{field} says how the connection turns to TLS, and {direction}_use_tls that it does not",
            f"Set {direction}_use_tls to true, or {field} to false.",
        )


def _check_transport(field: str, allowed: Rules, *, use_tls: bool) -> None:
    if not use_tls and not allowed.allow_local_servers:
        raise InvalidRecord(
            field,
            f"{field} is false: mail and credentials never travel unencrypted",
            "Set it to true; for one machine only the organisation setting allow_insecure_servers allows it.",
        )


# ---- credentials


def _valid_credentials(path: str, credentials: Credentials, allowed: Rules) -> Credentials:
    """Secrets come in separately; whatever reference stands here is not the caller's to choose."""
    return Credentials(
        username=_optional_text(f"{path}/username", credentials.username, PROFILE_USERNAME.high),
        tenant_id=_tenant(f"{path}/tenant_id", credentials.tenant_id),
        client_id=_optional_text(f"{path}/client_id", credentials.client_id, CLIENT_ID.high),
        authority=None if credentials.authority is None else authority(f"{path}/authority", credentials.authority, allowed),
    )


def _optional_text(field: str, value: str | None, longest: int) -> str | None:
    return None if value is None else rules.text(field, value, longest)


def _tenant(field: str, value: str | None) -> str | None:
    if value is None or rules.is_host_name(value):
        return value
    raise InvalidRecord(field, f"{field} names no tenant", "Write the tenant's id or one of its domain names.")
