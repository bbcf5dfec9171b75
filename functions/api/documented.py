"""The OpenAPI description: every error is a problem, every schema in it is used, and the host asks for a key."""

from collections.abc import Iterator
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel

from functions.api.problems import MEDIA_TYPE, Problem

type Responses = dict[int | str, dict[str, Any]]

_EXAMPLE = {
    "type": "urn:sidesync:problem:invalid_record",
    "title": "Unprocessable Content",
    "status": 422,
    "detail": "incoming_location does not use TLS",
    "code": "invalid_record",
    "remedy": "Begin it with https://. Mail and credentials never travel unencrypted.",
    "errors": [
        {
            "pointer": "#/incoming_location",
            "detail": "incoming_location does not use TLS",
            "remedy": "Begin it with https://. Mail and credentials never travel unencrypted.",
        }
    ],
}


def _problem(description: str, example: dict[str, Any] | None = None) -> dict[str, Any]:
    content: dict[str, Any] = {"schema": {"$ref": "#/components/schemas/Problem"}}
    return {"description": description, "content": {MEDIA_TYPE: content | ({"example": example} if example else {})}}


ETAG = {"ETag": {"description": "Names this state of the record; give it back as If-Match.", "schema": {"type": "string"}}}

CALLS: Responses = {401: {"description": "The function key is missing or wrong; the host answers, without a body."}}

READS: Responses = CALLS | {
    404: _problem("There is no such record."),
    422: _problem("A parameter or field is not valid; `errors` says which, why, and what to do.", _EXAMPLE),
    503: _problem("The store is busy; repeat after the seconds that Retry-After names."),
}

READS_RECORD: Responses = READS | {200: {"description": "The record.", "headers": ETAG}}

CHANGES: Responses = READS_RECORD | {
    400: _problem("The body is not JSON."),
    409: _problem("The state of the record does not allow this."),
    412: _problem("The record has another ETag by now than If-Match names."),
    413: _problem("The body is too long."),
}


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
    while unused := components["schemas"].keys() - set(_references(description)):
        for name in unused:
            del components["schemas"][name]
    return description


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
