"""Reads `host.json`: the options of the host that this one knows, with the defaults and limits of the real host.

A setting `AzureFunctionsJobHost__a__b` replaces `a.b` of the file, as the real host has it. What is there for Azure only
(logging, telemetry, the extension bundle) is left alone.
"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from local.host.errors import HostError
from local.host.settings import read_json_object

_OVERRIDE = "azurefunctionsjobhost__"
_TIME_SPAN = re.compile(r"(?:(\d+)\.)?(\d{1,2}):(\d{1,2}):(\d{1,2})(?:\.(\d{1,7}))?")


@dataclass(frozen=True, slots=True)
class QueueOptions:
    batch_size: int
    new_batch_threshold: int
    max_dequeue_count: int
    visibility_timeout: timedelta
    """How long a message stays invisible after a failure."""
    max_polling_interval: timedelta
    base64: bool


@dataclass(frozen=True, slots=True)
class HostOptions:
    route_prefix: str
    function_timeout: timedelta | None
    listener_lock: timedelta
    """The lease that makes a timer fire in one host only; renewed at half-time."""
    listener_lock_recovery: timedelta
    """How often a host without the lease asks for it."""
    queues: QueueOptions


def read_host_json(app_dir: Path, environment: Mapping[str, str]) -> HostOptions:
    """Raises HostError, naming the option that is wrong."""
    path = app_dir / "host.json"
    if not path.exists():
        raise HostError(f"{path} is missing: {app_dir} is no function app.")
    options = _Options(read_json_object(path), environment)
    if options.text("version", "") != "2.0":
        raise HostError(f'{path}: "version" must be "2.0".')
    batch_size = options.number("extensions.queues.batchSize", 16, 1, 32)
    return HostOptions(
        route_prefix=options.text("extensions.http.routePrefix", "api").strip("/"),
        function_timeout=options.unlimited_span("functionTimeout", timedelta(minutes=30)),
        listener_lock=options.span("singleton.listenerLockPeriod", timedelta(minutes=1), 15, 60),
        listener_lock_recovery=options.span("singleton.listenerLockRecoveryPollingInterval", timedelta(minutes=1), 1, 3600),
        queues=QueueOptions(
            batch_size=batch_size,
            new_batch_threshold=options.number(
                "extensions.queues.newBatchThreshold", batch_size // 2 * (os.cpu_count() or 1), 0, 1000
            ),
            max_dequeue_count=options.number("extensions.queues.maxDequeueCount", 5, 1, 1000),
            visibility_timeout=options.span("extensions.queues.visibilityTimeout", timedelta(), 0, 7 * 86400),
            max_polling_interval=options.span("extensions.queues.maxPollingInterval", timedelta(minutes=1), 0.1, 3600),
            base64=options.choice("extensions.queues.messageEncoding", "base64", ("base64", "none")) == "base64",
        ),
    )


class _Options:
    """host.json by dotted name, overrides of the environment included. Names are not case-sensitive, as in .NET."""

    def __init__(self, content: Mapping[str, object], environment: Mapping[str, str]) -> None:
        self._content = content
        self._overrides = {
            name.lower().removeprefix(_OVERRIDE).replace("__", "."): value
            for name, value in environment.items()
            if name.lower().startswith(_OVERRIDE)
        }

    def text(self, name: str, default: str) -> str:
        value = self._find(name)
        if value is None:
            return default
        if not isinstance(value, str):
            raise HostError(f"host.json: {name} must be a text.")
        return value

    def choice(self, name: str, default: str, allowed: tuple[str, ...]) -> str:
        value = self.text(name, default).lower()
        if value not in allowed:
            raise HostError(f"host.json: {name} is {value!r}: write {' or '.join(allowed)}.")
        return value

    def number(self, name: str, default: int, low: int, high: int) -> int:
        value = self._find(name)
        if value is None:
            return default
        if isinstance(value, str) and value.isdecimal():
            value = int(value)
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise HostError(f"host.json: {name} is {value!r}: write a whole number from {low} to {high}.")
        return value

    def span(self, name: str, default: timedelta, low: float, high: float) -> timedelta:
        text = self.text(name, "")
        if not text:
            return default
        value = time_span(text)
        if value is None or not low <= value.total_seconds() <= high:
            limits = f"from {timedelta(seconds=low)} to {timedelta(seconds=high)}"
            raise HostError(f"host.json: {name} is {text!r}: write hours:minutes:seconds, {limits}.")
        return value

    def unlimited_span(self, name: str, default: timedelta) -> timedelta | None:
        """None for "-1", which means that there is no limit."""
        if self.text(name, "") == "-1":
            return None
        return self.span(name, default, 1, 10 * 86400)

    def _find(self, name: str) -> object:
        if name.lower() in self._overrides:
            return self._overrides[name.lower()]
        value: object = self._content
        for part in name.split("."):
            if not isinstance(value, Mapping):
                return None
            value = next((inner for key, inner in value.items() if str(key).lower() == part.lower()), None)
        return value


def time_span(text: str) -> timedelta | None:
    """A .NET time span: [d.]hh:mm:ss[.fffffff]; None if it is none."""
    match = _TIME_SPAN.fullmatch(text)
    if not match:
        return None
    days, hours, minutes, seconds, fraction = match.groups()
    if int(hours) > 23 or int(minutes) > 59 or int(seconds) > 59:
        return None
    microseconds = int((fraction or "0").ljust(7, "0")) // 10
    return timedelta(int(days or 0), int(seconds), microseconds, minutes=int(minutes), hours=int(hours))
