"""The ledger: one partition per mailbox and workload, one transaction per commit, fenced by the ETag of its state row.

A row of an item that may lose its details has a column with the time it was decided, which the service compares: housekeeping
reads no others.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial

from shared.domain.choices import Workload
from shared.domain.errors import AlreadyExists, Changed, LeaseLost, UnreadableRow
from shared.domain.ids import MailboxId
from shared.domain.ledger import (
    DETAILS,
    ItemKey,
    LedgerCommit,
    LedgerHead,
    LedgerItem,
    Mark,
    RunState,
    Todo,
    UnreadableItems,
)
from shared.ports import TODOS_AT_ONCE
from shared.stores.entities import (
    STATE,
    after,
    item_key_of,
    item_row,
    ledger_partition,
    mark_row,
    todo_row,
    todos_due,
    watermark_blob,
)
from shared.stores.limits import TEXT_UNITS, checked_id, checked_rows, storable_item, units
from shared.stores.parallel import Parallel
from shared.stores.tables.gateway import NEVER, Entity, Operation, Query, RowMissing, Value, Verb, operation, rows_of
from shared.stores.tables.removing import swept
from shared.stores.tables.table import Table, columns_of, is_later, readable, record_of
from shared.stores.text_blobs import TextBlobs

_ITEMS = "item:"
_MARKS = "mark:"
_TODOS = "todo:"
_BLOB = "watermark_blob"
_DETAILS_SINCE = "details_since"
_NO_DETAILS: Mapping[str, Value] = {**dict.fromkeys(DETAILS, ""), _DETAILS_SINCE: NEVER}


@dataclass(frozen=True, slots=True)
class _Folder:
    """A folder of which this process knows in which blob its watermark is."""

    partition: str
    row: str


class TableLedger:
    def __init__(self, table: Table, texts: TextBlobs, parallel: Parallel) -> None:
        self._table = table
        self._texts = texts
        self._parallel = parallel
        self._named: dict[_Folder, str] = {}
        """Blobs of watermarks as last read or committed, to remove them when they are not named any more. A process that
        does not know leaves a blob too many, never one too few."""

    def head(self, mailbox_id: MailboxId, workload: Workload, now: datetime) -> LedgerHead:
        partition = ledger_partition(mailbox_id, workload)
        rows = self._rows(rows_of(partition, _MARKS, todos_due(now)))
        state = _state_of(rows)
        marks = sorted((self._mark(row) for row in rows if row.row.startswith(_MARKS)), key=lambda mark: mark.folder)
        todos, unreadable = readable(_todos_of(rows), partial(record_of, Todo))
        return LedgerHead(
            state=None if state is None else record_of(RunState, state),
            etag=None if state is None else state.etag,
            marks=tuple(marks),
            todos=tuple(todos[:TODOS_AT_ONCE]),
            unreadable=tuple(unreadable),
        )

    def commit(self, mailbox_id: MailboxId, workload: Workload, etag: str | None, commit: LedgerCommit) -> str:
        checked_rows(commit)
        partition = ledger_partition(checked_id(mailbox_id), workload)
        blobs = {mark.folder: _large(mailbox_id, workload, mark) for mark in commit.marks}
        for mark in commit.marks:
            if (blob := blobs[mark.folder]) and mark.watermark is not None:
                self._texts.put(blob, mark.watermark)
        fresh = self._commit(partition, _writes(partition, etag, commit, blobs))
        for folder, blob in blobs.items():
            self._keep_only(_Folder(partition, mark_row(folder)), blob)
        return fresh

    def items(self, mailbox_id: MailboxId, workload: Workload) -> Iterator[LedgerItem]:
        query = rows_of(ledger_partition(mailbox_id, workload), _ITEMS, after(_ITEMS))
        return _items_of(self._table.rows(query))

    def find(self, mailbox_id: MailboxId, workload: Workload, identity: str) -> Sequence[LedgerItem]:
        prefix = f"{_ITEMS}{identity}:"
        rows = self._table.rows(rows_of(ledger_partition(mailbox_id, workload), prefix, after(prefix)))
        return list(_items_of(rows))

    def get(self, mailbox_id: MailboxId, workload: Workload, key: ItemKey) -> LedgerItem | None:
        found = self._table.get(ledger_partition(mailbox_id, workload), item_row(key))
        return None if found is None else next(_items_of([found]))

    def remove_details_before(self, time: datetime) -> Iterator[int]:
        """By the ETag of each row: one that a run has written since is left as the run wrote it. Should a run write one after
        this, it puts the whole row there, so either way nothing of a decision is lost, and no run loses its lease."""
        query = Query(first_row=_ITEMS, before_row=after(_ITEMS), due=(_DETAILS_SINCE, time))
        return swept(self._table, self._parallel, query, time, lambda row: _without_details(row, time))

    def _rows(self, query: Query) -> Sequence[Entity]:
        """Marks as they are under the state's ETag. A query may take several pages, and somebody may commit between the one
        with the marks and the one with the state; then it is asked again."""
        seen: str | None = None
        while True:
            pages = self._pages(query)
            rows = [row for page in pages for row in page]
            state = _state_of(rows)
            if state is None or state in pages[0] or state.etag == seen:
                return rows
            seen = state.etag

    def _pages(self, query: Query) -> Sequence[Sequence[Entity]]:
        """Until the todos are as many as one run takes up."""
        pages: list[Sequence[Entity]] = []
        todos = 0
        for page in self._table.pages(query):
            pages.append(page)
            todos += sum(not is_later(row) for row in _todos_of(page))
            if todos >= TODOS_AT_ONCE:
                break
        return pages

    def _commit(self, partition: str, writes: list[Operation]) -> str:
        """A todo that is gone already is done: the commit goes on without it."""
        while True:
            try:
                return self._table.transact(writes)[0]
            except RowMissing as error:
                if error.index is None or writes[error.index].verb is not Verb.DELETE:
                    raise LeaseLost(f"the ledger {partition} has another state") from error
                del writes[error.index]
            except (Changed, AlreadyExists) as error:
                raise LeaseLost(f"the ledger {partition} was committed by another run") from error

    def _mark(self, row: Entity) -> Mark:
        blob = row.columns.get(_BLOB)
        mark = record_of(Mark, row)
        if not isinstance(blob, str):
            return mark
        self._named[_Folder(row.partition, row.row)] = blob
        try:
            return replace(mark, watermark=self._texts.read(blob))
        except KeyError:
            # A later commit has removed it, and the ETag read beside it is not good any more: listing from the start is safe.
            return mark

    def _keep_only(self, folder: _Folder, blob: str | None) -> None:
        before = self._named.pop(folder, None)
        if blob is not None:
            self._named[folder] = blob
        if before is not None and before != blob:
            self._texts.delete(before)


def _items_of(rows: Iterable[Entity]) -> Iterator[LedgerItem]:
    """Raises UnreadableItems behind those that can be read."""
    errors: list[UnreadableRow] = []
    for row in rows:
        try:
            yield record_of(LedgerItem, row)
        except UnreadableRow as error:
            errors.append(error)
    if errors:
        unreadable = tuple(row for error in errors for row in error.rows)
        raise UnreadableItems(str(errors[0]), unreadable, frozenset(map(item_key_of, unreadable)))


def _todos_of(rows: Sequence[Entity]) -> Sequence[Entity]:
    return [row for row in rows if row.row.startswith(_TODOS)]


def _state_of(rows: Sequence[Entity]) -> Entity | None:
    return next((row for row in rows if row.row == STATE), None)


def _writes(partition: str, etag: str | None, commit: LedgerCommit, blobs: Mapping[str, str | None]) -> list[Operation]:
    """The state first: when it is not ours any more, that is what the service says."""
    verb = Verb.INSERT if etag is None else Verb.REPLACE
    state = operation(verb, partition, STATE, columns_of(commit.state), etag)
    upserts: dict[str, Mapping[str, Value]] = {item_row(item.key): _item_columns(storable_item(item)) for item in commit.items}
    upserts |= {mark_row(mark.folder): _mark_columns(mark, blobs[mark.folder]) for mark in commit.marks}
    upserts |= {todo_row(todo): columns_of(replace(todo, item=storable_item(todo.item))) for todo in commit.todos}
    done = sorted({todo_row(todo) for todo in commit.done} - upserts.keys())
    return [
        state,
        *(operation(Verb.UPSERT, partition, row, columns) for row, columns in upserts.items()),
        *(operation(Verb.DELETE, partition, row) for row in done),
    ]


def _item_columns(item: LedgerItem) -> Mapping[str, Value]:
    columns = columns_of(item)
    return {**columns, _DETAILS_SINCE: item.decided_on} if item.may_lose_details else columns


def _without_details(row: Entity, time: datetime) -> Operation | None:
    """Azurite compares milliseconds only, so the time is looked at once more. Which columns are the details of a row of a later
    version, only that knows."""
    if is_later(row) or datetime.fromisoformat(str(row.columns[_DETAILS_SINCE])) >= time:
        return None
    return operation(Verb.MERGE, row.partition, row.row, _NO_DETAILS, row.etag)


def _mark_columns(mark: Mark, blob: str | None) -> Mapping[str, Value]:
    if blob is None:
        return columns_of(mark)
    return {**columns_of(replace(mark, watermark=None)), _BLOB: blob}


def _large(mailbox_id: MailboxId, workload: Workload, mark: Mark) -> str | None:
    """The blob for a watermark that does not fit into a row."""
    if mark.watermark is None or units(mark.watermark) <= TEXT_UNITS:
        return None
    return watermark_blob(mailbox_id, workload, mark.folder, mark.watermark)
