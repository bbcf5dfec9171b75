"""Bulk loads of the address book: the file is uploaded, and the command waits until it is loaded."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, BinaryIO

import typer

from admin.commands.reporting import AsJson, end, session_of
from admin.connection import Fields
from admin.failures import WrongUsage
from admin.session import Session

JSON_LINES = "application/x-ndjson"
LOOK_EVERY = 1.0
"""Seconds."""
_CHUNK = 256 * 1024
_FINISHED = ("completed", "failed")


def load(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="JSON lines: one record per line.", show_default=False)],
    as_json: AsJson = False,
) -> None:
    """Load records into the address book; wait until it is done, and list the rejected lines."""
    session = session_of(context)
    finished = _loaded(session, _uploaded(session, file))
    rejected = list(session.api.entries(f"/api/loads/{finished['id']}/rejected")) if finished["rejected"] else []
    if as_json:
        session.screen.json(finished | {"rejected_lines": rejected})
    else:
        _show(session, finished, rejected)
    end(failed=finished["state"] == "failed" or bool(finished["rejected"]))


def _uploaded(session: Session, file: Path) -> Fields:
    try:
        with file.open("rb") as content, session.screen.progress(of_bytes=True) as progress:
            size = file.stat().st_size
            task = progress.add_task("Uploading", total=size)
            chunks = _chunks(content, lambda sent: progress.advance(task, sent))
            return dict(session.api.upload("/api/loads", chunks, size, JSON_LINES))
    except OSError as error:
        raise WrongUsage(f"{file}: {error.strerror}", "Name a file that can be read.") from error


def _chunks(content: BinaryIO, note: Callable[[int], None]) -> Iterator[bytes]:
    while chunk := content.read(_CHUNK):
        yield chunk
        note(len(chunk))


def _loaded(session: Session, present: Fields) -> Fields:
    with session.screen.progress(of_bytes=True) as progress:
        task = progress.add_task("Loading", total=present["size"])
        while present["state"] not in _FINISHED:
            progress.update(task, total=present["size"], completed=present["offset"])
            session.surroundings.pause(LOOK_EVERY)
            present = session.api.get(f"/api/loads/{present['id']}")
    return present


def _show(session: Session, load: Fields, rejected: list[Fields]) -> None:
    session.screen.say(f"{load['state']}: {load['lines']} lines, {load['loaded']} loaded, {load['rejected']} rejected")
    if load["error"]:
        session.screen.say(load["error"], "red")
    if rejected:
        rows = ([each["line"], each["field"], each["detail"], each["remedy"]] for each in rejected)
        session.screen.table(("Line", "Field", "What is wrong", "What to do"), rows, empty="")
    if load["rejected"] > len(rejected):
        session.screen.note(f"{load['rejected'] - len(rejected)} more are only counted.")
