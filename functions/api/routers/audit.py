"""The audit over HTTP: read only."""

from typing import Annotated

from fastapi import APIRouter, Query

from functions.api.documented import READS
from functions.api.paging import Continuation, Limit, Part, part_of
from functions.api.schemas.operations import AuditEntryShown
from shared.administration import Administration

OfRecord = Annotated[
    str | None,
    Query(
        description="Only changes of this record, as its entries name it: `settings`, `profile:<id>`, `user:<id>` and so on.",
        min_length=1,
        max_length=1200,
    ),
]


def audit(administration: Administration) -> APIRouter:
    router = APIRouter(prefix="/audit", tags=["operations"])

    @router.get("", summary="List the changes of configuration, newest first", responses=READS)
    def list_changes(record: OfRecord = None, continuation: Continuation = None, limit: Limit = 50) -> Part[AuditEntryShown]:
        return part_of(administration.audit.list(record, continuation, limit), AuditEntryShown.model_validate)

    return router
