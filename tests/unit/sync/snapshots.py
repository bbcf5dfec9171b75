"""The content of stores as it is compared: everything but times, names of runs, and what a run leaves about itself."""

from typing import Any

from shared.ports import Stores
from shared.stores.memory import snapshot

_TIMES = {
    "decided_on", "seen_on", "created_on", "due", "queued_until", "last_run_on", "raised_on", "first_raised_on",
    "quarantined_on", "expires", "opened_on", "probe_after", "read_on",
}  # fmt: skip
_RUNS = {"run_id", "nonce", "etag", "holder", "takeovers", "idle_polls"}


def outcome_of(stores: Stores) -> dict[str, Any]:
    content = snapshot(stores)
    for name in ("runs", "queues", "secrets"):
        del content[name]
    stripped = _stripped(content)
    assert isinstance(stripped, dict)
    return stripped


def _stripped(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _stripped(each) for name, each in value.items() if name not in _TIMES | _RUNS}
    if isinstance(value, list):
        return [_stripped(each) for each in value]
    return value
