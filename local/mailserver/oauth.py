"""Tokens for applications: the OAuth 2.0 token endpoint of Entra ID (client credentials), and a managed identity's endpoint.

Knows accounts, knows nothing of mail. Errors carry the codes that Entra ID gives, since clients tell causes apart by them.
"""

import base64
import json
import secrets
import time
from typing import cast
from urllib.parse import parse_qs, urlsplit

import jwt
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from local.mailserver.accounts import Account, Accounts
from local.mailserver.faults import FaultKind, Faults
from local.mailserver.journal import Asked, Journal
from local.mailserver.listener import Disconnect
from local.mailserver.web import Reply, Request

MANAGED_IDENTITY = "managed-identity"
"""Name of the account that stands for the managed identity."""
IDENTITY_PATH = "/msi/token"
_OPERATION = "Token"


class TokenEndpoint:
    def __init__(self, accounts: Accounts, faults: Faults, journal: Journal) -> None:
        self._accounts = accounts
        self._faults = faults
        self._journal = journal
        self.identity_header = secrets.token_hex(16)

    def serves(self, path: str) -> bool:
        return path.endswith(("/.well-known/openid-configuration", "/oauth2/v2.0/token")) or path == IDENTITY_PATH

    def handle(self, request: Request, base_url: str) -> Reply:
        parts = urlsplit(request.path)
        if parts.path.endswith("/openid-configuration"):
            return _json(200, _configuration(base_url, parts.path.split("/")[1]))
        reply = self._broken() or self._token(request, parts.path, parts.query, base_url)
        self._journal.record(Asked("oauth", _OPERATION, None, reply.status, ""))
        return reply

    def _token(self, request: Request, path: str, query: str, base_url: str) -> Reply:
        if path == IDENTITY_PATH:
            return self._identity_token(request, _form(query))
        return self._application_token(_form(request.body.decode("utf-8", "replace")), f"{base_url}{path}")

    def _broken(self) -> Reply | None:
        if self._faults.hit(FaultKind.CONNECTION_RESET, None, _OPERATION) is not None:
            raise Disconnect
        for kind, status in ((FaultKind.UNAVAILABLE, 503), (FaultKind.TOO_MANY_REQUESTS, 429)):
            fault = self._faults.hit(kind, None, _OPERATION)
            if fault is not None:
                return Reply(status, headers=[("Retry-After", str(int(fault.seconds)))] if fault.seconds else [])
        return None

    def _application_token(self, form: dict[str, str], token_url: str) -> Reply:
        if form.get("grant_type") != "client_credentials":
            return _refused(400, "unsupported_grant_type", 70003, "The app requested an unsupported grant type.")
        account = self._accounts.application(form.get("client_id", ""))
        if account is None:
            return _refused(400, "unauthorized_client", 700016, "Application was not found in the directory.")
        if assertion := form.get("client_assertion"):
            if not _is_signed_by(account, assertion, token_url):
                return _refused(401, "invalid_client", 700027, "Client assertion failed signature validation.")
        elif not account.password or not account.has_password(form.get("client_secret", "")):
            return _refused(401, "invalid_client", 7000215, "Invalid client secret provided.")
        token, lifetime = self._accounts.issue_token(account)
        seconds = int(lifetime)
        return _json(200, {"token_type": "Bearer", "expires_in": seconds, "ext_expires_in": seconds, "access_token": token})

    def _identity_token(self, request: Request, query: dict[str, str]) -> Reply:
        if not secrets.compare_digest(request.headers.get("x-identity-header", ""), self.identity_header):
            return _json(401, {"statusCode": 401, "message": "The identity header is missing or wrong."})
        account: Account | None = self._accounts.application(MANAGED_IDENTITY)
        if account is None or "resource" not in query:
            return _json(400, {"statusCode": 400, "message": "No managed identity was found, or no resource was named."})
        token, lifetime = self._accounts.issue_token(account)
        expires = str(int(time.time() + lifetime))
        return _json(200, {"access_token": token, "expires_on": expires, "resource": query["resource"], "token_type": "Bearer"})


def _is_signed_by(account: Account, assertion: str, token_url: str) -> bool:
    """Whether the key of the account's certificate signed this, for this endpoint and not too long ago (RFC 7523)."""
    if account.certificate is None:
        return False
    certificate = x509.load_pem_x509_certificate(account.certificate.encode())
    thumbprint = base64.urlsafe_b64encode(certificate.fingerprint(hashes.SHA256())).decode().rstrip("=")
    key = cast(RSAPublicKey, certificate.public_key())
    try:
        claims = jwt.decode(assertion, key, algorithms=["PS256"], audience=token_url, issuer=account.username)
        named = str(jwt.get_unverified_header(assertion).get("x5t#S256", "")).rstrip("=")
    except jwt.PyJWTError:
        return False
    return claims.get("sub") == account.username and named == thumbprint


def _configuration(base_url: str, tenant: str) -> dict[str, object]:
    return {
        "issuer": f"{base_url}/{tenant}/v2.0",
        "authorization_endpoint": f"{base_url}/{tenant}/oauth2/v2.0/authorize",
        "token_endpoint": f"{base_url}/{tenant}/oauth2/v2.0/token",
        "token_endpoint_auth_methods_supported": ["client_secret_post", "private_key_jwt"],
        "response_types_supported": ["token"],
    }


def _form(text: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(text).items()}


def _refused(status: int, error: str, code: int, text: str) -> Reply:
    return _json(status, {"error": error, "error_description": f"AADSTS{code}: {text}", "error_codes": [code]})


def _json(status: int, content: dict[str, object]) -> Reply:
    return Reply(status, [json.dumps(content).encode()], "application/json; charset=utf-8", [("Cache-Control", "no-store")])
