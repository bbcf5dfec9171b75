"""Where the storage account is, and who signs requests to it."""

from collections.abc import Mapping
from dataclasses import dataclass

import pytest
from azure.core.exceptions import ClientAuthenticationError

from shared.domain.errors import Unreachable
from shared.stores.account import InvalidConnection, StorageConnection, account_of
from shared.stores.tables.fast import FastGateway
from shared.stores.tables.transport import Reply


def test_the_emulator_is_where_it_always_is() -> None:
    account = account_of(StorageConnection("UseDevelopmentStorage=true"))
    assert account.table_endpoint == "http://127.0.0.1:10002/devstoreaccount1"
    assert account.name == "devstoreaccount1"


def test_a_connection_string_leads_to_the_cloud() -> None:
    account = account_of(
        StorageConnection("DefaultEndpointsProtocol=https;AccountName=a;AccountKey=Zm9v=;EndpointSuffix=core.windows.net")
    )
    assert (account.key, account.table_endpoint, account.queue_endpoint, account.blob_endpoint) == (
        "Zm9v=",
        "https://a.table.core.windows.net",
        "https://a.queue.core.windows.net",
        "https://a.blob.core.windows.net",
    )


@pytest.mark.parametrize(
    "text",
    [
        "", "nonsense", "AccountName=a", "AccountKey=hush", "AccountName=a;AccountKey=hushy",
        "AccountName=a;AccountKey=hush;TableEndpoint=storage/a", "AccountName=a;AccountKey=hush;BlobEndpoint=http://[::1/",
    ],
)  # fmt: skip
def test_a_connection_string_that_is_none_is_refused_without_telling_its_key(text: str) -> None:
    with pytest.raises(InvalidConnection) as caught:
        account_of(StorageConnection(text))
    assert "hush" not in str(caught.value)


@dataclass
class Token:
    token: str
    expires_on: float


class Identity:
    def __init__(self) -> None:
        self.asked = 0

    def get_token(self, *scopes: str) -> Token:
        self.asked += 1
        assert scopes == ("https://storage.azure.com/.default",)
        return Token(f"token{self.asked}", 4e9)


def test_a_managed_identity_signs_with_a_token_that_is_kept() -> None:
    account = account_of(StorageConnection(account_name="contoso", client_id="identity"))
    account.__dict__["credential"] = identity = Identity()
    seen: list[Mapping[str, str]] = []

    def send(method: str, url: str, headers: Mapping[str, str], body: bytes | None) -> Reply:
        assert (method, body) == ("GET", None)
        assert url.startswith("/Mailboxes(")
        seen.append(headers)
        return Reply(404, {}, b"")

    gateway = FastGateway(account, lambda _: None, send)
    assert gateway.get("Mailboxes", "p", "r") is None
    assert gateway.get("Mailboxes", "p", "r") is None
    assert [headers["Authorization"] for headers in seen] == ["Bearer token1", "Bearer token1"]
    assert identity.asked == 1


class NoIdentity:
    def get_token(self, *_: str) -> Token:
        raise ClientAuthenticationError("no identity here")


def test_a_machine_without_an_identity_is_told_in_our_words() -> None:
    account = account_of(StorageConnection(account_name="contoso"))
    account.__dict__["credential"] = NoIdentity()
    with pytest.raises(Unreachable, match="token"):
        FastGateway(account, lambda _: None, sleep=lambda _: None).get("Mailboxes", "p", "r")
