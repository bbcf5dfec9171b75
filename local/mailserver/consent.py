"""Where users allow applications to act in their name: the authorization endpoint (RFC 6749 section 4.1, PKCE RFC 7636).

Answers with a form for name and password; who posts it has consented, or has refused with `decision=deny`.
"""

from dataclasses import dataclass
from html import escape
from urllib.parse import parse_qsl, urlencode, urlsplit

from local.mailserver.accounts import Accounts
from local.mailserver.grants import Consent, Grants
from local.mailserver.web import Reply, Request

PATHS = ("/oauth2/v2.0/authorize", "/o/oauth2/v2/auth", "/authorize")
"""How the address ends: of Entra ID, of Google, of others."""


@dataclass(frozen=True, slots=True)
class _Wish:
    """What an application asks a user for."""

    client_id: str
    redirect_uri: str
    scope: str
    state: str
    challenge: str
    method: str
    login_hint: str
    nonce: str
    offline: bool
    response_type: str


class AuthorizeEndpoint:
    def __init__(self, accounts: Accounts, grants: Grants) -> None:
        self._accounts = accounts
        self._grants = grants

    def handle(self, request: Request) -> Reply:
        wish = _wish(urlsplit(request.path).query)
        application = self._accounts.application(wish.client_id)
        if application is None:
            return _page(400, "AADSTS700016: Application was not found in the directory.")
        if wish.redirect_uri not in application.redirect_uris:
            return _page(400, "AADSTS50011: The redirect URI does not match those configured for the application.")
        if wish.response_type != "code":
            return _back(wish, error="unsupported_response_type")
        if wish.method not in ("S256", "plain"):
            return _back(wish, error="invalid_request")
        if request.method != "POST":
            return _form(wish)
        return self._decided(wish, dict(parse_qsl(request.body.decode("utf-8", "replace"))))

    def _decided(self, wish: _Wish, posted: dict[str, str]) -> Reply:
        if posted.get("decision") == "deny":
            return _back(wish, error="access_denied", error_description="The user denied the consent.")
        account = self._accounts.sign_in(posted.get("username", ""), posted.get("password", ""))
        if account is None or not account.enabled:
            return _form(wish, "Your account or password is incorrect.")
        consent = Consent(account, wish.client_id, wish.scope, wish.offline, wish.nonce)
        return _back(wish, code=self._grants.code(consent, wish.redirect_uri, wish.challenge, wish.method))


def _wish(query: str) -> _Wish:
    said = dict(parse_qsl(query, keep_blank_values=True))
    scope = said.get("scope", "")
    return _Wish(
        client_id=said.get("client_id", ""),
        redirect_uri=said.get("redirect_uri", ""),
        scope=scope,
        state=said.get("state", ""),
        challenge=said.get("code_challenge", ""),
        method=said.get("code_challenge_method", "plain"),
        login_hint=said.get("login_hint", ""),
        nonce=said.get("nonce", ""),
        offline="offline_access" in scope.split() or said.get("access_type") == "offline",
        response_type=said.get("response_type", ""),
    )


def _back(wish: _Wish, **answer: str) -> Reply:
    """To the application, by way of the user's browser."""
    separator = "&" if urlsplit(wish.redirect_uri).query else "?"
    state = {"state": wish.state} if wish.state else {}
    return Reply(302, headers=[("Location", f"{wish.redirect_uri}{separator}{urlencode(answer | state)}")])


def _form(wish: _Wish, problem: str = "") -> Reply:
    fields = (
        f"<p>{escape(problem)}</p><p>{escape(wish.client_id)} asks for: {escape(wish.scope)}</p>"
        f'<input name="username" value="{escape(wish.login_hint)}"><input name="password" type="password">'
        '<button name="decision" value="allow">Allow</button><button name="decision" value="deny">Deny</button>'
    )
    return _page(200, f'<form method="post">{fields}</form>', is_html=True)


def _page(status: int, content: str, *, is_html: bool = False) -> Reply:
    body = content if is_html else f"<p>{escape(content)}</p>"
    page = f"<!DOCTYPE html><html><head><title>Sign in</title></head><body>{body}</body></html>"
    return Reply(status, [page.encode()], "text/html; charset=utf-8", [("Cache-Control", "no-store")])
