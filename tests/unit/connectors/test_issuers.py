"""Issuers of tokens that answer oddly, over a real socket: whatever comes is an error of ours that repeats nothing of it."""

import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from shared.connectors.destinations import LocationRefused
from shared.connectors.internet import issuers
from shared.connectors.internet.issuers import Answer, IssuerUnreachable, Refused, ask, end, issuer_for
from shared.domain.choices import OAuthProvider
from shared.domain.consents import ConsentTerms
from shared.domain.errors import Busy, Throttled, TransientError

TOKEN = "the token itself"


@dataclass
class Odd:
    """Answers as it is told to."""

    status: int = 200
    body: bytes = b"{}"
    headers: dict[str, str] = field(default_factory=dict)
    pause: float = 0.0
    port: int = 0
    asked: list[bytes] = field(default_factory=list)

    def says(self, status: int, body: object, **headers: str) -> None:
        self.status, self.headers = status, headers
        self.body = body if isinstance(body, bytes) else json.dumps(body).encode()

    def ask(self) -> Answer:
        return ask(f"http://127.0.0.1:{self.port}/token", {"refresh_token": TOKEN}, allow_local_servers=True)


@pytest.fixture
def issuer() -> Iterator[Odd]:
    odd = Odd()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            odd.asked.append(self.rfile.read(int(self.headers["Content-Length"])))
            time.sleep(odd.pause)
            self.send_response(odd.status)
            for name, value in {"Content-Length": str(len(odd.body)), **odd.headers}.items():
                self.send_header(name.replace("_", "-"), value)
            self.end_headers()
            self.wfile.write(odd.body)

        def log_message(self, format: str, *args: object) -> None:
            """To nobody."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    odd.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield odd
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.mark.parametrize(
    ("said", "life", "ends_in"),
    [
        ({"expires_in": 3600}, timedelta(hours=1), None),
        ({"expires_in": "3600", "refresh_token_expires_in": 604_800}, timedelta(hours=1), timedelta(days=7)),
        ({"expires_in": -1, "refresh_token_expires_in": "soon"}, timedelta(minutes=1), None),
        ({"expires_in": 10**12}, timedelta(minutes=1), None),
        ({}, timedelta(minutes=1), None),
        ({"expires_in": 0, "refresh_token": ["x"]}, timedelta(minutes=1), None),
    ],
)
def test_how_long_a_token_lives(issuer: Odd, said: dict[str, object], life: timedelta, ends_in: timedelta | None) -> None:
    issuer.says(200, {"access_token": "a", **said})
    assert issuer.ask() == Answer("a", life, None, ends_in)


@pytest.mark.parametrize(
    "body",
    [b"", b"<html>captive portal</html>", b"[]", b"null", b'"text"', b"[" * 40_000, b"\xff\xfe", b" " * 100_000, b"{}"],
)
@pytest.mark.parametrize("status", [200, 302])
def test_what_is_no_answer_of_an_issuer_is_transient(issuer: Odd, status: int, body: bytes) -> None:
    issuer.says(status, body, Location="http://127.0.0.1:1/elsewhere")
    with pytest.raises(IssuerUnreachable) as caught:
        issuer.ask()
    assert len(issuer.asked) == 1, "nobody is followed"
    assert "captive" not in str(caught.value)


@pytest.mark.parametrize("token", [None, "", 7, ["a"]])
def test_an_answer_without_a_token_is_none(issuer: Odd, token: object) -> None:
    issuer.says(200, {"access_token": token})
    with pytest.raises(IssuerUnreachable):
        issuer.ask()


@pytest.mark.parametrize(
    ("status", "wait", "kind", "seconds"),
    [
        (429, "7", Throttled, 7),
        (503, "7", Busy, 7),
        (500, "x", Busy, None),
        (503, "9" * 30, Busy, None),
        (429, "99999", Throttled, 3600),
    ],
)
def test_an_issuer_that_asks_for_patience_gets_it(
    issuer: Odd, status: int, wait: str, kind: type[TransientError], seconds: int | None
) -> None:
    issuer.says(status, b"not JSON", Retry_After=wait)
    with pytest.raises(kind) as caught:
        issuer.ask()
    assert caught.value.retry_after == (None if seconds is None else timedelta(seconds=seconds))


def test_a_refusal_is_told_by_its_codes_alone(issuer: Odd) -> None:
    issuer.says(400, {"error": "invalid_grant", "error_codes": [700082, "x"], "error_description": f"{TOKEN} of anna@contoso"})
    with pytest.raises(Refused) as caught:
        issuer.ask()
    assert (caught.value.code, caught.value.told) == (
        "invalid_grant",
        "The issuer of tokens refused: invalid_grant AADSTS700082.",
    )
    assert "anna" not in str(caught.value)


@pytest.mark.parametrize("error", [f"<b>{TOKEN}</b>", 7, None, {"a": 1}])
def test_a_code_that_is_none_is_not_repeated(issuer: Odd, error: object) -> None:
    issuer.says(400, {"error": error})
    with pytest.raises(IssuerUnreachable) as caught:
        issuer.ask()
    assert TOKEN not in str(caught.value)


@pytest.mark.parametrize("code", ["temporarily_unavailable", "server_error"])
def test_a_refusal_that_passes_is_transient(issuer: Odd, code: str) -> None:
    issuer.says(400, {"error": code})
    with pytest.raises(Busy):
        issuer.ask()


def test_an_issuer_that_does_not_answer_is_not_waited_for(issuer: Odd, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(issuers, "TOKEN_SECONDS", 0.1)
    issuer.pause = 0.5
    with pytest.raises(IssuerUnreachable):
        issuer.ask()


def test_a_token_that_is_known_no_more_counts_as_revoked(issuer: Odd) -> None:
    url = f"http://127.0.0.1:{issuer.port}/revoke"
    for status, body in ((200, b""), (400, b'{"error": "invalid_token"}')):
        issuer.says(status, body)
        end(url, TOKEN, allow_local_servers=True)
    issuer.says(400, {"error": "invalid_request"})
    with pytest.raises(Refused):
        end(url, TOKEN, allow_local_servers=True)


def test_nobody_asks_an_issuer_on_this_machine_unless_it_is_allowed(issuer: Odd) -> None:
    with pytest.raises((LocationRefused, IssuerUnreachable)):
        ask(f"http://127.0.0.1:{issuer.port}/token", {}, allow_local_servers=False)
    assert issuer.asked == []


@pytest.mark.parametrize(
    ("provider", "authority", "tenant", "page", "tokens"),
    [
        (
            OAuthProvider.GOOGLE,
            None,
            None,
            "https://accounts.google.com/o/oauth2/v2/auth",
            "https://oauth2.googleapis.com/token",
        ),
        (
            OAuthProvider.MICROSOFT,
            None,
            "consumers",
            "https://login.microsoftonline.com/consumers/oauth2/v2.0/authorize",
            "https://login.microsoftonline.com/consumers/oauth2/v2.0/token",
        ),
        (
            OAuthProvider.MICROSOFT,
            "login.microsoftonline.us",
            "a/../b",
            "https://login.microsoftonline.us/a%2F..%2Fb/oauth2/v2.0/authorize",
            "https://login.microsoftonline.us/a%2F..%2Fb/oauth2/v2.0/token",
        ),
    ],
)
def test_where_each_provider_is_asked(
    provider: OAuthProvider, authority: str | None, tenant: str | None, page: str, tokens: str
) -> None:
    found = issuer_for(ConsentTerms(provider, authority, tenant, "app", (), "imap.example"))
    assert (found.page, found.tokens) == (page, tokens)


def test_what_an_answer_holds_is_in_no_repr() -> None:
    assert TOKEN not in repr(Answer(TOKEN, timedelta(1), TOKEN))
