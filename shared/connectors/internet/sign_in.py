"""Who signs in at a POP3 or IMAP server for a mailbox, and with what."""

from dataclasses import dataclass
from typing import Protocol

from shared.domain.choices import CredentialSource
from shared.domain.configuration import EmailServerProfile, Mailbox
from shared.domain.errors import AuthenticationFailed
from shared.ports import Secrets


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


type SignIn = Password | Token


def sign_in_for(profile: EmailServerProfile, mailbox: Mailbox, secrets: Secrets) -> SignIn:
    """Raises AuthenticationFailed where the records name nobody or the secret is not there."""
    profile_wide = profile.credential_source is not CredentialSource.MAILBOX
    credentials = profile.credentials if profile_wide else mailbox.credentials
    username = credentials.username or mailbox.address
    if credentials.secret is None:
        raise AuthenticationFailed("The credentials have no secret.", profile_wide=profile_wide)
    try:
        return Password(username, secrets.get(credentials.secret), profile_wide)
    except KeyError as error:
        raise AuthenticationFailed("The secret of the credentials is not stored.", profile_wide=profile_wide) from error
