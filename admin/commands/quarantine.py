"""Items that failed for good: looked at, tried again, given up."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from admin.addresses import MailboxFinder
from admin.commands.arguments import Limit, MailboxName
from admin.commands.reporting import AsJson, session_of
from admin.commands.several import do_each
from admin.connection import path_part
from admin.failures import WrongUsage
from admin.session import Session

Item = Annotated[str, typer.Argument(metavar="ITEM", help="Id of the item, as the list shows it.", show_default=False)]
Items = Annotated[
    list[str], typer.Argument(metavar="ITEM...", help="Ids of items, as the list shows them.", show_default=False)
]

quarantine = typer.Typer(no_args_is_help=True, help="Look at the items that failed for good, try them again, or give them up.")


@quarantine.command(name="list")
def list_items(context: typer.Context, mailbox: MailboxName, limit: Limit = 50, as_json: AsJson = False) -> None:
    """List the quarantined items of a mailbox."""
    session = session_of(context)
    found = list(session.api.entries(_path(session, mailbox), limit))
    if as_json:
        session.screen.json(found)
        return
    columns = ("Item", "Quarantined", "Message-ID", "Attempts", "Error", "Detail")
    names = ("id", "quarantined_on", "message_id", "attempts", "error", "detail")
    rows = ([each[name] for name in names] for each in found)
    session.screen.table(columns, rows, empty="Nothing is in quarantine.", unbroken=("Item",))


@quarantine.command()
def show(context: typer.Context, mailbox: MailboxName, item: Item, as_json: AsJson = False) -> None:
    """Show a quarantined item: what failed, when, and in which version."""
    session = session_of(context)
    found = session.api.get(f"{_path(session, mailbox)}/{path_part(item)}")
    if as_json:
        session.screen.json(found)
    else:
        session.screen.table(("Field", "Value"), found.items(), empty="")


@quarantine.command()
def raw(
    context: typer.Context,
    mailbox: MailboxName,
    item: Item,
    file: Annotated[Path | None, typer.Argument(metavar="[FILE]", help="A new file; left out: standard output.")] = None,
) -> None:
    """Write the message of a quarantined item as it was received."""
    if file is None and sys.stdout.isatty():
        raise WrongUsage("what strangers wrote could steer the terminal", "Name a file, or send the output to one.")
    session = session_of(context)
    with session.api.download(f"{_path(session, mailbox)}/{path_part(item)}/raw") as chunks:
        if file is None:
            typer.get_binary_stream("stdout").writelines(chunks)
            return
        try:
            with file.open("xb") as target:
                target.writelines(chunks)
        except OSError as error:
            raise WrongUsage(f"{file}: {error.strerror}", "Name a new file in a folder that can be written.") from error


@quarantine.command()
def replay(
    context: typer.Context,
    mailbox: MailboxName,
    items: Annotated[
        list[str] | None, typer.Argument(metavar="[ITEM...]", help="Ids of items, as the list shows them.", show_default=False)
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="All of the mailbox.")] = False,
    as_json: AsJson = False,
) -> None:
    """Try quarantined items again. What succeeds leaves quarantine."""
    if bool(items) is every:
        raise WrongUsage("no item is named, or all and some are", "Name items, or give --all.")
    session = session_of(context)
    mailbox_path = MailboxFinder(session.api).path_of(mailbox)

    def act(item: str) -> None:
        session.api.post(f"{mailbox_path}/replay" if every else f"{mailbox_path}/quarantine/{path_part(item)}/replay")

    do_each(session, "item", items or ["all"], act, "is being tried again", as_json=as_json)


@quarantine.command()
def discard(
    context: typer.Context,
    mailbox: MailboxName,
    items: Items,
    reason: Annotated[str, typer.Option(help="Why, in your words; kept with the decision.", show_default=False)],
    as_json: AsJson = False,
) -> None:
    """Give quarantined items up: they leave quarantine, with their raw form. The messages in the mailbox stay."""
    session = session_of(context)
    path = _path(session, mailbox)

    def act(item: str) -> None:
        session.api.post(f"{path}/{path_part(item)}/discard", {"reason": reason})

    do_each(session, "item", items, act, "is being given up", as_json=as_json)


def _path(session: Session, mailbox: str) -> str:
    return f"{MailboxFinder(session.api).path_of(mailbox)}/quarantine"
