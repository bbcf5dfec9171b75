"""The OpenAPI description: every error is a problem, every schema in it is used, and the host asks for a key."""

from collections.abc import Iterator
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel

from functions.api.access import OPEN
from functions.api.problems import MEDIA_TYPE, Problem

type Responses = dict[int | str, dict[str, Any]]

_USE_TLS = "Begin it with https://. Mail and credentials never travel unencrypted."


def _problem(description: str, **example: object) -> dict[str, Any]:
    content: dict[str, Any] = {"schema": {"$ref": "#/components/schemas/Problem"}}
    if example:
        named = {"type": f"urn:sidesync:problem:{example['code']}", "errors": [], **example}
        content["example"] = named
    return {"description": description, "content": {MEDIA_TYPE: content}}


ETAG = {"ETag": {"description": "Names this state of the record; give it back as If-Match.", "schema": {"type": "string"}}}

ACCESS: Responses = {
    401: {
        "description": "The function key is missing or wrong (the host answers, without a body), or the platform names no"
        " caller (with a problem)."
    },
    403: _problem(
        "The caller lacks a role.",
        title="Forbidden",
        status=403,
        detail="the role Sync.Admin is missing",
        code="forbidden",
        remedy="Assign the role Sync.Admin to the caller in the app registration of Sidesync.",
    ),
}

READS: Responses = ACCESS | {
    404: _problem(
        "There is no such record.",
        title="Not Found",
        status=404,
        detail="there is no profile contoso",
        code="record_not_found",
        remedy="Check the id; the list of the resource shows the ones that exist.",
    ),
    422: _problem(
        "A parameter or field is not valid; `errors` says which, why, and what to do.",
        title="Unprocessable Content",
        status=422,
        detail="incoming_location does not use TLS",
        code="invalid_record",
        remedy=_USE_TLS,
        errors=[{"pointer": "#/incoming_location", "detail": "incoming_location does not use TLS", "remedy": _USE_TLS}],
    ),
    503: _problem(
        "The store is busy; repeat after the seconds that Retry-After names.",
        title="Service Unavailable",
        status=503,
        detail="the store is busy",
        code="busy",
        remedy="Nothing to do: repeat the request.",
    )
    | {"headers": {"Retry-After": {"description": "Seconds.", "schema": {"type": "string"}}}},
}

READS_RECORD: Responses = READS | {200: {"description": "The record.", "headers": ETAG}}

_CONFLICT: Responses = {
    409: _problem(
        "The state of the record does not allow this.",
        title="Conflict",
        status=409,
        detail="The mailbox is inactive.",
        code="not_possible_now",
        remedy="Activate the mailbox (and its user).",
    )
}
_UNREADABLE: Responses = {
    400: _problem(
        "The body is not JSON.",
        title="Bad Request",
        status=400,
        detail="the body is not JSON",
        code="malformed_json",
        remedy="Send a JSON object in UTF-8.",
    ),
    413: _problem(
        "The body is too long.",
        title="Content Too Large",
        status=413,
        detail="Entity is too large.",
        code="content_too_large",
        remedy="Send one record at a time, without what it does not need.",
    ),
    415: _problem(
        "The body is not declared to be of the media type that is described.",
        title="Unsupported Media Type",
        status=415,
        detail="Entity body in unsupported format",
        code="unsupported_media_type",
        remedy="Send it with the Content-Type that /api/openapi.json names; a record is application/json.",
    ),
}
_CHANGED: Responses = {
    412: _problem(
        "The record has another ETag by now than If-Match names, or exists already.",
        title="Precondition Failed",
        status=412,
        detail="the record was changed since it was read",
        code="changed",
        remedy="Read the record again and repeat the change on its present state.",
    )
}

CHANGES: Responses = READS_RECORD | _CONFLICT | _UNREADABLE | _CHANGED
"""Of a change that answers with the record."""
ACTS: Responses = READS | _CONFLICT
"""Of an action that has no condition."""
LOOKS: Responses = ACTS | _UNREADABLE
"""Of an action with a body that changes nothing."""
DELETES: Responses = READS | _CONFLICT | _CHANGED | {204: {"description": "It is gone."}}
QUEUES: Responses = READS | _CONFLICT | {202: {"description": "The work is queued."}}
SENDS: Responses = READS | _CONFLICT | _CHANGED | {202: {"description": "It waits to be sent.", "headers": ETAG}}
ORDERS: Responses = QUEUES | _UNREADABLE
"""Of work that is queued as a body says."""


def created(shown: type[BaseModel]) -> Responses:
    return {201: {"description": "It was not there before, and is now.", "model": shown, "headers": ETAG}}


def binary(description: str, *media_types: str) -> Responses:
    return {200: {"description": description, "content": {each: {"schema": {"type": "string"}} for each in media_types}}}


def described(app: FastAPI) -> dict[str, Any]:
    """The description of the whole API."""
    description = get_openapi(title=app.title, version=app.version, summary=app.summary, routes=app.routes)
    problem = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
    components = description["components"]
    components["schemas"] |= problem.pop("$defs") | {"Problem": problem}
    components["securitySchemes"] = {
        "function_key": {"type": "apiKey", "in": "header", "name": "x-functions-key", "description": "Checked by the host."}
    }
    description["security"] = [{"function_key": []}]
    _describe_access(description["paths"])
    _without_null(description["paths"])
    while unused := components["schemas"].keys() - set(_references(description)):
        for name in unused:
            del components["schemas"][name]
    return description


def _describe_access(paths: dict[str, Any]) -> None:
    """Whatever an operation does, its caller may lack a key, a name or a role."""
    for path, item in paths.items():
        lacking = {str(status): each for status, each in ACCESS.items() if path not in OPEN or status == 401}
        for operation in item.values():
            operation["responses"] = lacking | operation["responses"]


def _without_null(paths: dict[str, Any]) -> None:
    """A parameter is there or it is not; only a body can hold null."""
    for parameter in (
        each for item in paths.values() for operation in item.values() for each in operation.get("parameters", ())
    ):
        kinds = [each for each in parameter["schema"].pop("anyOf", ()) if each != {"type": "null"}]
        for kind in kinds:
            parameter["schema"] |= kind


def _references(node: object) -> Iterator[str]:
    """The names of the schemas that are referred to."""
    if isinstance(node, dict):
        if isinstance(reference := node.get("$ref"), str):
            yield reference.rpartition("/")[2]
        for value in node.values():
            yield from _references(value)
    elif isinstance(node, list):
        for value in node:
            yield from _references(value)
