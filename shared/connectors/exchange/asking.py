"""Asks GetItem for many items, in batches that adapt to the server, so that one bad item is that item's error.

When a batch fails, its items are tried in smaller ones; an item that fails alone while the server answers otherwise is
unreadable. What is asked for (whole messages, or only what is outside of them) is the caller's.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import takewhile
from time import monotonic

from shared.connectors.exchange.batches import LARGEST, SLOW_SECONDS, BatchSize, next_batch
from shared.connectors.exchange.errors import BatchStopped
from shared.connectors.exchange.services import GetItem
from shared.connectors.exchange.session import Session
from shared.domain.email import ItemRef
from shared.domain.errors import Busy, ItemError, ItemTooLarge, ItemUnreadable, SyncError, Throttled, TransientError


class Asking[G, R]:
    """Gives `R` for every item, from what the server gives of it, `G`."""

    def __init__(
        self,
        session: Session,
        size: BatchSize,
        sizes: Mapping[str, int] | None,
        ask: Callable[[Sequence[ItemRef]], Sequence[G | SyncError]],
        complete: Callable[[Sequence[G]], Sequence[R]],
    ) -> None:
        """`sizes`: bytes by the id of the item; None where what is asked for is small whatever the item."""
        self._session = session
        self._batch_size = size
        self._sizes = sizes
        self._ask = ask
        self._complete = complete

    def read(self, refs: Sequence[ItemRef]) -> Iterator[tuple[ItemRef, R | ItemError]]:
        """In the order of `refs`, each or the error it has. Raises TransientError, MailboxError."""
        done, alone = 0, False
        while done < len(refs):
            batch = self._batch(refs[done : done + LARGEST], 1 if alone else self._batch_size.size)
            answer = self._answer(batch)
            yield from zip(batch, answer.outcomes, strict=False)
            if answer.throttled:
                raise answer.throttled
            done += len(answer.outcomes)
            alone = not answer.outcomes

    def _batch(self, refs: Sequence[ItemRef], size: int) -> Sequence[ItemRef]:
        return refs[:size] if self._sizes is None else next_batch(refs, self._sizes, size)

    def _answer(self, batch: Sequence[ItemRef]) -> "_Answer[R]":
        started = monotonic()
        try:
            return self._fetched(batch)
        except Throttled:
            self._batch_size.shrink()
            raise
        except TransientError as error:
            return self._after_failure(error, batch, quick=monotonic() - started < SLOW_SECONDS)

    def _fetched(self, batch: Sequence[ItemRef]) -> "_Answer[R]":
        started = monotonic()
        try:
            outcomes = self._ask(batch)
        except ItemTooLarge as error:
            return _Answer([error] if len(batch) == 1 else [])
        answered = list(takewhile(lambda outcome: not isinstance(outcome, Throttled | BatchStopped), outcomes))
        if not answered:
            raise _first_error(outcomes)
        self._batch_size.answered(monotonic() - started, len(answered))
        if len(answered) < len(batch):
            self._batch_size.shrink()
        throttled = outcomes[len(answered)] if len(answered) < len(outcomes) else None
        return _Answer(self._completed(answered), throttled if isinstance(throttled, Throttled) else None)

    def _completed(self, outcomes: Sequence[G | SyncError]) -> Sequence[R | ItemError]:
        """An error that is no item's own is raised if no item did better."""
        if all(isinstance(outcome, SyncError) and not isinstance(outcome, ItemError) for outcome in outcomes):
            raise _first_error(outcomes)
        completed = iter(self._complete([outcome for outcome in outcomes if not isinstance(outcome, SyncError)]))
        return [of_item(outcome) if isinstance(outcome, SyncError) else next(completed) for outcome in outcomes]

    def _after_failure(self, error: TransientError, batch: Sequence[ItemRef], *, quick: bool) -> "_Answer[R]":
        """One of the items may be the cause: each is tried alone, the first of them now if the failure cost no time.

        What fails alone, and again, while the server answers otherwise, is unreadable; else the server is the cause."""
        self._batch_size.isolate()
        if len(batch) > 1:
            if quick:
                return _Answer([])
            raise error
        if not server_answers(self._session, batch[0]):
            raise error
        if quick:
            with suppress(TransientError):
                return self._fetched(batch)
        return _Answer([of_item(error)])


def server_answers(session: Session, ref: ItemRef) -> bool:
    """Whether the server can be asked about this item at all."""
    try:
        GetItem(session).exists(ref)
    except TransientError:
        return False
    return True


@dataclass(frozen=True, slots=True)
class _Answer[R]:
    """To the first items of a batch; to none of them where each should be tried alone."""

    outcomes: Sequence[R | ItemError]
    throttled: Throttled | None = None
    """The server answered these and then asked to slow down."""


def _first_error(outcomes: Sequence[object]) -> SyncError:
    errors = (outcome for outcome in outcomes if isinstance(outcome, SyncError))
    return next(errors, Busy("GetItem: the server answered for none of the items."))


def of_item(error: SyncError) -> ItemError:
    """An error that turned out to be one item's."""
    if isinstance(error, ItemError):
        return error
    return ItemUnreadable(f"The server cannot give this item: {error}").because_of(error)
