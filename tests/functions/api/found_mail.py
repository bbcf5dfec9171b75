"""What runs have found in a mailbox: an email, what the ledger says of it, and an item in quarantine."""

from typing import Any

from shared.domain.choices import (
    CorrelationMethod,
    Direction,
    IncomingFilteringMethod,
    OwnerKind,
    Reason,
    Verdict,
    Workload,
)
from shared.domain.configuration import OwnerRef
from shared.domain.email import Attachment, ItemRef, ListOf, TimelineEntry
from shared.domain.ids import ActivityId, MailboxId, OwnerId, RunId, email_id
from shared.domain.judgement import Correlation, CorrelationTry, Judgement, TryOutcome, Vote
from shared.domain.ledger import LedgerCommit, LedgerItem, RunState, item_key
from shared.domain.operations import QuarantinedItem
from shared.ports import Stores
from tests.builders import MONDAY
from tests.functions.api.over_memory import Api
from tests.unit.administration.emails import MESSAGE_ID, an_email

ACTIVITY = email_id(MESSAGE_ID, Direction.INCOMING)
NOWHERE = "00000000-0000-4000-8000-000000000000"

_ANNA, _SALES = OwnerRef(OwnerKind.USER, OwnerId("anna")), OwnerRef(OwnerKind.QUEUE, OwnerId("sales"))
JUDGED = Judgement(
    Verdict.PROMOTED,
    Reason.RELEVANT,
    votes=(
        Vote(_ANNA, IncomingFilteringMethod.RESPONSES, accepts=False, reason=Reason.NO_CORRELATION_MATCH),
        Vote(_SALES, IncomingFilteringMethod.ALL, accepts=True, reason=Reason.RELEVANT),
    ),
    correlation=Correlation(
        tried=(CorrelationTry(CorrelationMethod.TRACKING_TOKEN, TryOutcome.STRANGER, ActivityId(NOWHERE)),)
    ),
    accepted_by=_SALES,
    queues=(_SALES.id,),
)
"""Anna's filter did not accept it, that of sales did; its token led to an email that the sender takes no part in."""


def has_email(api: Api, mailbox_id: str, attachments: dict[str, tuple[str, bytes]] | None = None, **content: Any) -> None:
    """An email that came through the mailbox; attachments are a media type and bytes by name."""
    stored: list[Attachment] = []
    for name, (media_type, data) in (attachments or {}).items():
        blob = f"emails/x/{len(stored)}"
        api.office.stores.blobs.put(blob, data)
        stored.append(Attachment(name, media_type, len(data), "sha", blob, f"{len(stored)}@contoso"))
    stores_have_email(api.office.stores, mailbox_id, attachments=tuple(stored), **content)


def stores_have_email(stores: Stores, mailbox_id: str, judgement: Judgement | None = None, **content: Any) -> None:
    """An email that came through the mailbox, in the list and in the ledger of which it stands."""
    stores.activities.create([an_email(ACTIVITY, MailboxId(mailbox_id), **content)])
    stores.timeline.put([TimelineEntry(ListOf.MAILBOX, mailbox_id, ACTIVITY, MONDAY, "Offer", "carol@fabrikam.example")])
    ref = ItemRef("item-1", "inbox")
    item = LedgerItem(
        key=item_key(MESSAGE_ID, ref),
        ref=ref,
        message_id=MESSAGE_ID,
        received=MONDAY,
        size=1,
        verdict=Verdict.PROMOTED,
        reason=Reason.RELEVANT,
        decided_on=MONDAY,
        run_id=RunId("run-1"),
        activity_id=ACTIVITY,
        judgement=judgement,
    )
    stores.ledger.commit(MailboxId(mailbox_id), Workload.INCOMING, None, LedgerCommit(RunState("nonce"), items=(item,)))


def has_quarantined_item(
    api: Api, mailbox_id: str, message_id: str = "a@b", raw: bytes | None = b"as received"
) -> QuarantinedItem:
    """An item that was given up, with its raw form."""
    return stores_have_quarantined_item(api.office.stores, mailbox_id, message_id, raw)


def stores_have_quarantined_item(
    stores: Stores, mailbox_id: str, message_id: str = "a@b", raw: bytes | None = b"as received"
) -> QuarantinedItem:
    ref = ItemRef(f"item-of-{message_id}", "inbox")
    blob = None if raw is None else f"raw/{message_id}"
    if blob is not None and raw is not None:
        stores.blobs.put(blob, raw)
    key = item_key(message_id, ref)
    item = QuarantinedItem(
        MailboxId(mailbox_id), key, ref, message_id, MONDAY, None, "item_unreadable", "it has no body", 5, "0.1.0", blob
    )
    stores.quarantine.put(item)
    return item
