"""The outbox in memory."""

from collections.abc import Sequence
from datetime import datetime
from threading import RLock

from shared.domain.choices import Priority
from shared.domain.delivery import OutboxEntry
from shared.domain.ids import MailboxId
from shared.ports import OUTBOX_AT_ONCE, DueEntries, Slice
from shared.stores.codec import Plain, codec_of
from shared.stores.entities import outbox_row
from shared.stores.limits import checked_limit, checked_outbox
from shared.stores.memory.rows import slice_of


class MemoryOutbox:
    def __init__(self) -> None:
        self._lock = RLock()
        self._rows: dict[MailboxId, dict[str, OutboxEntry]] = {}

    def put(self, entries: Sequence[OutboxEntry]) -> None:
        checked = [checked_outbox(each) for each in entries]
        with self._lock:
            for entry in checked:
                self._rows.setdefault(entry.mailbox_id, {})[outbox_row(entry)] = entry

    def remove(self, entries: Sequence[OutboxEntry]) -> None:
        with self._lock:
            for entry in entries:
                self._rows.get(entry.mailbox_id, {}).pop(outbox_row(entry), None)

    def due(self, mailbox_id: MailboxId, now: datetime, limit: int = OUTBOX_AT_ONCE) -> DueEntries:
        checked_limit(limit)
        due = [entry for entry in self._sorted(mailbox_id) if entry.due <= now]
        return DueEntries([each for priority in sorted(Priority, reverse=True) for each in _of(due, priority)[:limit]])

    def next_due(self, mailbox_id: MailboxId) -> datetime | None:
        return min((entry.due for entry in self._sorted(mailbox_id)), default=None)

    def list(self, mailbox_id: MailboxId, continuation: str | None = None, limit: int = 50) -> Slice[OutboxEntry]:
        return slice_of((((outbox_row(entry),), entry) for entry in self._sorted(mailbox_id)), continuation, limit)

    def _sorted(self, mailbox_id: MailboxId) -> Sequence[OutboxEntry]:
        with self._lock:
            return [entry for _, entry in sorted(self._rows.get(mailbox_id, {}).items())]

    def snapshot(self) -> dict[str, Plain]:
        with self._lock:
            return {key: [codec_of(OutboxEntry).plain(each) for each in self._sorted(key)] for key in self._rows}


def _of(entries: Sequence[OutboxEntry], priority: Priority) -> Sequence[OutboxEntry]:
    return [entry for entry in entries if entry.priority is priority]
