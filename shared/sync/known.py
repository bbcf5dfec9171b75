"""What the ledger says about items that a page brings again."""

from collections.abc import Iterable

from shared.domain.choices import Verdict, Workload
from shared.domain.email import ChangeKind, ListedItem
from shared.domain.ids import MailboxId
from shared.domain.ledger import ItemKey
from shared.ports import Ledger
from shared.sync.lease import Change


class KnownItems:
    """Verdicts of items that were seen before.

    A new item of a folder that is read on from a watermark cannot be known, so nothing is asked. Where items may come again
    (`load`), all of them are read by range, once; else only a change of an item is looked up, by its key.
    """

    def __init__(self, ledger: Ledger, mailbox_id: MailboxId, workload: Workload) -> None:
        self._ledger = ledger
        self._mailbox_id = mailbox_id
        self._workload = workload
        self._verdicts: dict[ItemKey, Verdict] | None = None

    def load(self) -> None:
        if self._verdicts is None:
            self._verdicts = {item.key: item.verdict for item in self._ledger.items(self._mailbox_id, self._workload)}

    def verdict(self, key: ItemKey, item: ListedItem) -> Verdict | None:
        if self._verdicts is not None:
            return self._verdicts.get(key)
        if item.kind is ChangeKind.UPDATED:
            row = self._ledger.get(self._mailbox_id, self._workload, key)
            return row.verdict if row is not None else None
        return None

    def remember(self, changes: Iterable[Change]) -> None:
        """What this run commits itself: a folder that is listed again in the same run knows it too."""
        if self._verdicts is not None:
            self._verdicts |= {change.item.key: change.item.verdict for change in changes}
