"""The API over stores in memory: everything real but the storage account and the host before it."""

import warnings
from dataclasses import dataclass, field
from typing import Any

import httpx

from functions.api.application import create_app
from tests.unit.administration.office import Office

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # Starlette asks for a successor of httpx that is not in use here
    from starlette.testclient import TestClient

PROFILE = {
    "name": "Contoso Exchange",
    "server_type": "exchange_server",
    "incoming_location": "https://mail.contoso.example/EWS/Exchange.asmx",
    "authentication": "basic",
    "credential_source": "profile",
    "credentials": {"username": "contoso\\sync", "secret": "correct horse"},
}


@dataclass
class Api:
    """The API, and the office behind it."""

    office: Office = field(default_factory=Office)

    def __post_init__(self) -> None:
        self.client = TestClient(create_app(self.office), raise_server_exceptions=False)

    def get(self, path: str, **arguments: Any) -> httpx.Response:
        return self.client.get(f"/api{path}", **arguments)

    def put(self, path: str, body: Any, **headers: str) -> httpx.Response:
        return self.client.put(f"/api{path}", json=body, headers=headers)

    def patch(self, path: str, body: Any, **headers: str) -> httpx.Response:
        return self.client.patch(f"/api{path}", json=body, headers=headers)

    def post(self, path: str, **headers: str) -> httpx.Response:
        return self.client.post(f"/api{path}", headers=headers)

    def has_profile(self) -> None:
        assert self.put("/profiles/contoso", PROFILE).status_code == 201

    def has_user(self, name: str = "anna") -> str:
        """Returns the id of the user's mailbox."""
        answer = self.put(f"/users/{name}", {"name": name.title(), "address": f"{name}@contoso.example"})
        assert answer.status_code == 201
        return str(answer.json()["mailbox_id"])

    def has_mailbox_being_read(self) -> str:
        self.has_profile()
        mailbox_id = self.has_user()
        assert self.patch(f"/mailboxes/{mailbox_id}", {"profile_id": "contoso"}).status_code == 200
        assert self.post(f"/mailboxes/{mailbox_id}/approve").status_code == 200
        return mailbox_id
