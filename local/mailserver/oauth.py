"""Tokens: the OAuth 2.0 token endpoint of Entra ID and Google, a managed identity's endpoint, and introspection.

Knows accounts and what users granted, knows nothing of mail. Errors carry the codes that Entra ID gives, since clients tell
causes apart by them.
"""

import base64
import json
import secrets
import time
from urllib.parse import parse_qs, unquote_plus, urlsplit

import jwt

from local.mailserver import assertions
from local.mailserver.accounts import Account, Accounts
from local.mailserver.faults import FaultKind, Faults
from local.mailserver.grants import Consent, Grants, Refused
from local.mailserver.journal import Asked, Journal
from local.mailserver.listener import Disconnect
from local.mailserver.web import Reply, Request

MANAGED_IDENTITY = "managed-identity"
"""Name of the account that stands for the managed identity."""
IDENTITY_PATH = "/msi/token"
_OPERATION = "Token"
_JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"


class TokenEndpoint:
    def __init__(self, accounts: Accounts, grants: Grants, faults: Faults, journal: Journal) -> None:
        self._accounts = accounts
        self._grants = grants
        self._faults = faults
        self._journal = journal
        self.identity_header = secrets.token_hex(16)
        self._signing_key = secrets.token_bytes(32)

    def serves(self, path: str) -> bool:
        return path.endswith(("/.well-known/openid-configuration", "/token", "/introspect", "/revoke"))

    def handle(self, request: Request, base_url: str) -> Reply:
        parts = urlsplit(request.path)
        if parts.path.endswith("/openid-configuration"):
            return _json(200, _configuration(base_url, parts.path.split("/")[1]))
        if parts.path.endswith("/introspect"):
            return self._introspection(request, parts.query)
        if parts.path.endswith("/revoke"):
            return self._revocation(request)
        reply = self._broken() or self._token(request, parts.path, parts.query, base_url)
        self._journal.record(Asked("oauth", _OPERATION, None, reply.status, ""))
        return self._spoiled(reply)

    def _token(self, request: Request, path: str, query: str, base_url: str) -> Reply:
        if path == IDENTITY_PATH:
            return self._identity_token(request, _form(query))
        form = _form(request.body.decode("utf-8", "replace"))
        try:
            return self._granted(form | _basic(request), f"{base_url}{path}", f"{base_url}/{path.split('/')[1]}/v2.0")
        except Refused as refused:
            return _refused(400, "invalid_grant", refused.number, str(refused))

    def _broken(self) -> Reply | None:
        if self._faults.hit(FaultKind.CONNECTION_RESET, None, _OPERATION) is not None:
            raise Disconnect
        for kind, status in ((FaultKind.UNAVAILABLE, 503), (FaultKind.TOO_MANY_REQUESTS, 429)):
            fault = self._faults.hit(kind, None, _OPERATION)
            if fault is not None:
                return Reply(status, headers=[("Retry-After", str(int(fault.seconds)))] if fault.seconds else [])
        return None

    def _spoiled(self, reply: Reply) -> Reply:
        """The answer as it reaches the client, while a fault of the way back is on."""
        if self._faults.hit(FaultKind.REPLY_LOST, None, _OPERATION) is not None:
            raise Disconnect
        nonsense = self._faults.hit(FaultKind.NONSENSE_REPLY, None, _OPERATION)
        return Reply(200, [nonsense.text.encode() or b"<html>Sign in"], "text/html") if nonsense is not None else reply

    def _granted(self, form: dict[str, str], token_url: str, issuer: str) -> Reply:
        """Raises Refused."""
        kind = form.get("grant_type")
        if kind == _JWT_BEARER:
            return self._service_token(form, token_url)
        if kind not in ("client_credentials", "authorization_code", "refresh_token"):
            return _refused(400, "unsupported_grant_type", 70003, "The app requested an unsupported grant type.")
        client = self._client(form, token_url, may_be_public=kind != "client_credentials")
        if isinstance(client, Reply):
            return client
        if kind == "client_credentials":
            return _json(200, self._access_token(client, client, form.get("scope", "")))
        if kind == "refresh_token":
            consent, renewed = self._grants.refresh(form.get("refresh_token", ""), client.username)
            return self._consented(client, consent, renewed, issuer)
        consent = self._grants.redeem(
            form.get("code", ""), client.username, form.get("redirect_uri", ""), form.get("code_verifier", "")
        )
        refresh_token = self._grants.refresh_token(consent) if consent.offline else None
        return self._consented(client, consent, refresh_token, issuer)

    def _client(self, form: dict[str, str], token_url: str, *, may_be_public: bool) -> Account | Reply:
        """The application that asks, which has proven who it is; one that runs with its users has nothing to prove it by."""
        account = self._accounts.application(form.get("client_id", ""))
        if account is None:
            return _refused(400, "unauthorized_client", 700016, "Application was not found in the directory.")
        if assertion := form.get("client_assertion"):
            if not assertions.proves_client(account, assertion, token_url):
                return _refused(401, "invalid_client", 700027, "Client assertion failed signature validation.")
        elif account.password:
            if not account.has_password(form.get("client_secret", "")):
                return _refused(401, "invalid_client", 7000215, "Invalid client secret provided.")
        elif account.certificate or not may_be_public:
            return _refused(401, "invalid_client", 7000215, "Invalid client secret provided.")
        return account

    def _access_token(self, account: Account, client: Account, scope: str) -> dict[str, object]:
        token, lifetime = self._accounts.issue_token(account, client.username, scope)
        seconds = int(lifetime)
        return {"token_type": "Bearer", "expires_in": seconds, "ext_expires_in": seconds, "access_token": token}

    def _consented(self, client: Account, consent: Consent, refresh_token: str | None, issuer: str) -> Reply:
        answer = self._access_token(consent.account, client, consent.scope) | {"scope": consent.scope}
        if refresh_token is not None:
            answer["refresh_token"] = refresh_token
        if "openid" in consent.scope.split():
            answer["id_token"] = self._id_token(consent, issuer)
        return _json(200, answer)

    def _id_token(self, consent: Consent, issuer: str) -> str:
        name, now = consent.account.mailbox or consent.account.username, int(time.time())
        claims: dict[str, object] = {"iss": issuer, "aud": consent.client_id, "sub": name, "email": name}
        claims |= {"preferred_username": name, "iat": now, "exp": now + 3600}
        if consent.nonce:
            claims["nonce"] = consent.nonce
        return jwt.encode(claims, self._signing_key, algorithm="HS256")

    def _service_token(self, form: dict[str, str], token_url: str) -> Reply:
        """For a service account of Google, which acts as the user that it names (domain-wide delegation)."""
        assertion = form.get("assertion", "")
        account = self._accounts.application(assertions.issuer_of(assertion))
        claims = assertions.claims_of_service(account, assertion, token_url) if account is not None else None
        if account is None or claims is None:
            return _json(400, {"error": "invalid_grant", "error_description": "Invalid JWT Signature."})
        subject, scope = str(claims.get("sub", "")), str(claims.get("scope", ""))
        if not subject:
            return _json(200, self._access_token(account, account, scope))
        if not account.can_impersonate(subject):
            text = "Client is unauthorized to retrieve access tokens using this method, or for any of the scopes requested."
            return _json(401, {"error": "unauthorized_client", "error_description": text})
        user = Account(subject, "", mailbox=subject, enabled=account.enabled)
        return _json(200, self._access_token(user, account, scope))

    def _identity_token(self, request: Request, query: dict[str, str]) -> Reply:
        if not secrets.compare_digest(request.headers.get("x-identity-header", ""), self.identity_header):
            return _json(401, {"statusCode": 401, "message": "The identity header is missing or wrong."})
        account: Account | None = self._accounts.application(MANAGED_IDENTITY)
        if account is None or "resource" not in query:
            return _json(400, {"statusCode": 400, "message": "No managed identity was found, or no resource was named."})
        token, lifetime = self._accounts.issue_token(account, scope=query["resource"])
        expires = str(int(time.time() + lifetime))
        return _json(200, {"access_token": token, "expires_on": expires, "resource": query["resource"], "token_type": "Bearer"})

    def _revocation(self, request: Request) -> Reply:
        """RFC 7009, as Google has it: an unknown token is an error."""
        reply = self._broken()
        if reply is None:
            known = self._grants.end(_form(request.body.decode("utf-8", "replace")).get("token", ""))
            reply = _json(200, {}) if known else _json(400, {"error": "invalid_token"})
        self._journal.record(Asked("oauth", "Revoke", None, reply.status, ""))
        return reply

    def _introspection(self, request: Request, query: str) -> Reply:
        """What another server is told of a token (RFC 7662), however it asks; on loopback nobody has to prove who he is."""
        asked = _form(query) | _form(request.body.decode("utf-8", "replace"))
        bearer = request.headers.get("authorization", "").partition("Bearer ")[2]
        token = self._accounts.token(asked.get("token") or bearer.strip())
        active = token is not None and token.account.enabled
        self._journal.record(Asked("oauth", "Introspect", token.mailbox if token else None, 200, str(active).lower()))
        if token is None or not active:
            return _json(200, {"active": False})
        said: dict[str, object] = {"active": True, "client_id": token.client_id, "scope": token.scope, "token_type": "Bearer"}
        said |= {"sub": token.account.username, "exp": int(time.time() + token.seconds_left)}
        if token.mailbox is not None:
            said |= {"username": token.mailbox, "email": token.mailbox}
        return _json(200, said)


def _basic(request: Request) -> dict[str, str]:
    """Id and secret of the client where it says them in the header (RFC 6749 section 2.3.1)."""
    scheme, _, credentials = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return {}
    try:
        client_id, _, secret = base64.b64decode(credentials, validate=True).decode().partition(":")
    except ValueError:
        return {}
    return {"client_id": unquote_plus(client_id), "client_secret": unquote_plus(secret)}


def _configuration(base_url: str, tenant: str) -> dict[str, object]:
    return {
        "issuer": f"{base_url}/{tenant}/v2.0",
        "authorization_endpoint": f"{base_url}/{tenant}/oauth2/v2.0/authorize",
        "token_endpoint": f"{base_url}/{tenant}/oauth2/v2.0/token",
        "token_endpoint_auth_methods_supported": ["client_secret_post", "client_secret_basic", "private_key_jwt"],
        "response_types_supported": ["code", "token"],
        "code_challenge_methods_supported": ["S256", "plain"],
    }


def _form(text: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(text).items()}


def _refused(status: int, error: str, code: int, text: str) -> Reply:
    return _json(status, {"error": error, "error_description": f"AADSTS{code}: {text}", "error_codes": [code]})


def _json(status: int, content: dict[str, object]) -> Reply:
    return Reply(status, [json.dumps(content).encode()], "application/json; charset=utf-8", [("Cache-Control", "no-store")])
