"""Builders: one vocabulary for the records that tests are about. Every argument has a default that is valid."""

from collections.abc import Iterator, Sequence
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from shared.domain.choices import (
    Approval,
    AuthenticationProtocol,
    CredentialSource,
    IncomingFilteringMethod,
    OwnerKind,
    ServerType,
    Workload,
)
from shared.domain.configuration import (
    Credentials,
    EmailServerProfile,
    Mailbox,
    Owner,
    OwnerRef,
    SecretRef,
    WorkloadSchedule,
)
from shared.domain.email import Address, Envelope, IncomingAttachment, IncomingMessage, ItemRef
from shared.domain.folders import Folder
from shared.domain.ids import OwnerId, ProfileId, mailbox_id_of, normalised_message_id
from shared.domain.records import FolderTrackingRule, RecordRef
from shared.messages import SyncMailbox, SyncReason
from shared.ports import Stores
from shared.stores.memory.work import MemoryQueues

MONDAY = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
"""When tests begin."""


class SettableClock:
    """A clock that stands still until it is told to move."""

    def __init__(self, now: datetime = MONDAY) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def advance(self, by: timedelta) -> None:
        self.now += by


def a_profile(**changes: Any) -> EmailServerProfile:
    profile = EmailServerProfile(
        id=ProfileId("contoso"),
        name="Contoso Exchange",
        server_type=ServerType.EXCHANGE_SERVER,
        incoming_location="https://mail.contoso.example/EWS/Exchange.asmx",
        authentication=AuthenticationProtocol.BASIC,
        credential_source=CredentialSource.PROFILE,
        credentials=Credentials(username="contoso\\sync", secret=SecretRef("profile-contoso", "1")),
    )
    return replace(profile, **changes)


def an_owner(name: str = "anna", **changes: Any) -> Owner:
    owner = Owner(OwnerId(f"user-{name}"), OwnerKind.USER, name.title(), f"{name}@contoso.example")
    return replace(owner, **changes)


def a_mailbox(name: str = "anna", **changes: Any) -> Mailbox:
    """An active, approved mailbox of a user; its id is derived from the owner."""
    owner = an_owner(name)
    mailbox = Mailbox(
        id=mailbox_id_of(owner.kind, owner.id),
        name=owner.name,
        address=owner.address,
        owner=OwnerRef(owner.kind, owner.id),
        profile_id=ProfileId("contoso"),
        approval=Approval.APPROVED,
        enabled_on=MONDAY - timedelta(days=30),
    )
    return replace(mailbox, **changes)


def a_message(subject: str = "Offer", **changes: Any) -> IncomingMessage:
    """A message from a customer to Anna. The Message-ID follows from the subject; None leaves it out.

    `sender`, `to` and `cc` may be plain addresses, `attachments` bytes.
    """
    default_id = f"<{subject.lower().replace(' ', '-')}@fabrikam.example>"
    message = IncomingMessage(
        ref=ItemRef("", "inbox"),
        received=MONDAY - timedelta(hours=1),
        subject=subject,
        message_id=normalised_message_id(changes.pop("message_id", default_id)),
        sender=_address(changes.pop("sender", "carol@fabrikam.example")),
        to=_addresses(changes.pop("to", ["anna@contoso.example"])),
        cc=_addresses(changes.pop("cc", [])),
        bcc=_addresses(changes.pop("bcc", [])),
        sent=MONDAY - timedelta(hours=1, minutes=1),
        body_text=changes.pop("body_text", f"About: {subject}"),
        attachments=tuple(_attachment(place, each) for place, each in enumerate(changes.pop("attachments", []))),
        size=2000,
    )
    return replace(message, **changes)


def an_envelope(subject: str = "Offer", **changes: Any) -> Envelope:
    """What judging needs of `a_message`."""
    return envelope_of(a_message(subject, **changes))


def envelope_of(message: IncomingMessage) -> Envelope:
    return Envelope(**{each.name: getattr(message, each.name) for each in fields(Envelope)})


def a_queue(name: str = "support", **changes: Any) -> Owner:
    """A queue that accepts all mail."""
    accepting = IncomingFilteringMethod.ALL
    return replace(
        Owner(OwnerId(f"queue-{name}"), OwnerKind.QUEUE, name.title(), f"{name}@contoso.example", accepting), **changes
    )


def a_rule(mailbox: Mailbox, folder: Folder, regarding: str | None = None, **changes: Any) -> FolderTrackingRule:
    """A folder-level tracking rule; `regarding` is the id of an account."""
    record = RecordRef("account", regarding) if regarding is not None else None
    return replace(FolderTrackingRule(mailbox.id, folder.id, folder.name, record), **changes)


def a_sync_of(mailbox: Mailbox, reason: SyncReason = SyncReason.DUE, message_id: str = "message-1") -> SyncMailbox:
    return SyncMailbox(message_id, mailbox.id, Workload.INCOMING, reason)


def queues_in_memory(stores: Stores) -> MemoryQueues:
    """Theirs, where they are in memory, as who works them sees them."""
    assert isinstance(stores.queues, MemoryQueues)
    return stores.queues


def with_organisation(
    stores: Stores,
    *mailboxes: Mailbox,
    profile: EmailServerProfile | None = None,
    accepting: IncomingFilteringMethod = IncomingFilteringMethod.ALL,
) -> Stores:
    """Stores that hold a profile, the mailboxes and their owners, who accept all mail unless told; every mailbox is due."""
    stores.profiles.create(profile or a_profile())
    for mailbox in mailboxes:
        if mailbox.owner is not None:
            stores.owners.create(Owner(mailbox.owner.id, mailbox.owner.kind, mailbox.name, mailbox.address, accepting))
        stores.mailboxes.create(mailbox, {Workload.INCOMING: WorkloadSchedule(due=MONDAY)})
    return stores


def _addresses(values: Sequence[str | Address]) -> tuple[Address, ...]:
    return tuple(address for value in values if (address := _address(value)) is not None)


def _address(value: str | Address | None) -> Address | None:
    return Address(value) if isinstance(value, str) else value


def _attachment(place: int, content: bytes | IncomingAttachment) -> IncomingAttachment:
    if isinstance(content, IncomingAttachment):
        return content

    def chunks() -> Iterator[bytes]:
        yield content

    return IncomingAttachment(f"attachment-{place}.bin", "application/octet-stream", len(content), chunks)
