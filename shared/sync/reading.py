"""Reads items from the server and writes them as emails: one batch is being stored while the next one is fetched.

All calls of the mail server happen on the run's own thread; the executor only ever runs calls of the store, and none of
them waits for another, so that any number of runs may share one executor. Memory holds two batches at most.
"""

from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Executor, Future
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Protocol

from shared.domain.choices import Direction
from shared.domain.configuration import Mailbox
from shared.domain.email import IncomingMessage, ItemRef, NewEmail, Sighting
from shared.domain.errors import ItemError, ItemUnreadable
from shared.domain.ids import email_id
from shared.domain.organisation import OrganisationSettings
from shared.ports import Clock, IncomingEmail, Stores
from shared.sync.addresses import KnownAddresses
from shared.sync.attachments import SpooledAttachment, spool
from shared.sync.budgets import RunBudget
from shared.sync.emails import Emails
from shared.sync.items import Candidate, Result
from shared.sync.promotion import addresses_of, promote

type Results = Sequence[tuple[Candidate, Result]]


class Reader(Protocol):
    """Reads candidates, in batches whose results are final."""

    def read(self, candidates: Sequence[Candidate], meanwhile: Callable[[], None]) -> Generator[Results]:
        """Results of all candidates, in their order. `meanwhile` is called once while the last batch is being stored."""
        ...


@dataclass(frozen=True, slots=True)
class _Read:
    """A message with its attachments in temporary files."""

    message: IncomingMessage
    attachments: tuple[SpooledAttachment, ...]


@dataclass(slots=True)
class _Batch:
    """Items that are written together. Each place holds what is known of the candidate so far."""

    candidates: list[Candidate] = field(default_factory=list)
    read: list[_Read | ItemError] = field(default_factory=list)
    size: int = 0
    files: ExitStack = field(default_factory=ExitStack)
    blobs: list[tuple[int, Future[None]]] = field(default_factory=list)
    """Writes of attachments under way, each with the place of its email."""
    emails: dict[int, NewEmail] = field(default_factory=dict)
    written: Future[Sequence[Result]] | None = None


class BatchReader:
    """Reads and writes in batches."""

    def __init__(
        self,
        stores: Stores,
        mail: IncomingEmail,
        mailbox: Mailbox,
        addresses: KnownAddresses,
        executor: Executor,
        budget: RunBudget,
        clock: Clock,
        keep_lease: Callable[[], None],
        settings: OrganisationSettings,
    ) -> None:
        self._stores = stores
        self._emails = Emails(stores.activities, stores.timeline)
        self._mail = mail
        self._mailbox = mailbox
        self._addresses = addresses
        self._executor = executor
        self._budget = budget
        self._clock = clock
        self._keep_lease = keep_lease
        self._settings = settings

    def read(self, candidates: Sequence[Candidate], meanwhile: Callable[[], None]) -> Generator[Results]:
        under_way: deque[_Batch] = deque()
        with ExitStack() as cleanup:
            cleanup.callback(_abandon, under_way)
            try:
                for batch in self._batches(candidates, under_way):
                    self._promote(batch)
                    self._start_blobs(batch)
                    yield from self._stored(under_way)
                    self._start_writing(batch)
                meanwhile()
            except Exception:
                yield from self._stored(under_way)  # what was read before it failed counts
                raise
            yield from self._stored(under_way)

    def promoted_before(self, candidate: Candidate, *, without_reading: bool) -> bool:
        """Whether this very item was promoted already, by a run that was interrupted before it committed so.

        `without_reading`: only looks where its Message-ID leads to; the item itself may be what interrupts runs.
        """
        if candidate.message_id is not None:
            sightings = self._stores.activities.sightings(email_id(candidate.message_id, Direction.INCOMING))
            if not sightings or self._is_among(sightings, candidate):
                return bool(sightings)
        if without_reading:
            return False
        under_way: deque[_Batch] = deque()
        with ExitStack() as cleanup:
            cleanup.callback(_abandon, under_way)
            for batch in self._batches([candidate], under_way):
                self._promote(batch)
                return any(self._is_stored(email, candidate) for email in batch.emails.values())
        return False

    def _is_stored(self, email: NewEmail, candidate: Candidate) -> bool:
        """The email stands under the id that only its own content can have."""
        return self._is_among(self._stores.activities.sightings(email.activity.content_id), candidate)

    def _is_among(self, sightings: Sequence[Sighting], candidate: Candidate) -> bool:
        return any(sighting.mailbox_id == self._mailbox.id and sighting.item_id == candidate.ref.id for sighting in sightings)

    # ---- fetching, on the run's thread

    def _batches(self, candidates: Sequence[Candidate], under_way: deque[_Batch]) -> Iterator[_Batch]:
        """Batches, each noted as `under_way` before anything is in it that must be closed."""
        batch: _Batch | None = None
        for candidate, answer in self._answers(candidates):
            if batch is None:
                batch = _Batch()
                under_way.append(batch)
            batch.candidates.append(candidate)
            batch.read.append(_read(answer, batch.files))
            batch.size += 0 if isinstance(answer, ItemError) else max(answer.size, candidate.size)
            self._keep_lease()
            if len(batch.candidates) >= self._budget.batch_items or batch.size >= self._budget.batch_bytes:
                yield batch
                batch = None
        if batch is not None:
            yield batch

    def _answers(self, candidates: Sequence[Candidate]) -> Iterator[tuple[Candidate, IncomingMessage | ItemError]]:
        """What the server gave for every candidate; one that it passed over is an error of that item, not lost."""
        if not candidates:
            return
        waiting = {candidate.ref: candidate for candidate in candidates}
        for ref, answer in self._mail.fetch([candidate.ref for candidate in candidates]):
            if (candidate := waiting.pop(ref, None)) is not None:
                yield candidate, answer
        for ref, candidate in waiting.items():
            yield candidate, _no_answer(ref)

    def _promote(self, batch: _Batch) -> None:
        addresses: set[str] = set()
        for each in batch.read:
            if isinstance(each, _Read):
                addresses |= addresses_of(each.message)
        matches = self._addresses.find(addresses)
        now = self._clock()
        for place, each in enumerate(batch.read):
            if not isinstance(each, _Read):
                continue
            hashed = [attachment.hashed for attachment in each.attachments]
            try:
                batch.emails[place] = promote(each.message, hashed, matches, self._mailbox, self._settings, now)
            except Exception as error:  # noqa: BLE001 # computed from this item alone, so whatever breaks here is this item
                batch.read[place] = _unreadable(error)

    # ---- storing, on the executor

    def _start_blobs(self, batch: _Batch) -> None:
        for place, email in batch.emails.items():
            read = batch.read[place]
            if isinstance(read, _Read):
                files = {spooled.hashed.sha256: spooled.file for spooled in read.attachments}
                for sha256, blob in {stored.sha256: stored.blob for stored in email.content.attachments}.items():
                    future = self._executor.submit(self._stores.blobs.put, blob, files[sha256])
                    batch.blobs.append((place, future))

    def _start_writing(self, batch: _Batch) -> None:
        """Blobs first: an activity never names one that is not there."""
        for place, future in batch.blobs:
            try:
                future.result()
            except ItemError as error:
                batch.read[place] = error
                batch.emails.pop(place, None)
        batch.files.close()
        batch.written = self._executor.submit(self._emails.write, list(batch.emails.values()))

    def _stored(self, under_way: deque[_Batch]) -> Iterator[Results]:
        """The results of the batch that is being stored, if one is. Nothing of it is kept: its messages may be large."""
        if under_way and (written := under_way[0].written) is not None:
            yield _results(under_way.popleft(), written.result())


def _results(batch: _Batch, written: Sequence[Result]) -> Results:
    stored = dict(zip(batch.emails, written, strict=True))
    return [
        (candidate, read if isinstance(read, ItemError) else stored[place])
        for place, (candidate, read) in enumerate(zip(batch.candidates, batch.read, strict=True))
    ]


def _abandon(batches: deque[_Batch]) -> None:
    """Waits for what still runs, then closes the files that it reads."""
    for batch in batches:
        for _, future in batch.blobs:
            future.exception()
        if batch.written is not None:
            batch.written.exception()
        batch.files.close()


def _read(answer: IncomingMessage | ItemError, files: ExitStack) -> _Read | ItemError:
    if isinstance(answer, ItemError):
        return answer
    try:
        return _Read(answer, spool(answer.attachments, files))
    except ItemError as error:
        return error


def _no_answer(ref: ItemRef) -> ItemError:
    return ItemUnreadable(f"The server passed over an item of folder {ref.folder}.")


def _unreadable(error: Exception) -> ItemError:
    if isinstance(error, ItemError):
        return error
    failure = ItemUnreadable(f"{type(error).__name__} while the message was converted.")
    failure.__cause__ = error
    return failure
