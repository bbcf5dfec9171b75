"""`policy`: the configuration as a YAML file."""

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from admin.commands.reporting import AsJson, end, session_of
from admin.connection import Fields
from admin.failures import ExitCode, Failure, Refused, WrongUsage
from admin.policy import document
from admin.policy.apply import Outcome, Result, apply, resolve_secrets
from admin.policy.export import exported
from admin.policy.plan import Action, Deed, Difference, plan, unlisted
from admin.policy.server import Server
from admin.screen import shown
from admin.session import Session

File = Annotated[Path, typer.Argument(metavar="FILE", help="The policy, in YAML.", show_default=False)]
Prune = Annotated[bool, typer.Option("--prune", help="Delete what the server has and the file's lists do not name.")]

policy = typer.Typer(no_args_is_help=True, help="The configuration as a YAML file: exported, compared, applied.")
_STYLES = {Deed.CREATE: "green", Deed.CHANGE: "yellow", Deed.COMPARE: "dim", Deed.DELETE: "red"}


@policy.command()
def export(
    context: typer.Context,
    file: Annotated[Path | None, typer.Argument(metavar="[FILE]", help="Written; without it, standard output.")] = None,
    as_json: AsJson = False,
) -> None:
    """Write the configuration of the server as a policy. Secrets are never exported."""
    session = session_of(context)
    content = exported(Server(session.api))
    if file is not None:
        try:
            file.write_text(document.write(content), "utf-8")
        except OSError as error:
            raise WrongUsage(f"{file}: {error.strerror}", "Name a file that can be written.") from error
    if as_json:
        session.screen.json(content)
    elif file is None:
        session.screen.raw(document.write(content))


@policy.command()
def diff(context: typer.Context, file: File, prune: Prune = False, as_json: AsJson = False) -> None:
    """Show what applying a policy would change, field by field. Exit code 4 where it would."""
    session = session_of(context)
    _, actions = _planned(session, file, prune=prune)
    if as_json:
        session.screen.json([_action_json(action) for action in actions])
    else:
        _show_plan(session, actions)
    if any(action.deed is not Deed.COMPARE for action in actions):
        raise typer.Exit(ExitCode.DIFFERENT)


@policy.command(name="apply")
def apply_policy(
    context: typer.Context,
    file: File,
    prune: Prune = False,
    yes: Annotated[bool, typer.Option("--yes", help="Delete without asking.")] = False,
    as_json: AsJson = False,
) -> None:
    """Bring the server to what a policy says. The plan is printed first; a refused record does not stop the others."""
    session = session_of(context)
    server, actions = _planned(session, file, prune=prune)
    bodies = resolve_secrets(actions, server, file.parent)
    if not as_json:
        _show_plan(session, actions)
    _confirm(actions, yes=yes, as_json=as_json)
    outcomes = []
    with session.screen.progress() as progress:
        task = progress.add_task("Applying", total=len(actions))
        for outcome in apply(actions, bodies, server):
            outcomes.append(outcome)
            progress.advance(task)
            _report(session, outcome)
    if as_json:
        session.screen.json([_outcome_json(outcome) for outcome in outcomes])
    else:
        _show_sum(session, outcomes)
    if any(outcome.result is Result.UNKNOWN for outcome in outcomes):
        raise typer.Exit(ExitCode.UNREACHABLE)
    end(failed=any(outcome.is_failure for outcome in outcomes))


def _planned(session: Session, file: Path, *, prune: bool) -> tuple[Server, Sequence[Action]]:
    wanted = document.read(file)
    server = Server(session.api)
    present = server.concerned(wanted)
    actions = plan(wanted, present, server.description, prune=prune)
    if not prune and (left := unlisted(wanted, present)):
        session.screen.note(f"Not in the file, and left alone: {', '.join(str(key) for key in left[:10])}{_more(left)}.")
    return server, actions


def _more(keys: Sequence[object]) -> str:
    return f" and {len(keys) - 10} more" if len(keys) > 10 else ""


def _confirm(actions: Sequence[Action], *, yes: bool, as_json: bool) -> None:
    deletions = [action for action in actions if action.deed is Deed.DELETE]
    if not deletions or yes:
        return
    if as_json or not sys.stdin.readable():
        raise WrongUsage(f"{len(deletions)} records would be deleted", "Repeat it with --yes; nothing was changed.")
    if not typer.confirm(f"Delete {len(deletions)} records?", err=True):
        raise Refused("not confirmed", "Nothing was changed.")


def _show_plan(session: Session, actions: Sequence[Action]) -> None:
    rows = (row for action in actions for row in _rows(action))
    columns = ("", "Record", "Field", "Now", "Then")
    session.screen.table(columns, rows, empty="Nothing to do: the server is as the file says.")


def _rows(action: Action) -> Iterator[Sequence[object]]:
    first: Sequence[object] = [Text(action.deed.value, _STYLES[action.deed]), str(action.key)]
    if action.deed is Deed.COMPARE:
        yield [*first, "secrets", "set", "written only where another"]
    elif not action.differences:
        yield [*first, "", "", ""]
    for difference in action.differences:
        yield [*first, difference.field, shown(difference.old), shown(difference.new)]
        first = ["", ""]


def _report(session: Session, outcome: Outcome) -> None:
    if outcome.failure is not None:
        session.screen.note(f"{outcome.action.key}: {outcome.result.value}", "bold")
        session.screen.failure(outcome.failure)


def _show_sum(session: Session, outcomes: Sequence[Outcome]) -> None:
    counts = {result: sum(outcome.result is result for outcome in outcomes) for result in Result}
    told = ", ".join(f"{count} {result.value}" for result, count in counts.items() if count)
    if told:
        session.screen.say(told)
    if not_tried := [str(outcome.action.key) for outcome in outcomes if outcome.result is Result.NOT_TRIED]:
        session.screen.note(f"Not tried: {', '.join(not_tried)}. Apply the policy again.")


def _action_json(action: Action) -> Fields:
    return {
        "action": action.deed.value,
        "record": str(action.key),
        "differences": [_difference_json(each) for each in action.differences],
    }


def _difference_json(difference: Difference) -> Fields:
    return {"field": difference.field, "old": difference.old, "new": difference.new}


def _outcome_json(outcome: Outcome) -> Fields:
    return _action_json(outcome.action) | {"result": outcome.result.value, "error": _failure_json(outcome.failure)}


def _failure_json(failure: Failure | None) -> Fields | None:
    if failure is None:
        return None
    errors = [{"pointer": each.pointer, "detail": each.detail, "remedy": each.remedy} for each in failure.errors]
    return {"code": failure.code, "detail": failure.detail, "remedy": failure.remedy, "errors": errors}
