"""Every error of the API as RFC 9457 problem+json, and the one place that maps errors to HTTP.

A problem says what is wrong and what to do about it, and never repeats what the client sent.
"""

import logging
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.routing import Match

from functions.api.identifiers import FORMS
from shared.administration.failures import NotPossibleNow, RecordNotFound
from shared.domain.errors import AlreadyExists, Changed, InvalidRecord, MailboxError, SyncError, TransientError

MEDIA_TYPE = "application/problem+json"

_log = logging.getLogger("sidesync.api")


class FieldProblem(BaseModel):
    """What is wrong with one field."""

    pointer: str = Field(
        description="JSON pointer into the body (`#/name`); otherwise `path/`, `query/` or `header/` and a name."
    )
    detail: str
    remedy: str


class Problem(BaseModel):
    """An error, as RFC 9457 has it, with a remedy and the fields that are wrong."""

    type: str = Field(examples=["urn:sidesync:problem:invalid_record"])
    title: str
    status: int
    detail: str
    code: str = Field(description="Stable; what programs compare.")
    remedy: str
    errors: Sequence[FieldProblem] = ()


_STATUS: tuple[tuple[type[SyncError], HTTPStatus], ...] = (
    (InvalidRecord, HTTPStatus.UNPROCESSABLE_CONTENT),
    (RecordNotFound, HTTPStatus.NOT_FOUND),
    (AlreadyExists, HTTPStatus.CONFLICT),
    (NotPossibleNow, HTTPStatus.CONFLICT),
    (MailboxError, HTTPStatus.CONFLICT),
    (Changed, HTTPStatus.PRECONDITION_FAILED),
    (TransientError, HTTPStatus.SERVICE_UNAVAILABLE),
    (SyncError, HTTPStatus.INTERNAL_SERVER_ERROR),
)

_DEFAULT_RETRY = 5
"""Seconds after which a request that met a busy store is worth repeating."""


def answer_with_problems(app: FastAPI) -> None:
    """Registers the handlers; what they do not know, `guard.Guard` answers."""
    app.exception_handler(SyncError)(_on_sync_error)
    app.exception_handler(RequestValidationError)(_on_invalid_request)
    app.exception_handler(HTTPException)(_on_http_error)


def problem(
    status: HTTPStatus,
    code: str,
    detail: str,
    remedy: str,
    errors: Sequence[FieldProblem] = (),
    headers: dict[str, str] | None = None,
) -> JSONResponse:
    content = Problem(
        type=f"urn:sidesync:problem:{code}",
        title=status.phrase,
        status=status.value,
        detail=detail,
        code=code,
        remedy=remedy,
        errors=errors,
    )
    return JSONResponse(content.model_dump(), status.value, headers, MEDIA_TYPE)


async def _on_sync_error(_: Request, error: SyncError) -> JSONResponse:
    status = next(status for kind, status in _STATUS if isinstance(error, kind))
    if status is HTTPStatus.INTERNAL_SERVER_ERROR:
        _log.error("api_failed", exc_info=error, extra={"code": error.code})
    errors = [_field_problem(error)] if isinstance(error, InvalidRecord) else []
    headers = {"Retry-After": str(_seconds(error))} if isinstance(error, TransientError) else None
    return problem(status, error.code, str(error), error.remedy, errors, headers)


def _field_problem(error: InvalidRecord) -> FieldProblem:
    where = next((place for place, fields in _ELSEWHERE.items() if error.field in fields), "#")
    pointer = f"{where}/{error.field}" if error.field else where
    return FieldProblem(pointer=pointer, detail=str(error), remedy=error.remedy)


_ELSEWHERE = {
    "query": ("continuation", "limit", "message_id", "queue", "sha256"),
    "header": ("If-None-Match",),
    "path": ("folder_id", "number"),
}
"""Fields that stand elsewhere than in the body; no body has one of these."""


def _seconds(error: TransientError) -> int:
    return _DEFAULT_RETRY if error.retry_after is None else max(1, round(error.retry_after.total_seconds()))


async def _on_invalid_request(request: Request, error: RequestValidationError) -> JSONResponse:
    if isinstance(error.body, bytes) and error.body:  # which FastAPI reads only where it is declared to be JSON
        return await _on_http_error(request, HTTPException(HTTPStatus.UNSUPPORTED_MEDIA_TYPE))
    if any(each["type"] == "json_invalid" for each in error.errors()):
        return _malformed()
    errors = [_invalid(each) for each in error.errors()]
    return problem(
        HTTPStatus.UNPROCESSABLE_CONTENT,
        "invalid_record",
        "; ".join(f"{each.pointer}: {each.detail}" for each in errors),
        " ".join(dict.fromkeys(each.remedy for each in errors)),
        errors,
    )


def _malformed() -> JSONResponse:
    detail, remedy = "is not JSON", "Send a JSON object in UTF-8."
    errors = [FieldProblem(pointer="#", detail=detail, remedy=remedy)]
    return problem(HTTPStatus.BAD_REQUEST, "malformed_json", f"the body {detail}", remedy, errors)


def _invalid(error: dict[str, Any]) -> FieldProblem:
    where, *path = error["loc"]
    kind = error["type"]
    if where == "body" and not path and kind in ("missing", "model_attributes_type"):
        return FieldProblem(
            pointer="#", detail="is no JSON object", remedy="Send a JSON object, with Content-Type: application/json."
        )
    name = "/".join(str(part).replace("~", "~0").replace("/", "~1") for part in path)
    pointer = f"#/{name}" if where == "body" and name else "#" if where == "body" else f"{where}/{name}"
    detail, remedy = _DETAILS.get(kind, ("has a value that is not possible", None))
    remedy = FORMS.get(error.get("ctx", {}).get("pattern", ""), remedy)
    return FieldProblem(pointer=pointer, detail=detail, remedy=remedy or f"{_sentence(error['msg'])}")


_DETAILS: dict[str, tuple[str, str | None]] = {
    "missing": ("is missing", "Add it."),
    "extra_forbidden": ("is no field that can be set here", "Remove it; the OpenAPI description lists the fields."),
    "string_type": ("is no text", "Write a text in quotes."),
    "bool_type": ("is neither true nor false", "Write true or false."),
    "int_type": ("is no whole number", "Write a whole number."),
    "is_instance_of": ("is no list", "Write a list in square brackets."),
    "sequence_str": ("is no list", "Write a list in square brackets."),
    "model_attributes_type": ("is no JSON object", "Write its fields in braces, each with its name."),
    "timezone_aware": ("has no time zone", "Write it with an offset, such as 2026-01-31T00:00:00Z."),
    "time_delta_parsing": ("is no duration", "Write seconds as a number, or an ISO 8601 duration such as PT1M."),
    "string_pattern_mismatch": ("has a form that it cannot have", "Check it; lists show the ids that exist."),
}


def _sentence(message: str) -> str:
    text = message.removeprefix("Value error, ")
    return f"{text[:1].upper()}{text[1:]}."


_DECLARE_IT = "Send it with the Content-Type that /api/openapi.json names; a record is application/json."
_HTTP_REMEDIES = {
    HTTPStatus.NOT_FOUND: "Check the path; /api/openapi.json lists what there is.",
    HTTPStatus.METHOD_NOT_ALLOWED: "Use a method that the Allow header names.",
    HTTPStatus.CONTENT_TOO_LARGE: "Send one record at a time, without what it does not need; divide a file.",
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: _DECLARE_IT,
}


async def _on_http_error(request: Request, error: HTTPException) -> JSONResponse:
    status = HTTPStatus(error.status_code)
    if status is HTTPStatus.BAD_REQUEST:  # which FastAPI answers where it cannot read a body at all
        return _malformed()
    headers = dict(error.headers) if error.headers else None
    if status is HTTPStatus.METHOD_NOT_ALLOWED:
        headers = {"Allow": ", ".join(_methods(request))}
    remedy = _HTTP_REMEDIES.get(status, "Correct the request.")
    return problem(status, status.phrase.lower().replace(" ", "_"), status.description or status.phrase, remedy, (), headers)


def _methods(request: Request) -> Sequence[str]:
    """What the path allows over all routes; the router itself names only those of the first."""
    routes, scope = request.app.routes, request.scope
    return [
        method for method in _METHODS if any(route.matches({**scope, "method": method})[0] is Match.FULL for route in routes)
    ]


_METHODS = ("DELETE", "GET", "PATCH", "POST", "PUT")
