"""A post room: an office in which Dora and the queue Sales may send, and Carol and Kim are contacts."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

from shared.administration.outgoing import Outgoing
from shared.administration.outgoing.uploads import NewAttachment
from shared.domain.choices import Approval, EmailDeliveryMethod, EmailStatus, OwnerKind, Workload
from shared.domain.configuration import OwnerRef, StoredMailbox
from shared.domain.delivery import OutboxEntry
from shared.domain.drafts import Draft, Recipient
from shared.domain.email import EmailActivity, EmailContent
from shared.domain.ids import ActivityId, MailboxId, OwnerId, ProfileId
from shared.domain.records import AddressBookRecord
from shared.messages import Queue
from tests.unit.administration.office import ADMIN, Office

DORA, SALES = OwnerRef(OwnerKind.USER, OwnerId("dora")), OwnerRef(OwnerKind.QUEUE, OwnerId("sales"))
KIM = AddressBookRecord("contact", "kim", "Kim Abercrombie", ("kim@fabrikam.example", "kim@home.example"))
CAROL = AddressBookRecord("contact", "carol", "Carol", ("carol@fabrikam.example",))


@dataclass
class PostRoom(Office):
    def __post_init__(self) -> None:
        self.has_profile()
        self.has_sender(DORA)
        self.has_sender(SALES)
        for record in (KIM, CAROL):
            self.stores.address_book.create(record)

    @property
    def outgoing(self) -> Outgoing:
        return self.administration.outgoing

    def has_sender(self, owner: OwnerRef) -> StoredMailbox:
        made = self.has_user(owner.id) if owner.kind is OwnerKind.USER else self.has_queue(owner.id)
        mailbox_id = made.record.id
        self.changes(mailbox_id, profile_id=ProfileId("contoso"), outgoing_method=EmailDeliveryMethod.SERVER_SIDE)
        self.administration.mailboxes.decide(mailbox_id, Approval.APPROVED, ADMIN)
        return self.mailbox_of(owner.id, owner.kind)

    def mailbox(self, owner: OwnerRef = DORA) -> MailboxId:
        return self.mailbox_of(owner.id, owner.kind).record.id

    def has_draft(self, key: str | None = "offer", **given: Any) -> ActivityId:
        return self.outgoing.drafts.create(a_draft(**given), ADMIN, key=key).stored.record.id

    def has_attachment(self, email: ActivityId, content: bytes = b"terms", **given: Any) -> str:
        """Uploaded and complete. Returns the upload."""
        use = self.outgoing.uploads
        uploading, _ = use.begin(email, an_attachment(len(content), **given), ADMIN)
        use.put_part(email, uploading.upload, 0, content, ADMIN)
        use.complete(email, uploading.upload, ADMIN)
        return uploading.upload

    def email(self, activity_id: ActivityId) -> EmailActivity:
        return self.administration.emails.get(activity_id).record

    def content(self, activity_id: ActivityId) -> EmailContent:
        return self.administration.activities.content(activity_id)

    def has_status(self, activity_id: ActivityId, status: EmailStatus, **delivery: Any) -> None:
        """What a run has made of it since."""
        stored = self.administration.emails.get(activity_id)
        assert stored.record.delivery is not None
        changed = replace(stored.record, status=status, delivery=replace(stored.record.delivery, **delivery))
        self.stores.activities.replace(changed, stored.etag)

    def outbox(self, owner: OwnerRef = DORA) -> Sequence[OutboxEntry]:
        return self.stores.outbox.list(self.mailbox(owner)).items

    def announced(self, activity_id: ActivityId) -> list[OutboxEntry]:
        """Entries of the outbox that announce the email as it is."""
        delivery = self.email(activity_id).delivery
        assert delivery is not None
        entries = self.stores.outbox.list(delivery.mailbox).items
        return [each for each in entries if each.submission == delivery.submission]

    def listed(self, status: EmailStatus | None = None, owner: OwnerRef = DORA) -> list[ActivityId]:
        return [each.id for each in self.outgoing.lists.of_mailbox(self.mailbox(owner), status).items]

    def due(self, owner: OwnerRef = DORA) -> object:
        return self.mailbox_of(owner.id, owner.kind).schedule[Workload.OUTGOING].due

    def messages(self) -> Sequence[str]:
        return self.sent(Queue.SYNC_OUTGOING)

    def blobs(self) -> list[str]:
        names = cast(Any, self.stores.blobs).snapshot()
        return sorted(names)


def a_draft(**given: Any) -> Draft:
    whole = {"sender": DORA, "to": (Recipient("kim@fabrikam.example"),), "subject": "Offer", "body_text": "Our offer"}
    return Draft(**{**whole, **given})


def an_attachment(size: int = 5, **given: Any) -> NewAttachment:
    return NewAttachment(**{"name": "terms.txt", "content_type": "text/plain", "size": size, **given})
