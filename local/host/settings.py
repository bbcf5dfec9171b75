"""Reads `local.settings.json` and merges it with the environment, as Core Tools do. Knows nothing of host.json.

A setting of the environment wins over the same one of the file. Top-level objects of the file other than `Values` and
`Host` (such as the sample's explanations) are left alone.
"""

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from local.host.errors import HostError

FILE = "local.settings.json"
SAMPLE = "local.settings.sample.json"

_PLACEHOLDER = re.compile(r"%([^%]+)%")


@dataclass(frozen=True, slots=True)
class LocalSettings:
    values: Mapping[str, str] = field(default_factory=dict)
    port: int | None = None


def read_local_settings(path: Path | None) -> LocalSettings:
    """The file's settings; no settings without a file. Raises HostError, naming what is wrong in it."""
    if path is None:
        return LocalSettings()
    content = read_json_object(path)
    if content.get("IsEncrypted", False):
        raise HostError(f"{path} is encrypted: run `func settings decrypt`, then start again.")
    values = _object(path, content, "Values")
    for name, value in values.items():
        if not isinstance(value, str):
            raise HostError(f"{path}: Values.{name} must be a text: write it in quotes.")
    runtime = values.get("FUNCTIONS_WORKER_RUNTIME", "python")
    if runtime != "python":
        raise HostError(f"{path}: FUNCTIONS_WORKER_RUNTIME is {runtime!r}; only python apps run here.")
    return LocalSettings({name: str(value) for name, value in values.items()}, _port(path, content))


def app_environment(settings: LocalSettings, given: Mapping[str, str]) -> dict[str, str]:
    """What the app of these settings finds in its environment; `given` wins over everything."""
    return {**settings.values, **os.environ, **given}


def read_json_object(path: Path) -> dict[str, object]:
    """Raises HostError with the line and column of what is no JSON."""
    try:
        content = json.loads(path.read_text("utf-8-sig"))
    except OSError as error:
        raise HostError(f"{path} cannot be read: {error.strerror}.") from error
    except ValueError as error:
        raise HostError(f"{path} is not valid JSON: {error}") from error
    if not isinstance(content, dict):
        raise HostError(f"{path} must hold a JSON object.")
    return content


def resolve(text: str, environment: Mapping[str, str]) -> str:
    """Replaces %NAME% by the setting of that name, as binding expressions do. Raises HostError if it is missing."""

    def value_of(match: re.Match[str]) -> str:
        name = match[1]
        if name not in environment:
            raise HostError(f"The setting {name} is missing: a binding refers to it as %{name}%. Add it to {FILE}.")
        return environment[name]

    return _PLACEHOLDER.sub(value_of, text)


def _object(path: Path, content: Mapping[str, object], name: str) -> dict[str, object]:
    value = content.get(name, {})
    if not isinstance(value, dict):
        raise HostError(f"{path}: {name} must be an object.")
    return value


def _port(path: Path, content: Mapping[str, object]) -> int | None:
    port = _object(path, content, "Host").get("LocalHttpPort")
    if port is None:
        return None
    if isinstance(port, int) and not isinstance(port, bool) and 0 <= port <= 65535:
        return port
    raise HostError(f"{path}: Host.LocalHttpPort must be a port number.")
