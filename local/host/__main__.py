"""`python -m local.host`: runs a function app on this machine until Ctrl-C or SIGTERM."""

import argparse
import json
import logging
import os
import signal
import sys
import threading
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import NoReturn

from local.host.errors import HostError
from local.host.host import FunctionsHost
from local.host.logs import log_to_terminal
from local.host.settings import FILE, app_environment, read_local_settings

ROOT = Path(__file__).parents[2]


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the host until a signal; returns the exit status. End the process with `leave`."""
    options = _parser().parse_args(arguments)
    log_to_terminal(options.log_level)
    stop = _stop_on_signals()
    settings = None if options.no_settings else options.settings or _settings_of(options.app)
    host = FunctionsHost(options.app, settings=settings, port=options.port, grace=timedelta(seconds=options.grace))
    try:
        _check_own_settings(options.app, settings)
        host.__enter__()
        _announce(host, as_json=options.json)
        stop.wait()
        print("Stopping; running functions are given time to finish. Once more stops at once.", file=sys.stderr)
        host.stop()
    except HostError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def leave(status: int) -> NoReturn:
    """Ends the process although threads of functions may still run; their messages become visible again."""
    logging.shutdown()
    sys.stdout.flush()
    os._exit(status)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m local.host", description=__doc__)
    parser.add_argument("--app", type=Path, default=Path.cwd(), help="directory of the function app (default: this one)")
    parser.add_argument("--port", type=int, help="HTTP port; 0 is any free one (default: the settings', else 7071)")
    files = parser.add_mutually_exclusive_group()
    files.add_argument("--settings", type=Path, help="file of the settings (default: the app's local.settings.json, if any)")
    files.add_argument("--no-settings", action="store_true", help="the environment holds all settings, no file is read")
    parser.add_argument(
        "--grace", type=float, default=30, help="seconds that running functions may take to finish (default: 30)"
    )
    parser.add_argument("--json", action="store_true", help="announce URL, keys and functions as one line of JSON")
    parser.add_argument("--log-level", default="info", choices=["debug", "info", "warning", "error"])
    return parser


def _settings_of(app_dir: Path) -> Path | None:
    path: Path = app_dir / FILE
    return path if path.exists() else None


def _check_own_settings(app_dir: Path, settings: Path | None) -> None:
    """Sidesync itself would only miss a setting at its first invocation. Raises HostError."""
    if app_dir.resolve() != ROOT:
        return
    from shared.settings import MissingSetting, read_settings  # here, because another app may have a `shared` of its own

    try:
        read_settings(app_environment(read_local_settings(settings), {}))
    except MissingSetting as error:
        raise HostError(str(error)) from error


def _stop_on_signals() -> threading.Event:
    stop = threading.Event()

    def on_signal(_number: int, _frame: object) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, on_signal)
    return stop


def _announce(host: FunctionsHost, *, as_json: bool) -> None:
    names = [function.name for function in host.functions]
    if as_json:
        content = {"base_url": host.base_url, "key": host.key, "master_key": host.master_key, "functions": names}
        print(json.dumps(content), flush=True)
        return
    print(f"Functions of {host.app_dir}:")
    for function in host.functions:
        print(f"  {function.name:22} {host.urls.get(function.name, function.trigger.type)}")
    print(f"Function key: {host.key}\nMaster key:   {host.master_key}\nCtrl-C stops.", flush=True)


if __name__ == "__main__":
    leave(main())
