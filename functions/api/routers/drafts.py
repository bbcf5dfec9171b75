"""Emails that are written here, over HTTP: drafts, their attachments in parts, sending, and what a mailbox has written."""

from http import HTTPStatus
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request, Response
from fastapi.concurrency import run_in_threadpool

from functions.api.access import By
from functions.api.conditions import State, show_etag
from functions.api.documented import ACTS, CHANGES, READS, SENDS, created
from functions.api.files import check_media_type
from functions.api.identifiers import SHA256_PATTERN, ActivityPath, AttachmentPath, MailboxPath, PartPath, UploadPath
from functions.api.merging import made, merged
from functions.api.paging import Continuation, Limit, Part, part_of
from functions.api.routers.activities import shown
from functions.api.schemas.delivery import (
    AttachmentGiven,
    AttemptShown,
    DraftGiven,
    DraftPatch,
    OutgoingListed,
    UploadShown,
)
from functions.api.schemas.mail import ActivityShown
from shared.administration import Administration
from shared.administration.outgoing.uploads import NewAttachment, Uploading
from shared.domain.choices import EmailStatus
from shared.domain.drafts import Draft
from shared.domain.email import StoredActivity
from shared.domain.ids import ActivityId, MailboxId

OCTETS = "application/octet-stream"

Status = Annotated[
    Literal["draft", "pending_send", "sending", "sent", "failed", "canceled"] | None,
    Query(description="Those of one status; left out, all that were not sent."),
]
Sha256 = Annotated[
    str | None, Query(description="Of the whole content, in hexadecimal: compared where it is given.", pattern=SHA256_PATTERN)
]

_PART = {
    "requestBody": {
        "required": True,
        "description": "The octets of the part: at most 4 MiB.",
        "content": {OCTETS: {"schema": {"type": "string", "format": "binary"}, "example": "octets"}},
    }
}


def drafts(administration: Administration) -> APIRouter:
    router = APIRouter(prefix="/activities", tags=["outgoing"])
    use = administration.outgoing

    def changed(stored: StoredActivity, response: Response) -> ActivityShown:
        show_etag(response, stored.etag)
        return shown(administration.activities.get(stored.record.id))

    @router.post("", summary="Write an email", status_code=HTTPStatus.CREATED, responses=CHANGES | created(ActivityShown))
    def create_draft(body: DraftGiven, response: Response, by: By) -> ActivityShown:
        """A draft, which is sent when that is asked for. 200 with the draft that is there where the key was used before."""
        answers = None if body.answers is None else body.answers.answered()
        put = use.drafts.create(made(Draft, body), by, answers, body.key)
        response.status_code = HTTPStatus.CREATED if put.created else HTTPStatus.OK
        return changed(put.stored, response)

    @router.patch("/{activity_id}", summary="Change an email that was not sent yet", responses=CHANGES)
    def patch_draft(activity_id: ActivityPath, body: DraftPatch, response: Response, state: State, by: By) -> ActivityShown:
        """JSON merge patch. What failed or was canceled is a draft again; 409 while it waits to be sent, and once it was."""
        edited = use.drafts.edit(ActivityId(activity_id), lambda present: merged(present, body), by, state)
        return changed(edited, response)

    @router.post("/{activity_id}/send", summary="Send an email", status_code=HTTPStatus.ACCEPTED, responses=SENDS)
    def send_email(activity_id: ActivityPath, response: Response, state: State, by: By) -> ActivityShown:
        """It waits to be sent from now on, and `status` says what becomes of it. 422 names what keeps it from being sent; then
        it stays as it is. Repeating it sends nothing twice."""
        return changed(use.sending.send(ActivityId(activity_id), by, state), response)

    @router.post("/{activity_id}/cancel", summary="Take an email back that waits to be sent", responses=CHANGES)
    def cancel_email(activity_id: ActivityPath, response: Response, state: State, by: By) -> ActivityShown:
        """409 where it does not wait, or may be on the server already."""
        return changed(use.sending.cancel(ActivityId(activity_id), by, state), response)

    @router.get("/{activity_id}/attempts", summary="List the attempts to send an email, oldest first", responses=ACTS)
    def list_attempts(activity_id: ActivityPath) -> list[AttemptShown]:
        return [AttemptShown.model_validate(each) for each in use.lists.attempts(ActivityId(activity_id))]

    return router


def attachments(administration: Administration) -> APIRouter:
    router = APIRouter(prefix="/activities/{activity_id}", tags=["outgoing"])
    use = administration.outgoing.uploads

    def uploaded(uploading: Uploading, response: Response) -> UploadShown:
        show_etag(response, uploading.stored.etag)
        return UploadShown.of(uploading)

    @router.post(
        "/attachments",
        summary="Attach a file to an email",
        status_code=HTTPStatus.CREATED,
        responses=CHANGES | created(UploadShown),
    )
    def begin_upload(activity_id: ActivityPath, body: AttachmentGiven, response: Response, state: State, by: By) -> UploadShown:
        """Its content follows in parts; until it is complete, the email cannot be sent. 200 with the upload that is there where
        the key was used before."""
        uploading, is_new = use.begin(ActivityId(activity_id), made(NewAttachment, body), by, body.key, state)
        response.status_code = HTTPStatus.CREATED if is_new else HTTPStatus.OK
        return uploaded(uploading, response)

    @router.put(
        "/uploads/{upload}/parts/{number}", summary="Upload a part of an attachment", responses=CHANGES, openapi_extra=_PART
    )
    async def put_part(
        activity_id: ActivityPath,
        upload: UploadPath,
        number: PartPath,
        request: Request,
        response: Response,
        state: State,
        by: By,
    ) -> UploadShown:
        """In any order; repeating a part replaces it."""
        check_media_type(request, OCTETS)
        octets = await request.body()
        uploading = await run_in_threadpool(use.put_part, ActivityId(activity_id), upload, number, octets, by, state)
        return uploaded(uploading, response)

    @router.post("/uploads/{upload}/complete", summary="Complete an attachment", responses=CHANGES)
    def complete_upload(
        activity_id: ActivityPath, upload: UploadPath, response: Response, state: State, by: By, sha256: Sha256 = None
    ) -> UploadShown:
        """Puts the parts together. 409 where one is missing. Repeating it changes nothing."""
        return uploaded(use.complete(ActivityId(activity_id), upload, by, sha256, state), response)

    @router.delete("/attachments/{number}", summary="Remove an attachment from an email", responses=CHANGES)
    def remove_attachment(
        activity_id: ActivityPath, number: AttachmentPath, response: Response, state: State, by: By
    ) -> ActivityShown:
        """The attachments behind it move up: with If-Match, no other one is removed in its place."""
        stored = use.remove(ActivityId(activity_id), number, by, state)
        show_etag(response, stored.etag)
        return shown(administration.activities.get(stored.record.id))

    return router


def outgoing(administration: Administration) -> APIRouter:
    router = APIRouter(prefix="/mailboxes/{mailbox_id}", tags=["outgoing"])

    @router.get("/outgoing", summary="List the emails that a mailbox has written", responses=READS)
    def list_outgoing(
        mailbox_id: MailboxPath, status: Status = None, continuation: Continuation = None, limit: Limit = 50
    ) -> Part[OutgoingListed]:
        """Newest first, by the mailbox of the sender; those that wait in the order in which they are sent, by the mailbox that
        they go through. A part may have fewer emails than asked for, and still go on."""
        chosen = None if status is None else EmailStatus[status.upper()]
        found = administration.outgoing.lists.of_mailbox(MailboxId(mailbox_id), chosen, continuation, limit)
        return part_of(found, OutgoingListed.model_validate)

    return router
