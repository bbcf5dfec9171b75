"""What a run does with one item, and the rows that say so. Pure: a candidate and its result come in, a `Change` comes out."""

from dataclasses import dataclass, replace
from datetime import datetime

from shared.domain.choices import Reason, Verdict
from shared.domain.email import ItemRef, ListedItem
from shared.domain.errors import BeingSent, ItemError, ItemGone, ItemRejected, ItemTooLarge
from shared.domain.folders import SENT_ITEMS
from shared.domain.ids import ActivityId, RunId
from shared.domain.judgement import Judgement
from shared.domain.ledger import ItemKey, LedgerItem, Todo, TodoKind, item_key
from shared.domain.records import RecordRef
from shared.sync.budgets import ItemLimits
from shared.sync.lease import Change

DETAIL_LENGTH = 500


class StoppedTheProcess(ItemError):
    """The process died while it tried this item alone; it is not touched again."""

    code = "stopped_the_process"
    remedy = "Report the item with the version of Sidesync, and replay it from quarantine after an upgrade."


@dataclass(frozen=True, slots=True)
class Candidate:
    """An item that is to be judged, and where it is accepted read and promoted."""

    key: ItemKey
    ref: ItemRef
    message_id: str | None
    received: datetime | None
    size: int
    attempts: int = 0
    """How often reading it failed."""
    judgings: int = 0
    """How often it was judged again because its conversation was unknown."""
    todo: Todo | None = None
    """Where it comes from a todo: done with whatever becomes of it now."""
    is_fetched_first: bool = False
    """Its envelope does not tell enough, or will not matter: it is judged over the whole message."""
    is_repeated: bool = False
    """Its page was begun by a run that was interrupted: what that run promoted stays promoted."""
    is_quarantined: bool = False
    """It was given up before: this is one more attempt."""
    refusal: Judgement | None = None
    """What becomes of it unless it was promoted before; of an item of a repeated page."""


@dataclass(frozen=True, slots=True)
class Written:
    """An item whose email stands in the store, with the reason that the stored email gives."""

    activity_id: ActivityId
    reason: Reason
    judgement: Judgement | None = None
    category: str | None = None
    """The tracking category, where a person gave it to the item."""
    is_whole: bool = True
    """No attachment was left out of what is stored."""
    fragment_since: datetime | None = None
    """When the answer was stored that its conversation begins with, where the original of that was not found yet; the latest of
    several."""
    others: tuple[ActivityId, ...] = ()
    """`LedgerItem.others`."""


@dataclass(frozen=True, slots=True)
class Refused:
    """An item that is left in the mailbox."""

    judgement: Judgement
    awaits_original: bool = False
    """It is left only because what it answers is not known yet."""


type Result = Written | Refused | ItemError


@dataclass(frozen=True, slots=True)
class Moment:
    """The run and the time that decide."""

    run_id: RunId
    now: datetime


@dataclass(frozen=True, slots=True)
class Aftercare:
    """What is done on the server with items that came to an end."""

    stamps: bool = False
    """Categories say what became of them."""
    moves: bool = False
    """What was given up goes to the folder of undeliverable mail."""
    discards: bool = False
    """What is stored is deleted (process and delete)."""


def candidate_of(item: ListedItem) -> Candidate:
    return Candidate(item_key(item.message_id, item.ref), item.ref, item.message_id, item.received, item.size)


def candidate_again(todo: Todo, row: LedgerItem) -> Candidate:
    has_failed = row.verdict in (Verdict.FAILING, Verdict.QUARANTINED)
    return Candidate(
        key=row.key,
        ref=row.ref,
        message_id=row.message_id,
        received=row.received,
        size=row.size,
        attempts=row.attempts if has_failed else 0,
        judgings=row.attempts if row.verdict is Verdict.SKIPPED else 0,
        todo=todo,
        is_quarantined=row.verdict is Verdict.QUARANTINED,
    )


def resolved(candidate: Candidate, result: Result, limits: ItemLimits, aftercare: Aftercare, moment: Moment) -> Change:
    """What the result of an item means: promoted, left, gone, tried again later, or given up."""
    match result:
        case Written():
            return _promoted(candidate, result, limits, aftercare, moment)
        case Refused():
            return _left(candidate, result, limits, moment)
        case ItemGone():
            return Change(_row(candidate, Verdict.GONE, Reason.REMOVED_BEFORE_READ, moment), done=candidate.todo)
        case _:
            return _failed(candidate, result, limits, aftercare, moment)


def found_again(candidate: Candidate, row: LedgerItem, moment: Moment) -> Change:
    """A mail that was moved is what it was before."""
    moved = replace(row, key=candidate.key, ref=candidate.ref, decided_on=moment.now, run_id=moment.run_id)
    return Change(moved, done=candidate.todo)


def untracked(row: LedgerItem, moment: Moment) -> Change:
    """A person took the tracking category away."""
    row = replace(
        row,
        verdict=Verdict.SKIPPED,
        reason=Reason.UNTRACKED,
        decided_on=moment.now,
        run_id=moment.run_id,
        judgement=None,
        category=None,
    )
    return Change(row)


def joining(row: LedgerItem, attempts: int, limits: ItemLimits, now: datetime) -> Todo | None:
    """What is left to do for an email that is part of a fragment, after so many attempts; None: it is left as it is."""
    waits = limits.judged_again_after[attempts : attempts + 1]
    return Todo(TodoKind.JOIN, now + waits[0], row, attempts=attempts) if waits else None


def _promoted(candidate: Candidate, written: Written, limits: ItemLimits, aftercare: Aftercare, moment: Moment) -> Change:
    row = replace(
        _row(candidate, Verdict.PROMOTED, written.reason, moment),
        activity_id=written.activity_id,
        others=written.others,
        judgement=written.judgement,
        attempts=candidate.attempts,
        category=written.category,
    )
    todo = _after_storing(candidate, written, row, aftercare, moment)
    is_young = written.fragment_since is not None and moment.now - written.fragment_since < limits.judged_again_within
    later = joining(row, 0, limits, moment.now) if is_young else None
    return Change(row, todo, done=candidate.todo, later=later)


def _after_storing(
    candidate: Candidate, written: Written, row: LedgerItem, aftercare: Aftercare, moment: Moment
) -> Todo | None:
    """Nothing is deleted of which something would be lost, nor what people keep of what they sent."""
    if aftercare.discards and written.is_whole and row.ref.folder != SENT_ITEMS.id:
        return Todo(TodoKind.DISCARD, moment.now, row)
    is_stamped = row.category is not None and not candidate.is_quarantined  # what was given up may say so still
    return Todo(TodoKind.STAMP, moment.now, row) if aftercare.stamps and not is_stamped else None


def _left(candidate: Candidate, refused: Refused, limits: ItemLimits, moment: Moment) -> Change:
    waits = limits.judged_again_after[candidate.judgings : candidate.judgings + 1] if refused.awaits_original else ()
    row = replace(
        _row(candidate, Verdict.SKIPPED, refused.judgement.reason, moment),
        judgement=refused.judgement,
        attempts=candidate.judgings + len(waits),
    )
    todo = Todo(TodoKind.JUDGE, moment.now + waits[0], row) if waits else None
    return Change(row, todo, done=candidate.todo)


def _failed(candidate: Candidate, error: ItemError, limits: ItemLimits, aftercare: Aftercare, moment: Moment) -> Change:
    attempts = candidate.attempts + (not isinstance(error, BeingSent))  # which may take hours, and is nobody's failure
    given_up = attempts >= limits.attempts or candidate.is_quarantined or isinstance(error, StoppedTheProcess)
    row = replace(
        _row(candidate, Verdict.QUARANTINED if given_up else Verdict.FAILING, _reason_of(error), moment),
        attempts=attempts,
        error=error.code,
        detail=str(error)[:DETAIL_LENGTH],
    )
    if not given_up:
        return Change(row, Todo(_again(candidate), moment.now + limits.retry_after, row, _regarding(candidate)), candidate.todo)
    if aftercare.moves:
        return Change(row, Todo(TodoKind.MOVE, moment.now, row), done=candidate.todo)
    return Change(row, Todo(TodoKind.STAMP, moment.now, row) if aftercare.stamps else None, done=candidate.todo)


def _again(candidate: Candidate) -> TodoKind:
    """What a person asked for stays asked for while it fails."""
    by_hand = candidate.todo is not None and candidate.todo.kind is TodoKind.TRACK
    return TodoKind.TRACK if by_hand else TodoKind.RETRY


def _regarding(candidate: Candidate) -> RecordRef | None:
    return candidate.todo.regarding if candidate.todo is not None else None


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
    )
