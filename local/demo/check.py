"""A check: a name, whether it holds, and what was found. Collected in order; one that cannot be made does not hold."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

_PATIENCE = 60.0
"""Seconds."""


@dataclass(frozen=True, slots=True)
class Check:
    name: str
    ok: bool
    detail: str


type Finding = tuple[bool, str]
"""Whether it holds, and what was found."""


@dataclass(slots=True)
class Checks:
    made: list[Check] = field(default_factory=list)

    def make(self, name: str, examine: Callable[[], Finding]) -> None:
        """An exception is a finding too: what cannot be examined is not shown to hold."""
        try:
            ok, detail = examine()
        except Exception as error:  # noqa: BLE001 - whatever goes wrong, the other checks are made
            ok, detail = False, f"{type(error).__name__}: {error}"
        self.made.append(Check(name, ok, detail))

    @property
    def failed(self) -> Sequence[Check]:
        return [check for check in self.made if not check.ok]

    @property
    def all_ok(self) -> bool:
        return bool(self.made) and not self.failed


def wait_for(holds: Callable[[], bool]) -> None:
    """Gives up in silence: the check that follows says what is missing."""
    deadline = time.monotonic() + _PATIENCE
    while not holds() and time.monotonic() < deadline:
        time.sleep(0.3)


def equal(expected: object, found: object) -> Finding:
    return expected == found, f"{found}" if expected == found else f"expected {expected}, found {found}"


def none_of(problems: Sequence[str], otherwise: str) -> Finding:
    """Holds if there are no problems; names the first few."""
    if not problems:
        return True, otherwise
    more = f" and {len(problems) - 3} more" if len(problems) > 3 else ""
    return False, "; ".join(problems[:3]) + more
