"""How every command ends: a failure becomes what people read, and the exit code that scripts read."""

from typing import Annotated, Any, cast

import typer
from typer.core import TyperGroup

from admin.failures import ExitCode, Failure
from admin.screen import Screen
from admin.session import Session

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for scripts.")]


class Reporting(TyperGroup):
    def invoke(self, ctx: Any) -> Any:  # noqa: ANN401 - as typer has it
        try:
            return super().invoke(ctx)
        except Failure as failure:
            Screen().failure(failure)
            raise typer.Exit(failure.exit_code) from failure


def session_of(context: typer.Context) -> Session:
    return cast(Session, context.obj)


def end(*, failed: bool) -> None:
    """Ends a command that went on after failures."""
    if failed:
        raise typer.Exit(ExitCode.REFUSED)
