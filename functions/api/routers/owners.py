"""Users and queues over HTTP, by the same routes. The mailbox of each comes with it."""

from http import HTTPStatus

from fastapi import APIRouter, Response

from functions.api.access import By
from functions.api.conditions import State, StateOrNew, show_etag
from functions.api.documented import CHANGES, DELETES, READS, READS_RECORD, created
from functions.api.identifiers import OwnerPath
from functions.api.merging import made, merged
from functions.api.paging import Continuation, Limit, Part, part_of
from functions.api.schemas.configuration import OwnerGiven, OwnerPatch, OwnerShown
from shared.administration.owners import OwnerAdministration
from shared.domain.choices import OwnerKind
from shared.domain.configuration import Owner, StoredOwner
from shared.domain.ids import OwnerId


def owners(kind: OwnerKind, administration: OwnerAdministration) -> APIRouter:
    """The routes of users or of queues."""
    router = APIRouter(prefix=f"/{kind}s", tags=[f"{kind}s"])

    def shown(stored: StoredOwner, response: Response) -> OwnerShown:
        show_etag(response, stored.etag)
        return OwnerShown.of(stored)

    @router.get("", name=f"list_{kind}s", summary=f"List the {kind}s", responses=READS)
    def list_owners(continuation: Continuation = None, limit: Limit = 100) -> Part[OwnerShown]:
        return part_of(administration.list(continuation, limit), OwnerShown.of)

    @router.get("/{owner_id}", name=f"read_{kind}", summary=f"Read a {kind}", responses=READS_RECORD)
    def read_owner(owner_id: OwnerPath, response: Response) -> OwnerShown:
        return shown(administration.get(OwnerId(owner_id)), response)

    @router.put(
        "/{owner_id}",
        name=f"put_{kind}",
        summary=f"Create or replace a {kind}, with its mailbox",
        responses=CHANGES | created(OwnerShown),
    )
    def put_owner(owner_id: OwnerPath, body: OwnerGiven, response: Response, state: StateOrNew, by: By) -> OwnerShown:
        """The same again changes nothing. A new address returns the mailbox to pending approval where that is required."""
        put = administration.put(made(Owner, body, id=OwnerId(owner_id), kind=kind), etag=state, caller=by)
        response.status_code = HTTPStatus.CREATED if put.created else HTTPStatus.OK
        return shown(put.stored, response)

    @router.patch("/{owner_id}", name=f"patch_{kind}", summary=f"Change a {kind}", responses=CHANGES)
    def patch_owner(owner_id: OwnerPath, body: OwnerPatch, response: Response, state: State, by: By) -> OwnerShown:
        """JSON merge patch. A new address returns the mailbox to pending approval where that is required."""
        changed = administration.change(OwnerId(owner_id), lambda present: merged(present, body), etag=state, caller=by)
        return shown(changed, response)

    @router.delete(
        "/{owner_id}",
        name=f"delete_{kind}",
        summary=f"Delete a {kind}",
        status_code=HTTPStatus.NO_CONTENT,
        responses=DELETES,
    )
    def delete_owner(owner_id: OwnerPath, state: State, by: By) -> None:
        """Its mailbox is deactivated and kept, and so are its activities."""
        administration.delete(OwnerId(owner_id), etag=state, caller=by)

    return router
