"""Entity tags: what a record's ETag looks like in HTTP, and what If-Match and If-None-Match ask for.

A store's own ETag is opaque.
"""

import base64
import binascii
from typing import Annotated

from fastapi import Depends, Header, Response

from functions.api.identifiers import ANYTHING_PATTERN
from shared.administration.writing import ANY_STATE, NO_STATE
from shared.domain.errors import InvalidRecord

IfMatch = Annotated[
    str | None,
    Header(
        description="The ETag of the state that the change is meant for, or *; 412 where the record has another one by now.",
        max_length=1000,
    ),
]
IfNoneMatch = Annotated[
    str | None,
    Header(description="`*`: only where there is no such record yet; else 412.", pattern=ANYTHING_PATTERN),
]


def show_etag(response: Response, etag: str | None) -> None:
    """None: the record was never written and has its defaults; its tag is the empty one."""
    response.headers["ETag"] = f'"{base64.urlsafe_b64encode((etag or NO_STATE).encode()).decode()}"'


def _expected(if_match: IfMatch = None) -> str | None:
    """The store's ETag that the client has seen; None where it does not care. A tag that was never ours is no state at all."""
    if if_match is None or if_match.strip() == ANY_STATE:
        return if_match and ANY_STATE
    try:
        return base64.b64decode(if_match.strip().removeprefix("W/").strip('"'), b"-_", validate=True).decode()
    except (binascii.Error, ValueError):
        return _NEVER


_NEVER = "\0"
"""No store has such an ETag."""


def _expected_or_new(if_match: IfMatch = None, if_none_match: IfNoneMatch = None) -> str | None:
    if if_none_match is None:
        return _expected(if_match)
    if if_match is not None:
        raise InvalidRecord("If-None-Match", "If-Match and If-None-Match contradict each other", "Leave one of them out.")
    return NO_STATE


State = Annotated[str | None, Depends(_expected)]
"""Of a change: the state it is meant for."""
StateOrNew = Annotated[str | None, Depends(_expected_or_new)]
"""Of a PUT: the state it is meant for, or that there is none yet."""
