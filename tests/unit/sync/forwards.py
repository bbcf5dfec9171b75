"""A forward mailbox and what comes to it: messages that servers forward as attachments."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from shared.domain.choices import EmailDeliveryMethod, OwnerKind, Reason, Verdict
from shared.domain.configuration import OwnerRef
from shared.domain.email import IncomingAttachment, IncomingMessage, ItemRef, ListOf
from shared.domain.folders import INBOX
from shared.domain.ids import MailboxId, OwnerId, mailbox_id_of
from shared.domain.organisation import OrganisationSettings
from tests.builders import a_mailbox, a_message, a_queue
from tests.unit.sync.faults import FaultyWorld
from tests.unit.sync.in_memory_mail import InMemoryMail
from tests.unit.sync.scene import Scene

ANNA = OwnerRef(OwnerKind.USER, OwnerId("user-anna"))


def a_scene(world: FaultyWorld | None = None, *, discards: bool = False, **changes: Any) -> Scene:
    """Ben's address is that of the forward mailbox. Anna and the queue have their mail read through it and accept all."""
    collection = a_mailbox("ben", id=MailboxId("collection"), owner=None, process_and_delete=discards)
    anna = a_mailbox("anna", incoming_method=EmailDeliveryMethod.FORWARD_MAILBOX)
    scene = Scene(
        ben=InMemoryMail("server/ben", page_items=3),
        world=world or FaultyWorld(),
        mailboxes={"anna": anna, "ben": collection},
        **changes,
    )
    scene.stores.settings.put(OrganisationSettings(), None)
    queue = a_queue("support")
    scene.stores.owners.create(queue)
    of_queue = replace(
        anna, id=mailbox_id_of(queue.kind, queue.id), address=queue.address, owner=OwnerRef(queue.kind, queue.id)
    )
    scene.stores.mailboxes.create(of_queue, {})
    return scene


def attached(message: IncomingMessage, error: Exception | None = None) -> IncomingAttachment:
    def chunks() -> Iterator[bytes]:
        yield b"the MIME form"

    def read() -> IncomingMessage:
        if error is not None:
            raise error
        return replace(message, ref=ItemRef("", INBOX.id))

    return IncomingAttachment("original.eml", "message/rfc822", 2000, chunks, is_message=True, message=read)


def a_forward(*originals: IncomingMessage, sender: str = "anna@contoso.example", **changes: Any) -> IncomingMessage:
    subject = changes.pop("subject", f"FW: {originals[0].subject if originals else 'nothing'}")
    attachments = [attached(original) for original in originals]
    return a_message(subject, sender=sender, to=["ben@contoso.example"], attachments=attachments, **changes)


def verdicts(scene: Scene) -> list[tuple[Verdict, Reason]]:
    return sorted((row.verdict, row.reason) for row in scene.ledger("ben").values())


def listed(scene: Scene, list_of: ListOf, whose: str) -> list[str]:
    return sorted(entry.subject for entry in scene.stores.timeline.list(list_of, whose).items)
