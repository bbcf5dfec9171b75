"""What a run does with one item, and the rows that say so. Pure: a candidate and its result come in, a `Change` comes out."""

from dataclasses import dataclass, replace
from datetime import datetime

from shared.domain.choices import Reason, Verdict
from shared.domain.email import ItemRef, ListedItem
from shared.domain.errors import ItemError, ItemGone, ItemRejected, ItemTooLarge
from shared.domain.ids import ActivityId, RunId
from shared.domain.ledger import ItemKey, LedgerItem, Todo, TodoKind, item_key
from shared.sync.budgets import ItemLimits
from shared.sync.lease import Change

DETAIL_LENGTH = 500


class StoppedTheProcess(ItemError):
    """The process died while it tried this item alone; it is not touched again."""

    code = "stopped_the_process"
    remedy = "Report the item with the version of Sidesync, and replay it from quarantine after an upgrade."


@dataclass(frozen=True, slots=True)
class Candidate:
    """An item that is to be read and promoted."""

    key: ItemKey
    ref: ItemRef
    message_id: str | None
    received: datetime | None
    size: int
    attempts: int = 0
    todo: Todo | None = None
    """Where it comes from a retry: done with whatever becomes of it now."""


@dataclass(frozen=True, slots=True)
class Written:
    """An item whose email stands in the store, with the reason that the stored email gives."""

    activity_id: ActivityId
    reason: Reason


type Result = Written | ItemError


@dataclass(frozen=True, slots=True)
class Moment:
    """The run and the time that decide."""

    run_id: RunId
    now: datetime


def candidate_of(item: ListedItem) -> Candidate:
    return Candidate(item_key(item.message_id, item.ref), item.ref, item.message_id, item.received, item.size)


def candidate_again(todo: Todo) -> Candidate:
    item = todo.item
    return Candidate(item.key, item.ref, item.message_id, item.received, item.size, item.attempts, todo)


def skipped(candidate: Candidate, reason: Reason, moment: Moment) -> Change:
    return Change(_row(candidate, Verdict.SKIPPED, reason, moment))


def resolved(candidate: Candidate, result: Result, limits: ItemLimits, moment: Moment) -> Change:
    """What the result of reading an item means: promoted, gone, tried again later, or given up."""
    if isinstance(result, Written):
        row = replace(_row(candidate, Verdict.PROMOTED, result.reason, moment), activity_id=result.activity_id)
        return Change(row, done=candidate.todo)
    if isinstance(result, ItemGone):
        return Change(_row(candidate, Verdict.GONE, Reason.REMOVED_BEFORE_READ, moment), done=candidate.todo)
    failed = _failed_row(candidate, result, limits, moment)
    if failed.verdict is Verdict.QUARANTINED:
        return Change(failed, done=candidate.todo)
    return Change(failed, Todo(TodoKind.RETRY, moment.now + limits.retry_after, failed), done=candidate.todo)


def _failed_row(candidate: Candidate, error: ItemError, limits: ItemLimits, moment: Moment) -> LedgerItem:
    attempts = candidate.attempts + 1
    given_up = attempts >= limits.attempts or isinstance(error, StoppedTheProcess)
    verdict = Verdict.QUARANTINED if given_up else Verdict.FAILING
    return replace(
        _row(candidate, verdict, _reason_of(error), moment),
        attempts=attempts,
        error=error.code,
        detail=str(error)[:DETAIL_LENGTH],
    )


def _reason_of(error: ItemError) -> Reason:
    match error:
        case StoppedTheProcess():
            return Reason.STOPPED_THE_PROCESS
        case ItemTooLarge():
            return Reason.TOO_LARGE
        case ItemRejected():
            return Reason.REJECTED
        case _:
            return Reason.UNREADABLE


def _row(candidate: Candidate, verdict: Verdict, reason: Reason, moment: Moment) -> LedgerItem:
    return LedgerItem(
        key=candidate.key,
        ref=candidate.ref,
        message_id=candidate.message_id,
        received=candidate.received,
        size=candidate.size,
        verdict=verdict,
        reason=reason,
        decided_on=moment.now,
        run_id=moment.run_id,
        attempts=candidate.attempts,
    )
