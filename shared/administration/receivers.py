"""Where a stored secret goes: never to another host than it was given for."""

from shared.administration.locations import host_of
from shared.administration.writing import NewSecrets
from shared.domain.choices import CredentialSource
from shared.domain.configuration import Credentials, EmailServerProfile
from shared.domain.errors import InvalidRecord

_AUTODISCOVER = "autodiscover"
"""Stands for the servers that autodiscover finds."""
_SECRET = "credentials/secret"  # noqa: S105 - the pointer of a field


def check_secrets_stay_home(present: EmailServerProfile, profile: EmailServerProfile, secrets: NewSecrets) -> None:
    """Raises InvalidRecord where a secret that is kept would be sent to hosts that it was not given for."""
    _check("credentials", present.credentials, _of_incoming(present), _of_incoming(profile), secrets)
    _check("outgoing_credentials", present.outgoing_credentials, _of_outgoing(present), _of_outgoing(profile), secrets)


def check_mailbox_secret_stays_home(
    present: EmailServerProfile | None, profile: EmailServerProfile, stored: Credentials, secrets: NewSecrets
) -> None:
    """Raises InvalidRecord where the own secret of a mailbox, which is kept, would go to other hosts than before.

    Without a profile nobody knows any more what the secret was given for.
    """
    before = set() if present is None else _of_mailboxes(present)
    if stored.secret is not None and _SECRET not in secrets and not _of_mailboxes(profile) <= before:
        raise InvalidRecord(
            _SECRET,
            "the profile's server is another host than the stored secret was given for",
            "Give the secret again together with profile_id, or null to remove it.",
        )


def moved_location(present: EmailServerProfile, profile: EmailServerProfile) -> str | None:
    """The field that would send the own secrets of mailboxes to another host than before, None where they stay."""
    if _of_mailboxes(profile) <= _of_mailboxes(present):
        return None
    is_incoming = _server(profile, profile.incoming_location) not in _of_mailboxes(present)
    return "incoming_location" if is_incoming else "outgoing_location"


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
    hosts = {_server(profile, profile.incoming_location), _authority(profile.credentials)}
    if not profile.use_same_settings_for_outgoing and profile.outgoing_credential_source is None:
        hosts.add(_server(profile, profile.outgoing_location))
    return hosts


def _of_outgoing(profile: EmailServerProfile) -> set[str]:
    return {_server(profile, profile.outgoing_location), _authority(profile.outgoing_credentials)}


def _of_mailboxes(profile: EmailServerProfile) -> set[str]:
    """Who receives the own secrets of mailboxes."""
    hosts = {_server(profile, profile.incoming_location)}
    if not profile.use_same_settings_for_outgoing and profile.outgoing_credential_source in (None, CredentialSource.MAILBOX):
        hosts.add(_server(profile, profile.outgoing_location))
    return hosts


def _server(profile: EmailServerProfile, location: str | None) -> str:
    return _AUTODISCOVER if location is None and profile.use_autodiscover else host_of(location or "")


def _authority(credentials: Credentials) -> str:
    return f"authority:{host_of(credentials.authority or '')}"
