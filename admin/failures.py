"""Why a command ends otherwise than well: exit codes for scripts, and what people read. Knows nothing of HTTP."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum


class ExitCode(IntEnum):
    """What a script learns from a command."""

    FINE = 0
    REFUSED = 1
    """The server refused something, or a check failed."""
    USAGE = 2
    """The command line or a file is not right; nothing was sent."""
    UNREACHABLE = 3
    DIFFERENT = 4
    """`policy diff` or `preview` found differences."""


@dataclass(frozen=True, slots=True)
class FieldFailure:
    """What is wrong with one field, and what to do."""

    pointer: str
    detail: str
    remedy: str


class Failure(Exception):
    """A command cannot go on: what is wrong, and what to do."""

    exit_code = ExitCode.REFUSED

    def __init__(self, detail: str, remedy: str, errors: Sequence[FieldFailure] = (), code: str = "") -> None:
        super().__init__(detail)
        self.detail = detail
        self.remedy = remedy
        self.errors = tuple(errors)
        self.code = code


class Refused(Failure):
    """The server understood and said no."""


class Gone(Refused):
    """There is no such record."""


class NotReachable(Failure):
    """Nobody answers, or somebody else than Sidesync."""

    exit_code = ExitCode.UNREACHABLE


class WrongUsage(Failure):
    """What was asked for cannot be asked for."""

    exit_code = ExitCode.USAGE
