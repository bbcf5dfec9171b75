"""What is in a folder, and what changed in it when. Knows neither mailboxes nor protocols.

Changes carry numbers of the clock of the mailbox; a head that knows up to which number a client has read a folder can tell what
happened since.
"""

from bisect import bisect_left, bisect_right, insort
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum, auto
from typing import TYPE_CHECKING

from local.mailserver.message import Message

if TYPE_CHECKING:
    from local.mailserver.model import Mailbox


MAIL = "IPF.Note"
"""Folder class (PidTagContainerClass) of folders of mail."""


class ChangeKind(Enum):
    CREATED = auto()
    UPDATED = auto()
    READ_FLAG = auto()
    DELETED = auto()


@dataclass(eq=False, slots=True)
class Item:
    """One copy of a message in one folder. `changed` and `read_changed` are numbers of the mailbox's clock."""

    id: str
    number: int
    """Order of arrival on this server."""
    message: Message
    folder: "Folder"
    received: datetime
    created: datetime
    entered: int
    changed: int
    read_changed: int
    is_read: bool = False
    is_draft: bool = False
    is_from_me: bool = False
    through_transport: bool = True
    """It arrived by mail; False: a client put it there (a draft, the copy of something sent)."""
    item_class: str = ""
    categories: tuple[str, ...] = ()
    flags: frozenset[str] = frozenset()
    """Further marks that mail clients set: \\Answered, \\Deleted, \\Flagged (RFC 3501 section 2.3.2)."""
    properties: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Further properties that clients keep with it, by names that their protocol makes; they are not mailed."""
    uid: int = 0
    """Number in its folder, in order of arrival there."""

    @property
    def version(self) -> int:
        """Grows with every change of this item."""
        return max(self.changed, self.read_changed)

    @property
    def place(self) -> tuple[datetime, int]:
        """Position in the folder by time of arrival; ascending."""
        return self.received, self.number


@dataclass(frozen=True, slots=True)
class Change:
    kind: ChangeKind
    item_id: str
    item: Item | None
    """None for a deletion."""


@dataclass(eq=False, slots=True)
class Folder:
    """A folder. `epoch` names the generation of its change history: a client's position of another one is worthless."""

    id: str
    name: str
    mailbox: "Mailbox"
    parent: "Folder | None"
    well_known: str | None = None
    kind: str = MAIL
    entered: int = 0
    changed: int = 0
    epoch: int = 0
    uid_validity: int = 1
    """Names the generation of the uids: those of another one are worthless."""
    uid_next: int = 1
    items: dict[str, Item] = field(default_factory=dict)
    _by_time: list[tuple[datetime, int, Item]] = field(default_factory=list)
    _log: list[tuple[int, str]] = field(default_factory=list)
    _gone: dict[str, int] = field(default_factory=dict)
    """When removed items had entered."""
    _below: dict[str, list[int]] = field(default_factory=dict)
    """For every folder that was ever below this one: when it came, left, came again, and so on."""

    def ancestors(self) -> list["Folder"]:
        """The nearest first."""
        return [self.parent, *self.parent.ancestors()] if self.parent is not None else []

    def folder_came_or_left(self, folder_id: str, at: int) -> None:
        self._below.setdefault(folder_id, []).append(at)

    def folders_below_at(self, position: int) -> set[str]:
        """Ids of the folders that were below this one at that position."""
        return {folder_id for folder_id, times in self._below.items() if bisect_right(times, position) % 2}

    def newest_first(self) -> list[Item]:
        return [entry[2] for entry in reversed(self._by_time)]

    def listing(self, position: int, before: tuple[datetime, int] | None, limit: int) -> tuple[list[Item], bool]:
        """A page of the items that had entered by a position: those older than a place, newest first; and whether that is all.

        With `changes_after` the same position a client misses nothing, whatever happens between its pages.
        """
        at = len(self._by_time) if before is None else bisect_left(self._by_time, before, key=lambda entry: entry[:2])
        page: list[Item] = []
        while at > 0:
            at -= 1
            item = self._by_time[at][2]
            if item.entered <= position:
                if len(page) == limit:
                    return page, False
                page.append(item)
        return page, True

    def has_changed_after(self, position: int) -> bool:
        return bool(self._log) and self._log[-1][0] > position

    def changes_after(self, position: int, limit: int) -> tuple[list[Change], int, bool]:
        """What happened after a position, oldest first: the changes, the position after them, and whether that is all."""
        changes: list[Change] = []
        seen: set[str] = set()
        for at, item_id in self._log[bisect_right(self._log, position, key=lambda entry: entry[0]) :]:
            if item_id not in seen:
                change = self._change(item_id, position)
                if change is not None and len(changes) == limit:
                    return changes, at - 1, False
                seen.add(item_id)
                if change is not None:
                    changes.append(change)
        return changes, self.mailbox.clock, True

    def _change(self, item_id: str, position: int) -> Change | None:
        item = self.items.get(item_id)
        if item is None:
            return Change(ChangeKind.DELETED, item_id, None) if self._gone[item_id] <= position else None
        if item.entered > position:
            return Change(ChangeKind.CREATED, item_id, item)
        return Change(ChangeKind.UPDATED if item.changed > position else ChangeKind.READ_FLAG, item_id, item)

    @property
    def last_change(self) -> int:
        """When something happened in it for the last time, deletions included."""
        return self._log[-1][0] if self._log else self.entered

    def put(self, item: Item) -> None:
        item.uid, self.uid_next = self.uid_next, self.uid_next + 1
        self.items[item.id] = item
        insort(self._by_time, (*item.place, item), key=lambda entry: entry[:2])
        self.record(item.id, item.entered)

    def take(self, item: Item, at: int) -> None:
        del self.items[item.id]
        del self._by_time[bisect_left(self._by_time, item.place, key=lambda entry: entry[:2])]
        self._gone[item.id] = item.entered
        self.record(item.id, at)

    def record(self, item_id: str, at: int) -> None:
        self._log.append((at, item_id))

    def renumber(self, uid_validity: int) -> None:
        """Every uid that a client holds becomes worthless: each item gets another, the newest the lowest."""
        self.uid_validity, self.uid_next = uid_validity, 1
        for item in sorted(self.items.values(), key=lambda item: item.number, reverse=True):
            item.uid, self.uid_next = self.uid_next, self.uid_next + 1

    def forget_history(self) -> None:
        """Every position a client holds becomes worthless (a restored or moved store)."""
        self.epoch += 1
