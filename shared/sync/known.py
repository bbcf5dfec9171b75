"""What the ledger says about items that a page brings again."""

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from datetime import datetime
from sys import intern

from shared.domain.choices import Reason, Verdict, Workload
from shared.domain.email import ChangeKind, ListedItem
from shared.domain.ids import MailboxId
from shared.domain.ledger import ItemKey, LedgerItem, UnreadableItems
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
        self.unreadable: dict[ItemKey, UnreadableItems] = {}
        """Items whose rows a later version wrote, as far as they were asked for: nothing is decided about them."""

    def load(self) -> None:
        if self._items is not None:
            return
        items: dict[ItemKey, KnownItem] = {}
        try:
            for item in self._ledger.items(self._mailbox_id, self._workload):
                items[item.key] = _known(item)
        except UnreadableItems as error:  # raised behind the last one
            self.unreadable |= dict.fromkeys(error.keys, error)
        self._items = items
        self._identities = {key.identity for key in (*items, *self.unreadable)}

    @property
    def is_loaded(self) -> bool:
        """Items may come again, and all were read."""
        return self._items is not None

    def of(self, listed: Sequence[tuple[ItemKey, ListedItem]]) -> Mapping[ItemKey, KnownItem]:
        """Those of `listed` that are known."""
        if self._items is not None:
            return {key: self._items[key] for key, _ in listed if key in self._items}
        changed = [key for key, item in listed if item.kind is ChangeKind.UPDATED]
        return {row.key: _known(row) for row in self._executor.map(self._readable_row, changed) if row is not None}

    def row(self, key: ItemKey) -> LedgerItem | None:
        """The whole row, read now. Raises UnreadableItems."""
        return self._ledger.get(self._mailbox_id, self._workload, key)

    def _readable_row(self, key: ItemKey) -> LedgerItem | None:
        try:
            return self.row(key)
        except UnreadableItems as error:
            self.unreadable[key] = error
            return None

    def elsewhere(
        self, received: Mapping[ItemKey, datetime | None]
    ) -> Mapping[ItemKey, Sequence[LedgerItem] | UnreadableItems]:
        """The rows of the same messages in other places of the mailbox, the latest decision first. Each came once: another that
        came with its Message-ID came at another time. Where all items were read, only what is among them is asked for."""
        asked = [key for key in received if self._items is None or key.identity in self._identities]
        times = [received[key] for key in asked]
        return dict(zip(asked, self._executor.map(self._rows_elsewhere, asked, times), strict=True))

    def _rows_elsewhere(self, key: ItemKey, received: datetime | None) -> Sequence[LedgerItem] | UnreadableItems:
        try:
            rows = self._ledger.find(self._mailbox_id, self._workload, key.identity)
        except UnreadableItems as error:
            return error
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
