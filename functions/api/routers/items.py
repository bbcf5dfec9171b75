"""What people want of messages in a mailbox, over HTTP: tracked, left alone, judged again; and what becomes of quarantine.

What changes the ledger is queued: a queue function does it under the lease of the mailbox.
"""

from http import HTTPStatus

from fastapi import APIRouter
from fastapi.responses import StreamingResponse

from functions.api.access import By
from functions.api.documented import ORDERS, QUEUES, READS, binary
from functions.api.identifiers import ItemPath, MailboxPath
from functions.api.schemas.mail import DiscardGiven, JudgeGiven, TrackGiven, UntrackGiven
from functions.api.schemas.operations import Accepted, QuarantinedItemShown
from shared.administration import Administration
from shared.domain.ids import MailboxId

_RAW_HEADERS = {
    "Content-Disposition": 'attachment; filename="message.eml"',
    "Content-Security-Policy": "sandbox; default-src 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
}


def items(administration: Administration) -> APIRouter:
    router = APIRouter(prefix="/mailboxes/{mailbox_id}", tags=["messages"])
    use = administration.items

    @router.post("/track", summary="Track a message", status_code=HTTPStatus.ACCEPTED, responses=ORDERS)
    def track_message(mailbox_id: MailboxPath, body: TrackGiven, by: By) -> Accepted:
        """Whatever the filters say; only the exclude list holds. The message must have been seen in the mailbox."""
        regarding = None if body.regarding is None else body.regarding.record()
        use.track(MailboxId(mailbox_id), body.message_id, regarding, by)
        return Accepted(look_at=f"/api/mailboxes/{mailbox_id}/activities")

    @router.post("/untrack", summary="Leave a message alone", status_code=HTTPStatus.ACCEPTED, responses=ORDERS)
    def untrack_message(mailbox_id: MailboxPath, body: UntrackGiven, by: By) -> Accepted:
        """Its activity stays, without this mailbox; the tracking category is taken away."""
        use.untrack(MailboxId(mailbox_id), body.message_id, by)
        return Accepted(look_at=f"/api/mailboxes/{mailbox_id}/activities")

    @router.post("/judge", summary="Judge skipped messages again", status_code=HTTPStatus.ACCEPTED, responses=ORDERS)
    def judge_messages(mailbox_id: MailboxPath, body: JudgeGiven, by: By) -> Accepted:
        """By the present settings, those received since a time."""
        use.judge_again(MailboxId(mailbox_id), body.since, by)
        return Accepted(look_at=f"/api/mailboxes/{mailbox_id}/runs")

    @router.post("/replay", summary="Try all quarantined items again", status_code=HTTPStatus.ACCEPTED, responses=QUEUES)
    def replay_all(mailbox_id: MailboxPath, by: By) -> Accepted:
        """What succeeds leaves quarantine; what fails again stays there."""
        use.replay(MailboxId(mailbox_id), None, by)
        return Accepted(look_at=f"/api/mailboxes/{mailbox_id}/quarantine")

    return router


def quarantine(administration: Administration) -> APIRouter:
    router = APIRouter(prefix="/mailboxes/{mailbox_id}/quarantine", tags=["quarantine"])
    use = administration.items

    @router.get("/{item_id}", summary="Read a quarantined item", responses=READS)
    def read_quarantined(mailbox_id: MailboxPath, item_id: ItemPath) -> QuarantinedItemShown:
        return QuarantinedItemShown.model_validate(use.quarantined(MailboxId(mailbox_id), item_id))

    @router.get(
        "/{item_id}/raw",
        summary="Download the raw form of a quarantined item",
        response_class=StreamingResponse,
        responses=READS | binary("The message as it was received.", "message/rfc822"),
    )
    def download_raw(mailbox_id: MailboxPath, item_id: ItemPath) -> StreamingResponse:
        chunks = use.raw(MailboxId(mailbox_id), item_id)
        return StreamingResponse(chunks, media_type="message/rfc822", headers=_RAW_HEADERS)

    @router.post("/{item_id}/replay", summary="Try a quarantined item again", status_code=HTTPStatus.ACCEPTED, responses=QUEUES)
    def replay_one(mailbox_id: MailboxPath, item_id: ItemPath, by: By) -> Accepted:
        use.replay(MailboxId(mailbox_id), item_id, by)
        return Accepted(look_at=f"/api/mailboxes/{mailbox_id}/quarantine")

    @router.post("/{item_id}/discard", summary="Give a quarantined item up", status_code=HTTPStatus.ACCEPTED, responses=ORDERS)
    def discard(mailbox_id: MailboxPath, item_id: ItemPath, body: DiscardGiven, by: By) -> Accepted:
        """It leaves quarantine, with its raw form; the decision and the reason stay."""
        use.give_up(MailboxId(mailbox_id), item_id, body.reason, by)
        return Accepted(look_at=f"/api/mailboxes/{mailbox_id}/quarantine")

    return router
