"""`make run`: Azurite with its data in `.azurite/`, and the Functions host with `local.settings.json`, until Ctrl-C.

The settings are written from the committed sample the first time, with a fresh key for the secrets store. Azurite is only
started where the settings name it, and only where nobody serves its ports already.
"""

import base64
import json
import os
import socket
import sys
from contextlib import nullcontext
from pathlib import Path

from local.azurite import Azurite, AzuriteMissing
from local.host.__main__ import leave
from local.host.__main__ import main as serve
from local.host.errors import HostError
from local.host.host import STORAGE
from local.host.settings import FILE, SAMPLE, app_environment, read_local_settings
from local.host.storage import EMULATOR, connection_string

ROOT = Path(__file__).parents[1]
EMULATOR_PORTS = (10000, 10001, 10002)


def write_settings(root: Path) -> bool:
    """Writes `local.settings.json` from the sample where there is none; True if it did."""
    target = root / FILE
    if target.exists():
        return False
    settings = json.loads((root / SAMPLE).read_text())
    settings["Values"]["SIDESYNC_SECRETS_KEY"] = base64.urlsafe_b64encode(os.urandom(32)).decode()
    with os.fdopen(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        json.dump(settings, file, indent=2)
    return True


def needs_emulator(root: Path) -> bool:
    """The settings name the emulator on its usual ports, and nobody serves there. Raises HostError."""
    environment = app_environment(read_local_settings(root / FILE), {})
    return connection_string(STORAGE, environment) == EMULATOR and not all(_listening(port) for port in EMULATOR_PORTS)


def _listening(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
    except OSError:
        return False


def main(arguments: list[str]) -> int:
    if write_settings(ROOT):
        print("Wrote local.settings.json with a fresh secrets key; keep that key, it opens the stored credentials.")
    try:
        emulator = Azurite(ROOT / ".azurite", EMULATOR_PORTS) if needs_emulator(ROOT) else nullcontext()
        with emulator:
            return serve(["--app", str(ROOT), *arguments])
    except (AzuriteMissing, HostError) as error:
        print(f"error: {error}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    leave(main(sys.argv[1:]))
