"""What the ledger says about items that a page brings again."""

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from datetime import datetime
from sys import intern

from shared.domain.choices import Reason, Verdict, Workload
from shared.domain.email import ChangeKind, ListedItem
from shared.domain.ids import MailboxId
from shared.domain.ledger import ItemKey, LedgerItem
from shared.ports import Ledger
from shared.sync.lease import Change


@dataclass(frozen=True, slots=True)
class KnownItem:
    """What decisions about a listed item need of its ledger row: a mailbox may have many."""

    verdict: Verdict
    reason: Reason
    category: str | None
    """`LedgerItem.category`."""


class KnownItems:
    """Items that were seen before.

    A new item of a folder that is read on from a watermark cannot be known, so nothing is asked. Where items may come again
    (`load`), all of them are read by range, once; else only changes of items are looked up, by their keys, several at once.
    """

    def __init__(self, ledger: Ledger, mailbox_id: MailboxId, workload: Workload, executor: Executor) -> None:
        self._ledger = ledger
        self._executor = executor
        self._mailbox_id = mailbox_id
        self._workload = workload
        self._items: dict[ItemKey, KnownItem] | None = None
        self._identities: set[str] = set()
        """Of `_items`, where these were read."""

    def load(self) -> None:
        if self._items is None:
            self._items = {item.key: _known(item) for item in self._ledger.items(self._mailbox_id, self._workload)}
            self._identities = {key.identity for key in self._items}

    @property
    def is_loaded(self) -> bool:
        """Items may come again, and all were read."""
        return self._items is not None

    def of(self, listed: Sequence[tuple[ItemKey, ListedItem]]) -> Mapping[ItemKey, KnownItem]:
        """Those of `listed` that are known."""
        if self._items is not None:
            return {key: self._items[key] for key, _ in listed if key in self._items}
        changed = [key for key, item in listed if item.kind is ChangeKind.UPDATED]
        return {row.key: _known(row) for row in self._executor.map(self.row, changed) if row is not None}

    def row(self, key: ItemKey) -> LedgerItem | None:
        """The whole row, read now."""
        return self._ledger.get(self._mailbox_id, self._workload, key)

    def elsewhere(self, received: Mapping[ItemKey, datetime | None]) -> Mapping[ItemKey, Sequence[LedgerItem]]:
        """The rows of the same messages in other places of the mailbox, the latest decision first. Each came once: another that
        came with its Message-ID came at another time. Where all items were read, only what is among them is asked for."""
        asked = [key for key in received if self._items is None or key.identity in self._identities]
        times = [received[key] for key in asked]
        return dict(zip(asked, self._executor.map(self._rows_elsewhere, asked, times), strict=True))

    def _rows_elsewhere(self, key: ItemKey, received: datetime | None) -> Sequence[LedgerItem]:
        rows = self._ledger.find(self._mailbox_id, self._workload, key.identity)
        others = [row for row in rows if row.key != key and row.received == received]
        return sorted(others, key=lambda row: row.decided_on, reverse=True)

    def remember(self, changes: Iterable[Change]) -> None:
        """What this run commits itself: a folder that is listed again in the same run knows it too."""
        if self._items is not None:
            written = {change.item.key: _known(change.item) for change in changes if not change.leaves_row}
            self._items |= written
            self._identities |= {key.identity for key in written}


def _known(item: LedgerItem) -> KnownItem:
    return KnownItem(item.verdict, item.reason, intern(item.category) if item.category else None)
