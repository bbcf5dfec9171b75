"""The address book over HTTP: single records, who has an address, and bulk loads of JSON lines."""

from collections.abc import Callable
from http import HTTPStatus
from tempfile import SpooledTemporaryFile
from typing import Annotated, BinaryIO, cast

from fastapi import APIRouter, Path, Request, Response
from fastapi.concurrency import run_in_threadpool
from pydantic import AfterValidator

from functions.api.access import By
from functions.api.conditions import State, StateOrNew, show_etag
from functions.api.documented import CHANGES, DELETES, ETAG, READS, READS_RECORD, Responses, created
from functions.api.files import CHUNK, append, check_media_type
from functions.api.identifiers import UUID_PATTERN
from functions.api.merging import made, merged
from functions.api.paging import Continuation, Limit, Part, part_of
from functions.api.schemas.address_book import (
    AddressMatchShown,
    AddressShown,
    LoadShown,
    RecordGiven,
    RecordPatch,
    RecordShown,
    RejectedLineShown,
)
from shared.administration import rules
from shared.administration.address_book import TYPE_PATTERN, AddressBookAdministration, record_type
from shared.administration.loading import Loads
from shared.administration.rules import ID_PATTERN
from shared.domain.errors import InvalidRecord
from shared.domain.ids import normalised_address
from shared.domain.records import AddressBookRecord, StoredLoad, StoredRecord

JSON_LINES = "application/x-ndjson"


def _follows(rule: Callable[[str, str], str], field: str) -> AfterValidator:
    """A rule of records, for a value in the path."""

    def check(value: str) -> str:
        try:
            return rule(field, value)
        except InvalidRecord as error:
            raise ValueError(error.remedy.removesuffix(".")) from error

    return AfterValidator(check)


TypePath = Annotated[
    str,
    Path(description="Type of the record: contact, account, lead, or any other.", pattern=TYPE_PATTERN),
    _follows(record_type, "type"),
]
RecordPath = Annotated[
    str, Path(description="Id of the record, chosen by whoever creates it.", pattern=ID_PATTERN, max_length=64)
]
AddressPath = Annotated[
    str, Path(description="An email address.", examples=["kim@fabrikam.com"]), _follows(rules.email_address, "address")
]
LoadPath = Annotated[str, Path(description="Id of the bulk load.", pattern=UUID_PATTERN)]

_UPLOADS: Responses = {
    202: {
        "description": "The file is there, and waits to be loaded.",
        "headers": ETAG | {"Location": {"description": "Where its progress shows.", "schema": {"type": "string"}}},
    },
    **{status: CHANGES[status] for status in (401, 413, 415, 503)},
}
_FILE = {
    "requestBody": {
        "required": True,
        "description": "One record on each line, in UTF-8: type, id, name, addresses, owner_id, do_not_email, active."
        " At most 100 MiB.",
        "content": {
            JSON_LINES: {
                "schema": {},
                "example": '{"type":"contact","id":"c-1","name":"Kim Abercrombie","addresses":["kim@fabrikam.com"]}\n',
            }
        },
    }
}


def address_book(administration: AddressBookAdministration) -> APIRouter:
    router = APIRouter(tags=["address book"])

    def shown(stored: StoredRecord, response: Response) -> RecordShown:
        show_etag(response, stored.etag)
        return RecordShown.model_validate(stored.record)

    @router.get("/records/{type}", summary="List the records of a type", responses=READS)
    def list_records(type: TypePath, continuation: Continuation = None, limit: Limit = 100) -> Part[RecordShown]:
        return part_of(administration.list(type, continuation, limit), lambda stored: RecordShown.model_validate(stored.record))

    @router.get("/records/{type}/{record_id}", summary="Read a record", responses=READS_RECORD)
    def read_record(type: TypePath, record_id: RecordPath, response: Response) -> RecordShown:
        return shown(administration.get(type, record_id), response)

    @router.put("/records/{type}/{record_id}", summary="Create or replace a record", responses=CHANGES | created(RecordShown))
    def put_record(
        type: TypePath, record_id: RecordPath, body: RecordGiven, response: Response, state: StateOrNew, by: By
    ) -> RecordShown:
        """The same again changes nothing. Mail of its addresses is judged by it from then on."""
        put = administration.put(made(AddressBookRecord, body, type=type, id=record_id), by, state)
        response.status_code = HTTPStatus.CREATED if put.created else HTTPStatus.OK
        return shown(put.stored, response)

    @router.patch("/records/{type}/{record_id}", summary="Change a record", responses=CHANGES)
    def patch_record(
        type: TypePath, record_id: RecordPath, body: RecordPatch, response: Response, state: State, by: By
    ) -> RecordShown:
        """JSON merge patch."""
        changed = administration.change(type, record_id, lambda present: merged(present, body), by, state)
        return shown(changed, response)

    @router.delete(
        "/records/{type}/{record_id}",
        summary="Delete a record",
        status_code=HTTPStatus.NO_CONTENT,
        responses=DELETES,
    )
    def delete_record(type: TypePath, record_id: RecordPath, state: State, by: By) -> None:
        """Activities that are about it stay."""
        administration.delete(type, record_id, by, state)

    @router.get("/addresses/{address:path}", summary="Which records have an address", responses=READS)
    def read_address(address: AddressPath) -> AddressShown:
        """Users, queues and records of the address book, as mail of this address finds them."""
        matches = [AddressMatchShown.model_validate(match) for match in administration.having(address)]
        return AddressShown(address=normalised_address(address), records=matches)

    return router


def loads(administration: Loads) -> APIRouter:
    router = APIRouter(prefix="/loads", tags=["address book"])

    def shown(stored: StoredLoad, response: Response) -> LoadShown:
        show_etag(response, stored.etag)
        return LoadShown.of(stored.record)

    @router.post(
        "",
        summary="Load many records",
        status_code=HTTPStatus.ACCEPTED,
        responses=_UPLOADS,
        openapi_extra=_FILE,
    )
    async def start_load(request: Request, response: Response, by: By) -> LoadShown:
        """The file is stored, and loaded part by part. A record that is there already is replaced; of an id that stands in the
        file twice the last counts. Lines that are no valid record are left out and listed."""
        check_media_type(request, JSON_LINES)
        with SpooledTemporaryFile(CHUNK) as file:
            async for chunk in request.stream():
                await run_in_threadpool(append, file, chunk)
            stored = await run_in_threadpool(administration.start, cast(BinaryIO, file), by)
        loading = shown(stored, response)
        response.headers["Location"] = loading.url
        return loading

    @router.get("", summary="List the bulk loads", responses=READS)
    def list_loads(continuation: Continuation = None, limit: Limit = 50) -> Part[LoadShown]:
        """Newest first."""
        return part_of(administration.list(continuation, limit), lambda stored: LoadShown.of(stored.record))

    @router.get("/{load_id}", summary="Read how far a bulk load is", responses=READS_RECORD)
    def read_load(load_id: LoadPath, response: Response) -> LoadShown:
        return shown(administration.get(load_id), response)

    @router.get("/{load_id}/rejected", summary="List the rejected lines of a bulk load", responses=READS)
    def list_rejected(load_id: LoadPath, continuation: Continuation = None, limit: Limit = 100) -> Part[RejectedLineShown]:
        """In the order of the file, the first 10,000; those beyond are only counted."""
        return part_of(administration.rejected(load_id, continuation, limit), RejectedLineShown.model_validate)

    return router
