"""Who signs in to Exchange for a mailbox, and how: Basic, NTLM, or a token that Microsoft Entra issues.

Knows nothing of EWS. A token is asked for when a request needs one.
"""

from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.auth import AuthBase, HTTPBasicAuth

from shared.connectors.stored_secrets import stored_secret
from shared.connectors.tokens import ApplicationTokens, PlatformTokens, Tokens, held, proof_of
from shared.domain.choices import AuthenticationProtocol, CredentialSource
from shared.domain.configuration import Credentials, EmailServerProfile, Mailbox
from shared.domain.errors import AuthenticationFailed
from shared.ports import Secrets


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
        return _always(BearerAuth(PlatformTokens(sign_in.credentials.client_id, _resource(endpoint))))
    if protocol is AuthenticationProtocol.OAUTH:
        return _always(BearerAuth(_application_tokens(sign_in, secrets, endpoint, allow_local_servers=allow_local_servers)))
    secret = stored_secret(sign_in.credentials.secret, secrets, profile_wide=sign_in.profile_wide)
    username = sign_in.credentials.username or ""
    if protocol is AuthenticationProtocol.BASIC:
        return _always(HTTPBasicAuth(username.encode(), secret.encode()))  # RFC 7617: UTF-8
    return lambda: _ntlm(username, secret, over_tls=endpoint.startswith("https:"))


def _always(auth: AuthBase) -> MakeAuth:
    return lambda: auth


def _application_tokens(sign_in: SignIn, secrets: Secrets, endpoint: str, *, allow_local_servers: bool) -> Tokens:
    proof = proof_of(sign_in.credentials, secrets, profile_wide=sign_in.profile_wide)
    return ApplicationTokens(
        sign_in.credentials,
        proof,
        _resource(endpoint),
        profile_wide=sign_in.profile_wide,
        allow_local_servers=allow_local_servers,
    )


def _ntlm(username: str, password: str, *, over_tls: bool) -> AuthBase:
    from requests_ntlm import HttpNtlmAuth

    # As exchangelib does: a user name that is an address needs an empty domain before it.
    named = f"\\{username}" if "@" in username else username
    auth: AuthBase = HttpNtlmAuth(named, password, send_cbt=over_tls)
    return auth


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
        with held(self._replacing):
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


def _resource(endpoint: str) -> str:
    """Whom the token is for: the server itself, in every cloud (https://outlook.office365.com for the public one)."""
    return f"https://{urlsplit(endpoint).netloc}"
