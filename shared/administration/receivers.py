"""Where a stored secret goes: never to another host than it was given for."""

from collections.abc import Callable, Iterable

from shared.administration.locations import host_of
from shared.administration.writing import NewSecrets
from shared.domain.choices import OAuthProvider
from shared.domain.configuration import Credentials, EmailServerProfile, Mailbox
from shared.domain.errors import InvalidRecord

_AUTODISCOVER = "autodiscover"
"""Stands for the servers that autodiscover finds."""


def check_secrets_stay_home(present: EmailServerProfile, profile: EmailServerProfile, secrets: NewSecrets) -> None:
    """Raises InvalidRecord where a secret that is kept would be sent to hosts that it was not given for."""
    _check("credentials", present.credentials, _of_incoming(present), _of_incoming(profile), secrets)
    _check("outgoing_credentials", present.outgoing_credentials, _of_outgoing(present), _of_outgoing(profile), secrets)


def check_password_stays_home(present: EmailServerProfile | None, profile: EmailServerProfile) -> None:
    """Of a mailbox that keeps the password it was given on profile `present`, and moves to `profile`. Raises InvalidRecord."""
    if not _of_mailboxes(profile) <= (_of_mailboxes(present) if present else set()):
        raise InvalidRecord(
            "credentials/secret",
            "the profile leads to another host than the stored secret was given for",
            "Give the secret again together with profile_id, or null to remove it.",
        )


def check_passwords_stay_home(
    present: EmailServerProfile | None, profile: EmailServerProfile, mailboxes: Callable[[], Iterable[Mailbox]]
) -> None:
    """Of the mailboxes on a profile that is about to change; they are looked at only where it leads elsewhere. One that is
    about to be created (`present` None) may have the id of one that is gone, which mailboxes still name.

    Raises InvalidRecord."""
    before = set[str]() if present is None else _of_mailboxes(present)
    if _of_mailboxes(profile) <= before:
        return
    kept = next((each for each in mailboxes() if each.profile_id == profile.id and each.credentials.secret is not None), None)
    if kept is not None:
        raise InvalidRecord(
            "outgoing_location" if _server(profile, profile.incoming_location) in before else "incoming_location",
            f"the mailbox {kept.id} ({kept.address}) has a password of its own, given for another host; so may others",
            "Create another profile, and give every mailbox its password again as it moves there; or remove the passwords.",
        )


def _check(path: str, present: Credentials, before: set[str], after: set[str], secrets: NewSecrets) -> None:
    stored = {f"{path}/secret": present.secret, f"{path}/certificate": present.certificate}
    for pointer, reference in stored.items():
        if reference is not None and pointer not in secrets and not after <= before:
            raise InvalidRecord(
                pointer,
                "the server or the token authority is another host than the stored secret was given for",
                "Give the secret again, or null to remove it.",
            )


def _of_incoming(profile: EmailServerProfile) -> set[str]:
    """They serve outgoing mail too where that has no credentials of its own."""
    issuer = _authority(profile, profile.credentials)
    hosts = {_server(profile, profile.incoming_location), issuer, *_searched(profile, profile.credentials)}
    if not profile.use_same_settings_for_outgoing and profile.outgoing_credential_source is None:
        hosts.add(_server(profile, profile.outgoing_location))
    return hosts


def _of_outgoing(profile: EmailServerProfile) -> set[str]:
    own = profile.outgoing_credentials
    searched = set[str]() if profile.outgoing_location else _searched(profile, own)
    return {_server(profile, profile.outgoing_location), _authority(profile, own), *searched}


def _searched(profile: EmailServerProfile, credentials: Credentials) -> set[str]:
    """Autodiscover leads to the domain of the user name."""
    name = (credentials.username or "").rpartition("@")
    return {f"{_AUTODISCOVER}:{name[2].lower()}"} if profile.use_autodiscover and name[1] else set()


def _of_mailboxes(profile: EmailServerProfile) -> set[str]:
    """They get what a mailbox signs in with by itself, now or once the profile says so."""
    hosts = {_server(profile, profile.incoming_location)}
    if not profile.use_same_settings_for_outgoing:
        hosts.add(_server(profile, profile.outgoing_location))
    return hosts


def _server(profile: EmailServerProfile, location: str | None) -> str:
    return _AUTODISCOVER if location is None and profile.use_autodiscover else host_of(location or "")


def _authority(profile: EmailServerProfile, credentials: Credentials) -> str:
    """Google's own hosts are others than Microsoft's; with a host that is named the provider makes no difference."""
    own = OAuthProvider.GOOGLE if profile.oauth_provider is OAuthProvider.GOOGLE else ""
    return f"authority:{host_of(credentials.authority) if credentials.authority else own}"
