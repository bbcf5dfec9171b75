"""The Exchange mailbox that mail is read from: `IncomingEmail` over EWS.

An idle poll is one request: the Inbox goes by its distinguished name, and nothing is discovered. One bad item is that
item's error: when a batch fails, its items are tried in smaller ones, and an item that fails alone while the server
answers otherwise is unreadable.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from itertools import islice, takewhile
from time import monotonic

from shared.connectors.exchange.attachments import Attachments, Guard
from shared.connectors.exchange.batches import LARGEST, SLOW_SECONDS, next_batch
from shared.connectors.exchange.errors import BatchStopped
from shared.connectors.exchange.records import Fetched
from shared.connectors.exchange.services import DeleteItem, GetItem, SyncFolderItems
from shared.connectors.exchange.session import Session
from shared.domain.email import INBOX, Folder, IncomingMessage, ItemRef, Page
from shared.domain.errors import Busy, ItemError, ItemGone, ItemTooLarge, ItemUnreadable, SyncError, Throttled, TransientError
from shared.ports import PAGE_ITEMS

_REMEMBERED_SIZES = 8 * PAGE_ITEMS


class ExchangeMail:
    """One mailbox. `changes` and `fetch` may run in different threads at the same time."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._batch_size = session.protocol.batch_size
        self._attachments = Attachments(session)
        self._sizes: dict[str, int] = {}

    @property
    def source(self) -> str:
        return f"{self._session.protocol.service_endpoint}#{self._session.primary_smtp_address}"

    def folders(self) -> Sequence[Folder]:
        return (INBOX,)

    def changes(self, folder: Folder, watermark: str | None, limit: int = PAGE_ITEMS) -> Page:
        page = SyncFolderItems(self._session).page(folder, watermark, max(1, min(limit, PAGE_ITEMS)))
        self._remember_sizes(page)
        return page

    def fetch(self, refs: Sequence[ItemRef]) -> Iterator[tuple[ItemRef, IncomingMessage | ItemError]]:
        done, alone = 0, False
        while done < len(refs):
            batch = next_batch(refs[done : done + LARGEST], self._sizes, 1 if alone else self._batch_size.size)
            answer = self._answer(batch)
            yield from zip(batch, answer.outcomes, strict=False)
            if answer.throttled:
                raise answer.throttled
            done += len(answer.outcomes)
            alone = not answer.outcomes

    def raw(self, ref: ItemRef) -> Iterator[bytes]:
        return self._guarded(ref, partial(GetItem(self._session).mime, ref))

    def discard(self, ref: ItemRef) -> None:
        with suppress(ItemGone):
            DeleteItem(self._session).delete(ref)

    # ---- batches

    def _answer(self, batch: Sequence[ItemRef]) -> "_Answer":
        started = monotonic()
        try:
            return self._fetched(batch)
        except Throttled:
            self._batch_size.shrink()
            raise
        except TransientError as error:
            return self._after_failure(error, batch, quick=monotonic() - started < SLOW_SECONDS)

    def _fetched(self, batch: Sequence[ItemRef]) -> "_Answer":
        started = monotonic()
        try:
            outcomes = GetItem(self._session).fetch(batch)
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

    def _completed(self, outcomes: Sequence[Fetched | SyncError]) -> Sequence[IncomingMessage | ItemError]:
        """With attachments. An error that is no item's own is raised if no item did better."""
        if not any(isinstance(outcome, Fetched | ItemError) for outcome in outcomes):
            raise _first_error(outcomes)
        fetched = [outcome for outcome in outcomes if isinstance(outcome, Fetched)]
        messages = iter(self._attachments.complete(fetched, self._guard))
        return [next(messages) if isinstance(outcome, Fetched) else _of_item(outcome) for outcome in outcomes]

    def _after_failure(self, error: TransientError, batch: Sequence[ItemRef], *, quick: bool) -> "_Answer":
        """One of the items may be the cause: each is tried alone, the first of them now if the failure cost no time.

        What fails alone, and again, while the server answers otherwise, is unreadable; else the server is the cause."""
        self._batch_size.isolate()
        if len(batch) > 1:
            if quick:
                return _Answer([])
            raise error
        if not self._server_answers(batch[0]):
            raise error
        if quick:
            with suppress(TransientError):
                return self._fetched(batch)
        return _Answer([_of_item(error)])

    # ---- one item

    def _guard(self, fetched: Fetched) -> Guard:
        return partial(self._guarded, fetched.message.ref)

    def _guarded(self, ref: ItemRef, stream: Callable[[], Iterator[bytes]]) -> Iterator[bytes]:
        """A stream that fails while the server answers otherwise is this item's failure."""
        try:
            yield from stream()
        except Throttled:
            raise
        except TransientError as error:
            if not self._server_answers(ref):
                raise
            raise _of_item(error) from error

    def _server_answers(self, ref: ItemRef) -> bool:
        try:
            GetItem(self._session).exists(ref)
        except TransientError:
            return False
        return True

    def _remember_sizes(self, page: Page) -> None:
        """Of the latest pages: the one being fetched may not be the last one listed."""
        self._sizes |= {item.ref.id: item.size for item in page.items if item.size}
        for oldest in list(islice(self._sizes, max(0, len(self._sizes) - _REMEMBERED_SIZES))):
            del self._sizes[oldest]


@dataclass(frozen=True, slots=True)
class _Answer:
    """To the first items of a batch; to none of them where each should be tried alone."""

    outcomes: Sequence[IncomingMessage | ItemError]
    throttled: Throttled | None = None
    """The server answered these and then asked to slow down."""


def _first_error(outcomes: Sequence[Fetched | SyncError]) -> SyncError:
    errors = (outcome for outcome in outcomes if isinstance(outcome, SyncError))
    return next(errors, Busy("GetItem: the server answered for none of the items."))


def _of_item(error: SyncError) -> ItemError:
    """An error that turned out to be one item's."""
    if isinstance(error, ItemError):
        return error
    unreadable = ItemUnreadable(f"The server cannot give this item: {error}")
    unreadable.__cause__ = error
    return unreadable
