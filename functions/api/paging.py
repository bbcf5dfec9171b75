"""Lists: part by part, each with the token where the next part starts."""

from collections.abc import Callable, Sequence
from typing import Annotated

from fastapi import Query
from pydantic import BaseModel, Field

from shared.ports import Slice

Continuation = Annotated[
    str | None,
    Query(description="The `continuation` of the part before; leave it out to begin.", min_length=1, max_length=4000),
]
Limit = Annotated[int, Query(description="Entries of this part at most.", ge=1, le=500)]


class Part[T](BaseModel):
    """Part of a list."""

    items: Sequence[T]
    continuation: str | None = Field(default=None, description="Give it back to read on; null at the end.")


def part_of[S, T](found: Slice[S], show: Callable[[S], T]) -> Part[T]:
    return Part[T](items=[show(item) for item in found.items], continuation=found.continuation)
