"""The command line over the real API, which stands over stores in memory; queues are worked off while a command waits."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import httpx
from typer.testing import CliRunner, Result

from admin.commands import app
from admin.session import Surroundings
from functions.api.application import create_app
from shared.administration import Administration, Rules
from shared.connectors.internet.consenting import ConsentIssuers
from shared.domain.choices import Workload
from shared.messages import ChangeItems, LoadRecords, ProbeMailbox, Queue, VisitMailboxes, parse
from shared.ports import Stores
from shared.stores.memory import memory_stores
from shared.sync.folders import Folders
from shared.sync.item_changes import ItemChanges
from shared.sync.preview import Preview
from tests.builders import SettableClock, queues_in_memory
from tests.functions.api.over_memory import client_of
from tests.unit.sync.in_memory_mail import InMemoryMail, Servers

URL, KEY = "https://sidesync.contoso.example", "the function key"


@dataclass
class Deployment:
    """A Sidesync of its own; `answer` is what a mail server does when it is probed."""

    stores: Stores = field(default_factory=memory_stores)
    clock: SettableClock = field(default_factory=SettableClock)
    answer: Callable[[], None] = lambda: None
    answer_sending: Callable[[], None] = lambda: None
    """Likewise, when it is probed whether email can be sent."""
    works: bool = True
    """Queue messages are taken while a command waits."""
    lost_after: int | None = None
    """Changes after which the server is no longer reached."""
    requests: list[httpx.Request] = field(default_factory=list)
    waited: float = 0.0
    mail: InMemoryMail = field(default_factory=InMemoryMail)
    """Of Anna."""
    mailbox_id: str = ""
    """Of Anna, where a test gave her one."""

    def __post_init__(self) -> None:
        probes = {Workload.INCOMING: lambda *_: self.answer(), Workload.OUTGOING: lambda *_: self.answer_sending()}
        issuers = ConsentIssuers(self.stores.secrets, allow_local_servers=lambda: True)
        self.administration = Administration(self.stores, self.clock, Rules(), probes, consent_issuer=issuers)
        servers = Servers(anna=self.mail, support=self.mail)
        sidesync = SimpleNamespace(
            administration=self.administration,
            preview=Preview(self.stores, servers, self.clock),
            folders=Folders(self.stores, servers, self.clock),
            settings=SimpleNamespace(platform_authentication=False, public_url=URL),
        )
        self._asgi = create_app(cast(Any, sidesync))
        self.client = self._client()

    def admin(self, *arguments: str | Path, answer: str = "", **environment: str) -> Result:
        """Runs one command line; `answer` is typed, `environment` is set."""
        self.clock.advance(timedelta(seconds=1))
        surroundings = Surroundings(lambda *_: self._client(), self._pause, lambda: self.waited, self.clock)
        variables = {"SIDESYNC_URL": URL, "SIDESYNC_KEY": KEY} | environment
        texts = [str(argument) for argument in arguments]
        return CliRunner().invoke(app, texts, input=answer, env=variables, obj=surroundings, catch_exceptions=False)

    def json(self, *arguments: str | Path, **environment: str) -> Any:
        result = self.admin(*arguments, "--json", **environment)
        assert result.exit_code == 0, result.output
        return json.loads(result.stdout)

    def has_profile(self, name: str = "contoso") -> None:
        body = {
            "name": "Contoso Exchange",
            "server_type": "exchange_server",
            "incoming_location": "https://mail.contoso.example/EWS/Exchange.asmx",
            "authentication": "basic",
            "credential_source": "profile",
            "credentials": {"username": "contoso\\sync", "secret": "correct horse"},
        }
        self.put(f"/profiles/{name}", body)

    def has_user(self, name: str = "anna", *, approved: bool = True) -> str:
        """A user whose mailbox is on the profile; returns the id of the mailbox."""
        mailbox_id = str(self.put(f"/users/{name}", {"name": name.title(), "address": f"{name}@contoso.example"})["mailbox_id"])
        assert self.client.patch(f"/api/mailboxes/{mailbox_id}", json={"profile_id": "contoso"}).is_success
        if approved:
            assert self.client.post(f"/api/mailboxes/{mailbox_id}/approve").is_success
        return mailbox_id

    def put(self, path: str, body: Any) -> Any:
        answer = self.client.put(f"/api{path}", json=body)
        assert answer.is_success, answer.text
        return answer.json()

    def shown(self, path: str) -> Any:
        return self.client.get(f"/api{path}").json()

    def etag(self, path: str) -> str:
        return self.client.get(f"/api{path}").headers["ETag"]

    def writes(self) -> list[str]:
        """What was asked for since the last time that changes something."""
        asked = [f"{request.method} {request.url.path}" for request in self.requests if request.method != "GET"]
        self.requests.clear()
        return asked

    def work(self) -> None:
        """Takes what is in the queues, until nothing is."""
        queues = queues_in_memory(self.stores)
        while texts := [text for queue in Queue for text in queues.receive(queue)]:
            for text in texts:
                match parse(text):
                    case ProbeMailbox() as message:
                        self.administration.testing.probe(message)
                    case VisitMailboxes() as message:
                        self.administration.testing.visit(message)
                    case LoadRecords() as message:
                        self.administration.loads.run(message)
                    case ChangeItems() as message:
                        ItemChanges(self.stores, self.clock).run(message)

    def _pause(self, seconds: float) -> None:
        self.waited += seconds
        self.clock.advance(timedelta(seconds=seconds))
        if self.works:
            self.work()

    def _client(self) -> httpx.Client:
        client = client_of(self._asgi, URL)
        client.event_hooks["request"].append(self._arrives)
        return client

    def _arrives(self, request: httpx.Request) -> None:
        """Raises ReadTimeout where the connection is lost."""
        self.requests.append(request)
        if request.method == "GET" or self.lost_after is None:
            return
        if self.lost_after == 0:
            raise httpx.ReadTimeout("timed out", request=request)
        self.lost_after -= 1
