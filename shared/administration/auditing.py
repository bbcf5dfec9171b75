"""The audit of configuration: what a change does to which fields, written before the change.

Written before, a crash leaves at worst an entry of a change that did not come about, and never a change without an entry. A
request that loses a race and tries again rewrites its own entry, so that it tells the state that the request found at last.
"""

import json
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum, IntEnum

from shared.domain.audit import AuditEntry, Caller, ChangeAction, FieldChange
from shared.domain.configuration import SecretRef
from shared.domain.ids import short_hash
from shared.ports import Audit, Clock, Slice

LONGEST_VALUE = 2_000
"""Characters of a value that are kept."""


class Auditing:
    """Begins the trail of each request."""

    def __init__(self, audit: Audit, clock: Clock) -> None:
        self._audit = audit
        self._clock = clock

    def trail(self, caller: Caller, record: str) -> "Trail":
        """`record` as `AuditEntry.record` has it."""
        return Trail(self._audit, caller, record, self._clock())


class AuditLog:
    """What the trails of all requests left."""

    def __init__(self, audit: Audit) -> None:
        self._audit = audit

    def list(self, record: str | None = None, continuation: str | None = None, limit: int = 50) -> Slice[AuditEntry]:
        """Newest first, of everything or of one record, named as `AuditEntry.record` has it. Raises InvalidRecord."""
        return self._audit.list(record, continuation, limit)


class Trail:
    """What one request leaves in the audit about one record: one entry, however often it tries."""

    def __init__(self, audit: Audit, caller: Caller, record: str, now: datetime) -> None:
        self._audit = audit
        self._caller = caller
        self._record = record
        self._now = now
        self._id: str | None = None

    def note(self, action: ChangeAction, before: object, after: object, state: str = "") -> None:
        """Writes that `before` becomes `after` (dataclasses; None is no record); `state` tells apart equal changes of different
        states, such as the ETag of `before`. The same request after a crash names the same entry."""
        changes = differences(before, after)
        if self._id is None:
            told = [[change.field, change.old, change.new] for change in changes]
            self._id = short_hash(json.dumps([self._record, state, action, self._caller.name, told]))
        self._audit.put(AuditEntry(self._id, self._now, self._caller.name, action, self._record, changes))


def differences(before: object, after: object) -> tuple[FieldChange, ...]:
    """The fields that differ, by their path, with their values as JSON; of a secret only whether one is set."""
    old, new = dict(_leaves("", before)), dict(_leaves("", after))
    return tuple(
        FieldChange(path, _json(old.get(path)), _json(new.get(path)))
        for path in dict.fromkeys((*old, *new))
        if old.get(path) != new.get(path)
    )


def _leaves(path: str, value: object) -> Iterator[tuple[str, object]]:
    if is_dataclass(value) and not isinstance(value, (type, SecretRef)):
        for each in fields(value):
            yield from _leaves(f"{path}/{each.name}" if path else each.name, getattr(value, each.name))
    elif path:
        yield path, value


def _json(value: object) -> str:
    text = json.dumps(_plain(value), ensure_ascii=False)
    return text if len(text) <= LONGEST_VALUE else json.dumps(f"{text[:LONGEST_VALUE]} ...", ensure_ascii=False)


def _plain(value: object) -> object:
    match value:
        case SecretRef():
            return "set"
        case IntEnum():
            return value.name.lower()
        case Enum():
            return value.value
        case datetime():
            return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
        case timedelta():
            return value.total_seconds()
        case tuple():
            return [_plain(each) for each in value]
        case _:
            return value
