"""Arguments and options that several commands have, and how what they name is written."""

from typing import Annotated

import typer

from admin.connection import Fields
from admin.failures import WrongUsage

MailboxName = Annotated[str, typer.Argument(metavar="MAILBOX", help="Id or email address.", show_default=False)]
Mailboxes = Annotated[list[str], typer.Argument(metavar="MAILBOX...", help="Ids or email addresses.", show_default=False)]
Limit = Annotated[int, typer.Option(min=1, help="Entries at most, newest first.")]


def record_of(text: str) -> Fields:
    """`account:contoso` as the record that it names. Raises WrongUsage."""
    return _pair(text, "type", "a record", "account:contoso")


def owner_of(text: str) -> Fields:
    """`user:anna` as the user or queue that it names. Raises WrongUsage."""
    owner = _pair(text, "kind", "a user or queue", "user:anna or queue:support")
    if owner["kind"] not in ("user", "queue"):
        raise WrongUsage(f"{text!r} names neither a user nor a queue", "Write it like user:anna or queue:support.")
    return owner


def _pair(text: str, first: str, what: str, example: str) -> Fields:
    kind, colon, id_ = text.partition(":")
    if not (kind and colon and id_):
        raise WrongUsage(f"{text!r} does not name {what}", f"Write it like {example}.")
    return {first: kind, "id": id_}
