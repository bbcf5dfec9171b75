"""The same done to several records: one that is refused does not stop the others; once the server is lost, the rest is not
tried.
"""

from collections.abc import Callable, Iterator, Sequence

import typer

from admin.commands.reporting import end
from admin.failures import ExitCode, Failure, NotReachable, Refused
from admin.session import Session

type Act = Callable[[str], object]
"""Does it to the record of a name. Raises Refused, NotReachable."""


def do_each(session: Session, kind: str, names: Sequence[str], act: Act, done: str, *, as_json: bool) -> None:
    """`kind` of the records, for scripts; `done` is said of each to which it was done. Ends the command where one failed."""
    outcomes = []
    lost = False
    for name, failure in _outcomes(names, act):
        lost = lost or isinstance(failure, NotReachable)
        outcomes.append({kind: name, "done": failure is None, "error": failure.detail if failure else None})
        if failure is not None:
            session.screen.note(name, "bold")
            session.screen.failure(failure)
        elif not as_json:
            session.screen.say(f"{name}: {done}")
    if as_json:
        session.screen.json(outcomes)
    if lost:
        raise typer.Exit(ExitCode.UNREACHABLE)
    end(failed=not all(each["done"] for each in outcomes))


def _outcomes(names: Sequence[str], act: Act) -> Iterator[tuple[str, Failure | None]]:
    lost = False
    for name in names:
        failure = NotReachable("not tried", "Repeat the command for it.") if lost else _failure(act, name)
        lost = lost or isinstance(failure, NotReachable)
        yield name, failure


def _failure(act: Act, name: str) -> Failure | None:
    try:
        act(name)
    except (Refused, NotReachable) as failure:
        return failure
    return None
