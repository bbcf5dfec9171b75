"""What is wanted of messages in a mailbox: tracked, left alone, judged again; and what became of one."""

from datetime import timedelta
from typing import Annotated

import typer

from admin.addresses import MailboxFinder
from admin.commands.arguments import Mailboxes, MailboxName, record_of
from admin.commands.reporting import AsJson, session_of
from admin.commands.several import do_each
from admin.connection import Fields
from admin.screen import shown

MessageIds = Annotated[
    list[str], typer.Argument(metavar="MESSAGE_ID...", help="Message-IDs, with or without angle brackets.", show_default=False)
]


def add_message_commands(app: typer.Typer) -> None:
    for command in (explain, track, untrack, judge):
        app.command()(command)


def explain(
    context: typer.Context,
    mailbox: MailboxName,
    message_id: Annotated[str, typer.Argument(metavar="MESSAGE_ID", help="Message-ID, with or without angle brackets.")],
    as_json: AsJson = False,
) -> None:
    """Explain what became of a message in a mailbox, and why: who voted how, and what was tried to find its conversation."""
    session = session_of(context)
    path = f"{MailboxFinder(session.api).path_of(mailbox)}/explain"
    found = session.api.get(path, message_id=message_id)
    if as_json:
        session.screen.json(found)
        return
    session.screen.say(found["summary"], "bold")
    for item in found["items"]:
        session.screen.say(f"- {item['words']} ({shown(item['decided_on'])}, {item['folder']})")
        for sentence in item["story"]:
            if sentence != item["words"]:
                session.screen.say(f"  - {sentence}")
        if item["quarantine"]:
            session.screen.say(f"  - in quarantine as {item['quarantine']}")
    for activity in found["activities"]:
        session.screen.say(f"- {_told(activity)}")
    for cause in found["causes"]:
        session.screen.say(f"- {cause}")


def track(
    context: typer.Context,
    mailbox: MailboxName,
    message_ids: MessageIds,
    regarding: Annotated[
        str | None, typer.Option(metavar="TYPE:ID", help="What they are about, such as account:contoso.", show_default=False)
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Track messages that were seen in a mailbox, whatever the filters say; only the exclude list holds."""
    session = session_of(context)
    about: Fields = {} if regarding is None else {"regarding": record_of(regarding)}
    path = f"{MailboxFinder(session.api).path_of(mailbox)}/track"

    def act(message_id: str) -> None:
        session.api.post(path, {"message_id": message_id} | about)

    do_each(session, "message", message_ids, act, "is being tracked", as_json=as_json)


def untrack(context: typer.Context, mailbox: MailboxName, message_ids: MessageIds, as_json: AsJson = False) -> None:
    """Leave messages of a mailbox alone from now on. Their activities stay."""
    session = session_of(context)
    path = f"{MailboxFinder(session.api).path_of(mailbox)}/untrack"

    def act(message_id: str) -> None:
        session.api.post(path, {"message_id": message_id})

    do_each(session, "message", message_ids, act, "is being left alone", as_json=as_json)


def judge(
    context: typer.Context,
    mailboxes: Mailboxes,
    days: Annotated[int, typer.Option(min=1, max=3650, help="Messages of that many last days.", show_default=False)],
    as_json: AsJson = False,
) -> None:
    """Judge the skipped messages of the last days again, by the present settings."""
    session = session_of(context)
    since = session.surroundings.today() - timedelta(days=days)
    body: Fields = {"since": since.strftime("%Y-%m-%dT%H:%M:%SZ")}
    finder = MailboxFinder(session.api)

    def act(name: str) -> None:
        session.api.post(f"{finder.path_of(name)}/judge", body)

    do_each(session, "mailbox", mailboxes, act, f"being judged again from {body['since']} on", as_json=as_json)


def _told(activity: Fields) -> str:
    regarding, owner = activity["regarding"], activity["owner"]
    about = f", about {regarding['type']} {regarding['id']}" if regarding else ""
    of = f", owned by {owner['kind']} {owner['id']}" if owner else ""
    ended = ", deleted" if activity["deleted_on"] else ", its conversation is not tracked" if activity["opted_out_on"] else ""
    return f"activity {activity['id']}{about}{of}{ended}"
