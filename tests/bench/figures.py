"""What a measurement gives: numbers for the file, and lines for the reader."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Figures:
    numbers: Mapping[str, float]
    """Flat names; the unit is the last word of the name where it is not a ratio or a count."""
    notes: Sequence[str] = field(default=())
