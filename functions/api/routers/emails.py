"""What people do to stored emails, over HTTP: regarding, owner, completing, deleting, conversations; and lists of them."""

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Query, Response

from functions.api.access import By
from functions.api.conditions import State, show_etag
from functions.api.documented import ACTS, CHANGES, DELETES, READS
from functions.api.identifiers import RECORD_PATTERN, ActivityPath
from functions.api.paging import Continuation, Limit, Part, part_of
from functions.api.routers.activities import shown
from functions.api.schemas.mail import ActivityListed, ActivityShown, OptOutShown
from functions.api.schemas.references import OwnerRefGiven, RegardingGiven
from shared.administration import Administration
from shared.administration.rules import ID_PATTERN
from shared.domain.email import StoredActivity
from shared.domain.errors import InvalidRecord
from shared.domain.ids import ActivityId, OwnerId
from shared.domain.records import RecordRef

Queue = Annotated[str | None, Query(description="Id of a queue: its items.", pattern=ID_PATTERN)]
Party = Annotated[
    str | None,
    Query(description="Type and id of who takes part, such as contact:kim or user:anna.", pattern=RECORD_PATTERN),
]
Regarding = Annotated[
    str | None,
    Query(description="Type and id of the record that they are about, such as account:contoso.", pattern=RECORD_PATTERN),
]


def emails(administration: Administration) -> APIRouter:
    router = APIRouter(prefix="/activities", tags=["activities"])
    use = administration.emails

    def changed(stored: StoredActivity, response: Response) -> ActivityShown:
        show_etag(response, stored.etag)
        return shown(administration.activities.get(stored.record.id))

    @router.get("", summary="List the emails of a queue, a party or a regarding, newest first", responses=READS)
    def list_emails(
        queue: Queue = None,
        party: Party = None,
        regarding: Regarding = None,
        continuation: Continuation = None,
        limit: Limit = 50,
    ) -> Part[ActivityListed]:
        """Exactly one of queue, party and regarding. A part may have fewer emails than asked for, and still go on."""
        lists = administration.activities
        match queue, party, regarding:
            case str(), None, None:
                found = lists.of_queue(OwnerId(queue), continuation, limit)
            case None, str(), None:
                found = lists.of_party(_record(party), continuation, limit)
            case None, None, str():
                found = lists.of_regarding(_record(regarding), continuation, limit)
            case _:
                raise InvalidRecord("queue", "the query names no list, or two", "Give one of queue, party and regarding.")
        return part_of(found, ActivityListed.model_validate)

    @router.put("/{activity_id}/regarding", summary="Say what an email is about", responses=CHANGES)
    def put_regarding(
        activity_id: ActivityPath, body: RegardingGiven, response: Response, state: State, by: By
    ) -> ActivityShown:
        """409 while the folder-level tracking rule of a folder that it lies in says so."""
        return changed(use.set_regarding(ActivityId(activity_id), body.record(), by, state), response)

    @router.delete("/{activity_id}/regarding", summary="Say that an email is about nothing", responses=CHANGES)
    def delete_regarding(activity_id: ActivityPath, response: Response, state: State, by: By) -> ActivityShown:
        return changed(use.set_regarding(ActivityId(activity_id), None, by, state), response)

    @router.put("/{activity_id}/owner", summary="Give an email to a user or queue", responses=CHANGES)
    def put_owner_of_email(
        activity_id: ActivityPath, body: OwnerRefGiven, response: Response, state: State, by: By
    ) -> ActivityShown:
        return changed(use.reassign(ActivityId(activity_id), body.owner(), by, state), response)

    @router.post("/{activity_id}/complete", summary="Complete an email", responses=CHANGES)
    def complete_email(activity_id: ActivityPath, response: Response, state: State, by: By) -> ActivityShown:
        return changed(use.complete(ActivityId(activity_id), by, state), response)

    @router.delete("/{activity_id}", summary="Delete an email", status_code=HTTPStatus.NO_CONTENT, responses=DELETES)
    def delete_email(activity_id: ActivityPath, state: State, by: By) -> None:
        """With its content and attachments; the message in the mailbox stays, and is not stored again."""
        use.delete(ActivityId(activity_id), by, state)

    @router.post("/{activity_id}/opt-out", summary="Track the conversation of an email no more", responses=ACTS)
    def opt_out(activity_id: ActivityPath, by: By) -> OptOutShown:
        """What is stored stays. Tracking a message by hand, by category or by a folder rule still works."""
        return OptOutShown.model_validate(use.opt_out(ActivityId(activity_id), by))

    @router.delete(
        "/{activity_id}/opt-out",
        summary="Track the conversation of an email again",
        status_code=HTTPStatus.NO_CONTENT,
        responses=DELETES,
    )
    def opt_in(activity_id: ActivityPath, by: By) -> None:
        """From now on; messages that were skipped meanwhile can be judged again."""
        use.opt_in(ActivityId(activity_id), by)

    return router


def _record(text: str) -> RecordRef:
    """Written as `RECORD_PATTERN` says."""
    record_type, _, record_id = text.partition(":")
    return RecordRef(record_type, record_id)
