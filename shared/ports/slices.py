"""Lists that come in parts."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Slice[T]:
    """Part of a list, and where the next part starts; None at the end."""

    items: Sequence[T]
    continuation: str | None = None
