"""Emails that are written here: what mailboxes have not sent, why, and sending or taking back."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any

import typer

from admin.addresses import MailboxFinder
from admin.commands.arguments import Limit, MailboxName
from admin.commands.emails import Emails
from admin.commands.reporting import AsJson, session_of
from admin.commands.several import do_each
from admin.connection import path_part
from admin.screen import brief

outgoing = typer.Typer(
    no_args_is_help=True, help="List the emails that mailboxes have written, show how they were tried, send and cancel them."
)


class Status(StrEnum):
    DRAFT = "draft"
    PENDING_SEND = "pending_send"
    SENDING = "sending"
    SENT = "sent"
    FAILED = "failed"
    CANCELED = "canceled"


@outgoing.command(name="list")
def list_outgoing(
    context: typer.Context,
    mailbox: MailboxName,
    status: Annotated[Status | None, typer.Option(help="Those of one status; left out, all that were not sent.")] = None,
    limit: Limit = 50,
    as_json: AsJson = False,
) -> None:
    """List the emails that a mailbox has written, newest first; those that wait in the order in which they are sent."""
    session = session_of(context)
    given = {} if status is None else {"status": status.value}
    found = list(session.api.entries(f"{MailboxFinder(session.api).path_of(mailbox)}/outgoing", limit, **given))
    if as_json:
        session.screen.json(found)
        return
    columns = ("Email", "Status", "Created", "Due", "Sent", "Attempts", "Problem", "Subject")
    rows = (
        (
            each["id"],
            each["status"],
            each["created_on"],
            each["delivery"]["due"],
            each["delivery"]["sent_on"],
            each["delivery"]["attempts"],
            _problem(each["delivery"]),
            brief(each["subject"]),
        )
        for each in found
    )
    session.screen.table(columns, rows, empty="There are no such emails.", unbroken=("Email",))


@outgoing.command()
def attempts(
    context: typer.Context,
    email: Annotated[str, typer.Argument(metavar="EMAIL", help="Id of an activity.", show_default=False)],
    as_json: AsJson = False,
) -> None:
    """List the attempts to send an email, oldest first, with what the server said."""
    session = session_of(context)
    found = session.api.get(f"{_path(email)}/attempts")
    if as_json:
        session.screen.json(found)
        return
    columns = ("Attempt", "Started", "Ended", "Outcome", "Code", "Detail", "Refused")
    rows = (
        (
            each["number"],
            each["started_on"],
            each["ended_on"],
            each["outcome"],
            each["status_code"] or each["error"],
            each["detail"],
            "\n".join(f"{refused['address']}: {refused['detail'] or refused['status_code']}" for refused in each["refused"]),
        )
        for each in found
    )
    session.screen.table(columns, rows, empty="It was not tried yet.")


@outgoing.command()
def send(context: typer.Context, emails: Emails, as_json: AsJson = False) -> None:
    """Send drafts, and again what failed or was canceled."""
    session = session_of(context)

    def act(email: str) -> None:
        session.api.post(f"{_path(email)}/send")

    do_each(session, "email", emails, act, "waits to be sent", as_json=as_json)


@outgoing.command()
def cancel(context: typer.Context, emails: Emails, as_json: AsJson = False) -> None:
    """Take emails back that wait to be sent."""
    session = session_of(context)

    def act(email: str) -> None:
        session.api.post(f"{_path(email)}/cancel")

    do_each(session, "email", emails, act, "canceled", as_json=as_json)


def _problem(delivery: Mapping[str, Any]) -> str:
    """What went wrong so far, also of an email that was sent all the same."""
    error = " ".join(part for part in (delivery["error"], delivery["status_code"]) if part)
    refused = f"{delivery['refused']} refused" if delivery["refused"] else ""
    return ", ".join(part for part in (error, refused, "may be twice" if delivery["may_be_twice"] else "") if part)


def _path(email: str) -> str:
    return f"/api/activities/{path_part(email)}"
