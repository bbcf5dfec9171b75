"""Stores of what happens in operation: quarantine, alerts, audit, runs, and the blobs, queues and secrets beside the tables."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import BinaryIO, Protocol

from shared.domain.audit import AuditEntry
from shared.domain.configuration import (
    SecretRef,
)
from shared.domain.ids import MailboxId
from shared.domain.ledger import ItemKey
from shared.domain.operations import Alert, QuarantinedItem, Run
from shared.ports.slices import Slice


class Quarantine(Protocol):
    def put(self, item: QuarantinedItem) -> None:
        """Upserts by mailbox and item."""
        ...

    def get(self, mailbox_id: MailboxId, key: ItemKey) -> QuarantinedItem | None: ...

    def remove(self, mailbox_id: MailboxId, key: ItemKey) -> None:
        """What is not there counts as removed."""
        ...

    def list(self, mailbox_id: MailboxId, continuation: str | None = None, limit: int = 50) -> Slice[QuarantinedItem]: ...

    def mailboxes_of_other_versions(self, version: str) -> Iterator[Sequence[MailboxId]]:
        """Mailboxes that have items which another version of Sidesync gave up, each once."""
        ...


class Alerts(Protocol):
    def put(self, alert: Alert) -> None:
        """Upserts by what it is about, code and parameters; keeps the time it was raised first."""
        ...

    def list(self, about: str | None = None, continuation: str | None = None, limit: int = 50) -> Slice[Alert]: ...

    def acknowledge(self, alert_id: str, by: str, at: datetime) -> Alert | None:
        """Marks the alert as seen; raised again later, it is open again. None where there is none of this id."""
        ...

    def remove_before(self, time: datetime) -> Iterator[int]:
        """Removes alerts that were last raised before `time`, acknowledged or not, part by part; yields how many rows each
        part had. Whoever stops reading ends it."""
        ...


class Audit(Protocol):
    def put(self, entry: AuditEntry) -> None:
        """Once by day (UTC) and id: one that is there already stays as it is."""
        ...

    def remove_before(self, time: datetime) -> Iterator[int]:
        """Removes the days (UTC) that ended before `time`, as `Alerts.remove_before`."""
        ...

    def list(self, record: str | None = None, continuation: str | None = None, limit: int = 50) -> Slice[AuditEntry]:
        """Newest first."""
        ...


class Runs(Protocol):
    def put(self, run: Run) -> None: ...

    def remove_before(self, time: datetime) -> Iterator[int]:
        """Removes runs of any mailbox that started before `time`, as `Alerts.remove_before`."""
        ...

    def list(self, mailbox_id: MailboxId, continuation: str | None = None, limit: int = 50) -> Slice[Run]:
        """Newest first."""
        ...


class Blobs(Protocol):
    def put(self, name: str, content: BinaryIO | bytes) -> None:
        """Written once: a name that is there already is left as it is."""
        ...

    def write(self, name: str, chunks: Iterable[bytes]) -> int:
        """Streams content of unknown length to a name, replacing what is there; returns its bytes."""
        ...

    def read(self, name: str, offset: int = 0) -> Iterator[bytes]:
        """Chunks of at most 1 MiB, from the byte `offset` on; nothing where the blob ends before it. Raises KeyError."""
        ...

    def delete(self, name: str) -> None:
        """What is not there counts as deleted."""
        ...

    def delete_folder(self, folder: str) -> None:
        """Deletes all blobs whose names start with `folder`, which ends in a slash."""
        ...


class WorkQueues(Protocol):
    def send(self, queue: str, text: str, delay: timedelta = timedelta()) -> None: ...

    def send_many(self, queue: str, texts: Sequence[str]) -> None:
        """Several in flight at once; when it raises, some may have been sent."""
        ...


class Secrets(Protocol):
    def get(self, ref: SecretRef) -> str:
        """Raises KeyError."""
        ...

    def set(self, name: str, value: str) -> SecretRef:
        """A new version; the version is opaque and reveals nothing of the value."""
        ...

    def set_on(self, ref: SecretRef) -> datetime | None:
        """When this version was set; None where there is none."""
        ...
