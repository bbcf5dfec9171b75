"""Who signs in for a mailbox, and how: Basic, NTLM, or a token that Microsoft Entra issues (through msal).

Knows nothing of EWS. A token is asked for when a request needs one; msal keeps it until it is about to expire.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from threading import Lock
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.auth import AuthBase, HTTPBasicAuth

from shared.connectors.destinations import LocationRefused
from shared.connectors.exchange.destination import checked_url, guarded_session, platform_session
from shared.domain.choices import AuthenticationProtocol, CredentialSource
from shared.domain.configuration import Credentials, EmailServerProfile, Mailbox, SecretRef
from shared.domain.errors import AuthenticationFailed, Busy
from shared.ports import Secrets

PUBLIC_CLOUD = "login.microsoftonline.com"
TOKEN_SECONDS = 30
"""Time allowed for one call to the issuer of tokens, and for waiting until another thread's call is through."""

MSAL_REMEMBERS = timedelta(seconds=60)
"""msal answers from its memory of a failed call for so long; asking earlier asks nobody (msal's throttled_http_client)."""

_PASSING = frozenset({"temporarily_unavailable", "server_error", "slow_down", "service_unavailable"})
"""Errors of the token endpoint (RFC 6749) that say nothing about the credentials."""


@dataclass(frozen=True, slots=True)
class SignIn:
    """The identity that opens connections for a mailbox; equal ones share a connection pool."""

    protocol: AuthenticationProtocol
    credentials: Credentials
    profile_wide: bool
    managed: bool = False

    @property
    def is_application(self) -> bool:
        """An application, which has no mailbox of its own: it always acts as the mailbox."""
        return self.protocol is AuthenticationProtocol.OAUTH


def sign_in_of(profile: EmailServerProfile, mailbox: Mailbox) -> SignIn:
    """Who signs in for `mailbox`. Raises AuthenticationFailed where the record names nobody."""
    source = profile.credential_source
    if source is CredentialSource.MANAGED_IDENTITY:
        return SignIn(AuthenticationProtocol.OAUTH, profile.credentials, profile_wide=True, managed=True)
    if source is CredentialSource.ANONYMOUS:
        raise AuthenticationFailed("Exchange lets nobody in without credentials.", profile_wide=True)
    profile_wide = source is not CredentialSource.MAILBOX
    credentials = profile.credentials if profile_wide else mailbox.credentials
    protocol = profile.authentication
    if source is CredentialSource.APPLICATION or (protocol is AuthenticationProtocol.AUTO_DETECT and credentials.client_id):
        protocol = AuthenticationProtocol.OAUTH
    named = credentials.client_id if protocol is AuthenticationProtocol.OAUTH else credentials.username
    may_be_certified = protocol is AuthenticationProtocol.OAUTH and credentials.certificate is not None
    if not named or (credentials.secret is None and not may_be_certified):
        raise AuthenticationFailed(
            "The credentials lack a user name or client id, or a secret or certificate.", profile_wide=profile_wide
        )
    return SignIn(protocol, credentials, profile_wide)


type MakeAuth = Callable[[], AuthBase]
"""One per connection: NTLM signs in a connection, not a request."""


def make_auth(
    sign_in: SignIn, protocol: AuthenticationProtocol, secrets: Secrets, endpoint: str, *, allow_local_servers: bool
) -> MakeAuth:
    """How connections to `endpoint` sign in; `protocol` is the one that was configured or detected.

    Raises AuthenticationFailed where the secret is not there."""
    if sign_in.managed:
        return _always(BearerAuth(PlatformTokens(sign_in.credentials.client_id, endpoint)))
    if protocol is AuthenticationProtocol.OAUTH:
        proof = _proof(sign_in, secrets)
        return _always(BearerAuth(ApplicationTokens(sign_in, proof, endpoint, allow_local_servers=allow_local_servers)))
    secret = _stored(sign_in.credentials.secret, sign_in, secrets)
    username = sign_in.credentials.username or ""
    if protocol is AuthenticationProtocol.BASIC:
        return _always(HTTPBasicAuth(username.encode(), secret.encode()))  # RFC 7617: UTF-8
    return lambda: _ntlm(username, secret, over_tls=endpoint.startswith("https:"))


def _always(auth: AuthBase) -> MakeAuth:
    return lambda: auth


def _stored(ref: SecretRef | None, sign_in: SignIn, secrets: Secrets) -> str:
    if ref is None:
        raise AuthenticationFailed("The credentials have no secret.", profile_wide=sign_in.profile_wide)
    try:
        return secrets.get(ref)
    except KeyError as error:
        raise AuthenticationFailed("The secret of the credentials is not stored.", profile_wide=sign_in.profile_wide) from error


type Proof = str | Mapping[str, str]
"""With which an application proves who it is, in msal's words: its secret, or private key and certificate."""


def _proof(sign_in: SignIn, secrets: Secrets) -> Proof:
    """The certificate where there is one."""
    certificate = sign_in.credentials.certificate
    if certificate is None:
        return _stored(sign_in.credentials.secret, sign_in, secrets)
    pem = _stored(certificate, sign_in, secrets)
    if not _is_rsa_key_with_certificate(pem.encode()):
        raise AuthenticationFailed(
            "The certificate of the credentials is no RSA private key with its certificate, both in PEM without a passphrase.",
            profile_wide=sign_in.profile_wide,
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


def _ntlm(username: str, password: str, *, over_tls: bool) -> AuthBase:
    from requests_ntlm import HttpNtlmAuth

    # As exchangelib does: a user name that is an address needs an empty domain before it.
    named = f"\\{username}" if "@" in username else username
    auth: AuthBase = HttpNtlmAuth(named, password, send_cbt=over_tls)
    return auth


# ---- tokens


class Tokens(ABC):
    """Access tokens of one identity, for one server. Thread-safe; msal keeps each until it is about to expire."""

    def __init__(self, profile_wide: bool) -> None:
        self._profile_wide = profile_wide
        self._lock = Lock()  # without it, msal would ask once for each thread that waits
        self._client: Any = None

    def token(self) -> str:
        """One that is valid now. Raises AuthenticationFailed, TransientError, or what msal's requests raise."""
        with _held(self._lock):
            if self._client is None:
                self._client = self._new_client()
            return _access_token(self._ask(), profile_wide=self._profile_wide)

    def forget(self) -> None:
        """The server does not accept the token any more."""
        with _held(self._lock):
            self._client = None

    @abstractmethod
    def _new_client(self) -> Any: ...  # noqa: ANN401 (msal has no types)

    @abstractmethod
    def _ask(self) -> Any: ...  # noqa: ANN401 (a JSON object)


class ApplicationTokens(Tokens):
    """For an application's client secret or certificate."""

    def __init__(self, sign_in: SignIn, proof: Proof, endpoint: str, *, allow_local_servers: bool) -> None:
        super().__init__(sign_in.profile_wide)
        self._client_id = sign_in.credentials.client_id
        self._proof = proof
        self._scope = f"{_resource(endpoint)}/.default"
        self._authority = _authority(sign_in)
        self._allow_local_servers = allow_local_servers

    def _new_client(self) -> Any:  # noqa: ANN401
        import msal

        try:
            return msal.ConfidentialClientApplication(
                self._client_id,
                client_credential=self._proof,
                authority=self._authority,
                instance_discovery=False,  # it would ask the public cloud about hosts that it does not know
                http_client=_TokenSession(partial(guarded_session, allow_local_servers=self._allow_local_servers)),
            )
        except ValueError as error:  # msal's word for a tenant that the issuer does not know
            raise AuthenticationFailed(
                "The issuer of tokens does not know the tenant.", profile_wide=self._profile_wide
            ) from error

    def _ask(self) -> Any:  # noqa: ANN401
        return self._client.acquire_token_for_client([self._scope])


class PlatformTokens(Tokens):
    """For the managed identity of the function app: its own, or the one with this client id."""

    def __init__(self, client_id: str | None, endpoint: str) -> None:
        super().__init__(profile_wide=True)
        self._client_id = client_id
        self._server = _resource(endpoint)

    def _new_client(self) -> Any:  # noqa: ANN401
        import msal

        named = msal.UserAssignedManagedIdentity(client_id=self._client_id) if self._client_id else None
        # The platform answers on this machine or its link, so these destinations are right here, and only here.
        return msal.ManagedIdentityClient(
            named or msal.SystemAssignedManagedIdentity(), http_client=_TokenSession(platform_session)
        )

    def _ask(self) -> Any:  # noqa: ANN401
        import msal

        try:
            return self._client.acquire_token_for_client(resource=self._server)
        except msal.ManagedIdentityError as error:
            raise AuthenticationFailed("The platform vouches for no identity here.", profile_wide=True) from error


class BearerAuth(AuthBase):
    """Puts a token that is valid now on every request. One that was accepted before and is refused is replaced, once.

    Threads share it: of several requests under way with that token the first one replaces it, the others take the new one."""

    def __init__(self, tokens: Tokens) -> None:
        self._tokens = tokens
        self._accepted: str | None = None
        self._replacing = Lock()

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = self._valid_now()
        request.register_hook("response", self._answered)  # type: ignore[no-untyped-call]
        return request

    def _answered(self, response: requests.Response, **how_sent: Any) -> requests.Response:  # noqa: ANN401 (as in requests)
        used = response.request.headers.get("Authorization")
        if response.status_code != 401:
            self._accepted = used
            return response
        response.close()  # nobody reads the body of a refusal
        with _held(self._replacing):
            if used == self._accepted:
                self._accepted = None
                self._tokens.forget()
            fresh = self._valid_now()
        if fresh == used:
            return response
        request = response.request.copy()
        request.headers["Authorization"] = fresh
        return response.connection.send(request, **how_sent)

    def _valid_now(self) -> str:
        return f"Bearer {self._tokens.token()}"


def _access_token(result: Any, *, profile_wide: bool) -> str:  # noqa: ANN401 (a JSON object)
    """The token of msal's answer, which carries errors as fields. Raises AuthenticationFailed, Busy."""
    if token := result.get("access_token"):
        return str(token)
    error = str(result.get("error", "no token"))
    if error in _PASSING:
        raise Busy(f"The issuer of tokens: {error}", MSAL_REMEMBERS)
    codes = " ".join(f"AADSTS{code}" for code in result.get("error_codes", ()))
    raise AuthenticationFailed(f"The issuer of tokens refused: {error} {codes}".strip(), profile_wide=profile_wide)


def _resource(endpoint: str) -> str:
    """Whom the token is for: the server itself, in every cloud (https://outlook.office365.com for the public one)."""
    return f"https://{urlsplit(endpoint).netloc}"


def issuer_of(credentials: Credentials) -> str:
    """Host that issues tokens, in lower case, and its port where it has one: what the credentials name, with or without
    https:// before it. Raises LocationRefused."""
    named = (credentials.authority or PUBLIC_CLOUD).strip()
    url = checked_url(named if "://" in named else f"https://{named}", allow_local_servers=False)
    parts = urlsplit(url)
    if parts.path not in ("", "/") or parts.query:
        raise LocationRefused("The authority of the credentials is more than a host.")
    return parts.netloc.lower()


def _authority(sign_in: SignIn) -> str:
    tenant = sign_in.credentials.tenant_id
    if not tenant:
        raise AuthenticationFailed("The credentials lack a tenant id.", profile_wide=sign_in.profile_wide)
    return f"https://{issuer_of(sign_in.credentials)}/{tenant}"


@contextmanager
def _held(lock: Lock) -> Iterator[None]:
    """Raises Busy where who holds it is not through in time: nobody waits for ever, nor one after the other for an issuer that
    does not answer."""
    if not lock.acquire(timeout=TOKEN_SECONDS):
        raise Busy("Another request is still waiting for the issuer of tokens.")
    try:
        yield
    finally:
        lock.release()


class _TokenSession:
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
