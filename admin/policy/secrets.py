"""Secrets in a policy stand there by reference only: `{env: NAME}` or `{file: PATH}`, read when the policy is applied."""

import os
from collections.abc import Mapping
from pathlib import Path

from admin.connection import Json
from admin.failures import WrongUsage


def check_reference(where: str, value: Json) -> None:
    """Raises WrongUsage for anything but a reference or null."""
    if value is None:
        return
    is_reference = isinstance(value, dict) and len(value) == 1 and set(value) <= {"env", "file"}
    if not is_reference or not all(isinstance(each, str) and each for each in value.values()):
        raise WrongUsage(
            f"{where} is no reference to a secret",
            "Write {env: NAME} or {file: PATH}, or null to remove it. The secret itself never stands in the file.",
        )


def told(value: Json) -> str:
    """The reference in words."""
    if value is None:
        return "removed"
    [(kind, name)] = value.items()
    return f"from the variable {name}" if kind == "env" else f"from the file {name}"


def resolved(where: str, value: Json, folder: Path, environment: Mapping[str, str] = os.environ) -> str | None:
    """The secret itself; files are looked for beside the policy. Raises WrongUsage where there is none."""
    if value is None:
        return None
    if "env" in value:
        secret = environment.get(value["env"], "")
        missing = f"the environment variable {value['env']} is not set"
    else:
        secret, missing = _read(folder / value["file"])
    if not secret:
        raise WrongUsage(f"{where}: {missing}", "Provide the secret that the policy refers to; nothing was changed.")
    return secret


def _read(path: Path) -> tuple[str, str]:
    """What the file holds without the line end that editors add, and what to say where that is nothing."""
    try:
        content = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        return "", f"{path} cannot be read as text: {error}"
    lines = content.strip("\r\n")
    return (f"{lines}\n" if "\n" in lines else lines), f"{path} is empty"
