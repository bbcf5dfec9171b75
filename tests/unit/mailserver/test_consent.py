"""Users allow applications to act in their name: codes, refresh tokens, and what another server is told of tokens."""

import base64
import hashlib
import poplib
import time
from collections.abc import Iterator, Mapping
from urllib.parse import parse_qs, urlencode, urlsplit

import jwt
import pytest
import requests
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from local.mailserver import FaultKind, Habit, MailServer
from tests.unit.mailserver.conftest import ANNA, BEN

PASSWORD = "anna's password"
VERIFIER = "a-verifier-of-the-application-that-is-long-enough"
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).decode().rstrip("=")
REDIRECT = "http://localhost:8400/signed-in?from=consent"
SCOPE = "https://outlook.office.com/POP.AccessAsUser.All offline_access openid"


@pytest.fixture
def server() -> Iterator[MailServer]:
    with MailServer() as server:
        server.add_mailbox(ANNA, password=PASSWORD)
        server.add_mailbox(BEN, password="ben's password")
        server.add_application("app-1", "secret", impersonation=False, redirect_uris=[REDIRECT])
        yield server


def decided(
    server: MailServer, posted: dict[str, str] | None = None, changed: Mapping[str, str] | None = None
) -> requests.Response:
    """What the authorization endpoint answers to who posts its form."""
    asked = {
        "client_id": "app-1",
        "response_type": "code",
        "redirect_uri": REDIRECT,
        "scope": SCOPE,
        "state": "state-1",
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
        **(changed or {}),
    }
    address = f"{server.base_url}/contoso.example/oauth2/v2.0/authorize?{urlencode(asked)}"
    said = {"username": ANNA, "password": PASSWORD} if posted is None else posted
    return requests.post(address, said, allow_redirects=False, timeout=20)


def code(server: MailServer, **changed: str) -> str:
    return parse_qs(urlsplit(decided(server, changed=changed).headers["Location"]).query)["code"][0]


def answered(server: MailServer, **form: str) -> dict[str, object]:
    said = {"client_id": "app-1", "client_secret": "secret"} | form
    answer: dict[str, object] = requests.post(server.token_url("contoso.example"), said, timeout=20).json()
    return answer


def redeemed(server: MailServer, **changed: str) -> dict[str, object]:
    form = {"grant_type": "authorization_code", "redirect_uri": REDIRECT, "code_verifier": VERIFIER}
    return answered(server, **(form | ({} if "code" in changed else {"code": code(server)}) | changed))


def refreshed(server: MailServer, token: object) -> dict[str, object]:
    return answered(server, grant_type="refresh_token", refresh_token=str(token))


def opens(server: MailServer, username: str, token: object) -> bool:
    client = poplib.POP3("127.0.0.1", server.pop3_port, timeout=20)
    response = base64.b64encode(f"user={username}\x01auth=Bearer {token}\x01\x01".encode()).decode()
    client.sock.sendall(f"AUTH XOAUTH2 {response}\r\n".encode())
    answer = client.file.readline()
    client.close()
    return answer.startswith(b"+OK")


def introspected(server: MailServer, token: object) -> dict[str, object]:
    answer: dict[str, object] = requests.post(f"{server.base_url}/introspect", {"token": str(token)}, timeout=20).json()
    return answer


def test_the_form_names_who_is_to_sign_in_and_what_for(server: MailServer) -> None:
    query = urlencode({"client_id": "app-1", "response_type": "code", "redirect_uri": REDIRECT, "login_hint": '"<anna>'})
    page = requests.get(f"{server.base_url}/authorize?{query}", timeout=20)
    assert page.status_code == 200
    assert 'value="&quot;&lt;anna&gt;"' in page.text


def test_who_consents_is_sent_back_with_a_code(server: MailServer) -> None:
    location = urlsplit(decided(server).headers["Location"])
    assert (location.netloc, location.path) == ("localhost:8400", "/signed-in")
    assert parse_qs(location.query).keys() == {"from", "code", "state"}


def test_who_refuses_is_sent_back_without(server: MailServer) -> None:
    query = parse_qs(urlsplit(decided(server, {"decision": "deny"}).headers["Location"]).query)
    assert (query["error"], query["state"]) == (["access_denied"], ["state-1"])


def test_who_mistypes_the_password_is_asked_again(server: MailServer) -> None:
    again = decided(server, {"username": ANNA, "password": "wrong"})
    assert (again.status_code, "incorrect" in again.text) == (200, True)


@pytest.mark.parametrize("changed", [{"client_id": "unknown"}, {"redirect_uri": "http://elsewhere.example/"}])
def test_nobody_is_sent_to_strangers(server: MailServer, changed: dict[str, str]) -> None:
    answer = decided(server, changed=changed)
    assert (answer.status_code, "Location" in answer.headers) == (400, False)


def test_a_token_that_names_another_protocol_opens_nothing(server: MailServer) -> None:
    account = server.accounts.find(ANNA)
    assert account is not None

    def opens_with(scope: str) -> bool:
        return opens(server, ANNA, server.accounts.issue_token(account, scope=scope)[0])

    assert not opens_with("https://outlook.office.com/IMAP.AccessAsUser.All https://outlook.office.com/SMTP.Send")
    assert opens_with("https://outlook.office.com/SMTP.Send https://outlook.office.com/POP.AccessAsUser.All")
    assert opens_with("https://mail.google.com/")


def test_a_code_gives_tokens_that_open_the_mailbox_of_who_consented_and_no_other(server: MailServer) -> None:
    tokens = redeemed(server)
    assert (tokens["token_type"], tokens["scope"]) == ("Bearer", SCOPE)
    assert opens(server, ANNA, tokens["access_token"])
    assert not opens(server, BEN, tokens["access_token"])
    identity = jwt.decode(str(tokens["id_token"]), options={"verify_signature": False})
    assert (identity["preferred_username"], identity["aud"]) == (ANNA, "app-1")


def test_a_code_is_good_once_and_for_its_application_address_and_verifier(server: MailServer) -> None:
    used = code(server)
    assert "access_token" in redeemed(server, code=used)
    for wrong in ({"code": used}, {"code_verifier": "guessed"}, {"redirect_uri": "http://localhost:8400/"}):
        assert redeemed(server, **wrong)["error"] == "invalid_grant"
    assert redeemed(server, client_secret="wrong")["error"] == "invalid_client"


def test_there_is_a_refresh_token_only_for_who_asked_to_work_offline(server: MailServer) -> None:
    assert "refresh_token" in redeemed(server)
    assert "refresh_token" not in redeemed(server, code=code(server, scope="mail"))
    assert "refresh_token" in redeemed(server, code=code(server, scope="mail", access_type="offline"))


def test_a_refresh_token_gives_access_tokens_again_and_again(server: MailServer) -> None:
    first = redeemed(server)
    server.revoke_tokens()
    again = [refreshed(server, first["refresh_token"]) for _ in range(2)]
    assert [opens(server, ANNA, tokens["access_token"]) for tokens in (first, *again)] == [False, True, True]
    assert "refresh_token" not in again[0]


def test_refresh_tokens_may_be_renewed_and_the_old_stay_good(server: MailServer) -> None:
    server.set_habits([Habit.REFRESH_TOKENS_RENEWED])
    old = redeemed(server)["refresh_token"]
    new = refreshed(server, old)["refresh_token"]
    assert new != old
    assert all("access_token" in refreshed(server, token) for token in (old, new))


def test_refresh_tokens_may_be_good_only_once(server: MailServer) -> None:
    server.set_habits([Habit.REFRESH_TOKENS_USED_ONCE])
    old = redeemed(server)["refresh_token"]
    new = refreshed(server, old)["refresh_token"]
    assert refreshed(server, old)["error"] == "invalid_grant"
    assert "access_token" in refreshed(server, new)


def test_a_refresh_token_may_be_used_up_by_a_reply_that_is_lost(server: MailServer) -> None:
    server.set_habits([Habit.REFRESH_TOKENS_USED_ONCE])
    token = redeemed(server)["refresh_token"]
    server.faults.add(FaultKind.NONSENSE_REPLY, operation="Token", count=1, text="?")
    with pytest.raises(requests.JSONDecodeError):
        redeemed(server)
    server.faults.add(FaultKind.REPLY_LOST, operation="Token", count=1)
    with pytest.raises(requests.ConnectionError):
        refreshed(server, token)
    assert refreshed(server, token)["error"] == "invalid_grant"


@pytest.mark.parametrize(("expired", "number"), [(True, 700082), (False, 50173)])
def test_refresh_tokens_expire_and_are_revoked(server: MailServer, expired: bool, number: int) -> None:
    token = redeemed(server)["refresh_token"]
    server.revoke_consents(BEN)
    assert "access_token" in refreshed(server, token)
    server.revoke_consents(ANNA, expired=expired)
    refused = refreshed(server, token)
    assert (refused["error"], refused["error_codes"]) == ("invalid_grant", [number])
    assert f"AADSTS{number}:" in str(refused["error_description"])


def test_a_disabled_user_has_nobody_act_for_him(server: MailServer) -> None:
    tokens = redeemed(server)
    server.set_account_enabled(ANNA, False)
    assert refreshed(server, tokens["refresh_token"])["error"] == "invalid_grant"
    assert not opens(server, ANNA, tokens["access_token"])


def test_access_tokens_run_out(server: MailServer) -> None:
    assert opens(server, ANNA, redeemed(server)["access_token"])
    server.set_token_lifetime(0.1)
    token = redeemed(server)["access_token"]
    time.sleep(0.15)
    assert not opens(server, ANNA, token)
    assert introspected(server, token) == {"active": False}


def test_an_application_without_a_secret_proves_nothing_and_gets_no_tokens_of_its_own(server: MailServer) -> None:
    server.add_application("app-1", impersonation=False, redirect_uris=[REDIRECT])
    assert "access_token" in redeemed(server, client_secret="")
    assert answered(server, grant_type="client_credentials", client_secret="")["error"] == "invalid_client"


def test_another_server_is_told_what_a_token_is_good_for(server: MailServer) -> None:
    told = introspected(server, redeemed(server)["access_token"])
    assert (told["active"], told["username"], told["client_id"], told["scope"]) == (True, ANNA, "app-1", SCOPE)
    assert abs(int(str(told["exp"])) - time.time() - 3599) < 10
    server.add_application("of-anna", "secret", impersonation=[ANNA])
    tokens = answered(server, grant_type="client_credentials", client_id="of-anna")
    assert introspected(server, tokens["access_token"])["username"] == ANNA
    server.add_application("of-all", "secret")
    tokens = answered(server, grant_type="client_credentials", client_id="of-all")
    assert "username" not in introspected(server, tokens["access_token"])
    assert introspected(server, "invented") == {"active": False}


@pytest.fixture(scope="module")
def key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


def service_token(server: MailServer, key: rsa.RSAPrivateKey, subject: str = ANNA, lasts: int = 3600) -> dict[str, object]:
    now, address = int(time.time()), f"{server.base_url}/token"
    claims = {"iss": "robot@project.example", "sub": subject, "aud": address, "iat": now, "exp": now + lasts, "scope": "mail"}
    form = {
        "grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer",
        "assertion": jwt.encode(claims, key, algorithm="RS256"),
    }
    answer: dict[str, object] = requests.post(address, form, timeout=20).json()
    return answer


def test_a_service_account_acts_as_the_user_that_it_names(server: MailServer, key: rsa.RSAPrivateKey) -> None:
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    pem = key.public_key().public_bytes(serialization.Encoding.PEM, form).decode()
    server.add_application("robot@project.example", certificate=pem, impersonation=[ANNA])
    token = service_token(server, key)["access_token"]
    assert opens(server, ANNA, token)
    assert not opens(server, BEN, token)
    assert introspected(server, token)["username"] == ANNA
    assert service_token(server, key, BEN)["error"] == "unauthorized_client"
    assert service_token(server, key, lasts=7200)["error"] == "invalid_grant"
    assert service_token(server, rsa.generate_private_key(65537, 2048))["error"] == "invalid_grant"
