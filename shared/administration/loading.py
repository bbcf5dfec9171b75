"""Bulk loads of the address book: a file of JSON lines becomes a blob, and queue messages load it part by part.

Each part is put into the address book first, which is harmless to repeat, and then its progress is committed with the byte
where the next one begins: whoever goes on after a crash repeats one part at most. One worker has a load at a time, for as long
as it holds it; a later part never loses against an earlier one that a slow worker still writes. Lines that are no valid record
are kept with their number and the reason.
"""

import io
import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import batched
from typing import BinaryIO
from uuid import uuid4

from shared.administration.auditing import Auditing
from shared.administration.failures import RecordNotFound
from shared.administration.json_lines import Line, lines_of, record_of
from shared.domain.audit import Caller, ChangeAction
from shared.domain.choices import AlertLevel
from shared.domain.errors import Changed, InvalidRecord, TransientError
from shared.domain.operations import Alert
from shared.domain.records import AddressBookRecord, BulkLoad, LoadState, RejectedLine, StoredLoad
from shared.messages import LoadRecords, Queue
from shared.ports import Clock, Slice, Stores

LARGEST_FILE = 100 * 1024 * 1024
"""Bytes; the Functions host takes no longer body."""

REJECTED_AT_ONCE = 99
"""Rejected lines that one commit takes."""

_CHUNK = 1024 * 1024

log = logging.getLogger(__name__)

FINISHED = (LoadState.COMPLETED, LoadState.FAILED)


@dataclass(frozen=True, slots=True)
class LoadBudget:
    """What one queue message may do, and what is put and committed at once."""

    time: timedelta = timedelta(minutes=4)
    records: int = 100_000
    part_records: int = 20_000
    """A large part fills the transactions of the store: its rows are spread over many partitions."""
    part_bytes: int = 4 * 1024 * 1024
    rejected_kept: int = 10_000
    """Rejected lines of a load that are kept; those beyond are only counted."""
    attempts: int = 5
    """Starts in a row without progress, after which the load is given up."""
    hold: timedelta = timedelta(minutes=5)
    """How long one part, or the upload, may take before another worker may go on."""
    margin: timedelta = timedelta(minutes=2)
    """A part is not begun with less time than this left to hold the load."""


@dataclass(frozen=True, slots=True)
class _File:
    """What the audit says of a load."""

    size: int


class Loads:
    def __init__(self, stores: Stores, clock: Clock, budget: LoadBudget = LoadBudget()) -> None:
        self._stores = stores
        self._clock = clock
        self._budget = budget
        self._auditing = Auditing(stores.audit, clock)

    def get(self, load_id: str) -> StoredLoad:
        """Raises RecordNotFound."""
        stored = self._stores.bulk_loads.get(load_id)
        if stored is None:
            raise RecordNotFound(f"there is no bulk load {load_id}")
        return stored

    def list(self, continuation: str | None = None, limit: int = 50) -> Slice[StoredLoad]:
        """Newest first. Raises InvalidRecord where the continuation is none of this list."""
        return self._stores.bulk_loads.list(continuation, limit)

    def rejected(self, load_id: str, continuation: str | None = None, limit: int = 100) -> Slice[RejectedLine]:
        """In the order of lines. Raises RecordNotFound, InvalidRecord."""
        self.get(load_id)
        return self._stores.bulk_loads.rejected(load_id, continuation, limit)

    def start(self, file: BinaryIO, caller: Caller) -> StoredLoad:
        """Takes the file in and has it loaded. Raises InvalidRecord for one that is too large.

        A first message is sent before anything is there: should this process die, it finishes the load or gives it up, so
        that nothing stays behind in between.
        """
        load = self._new_load(_checked_size(file))
        self._send(load.id, delay=self._budget.hold)
        created = self._stores.bulk_loads.create(load)
        self._auditing.trail(caller, f"load:{load.id}").note(ChangeAction.CREATED, None, _File(load.size))
        self._stores.blobs.write(blob_of(load), iter(lambda: file.read(_CHUNK), b""))
        uploaded = self._stores.bulk_loads.commit(replace(load, held_until=None), created.etag, ())
        self._send(load.id)
        return uploaded

    def run(self, message: LoadRecords) -> None:
        """Goes on with a load where it stands. A message for one that is finished, or was never begun, does nothing.

        Where the store is busy, or another worker came in between, a later message goes on: no load waits for ever because
        its message came too often.
        """
        try:
            self._run(message.load_id)
        except (Changed, TransientError) as error:
            log.warning("load_interrupted", extra={"load_id": message.load_id, "code": error.code})
            self._send(message.load_id, delay=self._budget.hold)

    def _run(self, load_id: str) -> None:
        stored = self._stores.bulk_loads.get(load_id)
        if stored is None:
            return
        if stored.record.state in FINISHED:
            self._stores.blobs.delete(blob_of(stored.record))
        elif (held_until := stored.record.held_until) is not None and self._clock() < held_until:
            self._send(load_id, delay=held_until - self._clock())
        elif stored.record.attempts >= self._budget.attempts:
            self._give_up(stored, f"it stopped {stored.record.attempts} times after byte {stored.record.offset}")
        else:
            self._go_on(stored)

    def _new_load(self, size: int) -> BulkLoad:
        now = self._clock()
        return BulkLoad(str(uuid4()), LoadState.UPLOADED, now, size, held_until=now + self._budget.hold)

    def _go_on(self, stored: StoredLoad) -> None:
        now = self._clock()
        record = replace(
            stored.record, state=LoadState.RUNNING, attempts=stored.record.attempts + 1, held_until=now + self._budget.hold
        )
        held = self._stores.bulk_loads.commit(record, stored.etag, ())
        try:
            chunks = self._stores.blobs.read(blob_of(record), record.offset)
        except KeyError:
            self._give_up(held, "its file is not there: the upload was not finished")
            return
        self._load(held, chunks, now + self._budget.time)

    def _load(self, held: StoredLoad, chunks: Iterable[bytes], deadline: datetime) -> None:
        records = 0
        for part in self._parts(lines_of(chunks, held.record.offset), held.record):
            self._check_held(held.record)
            self._stores.address_book.put_many(part.records)
            held = self._commit(held, part)
            records += len(part.records)
            if held.record.offset >= held.record.size:
                break
            if records >= self._budget.records or self._clock() >= deadline:
                self._hand_over(held)
                return
        self._complete(held)

    def _check_held(self, load: BulkLoad) -> None:
        if load.held_until is None or self._clock() + self._budget.margin >= load.held_until:
            raise Changed("the load was held for too long without progress; it goes on from where it stands")

    def _commit(self, held: StoredLoad, part: "_Part") -> StoredLoad:
        """The part's progress, with the last of its rejected lines; those before go first, without progress."""
        progress = replace(
            held.record,
            lines=held.record.lines + part.lines,
            loaded=held.record.loaded + len(part.records),
            rejected=held.record.rejected + part.rejected_count,
            offset=part.end,
            attempts=0,
            held_until=self._clock() + self._budget.hold,
        )
        *earlier, last = _commits(part.rejected)
        for lines in earlier:
            held = self._stores.bulk_loads.commit(held.record, held.etag, lines)
        return self._stores.bulk_loads.commit(progress, held.etag, last)

    def _hand_over(self, held: StoredLoad) -> None:
        self._stores.bulk_loads.commit(replace(held.record, held_until=None), held.etag, ())
        self._send(held.record.id)

    def _complete(self, held: StoredLoad) -> None:
        self._finish(held, replace(held.record, state=LoadState.COMPLETED))

    def _give_up(self, stored: StoredLoad, cause: str) -> None:
        remedy = "Upload the file again: what was loaded already stays, and is loaded once more without harm."
        alert = Alert(
            about=f"load:{stored.record.id}",
            code="load_failed",
            level=AlertLevel.ERROR,
            cause=f"A bulk load of the address book was given up: {cause}.",
            remedy=remedy,
            raised_on=self._clock(),
        )
        self._stores.alerts.put(alert)
        self._finish(stored, replace(stored.record, state=LoadState.FAILED, error=f"{cause}. {remedy}"))

    def _finish(self, stored: StoredLoad, finished: BulkLoad) -> None:
        """The blob goes last: a message that comes again removes it if this process could not."""
        record = replace(finished, held_until=None, finished_on=self._clock())
        self._stores.bulk_loads.commit(record, stored.etag, ())
        self._stores.blobs.delete(blob_of(record))

    def _send(self, load_id: str, delay: timedelta = timedelta()) -> None:
        message = LoadRecords(str(uuid4()), load_id)
        self._stores.queues.send(Queue.LOAD_RECORDS, message.to_json(), delay)

    # ---- parts

    def _parts(self, lines: Iterator[Line], load: BulkLoad) -> Iterator["_Part"]:
        part = _Part(load.lines, load.offset, self._budget.rejected_kept - load.rejected)
        for line in lines:
            part.take(line)
            if len(part.records) >= self._budget.part_records or part.end - part.start >= self._budget.part_bytes:
                yield part
                part = part.next()
        if part.lines:
            yield part


@dataclass(slots=True)
class _Part:
    """Lines that are put and committed at once."""

    lines_before: int
    start: int
    """Byte of the file where it begins."""
    room: int
    """Rejected lines that may still be kept; below zero like none."""
    end: int = 0
    lines: int = 0
    records: list[AddressBookRecord] = field(default_factory=list)
    rejected: list[RejectedLine] = field(default_factory=list)
    rejected_count: int = 0

    def take(self, line: Line) -> None:
        self.lines += 1
        self.end = line.end
        if line.is_blank:
            return
        try:
            self.records.append(record_of(line))
        except InvalidRecord as error:
            self.rejected_count += 1
            if len(self.rejected) < self.room:
                number = self.lines_before + self.lines
                self.rejected.append(RejectedLine(number, error.field, str(error), error.remedy))

    def next(self) -> "_Part":
        return _Part(self.lines_before + self.lines, self.end, self.room - self.rejected_count)


def blob_of(load: BulkLoad) -> str:
    """The name of the uploaded file."""
    return f"loads/{load.id}"


def _commits(rejected: Sequence[RejectedLine]) -> Sequence[Sequence[RejectedLine]]:
    return list(batched(rejected, REJECTED_AT_ONCE, strict=False)) or [()]


def _checked_size(file: BinaryIO) -> int:
    """Bytes of the file, which stands at its beginning afterwards."""
    size = file.seek(0, io.SEEK_END)
    file.seek(0)
    if size > LARGEST_FILE:
        raise InvalidRecord("", f"the file is larger than {LARGEST_FILE} bytes", "Divide it into several files.")
    return size
