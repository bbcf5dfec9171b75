"""Mailboxes: what stands with them, and what is done to them."""

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.text import Text

from admin.addresses import MailboxFinder
from admin.commands.arguments import Mailboxes
from admin.commands.reporting import AsJson, session_of
from admin.commands.several import do_each
from admin.connection import Api, Fields, path_part
from admin.session import Session

Since = Annotated[
    datetime,
    typer.Option(
        "--received-after", formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M:%SZ"], help="Day or moment in UTC.", show_default=False
    ),
]
_STYLES = {"success": "green", "failure": "red", "not_run": "dim"}

type _Act = Callable[[Api, str], object]


def add_mailbox_commands(app: typer.Typer) -> None:
    for command in (mailboxes, approve, reject, activate, deactivate, sync, reset):
        app.command()(command)


def mailboxes(context: typer.Context, as_json: AsJson = False) -> None:
    """List the mailboxes: status per workload, when they are due, and their last error."""
    session = session_of(context)
    found = list(session.api.entries("/api/mailboxes"))
    if as_json:
        session.screen.json(found)
        return
    columns = ("Mailbox", "Profile", "Approval", "Workload", "Status", "Due", "Last error")
    session.screen.table(columns, _rows(sorted(found, key=lambda each: str(each["address"]))), empty="There are no mailboxes.")


def approve(context: typer.Context, mailboxes: Mailboxes, as_json: AsJson = False) -> None:
    """Approve the email addresses of mailboxes, so that they are processed."""
    _each(session_of(context), mailboxes, "approved", _post("approve"), as_json=as_json)


def reject(context: typer.Context, mailboxes: Mailboxes, as_json: AsJson = False) -> None:
    """Reject the email addresses of mailboxes."""
    _each(session_of(context), mailboxes, "rejected", _post("reject"), as_json=as_json)


def activate(context: typer.Context, mailboxes: Mailboxes, as_json: AsJson = False) -> None:
    """Activate mailboxes."""
    _each(session_of(context), mailboxes, "activated", _post("activate"), as_json=as_json)


def deactivate(context: typer.Context, mailboxes: Mailboxes, as_json: AsJson = False) -> None:
    """Deactivate mailboxes: they are kept and not processed."""
    _each(session_of(context), mailboxes, "deactivated", _post("deactivate"), as_json=as_json)


def sync(context: typer.Context, mailboxes: Mailboxes, as_json: AsJson = False) -> None:
    """Make mailboxes due now; they are read within a minute."""
    _each(session_of(context), mailboxes, "due now", _post("sync"), as_json=as_json)


def reset(context: typer.Context, mailboxes: Mailboxes, received_after: Since, as_json: AsJson = False) -> None:
    """Read mailboxes again from a date on. What is stored already is not stored twice."""
    moment = received_after.replace(tzinfo=UTC).isoformat().replace("+00:00", "Z")
    act = _post("reset", {"received_after": moment})
    _each(session_of(context), mailboxes, f"read again from {moment} on", act, as_json=as_json)


def _post(action: str, body: Fields | None = None) -> _Act:
    return lambda api, mailbox_id: api.post(f"/api/mailboxes/{path_part(mailbox_id)}/{action}", body)


def _each(session: Session, names: Sequence[str], done: str, act: _Act, *, as_json: bool) -> None:
    finder = MailboxFinder(session.api)
    do_each(session, "mailbox", names, lambda name: act(session.api, finder.id_of(name)), done, as_json=as_json)


def _rows(found: Sequence[Fields]) -> Iterator[Sequence[object]]:
    """One row per workload that is in use, and one of a mailbox that has none."""
    for mailbox in found:
        first: Sequence[object] = [mailbox[name] for name in ("address", "profile_id", "approval")]
        for name, workload in _in_use(mailbox):
            status = Text(workload["status"], _STYLES.get(workload["status"], ""))
            yield [*first, name, status, workload["due"], _error(workload)]
            first = [""] * len(first)


def _in_use(mailbox: Fields) -> Sequence[tuple[str, Fields]]:
    return [
        (name, workload)
        for name, workload in mailbox["workloads"].items()
        if mailbox.get(f"{name}_method") == "server_side" or name == "incoming"
    ]


def _error(workload: Fields) -> str:
    """The code of the last error, and why the workload does not run."""
    return ": ".join(part for part in (workload["last_error"], workload["ineligible_cause"]) if part)
