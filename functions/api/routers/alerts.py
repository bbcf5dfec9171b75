"""Alerts over HTTP."""

from typing import Annotated

from fastapi import APIRouter, Query

from functions.api.documented import READS
from functions.api.paging import Continuation, Limit, Part, part_of
from functions.api.schemas import AlertShown
from shared.administration import Administration

About = Annotated[
    str | None,
    Query(
        description="Only alerts about this: `mailbox:`, `profile:` or `queue:` and its id or name.",
        pattern=r"^(?:mailbox|profile|queue):[A-Za-z0-9._-]{1,64}$",
    ),
]


def alerts(administration: Administration) -> APIRouter:
    router = APIRouter(prefix="/alerts", tags=["operations"])

    @router.get("", summary="List the alerts", responses=READS)
    def list_alerts(about: About = None, continuation: Continuation = None, limit: Limit = 50) -> Part[AlertShown]:
        return part_of(administration.operations.alerts(about, continuation, limit), AlertShown.model_validate)

    return router
