"""Mailboxes over HTTP: their configuration, and what was found in them."""

from typing import Annotated, Literal

from fastapi import APIRouter, Query, Response

from functions.api.conditions import IfMatch, expected_etag, show_etag
from functions.api.documented import CHANGES, READS, READS_RECORD
from functions.api.identifiers import UUID_PATTERN, MailboxPath
from functions.api.paging import Continuation, Limit, Part, part_of
from functions.api.schemas import (
    ActivityListed,
    ExplanationShown,
    MailboxPatch,
    MailboxShown,
    QuarantinedItemShown,
    RunShown,
)
from shared.administration import Administration
from shared.administration.standing import MailboxStanding
from shared.domain.choices import Approval
from shared.domain.errors import InvalidRecord
from shared.domain.ids import ActivityId, MailboxId

MessageId = Annotated[
    str | None,
    Query(description="The message's Message-ID, with or without angle brackets.", min_length=1, max_length=2000),
]
OfActivity = Annotated[str | None, Query(description="Instead of a Message-ID: the id of the activity.", pattern=UUID_PATTERN)]


def mailboxes(administration: Administration) -> APIRouter:
    router = APIRouter(prefix="/mailboxes", tags=["mailboxes"])

    def shown(standing: MailboxStanding, response: Response) -> MailboxShown:
        show_etag(response, standing.stored.etag)
        return MailboxShown.of(standing)

    @router.get("", summary="List the mailboxes", responses=READS)
    def list_mailboxes(continuation: Continuation = None, limit: Limit = 100) -> Part[MailboxShown]:
        return part_of(administration.mailboxes.list(continuation, limit), MailboxShown.of)

    @router.get("/{mailbox_id}", summary="Read a mailbox and its schedule", responses=READS_RECORD)
    def read_mailbox(mailbox_id: MailboxPath, response: Response) -> MailboxShown:
        return shown(administration.mailboxes.get(MailboxId(mailbox_id)), response)

    @router.patch("/{mailbox_id}", summary="Change the configuration of a mailbox", responses=CHANGES)
    def patch_mailbox(
        mailbox_id: MailboxPath, body: MailboxPatch, response: Response, if_match: IfMatch = None
    ) -> MailboxShown:
        """JSON merge patch. What makes the mailbox eligible makes it due at once, and closes its breaker."""
        standing = administration.mailboxes.change(MailboxId(mailbox_id), body.edit, body.new_secret, expected_etag(if_match))
        return shown(standing, response)

    def decide(
        mailbox_id: str, decision: Literal[Approval.APPROVED, Approval.REJECTED], response: Response, if_match: str | None
    ) -> MailboxShown:
        return shown(administration.mailboxes.decide(MailboxId(mailbox_id), decision, expected_etag(if_match)), response)

    @router.post("/{mailbox_id}/approve", summary="Approve the email address of a mailbox", responses=CHANGES)
    def approve_mailbox(mailbox_id: MailboxPath, response: Response, if_match: IfMatch = None) -> MailboxShown:
        return decide(mailbox_id, Approval.APPROVED, response, if_match)

    @router.post("/{mailbox_id}/reject", summary="Reject the email address of a mailbox", responses=CHANGES)
    def reject_mailbox(mailbox_id: MailboxPath, response: Response, if_match: IfMatch = None) -> MailboxShown:
        return decide(mailbox_id, Approval.REJECTED, response, if_match)

    @router.post("/{mailbox_id}/sync", summary="Make a mailbox due now", responses=CHANGES)
    def sync_mailbox(mailbox_id: MailboxPath, response: Response) -> MailboxShown:
        """The next enumeration, within a minute, has it read. 409 where it may not be read, with the reason."""
        return shown(administration.mailboxes.sync_now(MailboxId(mailbox_id)), response)

    @router.get("/{mailbox_id}/activities", summary="List the activities of a mailbox, newest first", responses=READS)
    def list_activities(mailbox_id: MailboxPath, continuation: Continuation = None, limit: Limit = 50) -> Part[ActivityListed]:
        found = administration.activities.of_mailbox(MailboxId(mailbox_id), continuation, limit)
        return part_of(found, ActivityListed.model_validate)

    @router.get("/{mailbox_id}/runs", summary="List the runs of a mailbox that did something, newest first", responses=READS)
    def list_runs(mailbox_id: MailboxPath, continuation: Continuation = None, limit: Limit = 50) -> Part[RunShown]:
        return part_of(administration.operations.runs(MailboxId(mailbox_id), continuation, limit), RunShown.model_validate)

    @router.get("/{mailbox_id}/quarantine", summary="List the quarantined items of a mailbox, newest first", responses=READS)
    def list_quarantine(
        mailbox_id: MailboxPath, continuation: Continuation = None, limit: Limit = 50
    ) -> Part[QuarantinedItemShown]:
        found = administration.operations.quarantine(MailboxId(mailbox_id), continuation, limit)
        return part_of(found, QuarantinedItemShown.model_validate)

    @router.get("/{mailbox_id}/explain", summary="Explain what became of a message in a mailbox, and why", responses=READS)
    def explain(mailbox_id: MailboxPath, message_id: MessageId = None, activity_id: OfActivity = None) -> ExplanationShown:
        if (message_id is None) == (activity_id is None):
            raise InvalidRecord("message_id", "the query names no message, or two", "Give either message_id or activity_id.")
        explanations = administration.explanations
        if message_id is not None:
            return ExplanationShown.model_validate(explanations.of_message(MailboxId(mailbox_id), message_id))
        return ExplanationShown.model_validate(explanations.of_activity(MailboxId(mailbox_id), ActivityId(activity_id or "")))

    return router
