"""The ledger in memory."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from threading import RLock
from typing import Any

from shared.domain.choices import Workload
from shared.domain.errors import LeaseLost
from shared.domain.ids import MailboxId
from shared.domain.ledger import DETAILS, ItemKey, LedgerCommit, LedgerHead, LedgerItem, Mark, RunState, Todo
from shared.ports import TODOS_AT_ONCE
from shared.stores.codec import Plain, codec_of
from shared.stores.entities import sortable_time
from shared.stores.limits import checked_id, checked_rows, storable_item
from shared.stores.memory.rows import next_etag

type _TodoKey = tuple[str, ItemKey, str]

_NO_DETAILS: dict[str, Any] = dict(DETAILS)


@dataclass(slots=True)
class _Partition:
    """Everything of one mailbox and workload."""

    state: RunState | None = None
    etag: str | None = None
    items: dict[ItemKey, LedgerItem] = field(default_factory=dict)
    marks: dict[str, Mark] = field(default_factory=dict)
    todos: dict[_TodoKey, Todo] = field(default_factory=dict)


class MemoryLedger:
    def __init__(self) -> None:
        self._lock = RLock()
        self._partitions: dict[tuple[MailboxId, Workload], _Partition] = {}

    def head(self, mailbox_id: MailboxId, workload: Workload, now: datetime) -> LedgerHead:
        with self._lock:
            found = self._partition(mailbox_id, workload)
            due = [todo for _, todo in sorted(found.todos.items()) if todo.due <= now]
            marks = tuple(sorted(found.marks.values(), key=lambda mark: mark.folder))
            return LedgerHead(found.state, found.etag, marks, tuple(due[:TODOS_AT_ONCE]))

    def commit(self, mailbox_id: MailboxId, workload: Workload, etag: str | None, commit: LedgerCommit) -> str:
        checked_rows(commit)
        with self._lock:
            found = self._partitions.setdefault((checked_id(mailbox_id), workload), _Partition())
            if found.etag != etag:
                raise LeaseLost(f"the ledger of {mailbox_id} ({workload}) was committed by another run")
            for todo in commit.done:
                found.todos.pop(_todo_key(todo), None)
            for todo in commit.todos:
                found.todos[_todo_key(todo)] = replace(todo, item=storable_item(todo.item))
            found.items |= {item.key: storable_item(item) for item in commit.items}
            found.marks |= {mark.folder: mark for mark in commit.marks}
            found.state, found.etag = commit.state, next_etag()
            return found.etag

    def items(self, mailbox_id: MailboxId, workload: Workload) -> Iterator[LedgerItem]:
        with self._lock:
            found = sorted(self._partition(mailbox_id, workload).items.items())
        return iter([item for _, item in found])

    def find(self, mailbox_id: MailboxId, workload: Workload, identity: str) -> Sequence[LedgerItem]:
        return [item for item in self.items(mailbox_id, workload) if item.key.identity == identity]

    def get(self, mailbox_id: MailboxId, workload: Workload, key: ItemKey) -> LedgerItem | None:
        with self._lock:
            return self._partition(mailbox_id, workload).items.get(key)

    def remove_details_before(self, time: datetime) -> Iterator[int]:
        with self._lock:
            found = [
                (partition, item)
                for partition in self._partitions.values()
                for item in partition.items.values()
                if item.decided_on < time and item.may_lose_details
            ]
            for partition, item in found:
                partition.items[item.key] = replace(item, **_NO_DETAILS)
        yield len(found)

    def _partition(self, mailbox_id: MailboxId, workload: Workload) -> _Partition:
        return self._partitions.get((mailbox_id, workload), _Partition())

    def snapshot(self) -> dict[str, Plain]:
        with self._lock:
            return {f"{mailbox_id}:{workload}": _plain(found) for (mailbox_id, workload), found in self._partitions.items()}


def _todo_key(todo: Todo) -> _TodoKey:
    return sortable_time(todo.due), todo.item.key, todo.kind


def _plain(found: _Partition) -> dict[str, Plain]:
    return {
        "state": None if found.state is None else codec_of(RunState).plain(found.state),
        "items": {str(key): codec_of(LedgerItem).plain(item) for key, item in found.items.items()},
        "marks": {folder: codec_of(Mark).plain(mark) for folder, mark in found.marks.items()},
        "todos": [codec_of(Todo).plain(todo) for _, todo in sorted(found.todos.items())],
    }
