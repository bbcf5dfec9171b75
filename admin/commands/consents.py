"""The consent of a mailbox's owner: asked for, looked at, withdrawn."""

import typer

from admin.addresses import MailboxFinder
from admin.commands.arguments import Mailboxes, MailboxName
from admin.commands.reporting import AsJson, session_of
from admin.commands.several import do_each
from admin.connection import path_part
from admin.session import Session

consent = typer.Typer(no_args_is_help=True, help="Have the owner of a mailbox consent to its being read (OAuth).")


@consent.command()
def ask(context: typer.Context, mailbox: MailboxName, as_json: AsJson = False) -> None:
    """Print a link for the owner of a mailbox to open in a browser. It works once, and for 15 minutes."""
    session = session_of(context)
    asked = session.api.post(_path(session, mailbox))
    if as_json:
        session.screen.json(asked)
        return
    session.screen.note(
        f"For the owner of {mailbox} and for nobody else: whoever opens the link can answer. It is good until"
        f" {asked['expires_on']}, and leads back to {asked['redirect_uri']}, which has to be registered at the provider."
    )
    session.screen.raw(f"{asked['authorization_url']}\n")


@consent.command()
def show(context: typer.Context, mailbox: MailboxName, as_json: AsJson = False) -> None:
    """Show whether the owner of a mailbox consented, and until when that lasts."""
    session = session_of(context)
    found = session.api.get(_path(session, mailbox))
    if as_json:
        session.screen.json(found)
    else:
        session.screen.table(("Field", "Value"), found.items(), empty="")


@consent.command()
def withdraw(context: typer.Context, mailboxes: Mailboxes, as_json: AsJson = False) -> None:
    """Withdraw the consent of mailboxes' owners: the mailboxes are not read any more."""
    session = session_of(context)
    finder = MailboxFinder(session.api)

    def act(name: str) -> None:
        session.api.delete(f"/api/mailboxes/{path_part(finder.id_of(name))}/consent")

    do_each(session, "mailbox", mailboxes, act, "withdrawn", as_json=as_json)


def _path(session: Session, mailbox: str) -> str:
    return f"/api/mailboxes/{path_part(MailboxFinder(session.api).id_of(mailbox))}/consent"
