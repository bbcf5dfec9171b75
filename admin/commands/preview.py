"""Dry runs: what a changed filter, exclude list, setting or folder rule would do to the last messages of a mailbox; and the
folders that rules can be about.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated

import typer

from admin.addresses import MailboxFinder
from admin.commands.arguments import MailboxName
from admin.commands.reporting import AsJson, session_of
from admin.connection import Api, Fields, Json
from admin.failures import ExitCode, WrongUsage
from admin.screen import plain
from admin.session import Session

Folders = Annotated[list[str] | None, typer.Option(metavar="FOLDER", help="Id or name.", show_default=False)]
Entries = Annotated[list[str] | None, typer.Option(metavar="ENTRY", help="Address or domain.", show_default=False)]


def add_preview_commands(app: typer.Typer) -> None:
    for command in (preview, folders):
        app.command()(command)


def preview(
    context: typer.Context,
    mailbox: MailboxName,
    last: Annotated[int, typer.Option(min=1, max=200, help="How many of the last messages.")] = 50,
    method: Annotated[
        str | None, typer.Option("--filter", metavar="METHOD", help="Of the mailbox's owner, such as responses or all.")
    ] = None,
    exclude: Entries = None,
    unexclude: Entries = None,
    setting: Annotated[
        list[str] | None, typer.Option(metavar="NAME=VALUE", help="Any setting; VALUE as JSON or as text.")
    ] = None,
    rule: Folders = None,
    without_rule: Folders = None,
    with_subfolders: Annotated[bool, typer.Option("--with-subfolders", help="Of each --rule.")] = False,
    for_queue: Annotated[bool, typer.Option("--for-queue", help="Each --rule is meant for the mailbox of a queue.")] = False,
    every: Annotated[bool, typer.Option("--all", help="Also show messages for which nothing changes.")] = False,
    as_json: AsJson = False,
) -> None:
    """Try changes on the last messages of a mailbox. Nothing is written. Ends with 4 where something would change."""
    session = session_of(context)
    path = MailboxFinder(session.api).path_of(mailbox)
    settings = _settings(session.api, setting or (), exclude or (), unexclude or ())
    rules = _rules(session.api, path, rule or (), without_rule or (), include_subfolders=with_subfolders, for_queue=for_queue)
    wanted = {"filtering_method": method, "settings": settings, "rules": rules}
    changes = {name: value for name, value in wanted.items() if value is not None}
    found = session.api.post(f"{path}/preview", {"last": last, "changes": changes})
    if as_json:
        session.screen.json(found)
    else:
        _show(session, found, every=every)
    if any(each["differs"] for each in found["messages"]):
        raise typer.Exit(ExitCode.DIFFERENT)


def folders(
    context: typer.Context,
    mailbox: MailboxName,
    anew: Annotated[bool, typer.Option("--anew", help="Ask the mail server, not what was read just before.")] = False,
    as_json: AsJson = False,
) -> None:
    """List the folders below the Inbox, and which of them have a tracking rule."""
    session = session_of(context)
    path = MailboxFinder(session.api).path_of(mailbox)
    found = _folders(session.api, path, anew=anew)
    if as_json:
        session.screen.json(found)
        return
    rules = {each["folder_id"]: each for each in session.api.whole(f"{path}/rules")}
    names = _names(found)
    ordered = sorted(names.items(), key=lambda each: each[1].casefold())
    rows = ([name, _ruled(rules.get(id_)), id_] for id_, name in ordered)
    session.screen.table(("Folder", "Rule", "Id"), rows, empty="There are no folders below the Inbox.")


# ---- what is tried


def _settings(api: Api, given: Sequence[str], exclude: Sequence[str], unexclude: Sequence[str]) -> Fields | None:
    settings = dict(_setting(each) for each in given)
    if exclude or unexclude:
        present = settings.get("exclude", api.get("/api/settings")["exclude"])
        missing = [each for each in unexclude if each.casefold() not in present]
        if missing:
            raise WrongUsage(f"{missing[0]} is not on the exclude list", "Name an entry as `policy export` shows it.")
        gone = {each.casefold() for each in unexclude}
        settings["exclude"] = [*(each for each in present if each not in gone), *exclude]
    return settings or None


def _setting(text: str) -> tuple[str, Json]:
    name, equals, value = text.partition("=")
    if not (name and equals):
        raise WrongUsage(f"{text!r} is no setting", "Write it like track_sent_items=true.")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value


def _rules(api: Api, path: str, added: Sequence[str], left_out: Sequence[str], **of_added: bool) -> list[Fields] | None:
    """The rules as they would be: the present ones without some, and new ones, which have `of_added`."""
    if not added and not left_out:
        return None
    present = [{name: value for name, value in each.items() if name != "mailbox_id"} for each in api.whole(f"{path}/rules")]
    gone = {_chosen(each, {rule["folder_id"]: rule["folder_name"] for rule in present}, "rule") for each in left_out}
    names = {each["id"]: each["name"] for each in _folders(api, path)} if added else {}
    new = [_chosen(each, names, "folder") for each in added]
    kept = [each for each in present if each["folder_id"] not in {*gone, *new}]
    tried = [{"folder_id": folder, "folder_name": names[folder], **of_added} for folder in dict.fromkeys(new)]
    return [*kept, *tried]


def _chosen(wanted: str, names: Mapping[str, str], what: str) -> str:
    """The id of the folder that is named by id or by name. Raises WrongUsage where none is meant, or several."""
    if wanted in names:
        return wanted
    found = [id_ for id_, name in names.items() if name.casefold() == wanted.casefold()]
    if not found:
        raise WrongUsage(f"there is no {what} for {wanted!r}", "`folders` lists the folders and which of them have a rule.")
    if len(found) > 1:
        raise WrongUsage(
            f"{wanted!r} is the name of several folders", f"Name the one that is meant by its id: {', '.join(found)}."
        )
    return found[0]


# ---- what is shown


def _show(session: Session, found: Fields, *, every: bool) -> None:
    columns = ("Received", "Folder", "From", "Subject", "Now", "Then")
    rows = (_row(each) for each in found["messages"] if every or each["differs"])
    session.screen.table(columns, rows, empty="Nothing would change.")
    session.screen.say(
        f"{len(found['messages'])} messages: {found['tracked_before']} are tracked, {found['tracked_after']} would be;"
        f" {found['newly_tracked']} newly, {found['no_longer_tracked']} no longer."
    )
    if found["unreadable"]:
        session.screen.note(f"{found['unreadable']} messages could not be read.")
    if not found["is_complete"]:
        session.screen.note("There was no time to read all of them; ask for fewer with --last.")


def _row(message: Fields) -> Sequence[object]:
    then: object = message["after"]["words"]
    if message["differs"]:
        then = plain(message["after"]["words"], "green" if message["after"]["verdict"] == "promoted" else "red")
    return [*(message[name] for name in ("received", "folder", "sender", "subject")), message["before"]["words"], then]


def _folders(api: Api, path: str, *, anew: bool = False) -> list[Fields]:
    found = api.post(f"{path}/folders/refresh") if anew else api.get(f"{path}/folders")
    return list(found["items"])


def _names(folders: Sequence[Fields]) -> Mapping[str, str]:
    """Each with those above it."""
    known = {each["id"]: each for each in folders}
    return {id_: "/".join(reversed(list(_upwards(known, id_)))) for id_ in known}


def _upwards(known: Mapping[str, Fields], id_: str) -> Iterator[str]:
    """A folder that is above itself, or above whom nobody is known, ends the way."""
    seen: set[str] = set()
    while id_ in known and id_ not in seen:
        seen.add(id_)
        yield known[id_]["name"]
        id_ = known[id_]["parent"]


def _ruled(rule: Fields | None) -> str:
    if rule is None:
        return ""
    regarding = rule["regarding"]
    told = f"{regarding['type']}:{regarding['id']}" if regarding else "tracked"
    return f"{told}, with subfolders" if rule["include_subfolders"] else told
