"""The configuration of mailboxes over HTTP, and what is done to them."""

from collections.abc import Callable
from http import HTTPStatus

from fastapi import APIRouter, Response

from functions.api.access import By
from functions.api.conditions import State, StateOrNew, show_etag
from functions.api.documented import CHANGES, DELETES, QUEUES, READS, READS_RECORD, created
from functions.api.identifiers import MailboxPath
from functions.api.merging import made, merged, secrets_in
from functions.api.paging import Continuation, Limit, Part, part_of
from functions.api.schemas.configuration import ForwardMailboxGiven, MailboxPatch, MailboxShown
from functions.api.schemas.operations import Accepted, ResetGiven
from functions.api.secret_dates import SecretDates
from shared.administration import Administration
from shared.administration.standing import MailboxStanding
from shared.domain.audit import Caller
from shared.domain.choices import Approval
from shared.domain.configuration import Mailbox
from shared.domain.ids import MailboxId


def mailboxes(administration: Administration, set_on: SecretDates) -> APIRouter:
    router = APIRouter(prefix="/mailboxes", tags=["mailboxes"])
    use = administration.mailboxes

    def shown(standing: MailboxStanding, response: Response) -> MailboxShown:
        show_etag(response, standing.stored.etag)
        return MailboxShown.of(standing, set_on)

    @router.get("", summary="List the mailboxes", responses=READS)
    def list_mailboxes(continuation: Continuation = None, limit: Limit = 100) -> Part[MailboxShown]:
        return part_of(use.list(continuation, limit), lambda standing: MailboxShown.of(standing, set_on))

    @router.get("/{mailbox_id}", summary="Read a mailbox and its schedule", responses=READS_RECORD)
    def read_mailbox(mailbox_id: MailboxPath, response: Response) -> MailboxShown:
        return shown(use.get(MailboxId(mailbox_id)), response)

    @router.patch("/{mailbox_id}", summary="Change the configuration of a mailbox", responses=CHANGES)
    def patch_mailbox(mailbox_id: MailboxPath, body: MailboxPatch, response: Response, state: State, by: By) -> MailboxShown:
        """JSON merge patch. What makes the mailbox eligible makes it due at once, and closes its breaker."""
        secrets = secrets_in(Mailbox, body)
        changed = use.change(
            MailboxId(mailbox_id), lambda present: merged(present, body), secrets=secrets, etag=state, caller=by
        )
        return shown(changed, response)

    return router


def forward_mailboxes(administration: Administration, set_on: SecretDates) -> APIRouter:
    """Mailboxes that belong to nobody; what is read and changed of them otherwise goes by the routes of all mailboxes."""
    router = APIRouter(prefix="/mailboxes", tags=["forward mailboxes"])
    use = administration.forward_mailboxes

    @router.put("/{mailbox_id}", summary="Create or replace a forward mailbox", responses=CHANGES | created(MailboxShown))
    def put_forward_mailbox(
        mailbox_id: MailboxPath, body: ForwardMailboxGiven, response: Response, state: StateOrNew, by: By
    ) -> MailboxShown:
        """The same again changes nothing. The mailbox of a user or queue comes with its owner, and is refused here."""
        mailbox = made(Mailbox, body, id=MailboxId(mailbox_id), owner=None)
        put = use.put(mailbox, secrets=secrets_in(Mailbox, body), etag=state, caller=by)
        response.status_code = HTTPStatus.CREATED if put.created else HTTPStatus.OK
        show_etag(response, put.stored.stored.etag)
        return MailboxShown.of(put.stored, set_on)

    @router.delete("/{mailbox_id}", summary="Delete a forward mailbox", status_code=HTTPStatus.NO_CONTENT, responses=DELETES)
    def delete_forward_mailbox(mailbox_id: MailboxPath, state: State, by: By) -> None:
        """Its activities are kept. The mailbox of a user or queue goes with its owner, and is refused here."""
        use.delete(MailboxId(mailbox_id), etag=state, caller=by)

    return router


def mailbox_actions(administration: Administration, set_on: SecretDates) -> APIRouter:
    """What is done to a mailbox: approval, its switch, and work that is queued."""
    router = APIRouter(prefix="/mailboxes/{mailbox_id}", tags=["mailboxes"])
    use = administration.mailboxes

    def offer(name: str, summary: str, act: Callable[[MailboxId, str | None, Caller], MailboxStanding]) -> None:
        @router.post(f"/{name}", name=f"{name}_mailbox", summary=summary, responses=CHANGES)
        def change(mailbox_id: MailboxPath, response: Response, state: State, by: By) -> MailboxShown:
            standing = act(MailboxId(mailbox_id), state, by)
            show_etag(response, standing.stored.etag)
            return MailboxShown.of(standing, set_on)

    offer(
        "approve",
        "Approve the email address of a mailbox",
        lambda id, state, by: use.decide(id, Approval.APPROVED, etag=state, caller=by),
    )
    offer(
        "reject",
        "Reject the email address of a mailbox",
        lambda id, state, by: use.decide(id, Approval.REJECTED, etag=state, caller=by),
    )
    offer("activate", "Activate a mailbox", lambda id, state, by: use.activate(id, etag=state, caller=by))
    offer("deactivate", "Deactivate a mailbox", lambda id, state, by: use.deactivate(id, etag=state, caller=by))

    @router.post("/sync", summary="Make a mailbox due now", status_code=HTTPStatus.ACCEPTED, responses=QUEUES)
    def sync_mailbox(mailbox_id: MailboxPath, by: By) -> Accepted:
        """The next enumeration, within a minute, has it read, and what waits to be sent from it sent. 409 where one of both is
        configured and may not be done now, with the reason."""
        use.sync_now(MailboxId(mailbox_id), caller=by)
        return Accepted(look_at=f"/api/mailboxes/{mailbox_id}/runs")

    @router.post("/test", summary="Test and enable a mailbox", status_code=HTTPStatus.ACCEPTED, responses=QUEUES)
    def test_mailbox(mailbox_id: MailboxPath, by: By) -> Accepted:
        """Each workload is tried for real; statuses and alerts say what came of it, and what works is enabled."""
        use.test(MailboxId(mailbox_id), caller=by)
        return Accepted(look_at=f"/api/mailboxes/{mailbox_id}")

    @router.post("/reset", summary="Read a mailbox again from a date on", responses=CHANGES)
    def reset_mailbox(mailbox_id: MailboxPath, body: ResetGiven, response: Response, state: State, by: By) -> MailboxShown:
        """Sets the start date and forgets how far folders were read. What is stored already is not stored twice."""
        standing = use.reset(MailboxId(mailbox_id), body.received_after, etag=state, caller=by)
        show_etag(response, standing.stored.etag)
        return MailboxShown.of(standing, set_on)

    return router
