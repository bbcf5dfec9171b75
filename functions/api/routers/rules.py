"""Folder-level tracking rules over HTTP."""

from http import HTTPStatus

from fastapi import APIRouter, Response

from functions.api.access import By
from functions.api.conditions import State, StateOrNew, show_etag
from functions.api.documented import CHANGES, DELETES, READS, READS_RECORD, created
from functions.api.identifiers import FolderPath, MailboxPath
from functions.api.merging import made, merged
from functions.api.paging import Part
from functions.api.schemas.configuration import RuleGiven, RulePatch, RuleShown
from shared.administration import Administration
from shared.domain.ids import MailboxId
from shared.domain.records import FolderTrackingRule, StoredRule


def rules(administration: Administration) -> APIRouter:
    router = APIRouter(prefix="/mailboxes/{mailbox_id}/rules", tags=["tracking rules"])
    use = administration.tracking_rules

    def shown(stored: StoredRule, response: Response) -> RuleShown:
        show_etag(response, stored.etag)
        return RuleShown.model_validate(stored.record)

    @router.get("", summary="List the tracking rules of a mailbox", responses=READS)
    def list_rules(mailbox_id: MailboxPath) -> Part[RuleShown]:
        return Part(items=[RuleShown.model_validate(stored.record) for stored in use.list(MailboxId(mailbox_id))])

    @router.get("/{folder_id:path}", summary="Read the tracking rule of a folder", responses=READS_RECORD)
    def read_rule(mailbox_id: MailboxPath, folder_id: FolderPath, response: Response) -> RuleShown:
        return shown(use.get(MailboxId(mailbox_id), folder_id), response)

    @router.put("/{folder_id:path}", summary="Create or replace a tracking rule", responses=CHANGES | created(RuleShown))
    def put_rule(
        mailbox_id: MailboxPath, folder_id: FolderPath, body: RuleGiven, response: Response, state: StateOrNew, by: By
    ) -> RuleShown:
        """The same again changes nothing. At most 25 rules per mailbox."""
        rule = made(FolderTrackingRule, body, mailbox_id=MailboxId(mailbox_id), folder_id=folder_id)
        put = use.put(rule, etag=state, caller=by)
        response.status_code = HTTPStatus.CREATED if put.created else HTTPStatus.OK
        return shown(put.stored, response)

    @router.patch("/{folder_id:path}", summary="Change a tracking rule", responses=CHANGES)
    def patch_rule(
        mailbox_id: MailboxPath, folder_id: FolderPath, body: RulePatch, response: Response, state: State, by: By
    ) -> RuleShown:
        """JSON merge patch."""
        changed = use.change(MailboxId(mailbox_id), folder_id, lambda present: merged(present, body), etag=state, caller=by)
        return shown(changed, response)

    @router.delete("/{folder_id:path}", summary="Delete a tracking rule", status_code=HTTPStatus.NO_CONTENT, responses=DELETES)
    def delete_rule(mailbox_id: MailboxPath, folder_id: FolderPath, state: State, by: By) -> None:
        """What is tracked stays tracked and linked; new mail of the folder is no longer tracked by it."""
        use.delete(MailboxId(mailbox_id), folder_id, etag=state, caller=by)

    return router
