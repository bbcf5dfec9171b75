"""Sequence sets: which of the numbers that there are a client means (RFC 3501 section 9, `sequence-set`)."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence


def meant(sequence: str, numbers: Sequence[int]) -> list[int]:
    """Positions, ascending, in `numbers` (ascending themselves): `*` is the last of them."""
    if not numbers:
        return []
    positions: set[int] = set()
    for part in sequence.split(","):
        first, _, last = part.partition(":")
        low, high = sorted(_number(end, numbers) for end in (first, last or first))
        positions.update(range(bisect_left(numbers, low), bisect_right(numbers, high)))
    return sorted(positions)


def _number(text: str, numbers: Sequence[int]) -> int:
    return numbers[-1] if text == "*" else int(text)


def written(numbers: Iterable[int]) -> str:
    """In the order given, neighbours joined."""
    parts: list[list[int]] = []
    for number in numbers:
        if parts and parts[-1][1] + 1 == number:
            parts[-1][1] = number
        else:
            parts.append([number, number])
    return ",".join(str(first) if first == last else f"{first}:{last}" for first, last in parts)
