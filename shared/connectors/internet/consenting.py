"""Owners of mailboxes consent: the page that they are sent to, the code that comes back, and the end of it.

Knows no HTTP of ours: who brings the code, and whether it may be believed, is decided elsewhere. What asks issuers is loaded
when the first owner consents.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from shared.connectors.stored_secrets import stored_secret
from shared.domain.configuration import Credentials, EmailServerProfile
from shared.domain.consents import ConsentRequest, ConsentTerms
from shared.domain.errors import AuthenticationFailed, MailboxError
from shared.ports import Granted, Secrets

if TYPE_CHECKING:
    from shared.connectors.internet.issuers import Refused

_ABOUT_THE_APPLICATION = frozenset({"invalid_client", "unauthorized_client", "unsupported_grant_type", "invalid_scope"})
"""Refusals that are no matter of this or that mailbox."""


class NoLastingConsent(MailboxError):
    """The owner consented, but not to being read when away: there is no refresh token."""

    code = "no_lasting_consent"
    remedy = "Let the application have offline access at the provider, and ask the owner of the mailbox to consent again."


class ConsentIssuers:
    """`ports.ConsentIssuer`: Microsoft and Google."""

    def __init__(self, secrets: Secrets, *, allow_local_servers: Callable[[], bool]) -> None:
        self._secrets = secrets
        self._allow_local_servers = allow_local_servers

    def address(self, terms: ConsentTerms, *, login_hint: str, redirect_uri: str, state: str, challenge: str) -> str:
        from shared.connectors.internet.issuers import issuer_for

        issuer = issuer_for(terms)
        query = {
            "client_id": terms.client_id,
            "response_type": "code",
            "redirect_uri": redirect_uri,
            "scope": " ".join(terms.scopes),
            "state": state,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
            "login_hint": login_hint,
        }
        return f"{issuer.page}?{urlencode({**query, **issuer.wishes})}"

    def redeem(self, profile: EmailServerProfile, request: ConsentRequest, code: str, verifier: str) -> Granted:
        from shared.connectors.internet.issuers import Refused, ask, issuer_for

        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": request.redirect_uri,
            "code_verifier": verifier,
            **client_fields(request.terms, profile.credentials, self._secrets),
        }
        url, may_be_local = issuer_for(request.terms).tokens, self._allow_local_servers()
        try:
            answer = ask(url, form, allow_local_servers=may_be_local)
        except Refused as refused:
            raise of_application(refused) from refused
        if answer.refresh_token is None:
            raise NoLastingConsent("The issuer of tokens gave no refresh token.")
        return Granted(answer.refresh_token, answer.consent_ends_in)

    def revoke(self, terms: ConsentTerms, refresh_token: str) -> bool:
        from shared.connectors.internet.issuers import Refused, end, issuer_for

        address = issuer_for(terms).revocation
        if address is None:
            return False
        try:
            end(address, refresh_token, allow_local_servers=self._allow_local_servers())
        except Refused as refused:
            raise of_application(refused) from refused
        return True


def client_fields(terms: ConsentTerms, credentials: Credentials, secrets: Secrets) -> dict[str, str]:
    """Who the application is; one that has a secret proves it. Raises AuthenticationFailed where the secret is not stored."""
    if credentials.secret is None:
        return {"client_id": terms.client_id}
    return {"client_id": terms.client_id, "client_secret": stored_secret(credentials.secret, secrets, profile_wide=True)}


def of_application(refused: "Refused") -> AuthenticationFailed:
    """A refusal that no owner can do anything about."""
    return AuthenticationFailed(refused.told, profile_wide=refused.code in _ABOUT_THE_APPLICATION)
