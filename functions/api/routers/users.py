"""Users over HTTP. A user's mailbox comes and goes with it."""

from http import HTTPStatus

from fastapi import APIRouter, Response

from functions.api.conditions import IfMatch, expected_etag, show_etag
from functions.api.documented import CHANGES, READS, READS_RECORD, created
from functions.api.identifiers import UserPath
from functions.api.paging import Continuation, Limit, Part, part_of
from functions.api.schemas import UserGiven, UserShown
from shared.administration import Administration
from shared.domain.ids import OwnerId


def users(administration: Administration) -> APIRouter:
    router = APIRouter(prefix="/users", tags=["users"])

    @router.get("", summary="List the users", responses=READS)
    def list_users(continuation: Continuation = None, limit: Limit = 100) -> Part[UserShown]:
        return part_of(administration.users.list(continuation, limit), UserShown.of)

    @router.get("/{user_id}", summary="Read a user", responses=READS_RECORD)
    def read_user(user_id: UserPath, response: Response) -> UserShown:
        stored = administration.users.get(OwnerId(user_id))
        show_etag(response, stored.etag)
        return UserShown.of(stored)

    @router.put("/{user_id}", summary="Create or replace a user, with its mailbox", responses=CHANGES | created(UserShown))
    def put_user(user_id: UserPath, body: UserGiven, response: Response, if_match: IfMatch = None) -> UserShown:
        """The same again changes nothing. A new address returns the mailbox to pending approval."""
        put = administration.users.put(OwnerId(user_id), **body.every(), etag=expected_etag(if_match))
        show_etag(response, put.stored.etag)
        response.status_code = HTTPStatus.CREATED if put.created else HTTPStatus.OK
        return UserShown.of(put.stored)

    return router
