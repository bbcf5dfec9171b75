"""Carries out a plan, record by record. A refused record does not stop the others; what stands on it is left out. Once the
server no longer answers, the rest is not tried.

Each record is read again just before it is written, and written under the ETag of that reading: nothing that somebody else
changed in between is lost, and what is right by then is not written.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from admin.connection import Fields, Record
from admin.failures import Failure, Gone, NotReachable, Refused
from admin.policy.document import Wanted
from admin.policy.kinds import Key
from admin.policy.plan import Action, Deed, action_for
from admin.policy.server import Server, with_secrets


class Result(StrEnum):
    CREATED = "created"
    CHANGED = "changed"
    UNCHANGED = "unchanged"
    DELETED = "deleted"
    REFUSED = "refused"
    LEFT_OUT = "left out"
    UNKNOWN = "unknown"
    """Nobody answered: it was written, or it was not."""
    NOT_TRIED = "not tried"


@dataclass(frozen=True, slots=True)
class Outcome:
    action: Action
    result: Result
    failure: Failure | None = None

    @property
    def is_failure(self) -> bool:
        return self.result in (Result.REFUSED, Result.LEFT_OUT, Result.UNKNOWN, Result.NOT_TRIED)


def resolve_secrets(actions: Iterable[Action], server: Server, folder: Path) -> dict[Key, Fields]:
    """What is sent for each record, with its secrets. Raises WrongUsage where one is missing, before anything is written."""
    return {
        action.key: with_secrets(str(action.key), server.description.record(action.key.kind), action.wanted, folder)
        for action in actions
        if action.wanted is not None
    }


def apply(actions: Iterable[Action], bodies: dict[Key, Fields], server: Server) -> Iterator[Outcome]:
    """One outcome for each action, also of those that were not tried because the server was lost on the way."""
    refused: set[Key] = set()
    lost = False
    for action in actions:
        if lost:
            yield Outcome(action, Result.NOT_TRIED)
            continue
        if action.key.of is not None and action.key.owner in refused and action.deed is not Deed.DELETE:
            reason = Refused(f"{action.key.owner} was refused", "Correct it, and apply the policy again.")
            yield Outcome(action, Result.LEFT_OUT, reason)
            continue
        outcome = _done(action, bodies.get(action.key, {}), server)
        lost = outcome.result is Result.UNKNOWN
        if outcome.is_failure:
            refused.add(action.key)
        yield outcome


def _done(action: Action, body: Fields, server: Server) -> Outcome:
    try:
        return Outcome(action, _do(action, body, server))
    except Refused as failure:
        return Outcome(action, Result.REFUSED, failure)
    except NotReachable as failure:
        return Outcome(action, Result.UNKNOWN, failure)


def _do(action: Action, body: Fields, server: Server) -> Result:
    if action.deed is Deed.DELETE:
        return _delete(action.key, server)
    present = server.read(action.key)
    if present is None and not action.key.kind.is_created:
        raise Gone(f"there is no {action.key}", "Look whether its owner has a mailbox.")
    if present is None:
        server.create(action.key, body)
        return Result.CREATED
    return _change(action, body, present, server)


def _delete(key: Key, server: Server) -> Result:
    """What is gone already counts as deleted."""
    try:
        server.delete(key)
    except Gone:
        return Result.UNCHANGED
    return Result.DELETED


def _change(action: Action, body: Fields, present: Record, server: Server) -> Result:
    needed = action_for(Wanted(action.key, action.wanted or {}), present.fields, server.description)
    if needed is None:
        return Result.UNCHANGED
    if needed.deed is Deed.CHANGE:
        names = {each.field.split("/")[0] for each in needed.differences} | _with_references(action.wanted or {}, body)
    else:
        names = _with_references(action.wanted or {}, body)
    changed = server.change(action.key, {name: body[name] for name in body if name in names}, present)
    return Result.UNCHANGED if changed.etag == present.etag else Result.CHANGED


def _with_references(wanted: Fields, body: Fields) -> set[str]:
    """Fields in which a reference was replaced by a secret."""
    return {name for name in body if body[name] != wanted[name]}
