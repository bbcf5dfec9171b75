"""Quarantine, alerts, audit and runs in memory."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from threading import RLock

from shared.domain.audit import AuditEntry
from shared.domain.ids import MailboxId
from shared.domain.ledger import ItemKey
from shared.domain.operations import Alert, QuarantinedItem, Run
from shared.ports import Slice
from shared.stores.alerts import raised
from shared.stores.codec import Plain, codec_of
from shared.stores.entities import alert_row, audit_partition, inverted_time
from shared.stores.limits import (
    acknowledging,
    audited_record,
    checked_id,
    storable_alert,
    storable_entry_of_audit,
    storable_quarantined,
    storable_run,
)
from shared.stores.memory.rows import slice_of


class MemoryQuarantine:
    def __init__(self) -> None:
        self._lock = RLock()
        self._rows: dict[MailboxId, dict[ItemKey, QuarantinedItem]] = {}

    def put(self, item: QuarantinedItem) -> None:
        with self._lock:
            self._rows.setdefault(checked_id(item.mailbox_id), {})[item.key] = storable_quarantined(item)

    def get(self, mailbox_id: MailboxId, key: ItemKey) -> QuarantinedItem | None:
        with self._lock:
            return self._rows.get(mailbox_id, {}).get(key)

    def remove(self, mailbox_id: MailboxId, key: ItemKey) -> None:
        with self._lock:
            self._rows.get(mailbox_id, {}).pop(key, None)

    def mailboxes_of_other_versions(self, version: str) -> Iterator[Sequence[MailboxId]]:
        with self._lock:
            found = [
                mailbox_id
                for mailbox_id, items in sorted(self._rows.items())
                if any(item.version != version for item in items.values())
            ]
        if found:
            yield found

    def list(self, mailbox_id: MailboxId, continuation: str | None = None, limit: int = 50) -> Slice[QuarantinedItem]:
        with self._lock:
            found = self._rows.get(mailbox_id, {}).items()
            return slice_of(
                (((inverted_time(item.quarantined_on), str(key)), item) for key, item in found), continuation, limit
            )

    def snapshot(self) -> dict[str, Plain]:
        with self._lock:
            return {
                mailbox_id: {str(key): codec_of(QuarantinedItem).plain(item) for key, item in items.items()}
                for mailbox_id, items in self._rows.items()
            }


class MemoryAlerts:
    def __init__(self) -> None:
        self._lock = RLock()
        self._rows: dict[tuple[str, str], Alert] = {}

    def put(self, alert: Alert) -> None:
        checked_id(alert.code, "code")
        storable = storable_alert(alert)
        key = (checked_id(storable.about, "about"), alert_row(storable))
        with self._lock:
            before = self._rows.get(key)
            self._rows[key] = raised(storable, None if before is None else before.first_raised_on)

    def acknowledge(self, alert_id: str, by: str, at: datetime) -> Alert | None:
        with self._lock:
            for key, alert in self._rows.items():
                if alert.id == alert_id:
                    self._rows[key] = replace(alert, acknowledged_by=acknowledging(by), acknowledged_on=at)
                    return self._rows[key]
        return None

    def list(self, about: str | None = None, continuation: str | None = None, limit: int = 50) -> Slice[Alert]:
        with self._lock:
            ours = [(key, alert) for key, alert in self._rows.items() if about is None or key[0] == about]
        return slice_of(ours, continuation, limit)

    def snapshot(self) -> dict[str, Plain]:
        with self._lock:
            return {":".join(key): codec_of(Alert).plain(alert) for key, alert in self._rows.items()}

    def remove_before(self, time: datetime) -> Iterator[int]:
        with self._lock:
            old = [key for key, alert in self._rows.items() if alert.raised_on < time]
            for key in old:
                del self._rows[key]
        yield len(old)


class MemoryAudit:
    def __init__(self) -> None:
        self._lock = RLock()
        self._rows: dict[tuple[str, str], AuditEntry] = {}

    def put(self, entry: AuditEntry) -> None:
        key = (audit_partition(entry.changed_on), checked_id(entry.id))
        with self._lock:
            self._rows.setdefault(key, storable_entry_of_audit(entry))

    def list(self, record: str | None = None, continuation: str | None = None, limit: int = 50) -> Slice[AuditEntry]:
        wanted = None if record is None else audited_record(record)
        with self._lock:
            entries = [entry for entry in self._rows.values() if wanted is None or entry.record == wanted]
        return slice_of((((inverted_time(each.changed_on), each.id), each) for each in entries), continuation, limit)

    def snapshot(self) -> dict[str, Plain]:
        with self._lock:
            return {":".join(key): codec_of(AuditEntry).plain(entry) for key, entry in self._rows.items()}

    def remove_before(self, time: datetime) -> Iterator[int]:
        day = audit_partition(time)
        with self._lock:
            old = [key for key in self._rows if key[0] > day]
            for key in old:
                del self._rows[key]
        yield len(old)


class MemoryRuns:
    def __init__(self) -> None:
        self._lock = RLock()
        self._rows: dict[MailboxId, dict[tuple[str, str], Run]] = {}

    def put(self, run: Run) -> None:
        with self._lock:
            key = (inverted_time(run.started_on), run.id)
            self._rows.setdefault(checked_id(run.mailbox_id), {})[key] = storable_run(run)

    def list(self, mailbox_id: MailboxId, continuation: str | None = None, limit: int = 50) -> Slice[Run]:
        with self._lock:
            return slice_of(self._rows.get(mailbox_id, {}).items(), continuation, limit)

    def remove_before(self, time: datetime) -> Iterator[int]:
        with self._lock:
            old = [(runs, key) for runs in self._rows.values() for key, run in runs.items() if run.started_on < time]
            for runs, key in old:
                del runs[key]
        yield len(old)

    def snapshot(self) -> dict[str, Plain]:
        with self._lock:
            return {
                mailbox_id: [codec_of(Run).plain(run) for _, run in sorted(runs.items())]
                for mailbox_id, runs in self._rows.items()
            }
