"""What people and scripts read: tables, progress and failures for people, JSON for scripts.

Results go to standard output, everything else to standard error. What strangers wrote (subjects, errors of servers) is shown
without control characters and is never read as markup.
"""

import json
import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from admin.connection import Json
from admin.failures import Failure

_WIDTH = 160
"""Columns where the output is no terminal."""
_BRIEF = 60
"""Columns of a subject in a list; 800 characters are possible."""


class Screen:
    def __init__(self) -> None:
        self._out = Console(width=None if sys.stdout.isatty() else _WIDTH, highlight=False)
        self._err = Console(stderr=True, width=None if sys.stderr.isatty() else _WIDTH, highlight=False)

    def json(self, value: Json) -> None:
        self._out.file.write(json.dumps(value, indent=2, ensure_ascii=False) + "\n")

    def raw(self, text: str) -> None:
        self._out.file.write(text)

    def say(self, text: str, style: str = "") -> None:
        self._out.print(plain(text, style), soft_wrap=True)

    def note(self, text: str, style: str = "dim") -> None:
        """Beside the result."""
        self._err.print(plain(text, style), soft_wrap=True)

    def table(
        self, columns: Sequence[str], rows: Iterable[Sequence[object]], *, empty: str, unbroken: Sequence[str] = ()
    ) -> None:
        """`empty` is said where there are no rows; `unbroken` columns hold what is copied."""
        table = Table(header_style="bold")
        for column in columns:
            table.add_column(column, overflow="fold", no_wrap=column in unbroken)
        for row in rows:
            table.add_row(*(cell if isinstance(cell, Text) else plain(shown(cell)) for cell in row))
        if table.row_count:
            self._out.print(table)
        else:
            self.say(empty)

    def failure(self, failure: Failure) -> None:
        if not failure.errors:
            self._err.print(plain(f"error: {failure.detail}", "bold red"), soft_wrap=True)
            self._err.print(plain(f"  {failure.remedy}"), soft_wrap=True)
        for each in failure.errors:
            self._err.print(plain(f"error: {each.pointer}: {each.detail}", "bold red"), soft_wrap=True)
            self._err.print(plain(f"  {each.remedy}"), soft_wrap=True)

    def progress(self, *, of_bytes: bool = False) -> Progress:
        """Shown on a terminal only, beside the result."""
        amount = DownloadColumn() if of_bytes else MofNCompleteColumn()
        columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), amount, TimeElapsedColumn())
        return Progress(*columns, console=self._err, transient=True, disable=not self._err.is_terminal)


def plain(text: str, style: str = "") -> Text:
    return Text("".join(each if each.isprintable() or each == "\n" else "�" for each in text), style)


def brief(text: str) -> Text:
    """The beginning of a long text, on one line: whoever lists wants to recognise it."""
    begun = plain(" ".join(text.split()))
    begun.truncate(_BRIEF, overflow="ellipsis")
    return begun


def shown(value: object) -> str:
    """A value as a table shows it."""
    match value:
        case None:
            return ""
        case True:
            return "yes"
        case False:
            return "no"
        case str():
            return _moment(value)
        case dict() | list():
            return json.dumps(value, ensure_ascii=False)
        case _:
            return str(value)


def _moment(text: str) -> str:
    """RFC 3339 in UTC becomes shorter; another text stays as it is."""
    if len(text) < len("2026-01-01T00:00:00Z") or not text[:4].isdigit() or "T" not in text[:11]:
        return text
    try:
        return datetime.fromisoformat(text).astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")
    except (ValueError, OverflowError):
        return text
