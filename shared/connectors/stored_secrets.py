"""The secret that a record names, wherever secrets are kept."""

from shared.domain.configuration import SecretRef
from shared.domain.errors import AuthenticationFailed
from shared.ports import Secrets


def stored_secret(ref: SecretRef | None, secrets: Secrets, *, profile_wide: bool) -> str:
    """Raises AuthenticationFailed where it is not there; `profile_wide` says whose it is."""
    if ref is None:
        raise AuthenticationFailed("The credentials have no secret.", profile_wide=profile_wide)
    try:
        return secrets.get(ref)
    except KeyError as error:
        raise AuthenticationFailed("The secret of the credentials is not stored.", profile_wide=profile_wide) from error
