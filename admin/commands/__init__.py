"""The commands, put together. Each file of this folder holds those about one thing."""

from typing import Annotated

import typer

from admin.commands.consents import consent
from admin.commands.emails import emails
from admin.commands.loading import load
from admin.commands.mailboxes import add_mailbox_commands
from admin.commands.messages import add_message_commands
from admin.commands.operations import add_operation_commands
from admin.commands.outgoing import outgoing
from admin.commands.policy import policy
from admin.commands.preview import add_preview_commands
from admin.commands.quarantine import quarantine
from admin.commands.reporting import Reporting
from admin.commands.testing import request_test
from admin.session import Session, Surroundings

app = typer.Typer(
    cls=Reporting,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    help="Administer Sidesync over its HTTP API.",
    epilog="Exit codes: 0 fine, 1 refused or failed, 2 wrong usage, 3 not reachable, 4 differences (policy diff, preview).",
)


@app.callback()
def connect(
    context: typer.Context,
    url: Annotated[str, typer.Option(envvar="SIDESYNC_URL", help="Address of the function app.")] = "",
    key: Annotated[
        str, typer.Option(envvar="SIDESYNC_KEY", help="Function key; rather in the variable than on the command line.")
    ] = "",
) -> None:
    surroundings = context.obj if isinstance(context.obj, Surroundings) else Surroundings()
    session = Session(url, key, surroundings)
    context.obj = session
    context.call_on_close(session.close)


app.add_typer(policy, name="policy")
app.command(name="test")(request_test)
add_mailbox_commands(app)
add_message_commands(app)
app.add_typer(consent, name="consent")
app.add_typer(emails, name="emails")
app.add_typer(outgoing, name="outgoing")
app.add_typer(quarantine, name="quarantine")
add_preview_commands(app)
add_operation_commands(app)
app.command()(load)
