"""What the ledger says about items that a page brings again: with few requests, and no more than are needed."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import cast

from shared.domain.choices import Workload
from shared.domain.email import ChangeKind, ItemRef, ListedItem
from shared.domain.ledger import ItemKey, LedgerItem, item_key
from shared.ports import Ledger
from shared.sync.known import KnownItems
from tests.builders import a_mailbox


class SlowLedger:
    """Answers four that ask together, and nobody who asks alone."""

    def __init__(self) -> None:
        self.together = Barrier(4)
        self.asked: list[ItemKey] = []

    def get(self, _mailbox_id: str, _workload: Workload, key: ItemKey) -> LedgerItem | None:
        self.asked.append(key)
        self.together.wait(timeout=60)
        return None


def listed(number: int, kind: ChangeKind) -> tuple[ItemKey, ListedItem]:
    ref = ItemRef(f"item-{number}", "inbox")
    return item_key(None, ref), ListedItem(ref, kind)


def test_changes_are_looked_up_several_at_once_and_new_items_not_at_all() -> None:
    ledger = SlowLedger()
    changed = [listed(number, ChangeKind.UPDATED) for number in range(8)]
    new = [listed(number, ChangeKind.CREATED) for number in range(8, 16)]
    with ThreadPoolExecutor(4) as executor:
        known = KnownItems(cast("Ledger", ledger), a_mailbox().id, Workload.INCOMING, executor)
        assert known.of([*changed, *new]) == {}
    assert sorted(ledger.asked) == sorted(key for key, _ in changed)
