"""Stored emails: lists of them, and what people do to them."""

import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from admin.addresses import MailboxFinder
from admin.commands.arguments import Limit, owner_of, record_of
from admin.commands.reporting import AsJson, session_of
from admin.commands.several import do_each
from admin.connection import path_part
from admin.failures import Refused, WrongUsage
from admin.screen import brief

Emails = Annotated[
    list[str], typer.Argument(metavar="EMAIL...", help="Ids of activities, as lists show them.", show_default=False)
]

emails = typer.Typer(
    no_args_is_help=True, help="List stored emails, and change what they are about, whose they are, or that they are there."
)


@emails.command(name="list")
def list_emails(
    context: typer.Context,
    mailbox: Annotated[str | None, typer.Option(help="Those of a mailbox: its id or email address.")] = None,
    queue: Annotated[str | None, typer.Option(help="Those of a queue: its id.")] = None,
    party: Annotated[
        str | None,
        typer.Option(metavar="TYPE:ID", help="Those in which somebody takes part, such as contact:kim or user:anna."),
    ] = None,
    regarding: Annotated[str | None, typer.Option(metavar="TYPE:ID", help="Those about a record.")] = None,
    limit: Limit = 50,
    as_json: AsJson = False,
) -> None:
    """List the emails of a mailbox, a queue, a party or about a record."""
    given = {name: value for name, value in {"queue": queue, "party": party, "regarding": regarding}.items() if value}
    if len(given) + bool(mailbox) != 1:
        raise WrongUsage("no list is named, or several are", "Give one of --mailbox, --queue, --party and --regarding.")
    session = session_of(context)
    path = f"{MailboxFinder(session.api).path_of(mailbox)}/activities" if mailbox else "/api/activities"
    found = list(session.api.entries(path, limit, **given))
    if as_json:
        session.screen.json(found)
        return
    columns = ("Email", "Received", "Direction", "From", "Subject", "Attachments")
    names = ("activity_id", "time", "direction", "sender", "subject", "attachment_count")
    rows = ([brief(each[name]) if name == "subject" else each[name] for name in names] for each in found)
    session.screen.table(columns, rows, empty="There are no emails.", unbroken=("Email",))


@emails.command()
def regarding(
    context: typer.Context,
    emails: Emails,
    to: Annotated[
        str | None, typer.Option("--to", metavar="TYPE:ID", help="The record, such as account:contoso.", show_default=False)
    ] = None,
    clear: Annotated[bool, typer.Option("--clear", help="They are about nothing.")] = False,
    as_json: AsJson = False,
) -> None:
    """Say what emails are about. Refused while a folder-level tracking rule says so."""
    if (to is None) is not clear:
        raise WrongUsage("what they are about is missing, or contradicts itself", "Give either --to TYPE:ID or --clear.")
    session = session_of(context)
    record = None if to is None else record_of(to)

    def act(email: str) -> None:
        if record is None:
            session.api.delete(f"{_path(email)}/regarding")
        else:
            session.api.put(f"{_path(email)}/regarding", record)

    do_each(session, "email", emails, act, "about nothing" if to is None else f"about {to}", as_json=as_json)


@emails.command()
def reassign(
    context: typer.Context,
    emails: Emails,
    to: Annotated[str, typer.Option("--to", metavar="OWNER", help="user:ID or queue:ID.", show_default=False)],
    as_json: AsJson = False,
) -> None:
    """Give emails to a user or queue."""
    session, owner = session_of(context), owner_of(to)

    def act(email: str) -> None:
        session.api.put(f"{_path(email)}/owner", owner)

    do_each(session, "email", emails, act, f"now of {to}", as_json=as_json)


@emails.command()
def complete(context: typer.Context, emails: Emails, as_json: AsJson = False) -> None:
    """Complete emails."""
    session = session_of(context)

    def act(email: str) -> None:
        session.api.post(f"{_path(email)}/complete")

    do_each(session, "email", emails, act, "completed", as_json=as_json)


@emails.command()
def delete(
    context: typer.Context,
    emails: Emails,
    yes: Annotated[bool, typer.Option("--yes", help="Delete without asking.")] = False,
    as_json: AsJson = False,
) -> None:
    """Delete emails, with content and attachments. The messages in the mailboxes stay, and are not stored again."""
    session = session_of(context)
    if not yes:
        _confirm(emails, as_json=as_json)

    def act(email: str) -> None:
        session.api.delete(_path(email))

    do_each(session, "email", emails, act, "deleted", as_json=as_json)


@emails.command(name="opt-out")
def opt_out(context: typer.Context, emails: Emails, as_json: AsJson = False) -> None:
    """Track the conversations of emails no more. What is stored stays."""
    session = session_of(context)

    def act(email: str) -> None:
        session.api.post(f"{_path(email)}/opt-out")

    do_each(session, "email", emails, act, "its conversation is not tracked any more", as_json=as_json)


@emails.command(name="opt-in")
def opt_in(context: typer.Context, emails: Emails, as_json: AsJson = False) -> None:
    """Track the conversations of emails again, from now on."""
    session = session_of(context)

    def act(email: str) -> None:
        session.api.delete(f"{_path(email)}/opt-out")

    do_each(session, "email", emails, act, "its conversation is tracked again", as_json=as_json)


def _path(email: str) -> str:
    return f"/api/activities/{path_part(email)}"


def _confirm(emails: Sequence[str], *, as_json: bool) -> None:
    if as_json or not sys.stdin.readable():
        raise WrongUsage(f"{len(emails)} emails would be deleted", "Repeat it with --yes; nothing was changed.")
    if not typer.confirm(f"Delete {len(emails)} emails?", err=True):
        raise Refused("not confirmed", "Nothing was changed.")
