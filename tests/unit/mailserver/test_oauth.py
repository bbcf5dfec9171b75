"""Tokens: for applications through msal, for a managed identity, and what the server does with them."""

from collections.abc import Iterator

import msal
import pytest
import requests

from local.mailserver import FaultKind, MailServer
from tests.unit.mailserver.conftest import ANNA
from tests.unit.mailserver.messages import a_message
from tests.unit.mailserver.soap import SOAP, Answer, M, T, sync_items

SCOPE = ["https://outlook.office365.com/.default"]


@pytest.fixture
def server() -> Iterator[MailServer]:
    with MailServer(tls=True) as server:
        server.add_mailbox(ANNA)
        server.add_application("app-1", "client secret")
        server.deliver(a_message(), [ANNA])
        yield server


@pytest.fixture
def session(server: MailServer) -> Iterator[requests.Session]:
    with requests.Session() as session:
        session.verify = str(server.certificate_file)
        session.trust_env = False  # or REQUESTS_CA_BUNDLE would win
        yield session


def token(server: MailServer, session: requests.Session, secret: str = "client secret") -> dict[str, object]:  # noqa: S107
    application = msal.ConfidentialClientApplication(
        "app-1",
        client_credential=secret,
        authority=f"{server.https_url}/contoso.example",
        instance_discovery=False,
        http_client=session,
    )
    answer: dict[str, object] = application.acquire_token_for_client(SCOPE)
    return answer


def sync(server: MailServer, bearer: object, address: str | None = ANNA) -> Answer:
    sid = f"<t:ConnectingSID><t:SmtpAddress>{address}</t:SmtpAddress></t:ConnectingSID>"
    header = f"<s:Header><t:ExchangeImpersonation>{sid}</t:ExchangeImpersonation></s:Header>" if address else ""
    names = f'xmlns:s="{SOAP}" xmlns:m="{M}" xmlns:t="{T}"'
    body = f"<s:Envelope {names}>{header}<s:Body>{sync_items()}</s:Body></s:Envelope>"
    reply = requests.post(server.ews_url, body.encode(), headers={"Authorization": f"Bearer {bearer}"}, timeout=20)
    return Answer(reply.status_code, dict(reply.headers), reply.content)


def test_msal_gets_a_token_that_opens_a_mailbox(server: MailServer, session: requests.Session) -> None:
    answer = token(server, session)
    assert (answer["token_type"], answer["expires_in"]) == ("Bearer", 3599)
    assert len(sync(server, answer["access_token"]).changes()) == 1


def test_an_application_has_no_mailbox_of_its_own(server: MailServer, session: requests.Session) -> None:
    assert sync(server, token(server, session)["access_token"], address=None).codes == ["ErrorNonExistentMailbox"]


def test_a_wrong_secret_is_refused_as_entra_does(server: MailServer, session: requests.Session) -> None:
    answer = token(server, session, secret="old secret")
    assert (answer["error"], answer["error_codes"]) == ("invalid_client", [7000215])


def test_revoked_and_invented_tokens_are_unauthorized(server: MailServer, session: requests.Session) -> None:
    bearer = token(server, session)["access_token"]
    server.revoke_tokens()
    assert [sync(server, each).status for each in (bearer, "invented")] == [401, 401]


def test_a_managed_identity_gets_tokens_too(server: MailServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IDENTITY_ENDPOINT", server.identity_endpoint)
    monkeypatch.setenv("IDENTITY_HEADER", server.identity_header)
    with requests.Session() as session:
        client = msal.ManagedIdentityClient(msal.SystemAssignedManagedIdentity(), http_client=session)
        assert "error" in client.acquire_token_for_client(resource="https://outlook.office365.com")
        server.add_managed_identity()
        answer = client.acquire_token_for_client(resource="https://outlook.office365.com/")
    assert len(sync(server, answer["access_token"]).changes()) == 1


def test_the_token_endpoint_fails_on_request(server: MailServer) -> None:
    server.faults.add(FaultKind.UNAVAILABLE, operation="Token", seconds=5, count=1)
    form = {"grant_type": "client_credentials", "client_id": "app-1", "client_secret": "client secret"}
    replies = [requests.post(server.token_url("contoso.example"), form, timeout=20) for _ in range(2)]
    assert [reply.status_code for reply in replies] == [503, 200]


def test_ews_is_served_over_tls_as_well(server: MailServer, session: requests.Session) -> None:
    assert session.post(f"{server.https_url}/EWS/Exchange.asmx", b"", timeout=20).status_code == 401
