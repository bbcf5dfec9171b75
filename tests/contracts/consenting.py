"""Owners who consent at the local mail server as with a browser, and the mailboxes that are read for it. Everything is real."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
import requests

from functions.api.application import create_app, create_consent_page
from local.mailserver import MailServer
from shared.administration import Administration, Rules
from shared.administration.consenting import Outcome
from shared.connectors.connect import Connect
from shared.connectors.internet.consenting import ConsentIssuers
from shared.domain.choices import AuthenticationProtocol, CredentialSource, OAuthProvider, ServerType
from shared.domain.configuration import Credentials, EmailServerProfile, Mailbox, SecretRef
from shared.domain.consents import Consent
from shared.domain.ids import MailboxId, ProfileId
from shared.ports import Stores
from shared.stores.memory import memory_stores
from tests.builders import SettableClock
from tests.contracts.incoming_email import everything
from tests.functions.api.over_memory import AccessSettings, client_of
from tests.unit.administration.office import ADMIN, a_user

CLIENT, CLIENT_SECRET, PASSWORD = "sidesync-app", "the secret of the application", "anna's own password"
REDIRECT = "https://sidesync.contoso.example/api/consent"


def authority_of(server: MailServer) -> str:
    return urlsplit(server.https_url).netloc


@dataclass
class Deployment:
    """Sidesync over stores in memory, and Anna's mailbox on a profile that needs her consent."""

    server: MailServer
    server_type: ServerType = ServerType.IMAP_SMTP
    provider: OAuthProvider = OAuthProvider.MICROSOFT
    address: str = "anna@contoso.example"
    stores: Stores = field(default_factory=memory_stores)
    clock: SettableClock = field(default_factory=lambda: SettableClock(datetime.now(UTC)))
    """Begins with that of the workers."""

    def __post_init__(self) -> None:
        self.server.add_mailbox(self.address, password=PASSWORD)
        self.server.add_application(CLIENT, CLIENT_SECRET, impersonation=False, redirect_uris=[REDIRECT])
        issuers = ConsentIssuers(self.stores.secrets, allow_local_servers=lambda: True)
        rules = Rules(allow_local_servers=True)
        self.administration = Administration(self.stores, self.clock, rules, consent_issuer=issuers)
        self.administration.profiles.put(self._new_profile(), ADMIN, {"credentials/secret": CLIENT_SECRET})
        user = a_user(self.address.partition("@")[0], address=self.address)
        self.administration.users.put(user, ADMIN)
        mailbox = self.stores.mailboxes.list().items[0].record
        self.mailbox_id: MailboxId = mailbox.id
        self.administration.mailboxes.change(mailbox.id, lambda each: replace(each, profile_id=ProfileId("consented")), ADMIN)
        self.connect = self.worker()

    def worker(self) -> Connect:
        """Another worker process: it remembers nothing."""
        return Connect(self.stores.secrets, allow_local_servers=True, consents=self.stores.consents)

    @property
    def profile(self) -> EmailServerProfile:
        stored = self.stores.profiles.get(ProfileId("consented"))
        assert stored is not None
        return stored.record

    @property
    def mailbox(self) -> Mailbox:
        stored = self.stores.mailboxes.get(self.mailbox_id)
        assert stored is not None
        return stored.record

    @property
    def consent(self) -> Consent:
        stored = self.stores.consents.get(self.mailbox_id)
        assert stored is not None
        return stored.record

    @property
    def refresh_token(self) -> str:
        return self.stores.secrets.get(self.consent.refresh_token)

    def link(self) -> str:
        return self.administration.consents.ask(self.mailbox_id, REDIRECT, ADMIN).authorization_url

    def in_browser(self, link: str, **posted: str) -> dict[str, str]:
        """What the owner's browser brings back from the provider; `posted` says what is typed."""
        said = {"username": self.address, "password": PASSWORD} | posted
        page = requests.post(link, said, allow_redirects=False, timeout=20, verify=str(self.server.certificate_file))
        back = urlsplit(page.headers["Location"])
        assert f"{back.scheme}://{back.netloc}{back.path}" == REDIRECT
        return {name: values[0] for name, values in parse_qs(back.query).items()}

    def brings(self, back: dict[str, str]) -> Outcome:
        return self.administration.consents.answer(back.get("state"), back.get("code"))

    def consents(self) -> Outcome:
        return self.brings(self.in_browser(self.link()))

    def listed(self, worker: Connect | None = None) -> Sequence[str | None]:
        """Message-IDs in the inbox."""
        with (worker or self.connect)(self.profile, self.mailbox) as mail:
            return [item.message_id for item in everything(mail)[0]]

    def over_http(self) -> tuple[httpx.Client, httpx.Client]:
        """The API for who holds the key, and the page for who does not."""
        settings = AccessSettings(public_url=REDIRECT.removesuffix("/api/consent"))
        sidesync = cast(Any, SimpleNamespace(administration=self.administration, preview=None, folders=None, settings=settings))
        return client_of(create_app(sidesync)), client_of(create_consent_page(sidesync))

    def _new_profile(self) -> EmailServerProfile:
        port = self.server.imap_port if self.server_type is ServerType.IMAP_SMTP else self.server.pop3_port
        credentials = Credentials(client_id=CLIENT, authority=authority_of(self.server), secret=SecretRef("none", "1"))
        return EmailServerProfile(
            id=ProfileId("consented"),
            name="With consent",
            server_type=self.server_type,
            incoming_location="127.0.0.1",
            incoming_port=port,
            incoming_use_tls=False,
            authentication=AuthenticationProtocol.OAUTH,
            credential_source=CredentialSource.MAILBOX,
            credentials=credentials,
            oauth_provider=self.provider,
        )


def error_of(act: Callable[[], object]) -> Exception:
    with pytest.raises(Exception) as caught:  # noqa: PT011 - which one it is, the test says
        act()
    return caught.value


class Died(BaseException):
    """Nothing catches the end of a process."""


def dying(act: Callable[..., Any], after: int) -> Callable[..., Any]:
    """`act`, until it was called so often."""
    calls = 0

    def called(*arguments: Any, **named: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls > after:
            raise Died
        return act(*arguments, **named)

    return called
