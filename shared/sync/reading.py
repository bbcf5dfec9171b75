"""Reads items, judges them and writes what is accepted: one batch is being stored while the next one is fetched.

All calls of the mail server happen on the run's own thread; the executor only ever runs calls of the store, and none of
them waits for another, so that any number of runs may share one executor. Memory holds two batches at most.
"""

from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Executor, Future
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import Protocol

from shared.domain.email import CorrelationEntry, IncomingMessage, ItemRef, Sighting
from shared.domain.errors import ItemError, ItemUnreadable, TransientError
from shared.ports import Clock, IncomingEmail, Stores
from shared.sync.attachments import SpooledAttachment, spool
from shared.sync.budgets import RunBudget
from shared.sync.emails import Emails
from shared.sync.forwarding import originals
from shared.sync.items import Candidate, Refused, Result, Written
from shared.sync.judged import Judged
from shared.sync.judging import Judging, wish_of
from shared.sync.promotion import Proposal, promote
from shared.sync.relevance import CONFIGURED

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
    read: list[_Read | Refused | ItemError] = field(default_factory=list)
    size: int = 0
    files: ExitStack = field(default_factory=ExitStack)
    blobs: list[tuple[int, Future[None]]] = field(default_factory=list)
    """Writes of attachments under way, each with the place of its email."""
    proposals: dict[int, Proposal] = field(default_factory=dict)
    leftovers: list[CorrelationEntry] = field(default_factory=list)
    """What is kept of messages that are refused."""
    written: Future[Sequence[Result]] | None = None


class BatchReader:
    """Reads, judges and writes in batches."""

    def __init__(
        self,
        stores: Stores,
        mail: IncomingEmail,
        judging: Judging,
        emails: Emails,
        executor: Executor,
        budget: RunBudget,
        clock: Clock,
        keep_lease: Callable[[], None],
    ) -> None:
        self._stores = stores
        self._emails = emails
        self._mail = mail
        self._judging = judging
        self._executor = executor
        self._budget = budget
        self._clock = clock
        self._keep_lease = keep_lease

    def read(self, candidates: Sequence[Candidate], meanwhile: Callable[[], None]) -> Generator[Results]:
        under_way: deque[_Batch] = deque()
        with ExitStack() as cleanup:
            cleanup.callback(_abandon, under_way)
            try:
                for batch in self._batches(candidates, under_way):
                    self._judge(batch)
                    self._start_blobs(batch)
                    yield from self._stored(under_way)
                    self._start_writing(batch)
                meanwhile()
            except Exception:
                yield from self._stored(under_way)  # what was read before it failed counts
                raise
            yield from self._stored(under_way)

    # ---- fetching, on the run's thread

    def _batches(self, candidates: Sequence[Candidate], under_way: deque[_Batch]) -> Iterator[_Batch]:
        """Batches, each noted as `under_way` before anything is in it that must be closed."""
        batch: _Batch | None = None
        for candidate, answer in self._answers(candidates):
            if batch is None:
                batch = _Batch()
                under_way.append(batch)
            for read in self._read(answer, batch.files):
                batch.candidates.append(candidate)
                batch.read.append(read)
            batch.size += 0 if isinstance(answer, ItemError) else max(answer.size, candidate.size)
            self._keep_lease()
            if len(batch.candidates) >= self._budget.batch_items or batch.size >= self._budget.batch_bytes:
                yield batch
                batch = None
        if batch is not None:
            yield batch

    def _read(self, answer: IncomingMessage | ItemError, files: ExitStack) -> Sequence[_Read | ItemError]:
        """What an item is judged over: several messages where it forwards several."""
        messages = originals(answer) if self._judging.unwraps and not isinstance(answer, ItemError) else [answer]
        return [message if isinstance(message, ItemError) else _spooled(message, files) for message in messages]

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

    # ---- judging, on the run's thread

    def _judge(self, batch: _Batch) -> None:
        """Leaves in the batch what each message would become, or why it becomes nothing."""
        read = [(place, each) for place, each in enumerate(batch.read) if isinstance(each, _Read)]
        wishes = {each.message.ref: wish for place, each in read if (wish := wish_of(batch.candidates[place])) is not None}
        judged = self._judging.judge_each([each.message for _, each in read], wishes)
        for (place, each), judgement in zip(read, judged, strict=True):
            if isinstance(judgement, ItemError):
                batch.read[place] = judgement
                continue
            try:
                self._propose(batch, place, each, judgement)
            except TransientError:
                raise
            except Exception as error:  # noqa: BLE001 # computed from this item alone, so whatever breaks here is this item
                batch.read[place] = _unreadable(error)

    def _propose(self, batch: _Batch, place: int, read: _Read, judged: Judged) -> None:
        candidate = batch.candidates[place]
        refusal = candidate.refusal or (None if judged.is_accepted else judged.judgement)
        if refusal is None or (candidate.is_repeated and refusal.reason in CONFIGURED):
            proposal = promote(read.message, [attachment.hashed for attachment in read.attachments], judged, self._clock())
            if refusal is None or self._was_promoted(proposal, candidate):
                batch.proposals[place] = proposal
                return
        batch.read[place] = Refused(refusal, awaits_original=candidate.refusal is None and judged.awaits_original)
        if candidate.refusal is None and judged.leftover is not None:
            batch.leftovers.append(judged.leftover)

    def _was_promoted(self, proposal: Proposal, candidate: Candidate) -> bool:
        """Whether this very item was promoted, by a run that was interrupted before it committed so: that decision stands."""
        activity, sighting = proposal.email.activity, proposal.email.sighting
        seen: list[Sighting] = []
        for activity_id in dict.fromkeys((activity.id, activity.content_id)):
            seen += self._stores.activities.sightings(activity_id)
        return any(each.mailbox_id == sighting.mailbox_id and each.item_id == candidate.ref.id for each in seen)

    # ---- storing, on the executor

    def _start_blobs(self, batch: _Batch) -> None:
        for place, proposal in batch.proposals.items():
            read = batch.read[place]
            if isinstance(read, _Read):
                files = {spooled.hashed.sha256: spooled.file for spooled in read.attachments}
                named = proposal.email.content.attachments
                for sha256, blob in {stored.sha256: stored.blob for stored in named}.items():
                    future = self._executor.submit(self._stores.blobs.put, blob, files[sha256])
                    batch.blobs.append((place, future))

    def _start_writing(self, batch: _Batch) -> None:
        """Blobs first: an activity never names one that is not there."""
        for place, future in batch.blobs:
            try:
                future.result()
            except ItemError as error:
                batch.read[place] = error
                batch.proposals.pop(place, None)
        batch.files.close()
        batch.written = self._executor.submit(self._write, list(batch.proposals.values()), batch.leftovers)

    def _write(self, proposals: Sequence[Proposal], leftovers: Sequence[CorrelationEntry]) -> Sequence[Result]:
        self._emails.leave_behind(leftovers)
        return self._emails.write(proposals)

    def _stored(self, under_way: deque[_Batch]) -> Iterator[Results]:
        """The results of the batch that is being stored, if one is. Nothing of it is kept: its messages may be large."""
        if under_way and (written := under_way[0].written) is not None:
            yield _results(under_way.popleft(), written.result())


def _results(batch: _Batch, written: Sequence[Result]) -> Results:
    """What became of every candidate. One that was to be left anyway is left where it cannot be read."""
    stored = dict(zip(batch.proposals, written, strict=True))
    results: list[tuple[Candidate, Result]] = []
    for place, (candidate, read) in enumerate(zip(batch.candidates, batch.read, strict=True)):
        result = stored[place] if isinstance(read, _Read) else read
        if candidate.refusal is not None and isinstance(result, ItemError):
            result = Refused(candidate.refusal)
        if results and results[-1][0].key == candidate.key:
            results[-1] = (candidate, _together(results[-1][1], result))
        else:
            results.append((candidate, result))
    return results


def _together(one: Result, another: Result) -> Result:
    """What becomes of an item that brought several messages: it fails with any of them, is stored with any of them, is whole
    only if all of them are stored whole, and where none is stored it is judged again for any of them."""
    if isinstance(one, ItemError):
        return one
    if isinstance(another, ItemError):
        return another
    if isinstance(one, Refused):
        if isinstance(another, Written):
            return replace(another, is_whole=False)
        return replace(one, awaits_original=one.awaits_original or another.awaits_original)
    if isinstance(another, Refused):
        return replace(one, is_whole=False)
    return replace(
        one,
        is_whole=one.is_whole and another.is_whole,
        others=tuple(each for each in dict.fromkeys((*one.others, another.activity_id)) if each != one.activity_id),
        fragment_since=max((each for each in (one.fragment_since, another.fragment_since) if each), default=None),
    )


def _abandon(batches: deque[_Batch]) -> None:
    """Waits for what still runs, then closes the files that it reads."""
    for batch in batches:
        for _, future in batch.blobs:
            future.exception()
        if batch.written is not None:
            batch.written.exception()
        batch.files.close()


def _spooled(message: IncomingMessage, files: ExitStack) -> _Read | ItemError:
    try:
        return _Read(message, spool(message.attachments, files))
    except ItemError as error:
        return error


def _no_answer(ref: ItemRef) -> ItemError:
    return ItemUnreadable(f"The server passed over an item of folder {ref.folder}.")


def _unreadable(error: Exception) -> ItemError:
    if isinstance(error, ItemError):
        return error
    return ItemUnreadable(f"{type(error).__name__} while the message was converted.").because_of(error)
