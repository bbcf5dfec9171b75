"""Tokens: who issues them, and one that the server stops accepting while several requests carry it."""

from io import BytesIO
from typing import Any

import pytest
from requests import PreparedRequest, Request, Response
from requests.adapters import HTTPAdapter

from shared.connectors import tokens as shared_tokens
from shared.connectors.destinations import LocationRefused
from shared.connectors.exchange.sign_in import BearerAuth
from shared.connectors.tokens import Tokens, authority_of, issuer_of
from shared.domain.configuration import Credentials
from shared.domain.errors import Busy


class NumberedTokens(Tokens):
    """T1, T2, ...: another one after each that was forgotten."""

    issued = 0

    def __init__(self) -> None:
        super().__init__(profile_wide=True)

    def _new_client(self) -> int:
        self.issued += 1
        return self.issued

    def _ask(self) -> dict[str, str]:
        return {"access_token": f"T{self._client}"}


class Server(HTTPAdapter):
    """Answers 401 to every token but one."""

    accepts = "T1"

    def answer(self, request: PreparedRequest) -> Response:
        response = Response()
        response.status_code = 200 if request.headers["Authorization"] == f"Bearer {self.accepts}" else 401
        response.request, response.connection, response.raw = request, self, BytesIO()
        return response

    def send(self, request: PreparedRequest, *_: Any, **__: Any) -> Response:
        return self.answer(request)


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
def tokens() -> NumberedTokens:
    return NumberedTokens()


@pytest.fixture
def auth(tokens: NumberedTokens) -> BearerAuth:
    return BearerAuth(tokens)


def sent(auth: BearerAuth) -> PreparedRequest:
    return auth(Request("POST", "https://mail.contoso.example/").prepare())


def status(auth: BearerAuth, server: Server, request: PreparedRequest) -> int:
    return auth._answered(server.answer(request)).status_code


def test_every_request_under_way_with_a_revoked_token_gets_the_new_one(
    auth: BearerAuth, server: Server, tokens: NumberedTokens
) -> None:
    assert status(auth, server, sent(auth)) == 200
    under_way = [sent(auth) for _ in range(3)]
    server.accepts = "T2"
    assert [status(auth, server, request) for request in under_way] == [200, 200, 200]
    assert tokens.issued == 2


def test_a_late_refusal_of_the_old_token_does_not_cost_the_new_one(
    auth: BearerAuth, server: Server, tokens: NumberedTokens
) -> None:
    assert status(auth, server, sent(auth)) == 200
    early, late = sent(auth), sent(auth)
    server.accepts = "T2"
    assert status(auth, server, early) == 200
    assert status(auth, server, sent(auth)) == 200
    assert status(auth, server, late) == 200
    assert tokens.issued == 2


def test_a_token_that_was_never_accepted_is_refused_once(auth: BearerAuth, server: Server, tokens: NumberedTokens) -> None:
    server.accepts = "another"
    assert status(auth, server, sent(auth)) == 401
    assert tokens.issued == 1


def test_who_waits_for_another_threads_token_does_not_wait_for_ever(
    tokens: NumberedTokens, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared_tokens, "TOKEN_SECONDS", 0.05)
    with tokens._lock, pytest.raises(Busy):
        tokens.token()
    assert tokens.token() == "T1"


# ---- who issues them


@pytest.mark.parametrize(
    ("authority", "issuer"),
    [
        (None, "login.microsoftonline.com"),
        ("login.microsoftonline.us", "login.microsoftonline.us"),
        ("Login.MicrosoftOnline.US", "login.microsoftonline.us"),
        ("127.0.0.1:8443", "127.0.0.1:8443"),
        ("[::1]:8443", "[::1]:8443"),
        ("https://login.microsoftonline.us", "login.microsoftonline.us"),
        (" https://login.partner.microsoftonline.cn:443/ ", "login.partner.microsoftonline.cn:443"),
    ],
)
def test_the_authority_is_a_host_however_it_is_written(authority: str | None, issuer: str) -> None:
    credentials = Credentials(client_id="app", tenant_id="contoso.example", authority=authority)
    assert issuer_of(credentials) == issuer
    assert authority_of(credentials, profile_wide=True) == f"https://{issuer}/contoso.example"


@pytest.mark.parametrize(
    "authority",
    [
        "http://login.microsoftonline.us",
        "https://login.microsoftonline.us/tenant",
        "user@login.microsoftonline.us",
        "ftp://x",
        "a:b",
    ],
)
def test_what_is_no_host_issues_no_tokens(authority: str) -> None:
    with pytest.raises(LocationRefused):
        issuer_of(Credentials(authority=authority))
