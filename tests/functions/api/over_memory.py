"""The API over stores in memory: everything real but the storage account and the host before it."""

import base64
import json
import warnings
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import httpx

from functions.api.application import Api as Application
from functions.api.application import create_app
from shared.administration import Administration
from shared.domain.consents import Consent, terms_of
from shared.domain.ids import MailboxId, ProfileId
from shared.sync.folders import Folders
from shared.sync.preview import Preview
from tests.unit.administration.office import Office
from tests.unit.sync.in_memory_mail import InMemoryMail, Servers

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
CONSENTED_PROFILE = {
    "name": "Microsoft 365 over IMAP",
    "server_type": "imap_smtp",
    "incoming_location": "outlook.office365.com",
    "authentication": "oauth",
    "oauth_provider": "microsoft",
    "credential_source": "mailbox",
    "credentials": {"client_id": "00001111-aaaa"},
}
FORWARD_MAILBOX = {"name": "Collected", "address": "collected@contoso.example"}
RULE = {"folder_name": "Fabrikam", "regarding": {"type": "account", "id": "fabrikam"}}


def client_of(app: Application, base_url: str = "http://testserver") -> httpx.Client:
    """Of an application without a host; its internal errors are answers. The types of Starlette name the successor."""
    return TestClient(app, base_url=base_url, raise_server_exceptions=False)


@dataclass(frozen=True)
class AccessSettings:
    platform_authentication: bool = False
    public_url: str | None = "https://sidesync.contoso.example"


@dataclass
class Api:
    """The API, and the office behind it."""

    office: Office = field(default_factory=Office)
    platform_authentication: bool = False
    mail: InMemoryMail = field(default_factory=InMemoryMail)
    """Of Anna, and of the queue Support."""

    @property
    def preview(self) -> Preview:
        return Preview(self.office.stores, self._servers, self.office.clock)

    @property
    def folders(self) -> Folders:
        return Folders(self.office.stores, self._servers, self.office.clock)

    @property
    def _servers(self) -> Servers:
        return Servers(anna=self.mail, support=self.mail)

    @property
    def settings(self) -> AccessSettings:
        return AccessSettings(self.platform_authentication)

    @property
    def administration(self) -> Administration:
        return self.office.administration

    @cached_property
    def app(self) -> Application:
        return create_app(self)

    @cached_property
    def client(self) -> httpx.Client:
        return client_of(self.app)

    def get(self, path: str, **arguments: Any) -> httpx.Response:
        return self.client.get(f"/api{path}", **arguments)

    def put(self, path: str, body: Any, **headers: str) -> httpx.Response:
        return self.client.put(f"/api{path}", json=body, headers=headers)

    def patch(self, path: str, body: Any, **headers: str) -> httpx.Response:
        return self.client.patch(f"/api{path}", json=body, headers=headers)

    def post(self, path: str, body: Any = None, **headers: str) -> httpx.Response:
        return self.client.post(f"/api{path}", json=body, headers=headers)

    def delete(self, path: str, **headers: str) -> httpx.Response:
        return self.client.delete(f"/api{path}", headers=headers)

    def has_profile(self) -> None:
        assert self.put("/profiles/contoso", PROFILE).status_code == 201

    def has_user(self, name: str = "anna") -> str:
        """Returns the id of the user's mailbox."""
        answer = self.put(f"/users/{name}", {"name": name.title(), "address": f"{name}@contoso.example"})
        assert answer.status_code == 201
        return str(answer.json()["mailbox_id"])

    def has_queue(self, name: str = "sales") -> str:
        """Returns the id of the queue's mailbox."""
        answer = self.put(f"/queues/{name}", {"name": name.title(), "address": f"{name}@contoso.example"})
        assert answer.status_code == 201
        return str(answer.json()["mailbox_id"])

    def has_forward_mailbox(self, mailbox_id: str = "collected") -> str:
        assert self.put(f"/mailboxes/{mailbox_id}", FORWARD_MAILBOX).status_code == 201
        return mailbox_id

    def has_mailbox_being_read(self) -> str:
        self.has_profile()
        mailbox_id = self.has_user()
        assert self.patch(f"/mailboxes/{mailbox_id}", {"profile_id": "contoso"}).status_code == 200
        assert self.post(f"/mailboxes/{mailbox_id}/approve").status_code == 200
        return mailbox_id

    def has_mailbox_that_sends(self, name: str = "dora") -> str:
        """Of a user, on the profile contoso. Returns its id."""
        if self.get("/profiles/contoso").status_code != 200:
            self.has_profile()
        mailbox_id = self.has_user(name)
        change = {"profile_id": "contoso", "outgoing_method": "server_side"}
        assert self.patch(f"/mailboxes/{mailbox_id}", change).status_code == 200
        assert self.post(f"/mailboxes/{mailbox_id}/approve").status_code == 200
        return mailbox_id

    def has_draft(self, sender: str = "dora", **given: Any) -> str:
        """Of a user who can send. Returns its path."""
        body = {"sender": {"kind": "user", "id": sender}, "to": [{"address": "kim@fabrikam.example"}], "subject": "Offer"}
        answer = self.post("/activities", body | given)
        assert answer.status_code == 201, answer.text
        return f"/activities/{answer.json()['id']}"

    def has_upload(self, draft: str, content: bytes = b"terms", **given: Any) -> str:
        """Of an attachment to the draft, with its only part. Returns its path."""
        body = {"name": "terms.txt", "content_type": "text/plain", "size": len(content)} | given
        answer = self.post(f"{draft}/attachments", body)
        assert answer.status_code == 201, answer.text
        upload = f"{draft}/uploads/{answer.json()['upload']}"
        assert self.put_octets(f"{upload}/parts/0", content).status_code == 200
        return upload

    def put_octets(self, path: str, content: bytes, **headers: str) -> httpx.Response:
        kind = {"Content-Type": "application/octet-stream"}
        return self.client.put(f"/api{path}", content=content, headers={**kind, **headers})

    def has_mailbox_to_consent_to(self, name: str = "carla", *, consented: bool = True) -> str:
        """On an IMAP profile whose mailboxes are read by the consent of their owners. Returns its id."""
        assert self.put("/profiles/consented", CONSENTED_PROFILE).status_code in (200, 201)
        mailbox_id = self.has_user(name)
        assert self.patch(f"/mailboxes/{mailbox_id}", {"profile_id": "consented"}).status_code == 200
        profile = self.office.stores.profiles.get(ProfileId("consented"))
        terms = terms_of(profile.record) if profile else None
        if consented and terms is not None:
            now, token = self.office.clock(), self.office.stores.secrets.set("consent", "the refresh token")
            self.office.stores.consents.put(Consent(MailboxId(mailbox_id), terms, token, now, "ada", now), None)
        return mailbox_id

    def has_rule(self) -> str:
        """Returns the path of the rule."""
        path = f"/mailboxes/{self.has_user()}/rules/AAMkAD-folder"
        assert self.put(path, RULE).status_code == 201
        return path


def principal(*roles: str, name: str = "kim@contoso.example", **changes: Any) -> str:
    """What the platform says of a caller, as it writes it into the header."""
    claims = [{"typ": "preferred_username", "val": name}, {"typ": "name", "val": "Kim"}]
    claims += [{"typ": "roles", "val": role} for role in roles]
    content = {"auth_typ": "aad", "claims": claims, "name_typ": "name", "role_typ": "roles"} | changes
    return base64.b64encode(json.dumps(content).encode()).decode()
