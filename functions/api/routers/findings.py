"""What was found in a mailbox, over HTTP: activities, runs, quarantined items, and what became of a message."""

from typing import Annotated

from fastapi import APIRouter, Query

from functions.api.documented import READS
from functions.api.identifiers import UUID_PATTERN, MailboxPath
from functions.api.paging import Continuation, Limit, Part, part_of
from functions.api.schemas.mail import ActivityListed, ExplanationShown
from functions.api.schemas.operations import QuarantinedItemShown, RunShown
from shared.administration import Administration
from shared.domain.errors import InvalidRecord
from shared.domain.ids import ActivityId, MailboxId

MessageId = Annotated[
    str | None,
    Query(description="The message's Message-ID, with or without angle brackets.", min_length=1, max_length=2000),
]
OfActivity = Annotated[str | None, Query(description="Instead of a Message-ID: the id of the activity.", pattern=UUID_PATTERN)]


def findings(administration: Administration) -> APIRouter:
    router = APIRouter(prefix="/mailboxes/{mailbox_id}", tags=["mailboxes"])

    @router.get("/activities", summary="List the activities of a mailbox, newest first", responses=READS)
    def list_activities(mailbox_id: MailboxPath, continuation: Continuation = None, limit: Limit = 50) -> Part[ActivityListed]:
        found = administration.activities.of_mailbox(MailboxId(mailbox_id), continuation, limit)
        return part_of(found, ActivityListed.model_validate)

    @router.get("/runs", summary="List the runs of a mailbox that did something, newest first", responses=READS)
    def list_runs(mailbox_id: MailboxPath, continuation: Continuation = None, limit: Limit = 50) -> Part[RunShown]:
        return part_of(administration.operations.runs(MailboxId(mailbox_id), continuation, limit), RunShown.model_validate)

    @router.get("/quarantine", summary="List the quarantined items of a mailbox, newest first", responses=READS)
    def list_quarantine(
        mailbox_id: MailboxPath, continuation: Continuation = None, limit: Limit = 50
    ) -> Part[QuarantinedItemShown]:
        found = administration.operations.quarantine(MailboxId(mailbox_id), continuation, limit)
        return part_of(found, QuarantinedItemShown.model_validate)

    @router.get("/explain", summary="Explain what became of a message in a mailbox, and why", responses=READS)
    def explain(mailbox_id: MailboxPath, message_id: MessageId = None, activity_id: OfActivity = None) -> ExplanationShown:
        if (message_id is None) == (activity_id is None):
            raise InvalidRecord("message_id", "the query names no message, or two", "Give either message_id or activity_id.")
        explanations = administration.explanations
        if message_id is not None:
            return ExplanationShown.model_validate(explanations.of_message(MailboxId(mailbox_id), message_id))
        return ExplanationShown.model_validate(explanations.of_activity(MailboxId(mailbox_id), ActivityId(activity_id or "")))

    return router
