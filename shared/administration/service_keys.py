"""The key of a service account of Google: read far enough to refuse what is none."""

import json

from shared.administration.writing import NewSecrets
from shared.domain.choices import CredentialSource, OAuthProvider
from shared.domain.configuration import EmailServerProfile
from shared.domain.errors import InvalidRecord


def check_service_keys(profile: EmailServerProfile, secrets: NewSecrets) -> None:
    """Raises InvalidRecord where a secret that was given shall be such a key and is none, without repeating it."""
    if profile.oauth_provider is not OAuthProvider.GOOGLE:
        return
    sources = {
        "credentials/secret": profile.credential_source,
        "outgoing_credentials/secret": profile.outgoing_credential_source,
    }
    for pointer, source in sources.items():
        secret = secrets.get(pointer)
        if source is CredentialSource.APPLICATION and secret is not None and not _is_key(secret):
            raise InvalidRecord(
                pointer,
                f"{pointer} is no key of a service account",
                "Write the whole JSON file that Google gives for a new key, with client_email and private_key.",
            )


def _is_key(text: str) -> bool:
    try:
        said = json.loads(text)
    except (ValueError, RecursionError):
        return False
    return isinstance(said, dict) and all(isinstance(said.get(name), str) for name in ("client_email", "private_key"))
