"""Entity tags: what a record's ETag looks like in HTTP, and what If-Match asks for. A store's own ETag is opaque."""

import base64
import binascii
from typing import Annotated

from fastapi import Header, Response

from shared.administration.writing import ANY_STATE
from shared.domain.errors import Changed

IfMatch = Annotated[
    str | None,
    Header(
        description="The ETag of the state that the change is meant for; 412 where the record has another one by now.",
        max_length=1000,
    ),
]


def show_etag(response: Response, etag: str) -> None:
    response.headers["ETag"] = f'"{base64.urlsafe_b64encode(etag.encode()).decode()}"'


def expected_etag(if_match: str | None) -> str | None:
    """The store's ETag that the client has seen; None where it does not care. Raises Changed for a tag that was never ours."""
    if if_match is None or if_match.strip() == ANY_STATE:
        return if_match and ANY_STATE
    try:
        return base64.b64decode(if_match.strip().removeprefix("W/").strip('"'), b"-_", validate=True).decode()
    except (binascii.Error, ValueError) as error:
        raise Changed("If-Match names no state of this record") from error
