"""What happened: runs, alerts, and the audit."""

from itertools import islice
from typing import Annotated, Any

import typer
from rich.text import Text

from admin.addresses import MailboxFinder
from admin.commands.arguments import Limit, MailboxName
from admin.commands.reporting import AsJson, session_of
from admin.connection import Fields, path_part
from admin.screen import plain

_LEVELS = {"error": "red", "warning": "yellow"}

alerts = typer.Typer(help="List the alerts, or acknowledge one.", invoke_without_command=True)


def add_operation_commands(app: typer.Typer) -> None:
    for command in (runs, audit):
        app.command()(command)
    app.add_typer(alerts, name="alerts")


def runs(context: typer.Context, mailbox: MailboxName, limit: Limit = 20, as_json: AsJson = False) -> None:
    """List the runs of a mailbox that did something."""
    session = session_of(context)
    path = f"{MailboxFinder(session.api).path_of(mailbox)}/runs"
    found = list(session.api.entries(path, limit))
    if as_json:
        session.screen.json(found)
        return
    columns = ("Started", "Workload", "Outcome", "Seconds", "Seen", "Verdicts", "Error")
    session.screen.table(columns, (_run(each) for each in found), empty="No run did anything yet.")


def audit(
    context: typer.Context,
    record: Annotated[str | None, typer.Option(help="Only changes of this record, such as profile:contoso.")] = None,
    limit: Limit = 50,
    as_json: AsJson = False,
) -> None:
    """List who changed which configuration record, and what of it."""
    session = session_of(context)
    found = list(session.api.entries("/api/audit", limit, record=record))
    if as_json:
        session.screen.json(found)
        return
    columns = ("Changed", "By", "Action", "Record", "Field", "Old", "New")
    rows = (row for entry in found for row in _changes(entry))
    session.screen.table(columns, rows, empty="Nothing was changed.")


@alerts.callback()
def list_alerts(
    context: typer.Context,
    about: Annotated[str | None, typer.Option(help="Only about this, such as mailbox:ID or profile:contoso.")] = None,
    open_only: Annotated[bool, typer.Option("--open", help="Without those that were acknowledged.")] = False,
    limit: Limit = 50,
    as_json: AsJson = False,
) -> None:
    """List the alerts, or acknowledge one."""
    if context.invoked_subcommand is not None:
        return
    session = session_of(context)
    every = session.api.entries("/api/alerts", about=about)
    found = list(islice((each for each in every if not (open_only and each["acknowledged_on"])), limit))
    if as_json:
        session.screen.json(found)
        return
    columns = ("Alert", "Raised", "Level", "About", "Cause", "Remedy", "Acknowledged")
    session.screen.table(columns, (_alert(each) for each in found), empty="There are no alerts.", unbroken=("Alert",))


@alerts.command()
def acknowledge(
    context: typer.Context,
    alert: Annotated[str, typer.Argument(metavar="ALERT", help="Id of the alert, as the list shows it.")],
    as_json: AsJson = False,
) -> None:
    """Mark an alert as seen; raised again later, it is open again."""
    session = session_of(context)
    acknowledged = session.api.post(f"/api/alerts/{path_part(alert)}/acknowledge")
    if as_json:
        session.screen.json(acknowledged)
    else:
        session.screen.say(f"{alert}: acknowledged by {acknowledged['acknowledged_by']}")


def _run(run: Fields) -> list[object]:
    verdicts = ", ".join(f"{name} {count}" for name, count in run["verdicts"].items())
    error = " ".join(part for part in (run["error"], run["detail"]) if part)
    return [run["started_on"], run["workload"], run["outcome"], f"{run['duration']:.1f}", run["seen"], verdicts, error]


def _alert(alert: Fields) -> list[object]:
    level: Any = Text(alert["level"], _LEVELS.get(alert["level"], ""))
    acknowledged = plain(alert["acknowledged_by"] or "")
    return [alert["id"], alert["raised_on"], level, alert["about"], alert["cause"], alert["remedy"], acknowledged]


def _changes(entry: Fields) -> list[list[object]]:
    """One row per field."""
    first: list[object] = [entry[name] for name in ("changed_on", "caller", "action", "record")]
    changes = [[each["field"], each["old"], each["new"]] for each in entry["changes"]] or [["", "", ""]]
    return [[*(first if number == 0 else [""] * len(first)), *change] for number, change in enumerate(changes)]
