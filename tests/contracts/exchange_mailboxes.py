"""Exchange mailboxes for tests: on the local mail server, or on a live one that environment variables name."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import count
from typing import Any, TypedDict

import pytest

from local.mailserver import MailServer
from shared.connectors.connect import Connect
from shared.domain.choices import AuthenticationProtocol, CredentialSource, ServerType
from shared.domain.configuration import Credentials, EmailServerProfile, Mailbox, SecretRef
from shared.domain.errors import SyncError
from shared.domain.ids import MailboxId, ProfileId
from tests.contracts.incoming_email import NOON, everything

SERVICE = "sidesync@contoso.example"
PASSWORD = "correct horse battery staple"

_numbers = count(1)


@dataclass(slots=True)
class KnownSecrets:
    """Secrets by value: a reference's name is the secret itself, its version is any."""

    def get(self, ref: SecretRef) -> str:
        if ref.name == "absent":
            raise KeyError(ref.name)
        return ref.name

    def set(self, name: str, value: str) -> SecretRef:
        raise NotImplementedError((name, value))

    def set_on(self, ref: SecretRef) -> datetime | None:  # noqa: ARG002  # nobody ever set it
        return None


def a_profile(
    location: str | None,
    *,
    username: str | None = SERVICE,
    secret: str = PASSWORD,
    version: str = "1",
    authentication: AuthenticationProtocol = AuthenticationProtocol.BASIC,
    credential_source: CredentialSource = CredentialSource.PROFILE,
    **changes: Any,
) -> EmailServerProfile:
    profile = EmailServerProfile(
        id=ProfileId("profile"),
        name="Exchange",
        server_type=ServerType.EXCHANGE_SERVER,
        incoming_location=location,
        authentication=authentication,
        credential_source=credential_source,
        credentials=Credentials(username=username, secret=SecretRef(secret, version)),
    )
    return replace(profile, **changes)


def a_mailbox(address: str, credentials: Credentials | None = None) -> Mailbox:
    return Mailbox(MailboxId(address), address, address, None, credentials=credentials or Credentials())


class Symptoms(TypedDict, total=False):
    """How a fault of the local mail server shows, beside its kind: as `Faults.add` takes it."""

    operation: str
    count: int
    after: int
    seconds: float
    code: str
    item: str | None
    text: str


@dataclass(frozen=True, slots=True)
class ServedByExchange:
    """One mailbox of the local mail server, as the contract suite wants it."""

    server: MailServer
    address: str

    def deliver(self, raw: bytes, received: datetime = NOON, *, internal: bool | None = False) -> None:
        self.server.deliver(raw, [self.address], received, internal=internal)

    def remove(self, message_id: str) -> None:
        self.server.remove(self.address, self.item(message_id))

    def touch(self, message_id: str) -> None:
        self.server.touch(self.address, self.item(message_id))

    def mark_read(self, message_id: str) -> None:
        self.server.mark_read(self.address, self.item(message_id))

    def store_own_copy(self, raw: bytes) -> None:
        self.server.put(raw, self.address, "inbox", from_me=True)

    def store_draft(self, raw: bytes) -> None:
        self.server.put(raw, self.address, "inbox", draft=True, from_me=True)

    def forget_watermarks(self) -> None:
        self.server.invalidate_sync_states(self.address)

    def categorize(self, message_id: str, *names: str) -> None:
        self.server.categorize(self.address, self.item(message_id), add=names)

    def categories(self, message_id: str) -> set[str]:
        return set(self.server.categories(self.address, self.item(message_id)))

    def add_folder(self, name: str, below: str | None = None) -> str:
        return self.server.add_folder(self.address, name, below or "inbox")

    def move_to(self, message_id: str, folder: str) -> None:
        self.server.move(self.address, self.item(message_id), folder)

    def store_sent(self, raw: bytes) -> None:
        self.server.put(raw, self.address, "sentitems", from_me=True)

    def item(self, message_id: str) -> str:
        mailbox = self.server.store.mailbox(self.address)
        items = (item for folder in mailbox.folders.values() for item in folder.items.values())
        return next(item.id for item in items if item.message.message_id == f"<{message_id}>")


def a_new_mailbox(server: MailServer) -> ServedByExchange:
    """Empty, with an address that no other test has."""
    address = f"mailbox{next(_numbers)}@contoso.example"
    server.add_mailbox(address)
    return ServedByExchange(server, address)


def listed(connect: Connect, profile: EmailServerProfile, address: str, credentials: Credentials | None = None) -> list[str]:
    """Message-IDs of the mailbox, as somebody sees them who signs in by this profile."""
    with connect(profile, a_mailbox(address, credentials)) as incoming:
        return [item.message_id or "" for item in everything(incoming)[0]]


def failure(attempt: Callable[[], object]) -> SyncError:
    with pytest.raises(SyncError) as raised:
        attempt()
    return raised.value
