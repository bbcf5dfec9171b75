"""The outermost layer: HEAD is GET, bodies have a limit, answers are kept by nobody, what nobody foresaw has no details."""

import logging
import re
from http import HTTPStatus

from fastapi import HTTPException
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from functions.api.problems import problem
from shared.administration.loading import LARGEST_FILE
from shared.administration.outgoing.uploads import PART_BYTES

LONGEST_BODY = 256 * 1024
"""Bytes; a configuration record is a hundredth of that."""
LONGEST_DRAFT = 8 * 1024 * 1024
"""Bytes of an email that is written, without its attachments."""

_ACTIVITY = r"/api/activities/[^/]+"
_LONGER_BODIES = (
    (re.compile(r"/api/loads"), LARGEST_FILE),
    (re.compile(rf"/api/activities|{_ACTIVITY}"), LONGEST_DRAFT),
    (re.compile(rf"{_ACTIVITY}/uploads/[^/]+/parts/[^/]+"), PART_BYTES),
)
"""Paths that take files, which go through as they come, and long texts."""

_log = logging.getLogger("sidesync.api")


def _keep_private(message: Message) -> None:
    """Mail and configuration are for the caller alone: no cache on the way, and no guessing of media types."""
    headers = MutableHeaders(raw=message["headers"])
    headers.setdefault("Cache-Control", "no-store")
    headers.setdefault("X-Content-Type-Options", "nosniff")


def longest_body(path: str) -> int:
    """Bytes that the body of a request to this path may have."""
    return next((longest for paths, longest in _LONGER_BODIES if paths.fullmatch(path)), LONGEST_BODY)


class Guard:
    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if scope["method"] == "HEAD":
            scope = {**scope, "method": "GET"}  # the host leaves the body out
        started = False
        received = 0
        longest = longest_body(scope["path"])

        async def counted() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > longest:
                raise HTTPException(HTTPStatus.CONTENT_TOO_LARGE)
            return message

        async def noted(message: Message) -> None:
            nonlocal started
            started = True
            if message["type"] == "http.response.start":
                _keep_private(message)
            await send(message)

        try:
            await self._app(scope, counted, noted)
        except Exception:  # whatever it is, nobody outside is told, and the log is
            _log.exception("api_failed", extra={"code": "unexpected"})
            if started:
                raise  # the status is out already; the host cuts the answer
            response = problem(
                HTTPStatus.INTERNAL_SERVER_ERROR,
                "unexpected",
                "something failed that the API does not know",
                "Repeat the request; if it fails again, look at the log of the function app.",
            )
            await response(scope, receive, send)
