"""Alerts over HTTP."""

from typing import Annotated

from fastapi import APIRouter, Query

from functions.api.access import By
from functions.api.documented import ACTS, READS
from functions.api.identifiers import SUBJECT_PATTERN, AlertPath
from functions.api.paging import Continuation, Limit, Part, part_of
from functions.api.schemas.operations import AlertShown
from shared.administration import Administration

About = Annotated[
    str | None,
    Query(
        description="Only alerts about this: `mailbox:`, `profile:`, `queue:` or `load:` and its id or name.",
        pattern=SUBJECT_PATTERN,
    ),
]


def alerts(administration: Administration) -> APIRouter:
    router = APIRouter(prefix="/alerts", tags=["operations"])

    @router.get("", summary="List the alerts", responses=READS)
    def list_alerts(about: About = None, continuation: Continuation = None, limit: Limit = 50) -> Part[AlertShown]:
        return part_of(administration.operations.alerts(about, continuation, limit), AlertShown.model_validate)

    @router.post("/{alert_id}/acknowledge", summary="Acknowledge an alert", responses=ACTS)
    def acknowledge_alert(alert_id: AlertPath, by: By) -> AlertShown:
        """It is marked as seen; raised again later, it is open again."""
        return AlertShown.model_validate(administration.operations.acknowledge(alert_id, caller=by))

    return router
