"""A small Key Vault: the secrets of its REST reference (Set Secret, Get Secret), over TLS, with its authentication challenge.

It knows versions, names without regard to case, disabled and deleted secrets, and answers errors as the service does.
"""

import json
import re
import ssl
import time
from collections import deque
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path
from threading import Thread
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

from azure.core.credentials import AccessToken, AccessTokenInfo, TokenRequestOptions
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

TOKEN = "a token for the vault"
TENANT = "72f988bf-86f1-41af-91ab-2d7cd011db47"
_PATH = re.compile(r"/secrets/([^/]*)(?:/([^/]*))?")
_NAME = re.compile(r"[0-9a-zA-Z-]{1,127}")


@dataclass
class Version:
    value: str
    created: int
    enabled: bool = True


@dataclass
class Refusal:
    """What the vault answers instead."""

    status: int
    code: str
    inner: str | None = None
    headers: dict[str, str] = field(default_factory=dict)


class Identity:
    """A credential that gives the vault's token, and remembers for what it was asked."""

    def __init__(self, token: str = TOKEN) -> None:
        self._token = token
        self.scopes: list[str] = []

    def get_token(self, *scopes: str, **_: Any) -> AccessToken:
        self.scopes += scopes
        return AccessToken(self._token, int(time.time()) + 3_600)

    def get_token_info(self, *scopes: str, options: TokenRequestOptions | None = None) -> AccessTokenInfo:  # noqa: ARG002
        self.scopes += scopes
        return AccessTokenInfo(self._token, int(time.time()) + 3_600)


class KeyVault:
    """`secrets` by name in lower case, then by version. `refusals` are answered first, one per request that is signed in."""

    def __init__(self, folder: Path) -> None:
        self.certificate = folder / "vault.pem"
        self.secrets: dict[str, dict[str, Version]] = {}
        self.deleted: set[str] = set()
        self.refusals: deque[Refusal] = deque()
        self.requests: list[str] = []
        _write_certificate(self.certificate)
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate)
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True, do_handshake_on_connect=False)

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        self._thread = Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        vault = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            timeout = 5

            def do_GET(self) -> None:
                self._answer(None)

            def do_PUT(self) -> None:
                self._answer(self.rfile.read(int(self.headers.get("Content-Length", 0))))

            def _answer(self, body: bytes | None) -> None:
                if self.headers.get("Authorization") != f"Bearer {TOKEN}":
                    self._reply(401, _error("Unauthorized"), {"WWW-Authenticate": vault._challenge()})
                    return
                vault.requests.append(f"{self.command} {self.path}")
                self._reply(*vault._answered(self.command, self.path, body))

            def _reply(self, status: int, body: object, headers: dict[str, str] | None = None) -> None:
                content = json.dumps(body).encode()
                self.send_response(status)
                for name, value in (headers or {}).items():
                    self.send_header(name, value)
                self.send_header("Content-Type", "application/json; charset=utf-8")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: object) -> None:
                """Tests are quiet."""

        return Handler

    def _challenge(self) -> str:
        return f'Bearer authorization="https://login.microsoftonline.com/{TENANT}", resource="https://vault.azure.net"'

    def _answered(self, method: str, target: str, body: bytes | None) -> tuple[int, object, dict[str, str]]:
        if self.refusals:
            refusal = self.refusals.popleft()
            return refusal.status, _error(refusal.code, refusal.inner), refusal.headers
        parts = urlsplit(target)
        found = _PATH.fullmatch(parts.path)
        if "api-version" not in parse_qs(parts.query) or not found or not _NAME.fullmatch(found[1]):
            return 400, _error("BadParameter"), {}
        if method == "PUT" and body is not None:
            return self._set(found[1], json.loads(body))
        return self._get(found[1], found[2] or None)

    def _set(self, name: str, body: dict[str, Any]) -> tuple[int, object, dict[str, str]]:
        if name.lower() in self.deleted:
            return 409, _error("Conflict", "ObjectIsDeletedButRecoverable"), {}
        if not isinstance(body.get("value"), str) or len(body["value"]) > 25_600:
            return 400, _error("BadParameter"), {}
        version = uuid4().hex
        self.secrets.setdefault(name.lower(), {})[version] = Version(body["value"], int(time.time()))
        return self._get(name, version)

    def _get(self, name: str, version: str | None) -> tuple[int, object, dict[str, str]]:
        versions = self.secrets.get(name.lower(), {})
        at = version or (list(versions)[-1] if versions else "")
        found = versions.get(at)
        if found is None:
            return 404, _error("SecretNotFound"), {}
        if not found.enabled:
            return 403, _error("Forbidden", "SecretDisabled"), {}
        attributes = {"enabled": True, "created": found.created, "updated": found.created, "recoveryLevel": "Recoverable"}
        return 200, {"value": found.value, "id": f"{self.url}/secrets/{name}/{at}", "attributes": attributes}, {}


def _error(code: str, inner: str | None = None) -> object:
    error: dict[str, object] = {"code": code, "message": f"The words of the vault about {code}"}
    if inner:
        error["innererror"] = {"code": inner}
    return {"error": error}


def _write_certificate(path: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "key vault of a test")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    secret = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path.write_bytes(secret + certificate.public_bytes(serialization.Encoding.PEM))
