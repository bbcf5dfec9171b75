"""`python -m local.demo`. The environment says how:

ONCE=1 ends after the summary, with status 0 only if every check is ok. MAIL=folder delivers your .eml files instead of the
sample mail. SIZE=n is how many ordinary messages the sample mail has. OUT=folder takes demo.json and logs (default: build).
"""

import os
import signal
import sys
import threading
from pathlib import Path

from rich.console import Console

from local.azurite import AzuriteMissing
from local.demo.api import Refused
from local.demo.machine import ROOT, Machine
from local.demo.play import Play, play_folder, play_samples
from local.processes import ChildFailed

_DEFAULT_SIZE = 300


class _Ended(Exception):
    """Somebody asked the demo to end."""


def main() -> int:
    console = Console()
    _end_on_signals()
    try:
        return _run(console, once=os.environ.get("ONCE", "") not in ("", "0"), folder=os.environ.get("MAIL", ""))
    except (KeyboardInterrupt, _Ended):
        console.print("Stopped; nothing is left running.")
        return 130
    except (AzuriteMissing, ChildFailed, Refused, ValueError) as error:
        console.print(f"[red]The demo cannot go on.[/red] {error}", markup=True, highlight=False)
        return 1


def _run(console: Console, *, once: bool, folder: str) -> int:
    size = _size(os.environ.get("SIZE") or str(_DEFAULT_SIZE))
    mail = _folder(folder) if folder else None
    out = Path(os.environ.get("OUT") or ROOT / "build")
    with console.status("starting") as status, Machine(out / "logs", tell=status.update) as machine:
        status.stop()
        play = Play(machine, console, out / "demo.json")
        ok = play_folder(play, mail) if mail else play_samples(play, size)
        if not once:
            console.print("\nEverything keeps serving. Ctrl-C stops it.")
            threading.Event().wait()
    return 0 if ok else 1


def _size(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 100_000:
        raise ValueError(f"SIZE is {text!r}: write how many ordinary messages to deliver, 1 to 100000.")
    return int(text)


def _folder(text: str) -> Path:
    folder = Path(text)
    if not folder.is_dir():
        raise ValueError(f"MAIL is {text!r}, which is no folder: name one that holds .eml files.")
    return folder


def _end_on_signals() -> None:
    """Whoever ends the demo, its children are stopped first. A second signal does not disturb that."""

    def end(number: int, _frame: object) -> None:
        for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(each, signal.SIG_IGN)
        raise KeyboardInterrupt if number == signal.SIGINT else _Ended

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, end)


if __name__ == "__main__":
    sys.exit(main())
