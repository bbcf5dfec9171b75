"""Access tokens: of an application and of a managed identity at Microsoft Entra ID (through msal), and how any issuer is asked.

Knows no mail protocol. A token is asked for when somebody needs one, and kept until it is about to expire.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from threading import Lock
from typing import Any
from urllib.parse import urlsplit

import requests

from shared.connectors.destinations import LocationRefused
from shared.connectors.guarded_http import checked_url, guarded_session, platform_session
from shared.connectors.stored_secrets import stored_secret
from shared.domain.configuration import Credentials
from shared.domain.errors import AuthenticationFailed, Busy
from shared.ports import Secrets

PUBLIC_CLOUD = "login.microsoftonline.com"
TOKEN_SECONDS = 30
"""Time allowed for one call to the issuer of tokens, and for waiting until another thread's call is through."""

MSAL_REMEMBERS = timedelta(seconds=60)
"""msal answers from its memory of a failed call for so long; asking earlier asks nobody (msal's throttled_http_client)."""

PASSING = frozenset({"temporarily_unavailable", "server_error", "slow_down", "service_unavailable"})
"""Errors of the token endpoint (RFC 6749) that say nothing about the credentials."""


type Proof = str | Mapping[str, str]
"""With which an application proves who it is, in msal's words: its secret, or private key and certificate."""


def proof_of(credentials: Credentials, secrets: Secrets, *, profile_wide: bool) -> Proof:
    """The certificate where there is one. Raises AuthenticationFailed."""
    certificate = credentials.certificate
    if certificate is None:
        return stored_secret(credentials.secret, secrets, profile_wide=profile_wide)
    pem = stored_secret(certificate, secrets, profile_wide=profile_wide)
    if not _is_rsa_key_with_certificate(pem.encode()):
        raise AuthenticationFailed(
            "The certificate of the credentials is no RSA private key with its certificate, both in PEM without a passphrase.",
            profile_wide=profile_wide,
        )
    return {"private_key": pem, "public_certificate": pem}  # both are in there, and each is found among the other


def _is_rsa_key_with_certificate(pem: bytes) -> bool:
    """msal would tell only when it signs."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key
    from cryptography.x509 import load_pem_x509_certificate

    try:
        load_pem_x509_certificate(pem)
        return isinstance(load_pem_private_key(pem, password=None), RSAPrivateKey)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return False


class Tokens(ABC):
    """Access tokens of one identity, for one server. Thread-safe; msal keeps each until it is about to expire."""

    def __init__(self, profile_wide: bool) -> None:
        self._profile_wide = profile_wide
        self._lock = Lock()  # without it, msal would ask once for each thread that waits
        self._client: Any = None

    def token(self) -> str:
        """One that is valid now. Raises AuthenticationFailed, TransientError, or what msal's requests raise."""
        with held(self._lock):
            if self._client is None:
                self._client = self._new_client()
            return access_token(self._ask(), profile_wide=self._profile_wide)

    def forget(self) -> None:
        """The server does not accept the token any more."""
        with held(self._lock):
            self._client = None

    @abstractmethod
    def _new_client(self) -> Any: ...  # noqa: ANN401 (msal has no types)

    @abstractmethod
    def _ask(self) -> Any: ...  # noqa: ANN401 (a JSON object)


class ApplicationTokens(Tokens):
    """For an application's client secret or certificate."""

    def __init__(
        self, credentials: Credentials, proof: Proof, resource: str, *, profile_wide: bool, allow_local_servers: bool
    ) -> None:
        """`resource`: URL of the server that the tokens are for, without a path."""
        super().__init__(profile_wide)
        self._client_id = credentials.client_id
        self._proof = proof
        self._scope = f"{resource}/.default"
        self._authority = authority_of(credentials, profile_wide=profile_wide)
        self._allow_local_servers = allow_local_servers

    def _new_client(self) -> Any:  # noqa: ANN401
        import msal

        try:
            return msal.ConfidentialClientApplication(
                self._client_id,
                client_credential=self._proof,
                authority=self._authority,
                instance_discovery=False,  # it would ask the public cloud about hosts that it does not know
                http_client=TokenSession(partial(guarded_session, allow_local_servers=self._allow_local_servers)),
            )
        except ValueError as error:  # msal's word for a tenant that the issuer does not know
            raise AuthenticationFailed(
                "The issuer of tokens does not know the tenant.", profile_wide=self._profile_wide
            ) from error

    def _ask(self) -> Any:  # noqa: ANN401
        return self._client.acquire_token_for_client([self._scope])


class PlatformTokens(Tokens):
    """For the managed identity of the function app: its own, or the one with this client id."""

    def __init__(self, client_id: str | None, resource: str) -> None:
        super().__init__(profile_wide=True)
        self._client_id = client_id
        self._server = resource

    def _new_client(self) -> Any:  # noqa: ANN401
        import msal

        named = msal.UserAssignedManagedIdentity(client_id=self._client_id) if self._client_id else None
        # The platform answers on this machine or its link, so these destinations are right here, and only here.
        return msal.ManagedIdentityClient(
            named or msal.SystemAssignedManagedIdentity(), http_client=TokenSession(platform_session)
        )

    def _ask(self) -> Any:  # noqa: ANN401
        import msal

        try:
            return self._client.acquire_token_for_client(resource=self._server)
        except msal.ManagedIdentityError as error:
            raise AuthenticationFailed("The platform vouches for no identity here.", profile_wide=True) from error


def access_token(result: Any, *, profile_wide: bool) -> str:  # noqa: ANN401 (a JSON object)
    """The token of msal's answer, which carries errors as fields. Raises AuthenticationFailed, Busy."""
    if token := result.get("access_token"):
        return str(token)
    error = str(result.get("error", "no token"))
    if error in PASSING:
        raise Busy(f"The issuer of tokens: {error}", MSAL_REMEMBERS)
    codes = " ".join(f"AADSTS{code}" for code in result.get("error_codes", ()))
    raise AuthenticationFailed(f"The issuer of tokens refused: {error} {codes}".strip(), profile_wide=profile_wide)


def issuer_of(credentials: Credentials, default: str = PUBLIC_CLOUD) -> str:
    """Host that issues tokens, in lower case, and its port where it has one: what the credentials name, with or without
    https:// before it. Raises LocationRefused."""
    named = (credentials.authority or default).strip()
    url = checked_url(named if "://" in named else f"https://{named}", allow_local_servers=False)
    parts = urlsplit(url)
    if parts.path not in ("", "/") or parts.query:
        raise LocationRefused("The authority of the credentials is more than a host.")
    return parts.netloc.lower()


def authority_of(credentials: Credentials, *, profile_wide: bool) -> str:
    """URL of the issuer, as msal names it. Raises AuthenticationFailed, LocationRefused."""
    if not credentials.tenant_id:
        raise AuthenticationFailed("The credentials lack a tenant id.", profile_wide=profile_wide)
    return f"https://{issuer_of(credentials)}/{credentials.tenant_id}"


@contextmanager
def held(lock: Lock) -> Iterator[None]:
    """Raises Busy where who holds it is not through in time: nobody waits for ever, nor one after the other for an issuer that
    does not answer."""
    if not lock.acquire(timeout=TOKEN_SECONDS):
        raise Busy("Another request is still waiting for the issuer of tokens.")
    try:
        yield
    finally:
        lock.release()


class TokenSession:
    """What msal sends its requests with: guarded destinations, a time limit, and no connection kept for the next hour."""

    def __init__(self, session: Callable[[], requests.Session]) -> None:
        self._session = session

    def get(self, url: str, **arguments: Any) -> requests.Response:  # noqa: ANN401 (msal's contract)
        return self._request("GET", url, arguments)

    def post(self, url: str, **arguments: Any) -> requests.Response:  # noqa: ANN401
        return self._request("POST", url, arguments)

    def close(self) -> None:
        """Nothing is open between requests."""

    def _request(self, method: str, url: str, arguments: dict[str, Any]) -> requests.Response:
        limits = {"timeout": TOKEN_SECONDS, "allow_redirects": False}
        with self._session() as session:
            return session.request(method, url, **limits | arguments)
