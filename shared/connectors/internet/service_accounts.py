"""Access tokens for a service account of Google that acts as the owner of a mailbox (domain-wide delegation, RFC 7523).

https://developers.google.com/identity/protocols/oauth2/service-account
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from time import monotonic
from typing import TYPE_CHECKING

from shared.connectors.internet.issuers import Answer, Refused, ask, google_tokens
from shared.connectors.internet.kept_token import KeptToken
from shared.domain.errors import AuthenticationFailed

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

SCOPE = "https://mail.google.com/"
_GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_LIFE = 3600
"""Seconds that an assertion is good for; Google allows an hour."""


@dataclass(frozen=True, slots=True)
class ServiceKey:
    """The key of a service account, out of the JSON file that Google gives."""

    email: str
    key_id: str
    private_key: "RSAPrivateKey" = field(repr=False)


def service_key(text: str) -> ServiceKey:
    """Where tokens are issued is not taken from the file: a secret does not say where it goes. Raises AuthenticationFailed."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        said = json.loads(text)
        email, key_id = str(said["client_email"]), str(said.get("private_key_id", ""))
        private_key = load_pem_private_key(str(said["private_key"]).encode(), password=None)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError, UnsupportedAlgorithm) as error:
        raise AuthenticationFailed("The secret is no JSON key of a service account.", profile_wide=True) from error
    if not isinstance(private_key, RSAPrivateKey):
        raise AuthenticationFailed("The key of the service account is no RSA key.", profile_wide=True)
    return ServiceKey(email, key_id, private_key)


class ServiceAccountTokens(KeptToken):
    """For one mailbox."""

    def __init__(
        self,
        key: ServiceKey,
        address: str,
        authority: str | None,
        *,
        allow_local_servers: bool,
        seconds: Callable[[], float] = monotonic,
    ) -> None:
        """Raises LocationRefused where the authority names no host."""
        super().__init__(seconds)
        self._key = key
        self._address = address
        self._issuer = google_tokens(authority)
        self._allow_local_servers = allow_local_servers

    def _asked_anew(self) -> Answer:
        form = {"grant_type": _GRANT, "assertion": self._assertion()}
        try:
            return ask(self._issuer, form, allow_local_servers=self._allow_local_servers)
        except Refused as refused:
            raise AuthenticationFailed(refused.told, profile_wide=_is_about_the_account(refused)) from refused

    def _assertion(self) -> str:
        from msal.oauth2cli import JwtAssertionCreator

        headers = {"kid": self._key.key_id} if self._key.key_id else {}
        creator = JwtAssertionCreator(self._key.private_key, "RS256", headers=headers)
        claims = {"scope": SCOPE}
        signed: bytes = creator.create_normal_assertion(
            self._issuer, self._key.email, self._address, expires_in=_LIFE, additional_claims=claims
        )
        return signed.decode()


def _is_about_the_account(refused: Refused) -> bool:
    """Google has one code for a key that is no good and for a user that does not exist; only its words tell them apart. What
    they do not tell is taken for a matter of the mailbox: it must not stop all others."""
    words = refused.description.lower()
    return refused.code == "invalid_client" or "jwt" in words or "account not found" in words
