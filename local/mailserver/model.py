"""The mail store behind every protocol head: mailboxes, folders, items, and what changed when. Knows no protocol.

Every change in a mailbox gets the next number of that mailbox's clock; a head that knows up to which number a client has read
a folder can tell what happened since. Ids are opaque; an item that moves gets a new one, as on Exchange.
"""

import base64
import hashlib
import threading
from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import Enum, auto
from itertools import count

from local.mailserver.message import Message

WELL_KNOWN = {
    "inbox": "Inbox",
    "drafts": "Drafts",
    "sentitems": "Sent Items",
    "deleteditems": "Deleted Items",
    "outbox": "Outbox",
    "junkemail": "Junk Email",
    "archive": "Archive",
}
"""Mail folders that every mailbox has, by their well-known names."""


class NotFound(Exception):
    """The store holds nothing of that name or id."""


class NoSuchMailbox(NotFound): ...


class NoSuchFolder(NotFound): ...


class NoSuchItem(NotFound): ...


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
    entered: int = 0
    changed: int = 0
    epoch: int = 0
    items: dict[str, Item] = field(default_factory=dict)
    _by_time: list[tuple[datetime, int, Item]] = field(default_factory=list)
    _log: list[tuple[int, str]] = field(default_factory=list)
    _gone: dict[str, int] = field(default_factory=dict)
    """When removed items had entered."""

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

    def put(self, item: Item) -> None:
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

    def forget_history(self) -> None:
        """Every position a client holds becomes worthless (a restored or moved store)."""
        self.epoch += 1


class Mailbox:
    """A mailbox: a tree of folders. Whoever reads more than one thing of it holds its `lock` meanwhile."""

    def __init__(self, address: str, name: str, numbers: Iterator[int]) -> None:
        self.address = address
        self.name = name
        self.enabled = True
        self.lock = threading.RLock()
        self.clock = 0
        self.guid = hashlib.sha256(address.lower().encode()).hexdigest()[:32]
        self._numbers = numbers
        self.folders: dict[str, Folder] = {}
        self.removed_folders: dict[str, int] = {}
        self.root = self._new_folder("Root", None, "root")
        self.top = self._new_folder("Top of Information Store", self.root, "msgfolderroot")
        for well_known, display in WELL_KNOWN.items():
            self._new_folder(display, self.top, well_known)

    def tick(self) -> int:
        self.clock += 1
        return self.clock

    def folder(self, name_or_id: str) -> Folder:
        """A folder by id, by well-known name, or by display name. Raises NoSuchFolder."""
        wanted = name_or_id.lower()
        with self.lock:
            if name_or_id in self.folders:
                return self.folders[name_or_id]
            for folder in self.folders.values():
                if wanted == folder.well_known or (folder.well_known is None and wanted == folder.name.lower()):
                    return folder
        raise NoSuchFolder(name_or_id)

    def add_folder(self, name: str, parent: str = "msgfolderroot") -> Folder:
        with self.lock:
            return self._new_folder(name, self.folder(parent), None)

    def remove_folder(self, name_or_id: str) -> None:
        """The folder, what is under it, and all items in them disappear."""
        with self.lock:
            folder = self.folder(name_or_id)
            for child in self.children(folder):
                self.remove_folder(child.id)
            del self.folders[folder.id]
            self.removed_folders[folder.id] = self.tick()

    def children(self, folder: Folder) -> list[Folder]:
        return [candidate for candidate in self.folders.values() if candidate.parent is folder]

    def descendants(self, folder: Folder) -> Iterator[Folder]:
        for child in self.children(folder):
            yield child
            yield from self.descendants(child)

    def item(self, item_id: str) -> Item:
        """Raises NoSuchItem."""
        with self.lock:
            for folder in self.folders.values():
                if item_id in folder.items:
                    return folder.items[item_id]
        raise NoSuchItem(item_id)

    def add_item(
        self,
        message: Message,
        folder: str = "inbox",
        received: datetime | None = None,
        *,
        is_read: bool = False,
        is_draft: bool = False,
        is_from_me: bool = False,
        through_transport: bool = True,
    ) -> Item:
        with self.lock:
            now = datetime.now(UTC)
            target, at, number = self.folder(folder), self.tick(), next(self._numbers)
            item = Item(
                id=self._opaque_id("item", number, 112),
                number=number,
                message=message,
                folder=target,
                received=received or now,
                created=now,
                entered=at,
                changed=at,
                read_changed=at,
                is_read=is_read,
                is_draft=is_draft,
                is_from_me=is_from_me,
                through_transport=through_transport,
                item_class=message.item_class,
            )
            target.put(item)
            return item

    def move(self, item_id: str, folder: str) -> Item:
        """The item gets a new id in the other folder."""
        with self.lock:
            item, target = self.item(item_id), self.folder(folder)
            item.folder.take(item, self.tick())
            item.number = next(self._numbers)
            item.id = self._opaque_id("item", item.number, 112)
            item.folder = target
            item.entered = item.changed = item.read_changed = self.tick()
            target.put(item)
            return item

    def remove(self, item_id: str) -> None:
        with self.lock:
            item = self.item(item_id)
            item.folder.take(item, self.tick())

    def mark_read(self, item_id: str, is_read: bool = True) -> Item:
        with self.lock:
            item = self.item(item_id)
            item.is_read, item.read_changed = is_read, self.tick()
            item.folder.record(item.id, item.read_changed)
            return item

    def touch(self, item_id: str) -> Item:
        """Somebody changed something about the item."""
        with self.lock:
            item = self.item(item_id)
            item.changed = self.tick()
            item.folder.record(item.id, item.changed)
            return item

    def _new_folder(self, name: str, parent: Folder | None, well_known: str | None) -> Folder:
        at = self.tick()
        folder = Folder(self._opaque_id("folder", next(self._numbers), 90), name, self, parent, well_known, at, at)
        self.folders[folder.id] = folder
        return folder

    def _opaque_id(self, kind: str, number: int, size: int) -> str:
        """As long as the ids of Exchange, and like them beginning alike within a mailbox and differing in case only."""
        head = b"\x00\x03\x24\x00" + self.guid.encode() + b"\x00\x46\x00\x00\x00\x00\x00"
        tail = hashlib.sha512(f"{self.guid}{kind}".encode()).digest()[: size - len(head) - 8]
        return base64.b64encode(head + tail + number.to_bytes(8, "big")).decode()


class MailStore:
    """All mailboxes of a server, by address."""

    def __init__(self) -> None:
        self._mailboxes: dict[str, Mailbox] = {}
        self._by_guid: dict[str, Mailbox] = {}
        self._numbers = count(1)
        self._lock = threading.Lock()

    def add_mailbox(self, address: str, name: str = "", aliases: tuple[str, ...] = ()) -> Mailbox:
        """The mailbox; the one that is there already if there is one. Aliases are further addresses of it."""
        with self._lock:
            mailbox = self._mailboxes.get(address.lower())
            if mailbox is None:
                mailbox = Mailbox(address, name or address.partition("@")[0], self._numbers)
                self._mailboxes[address.lower()] = self._by_guid[mailbox.guid] = mailbox
            for alias in aliases:
                self._mailboxes[alias.lower()] = mailbox
            return mailbox

    def mailbox(self, address: str) -> Mailbox:
        """Raises NoSuchMailbox."""
        try:
            return self._mailboxes[address.strip().lower()]
        except KeyError:
            raise NoSuchMailbox(address) from None

    def mailbox_of_id(self, opaque_id: str) -> Mailbox:
        """The mailbox that an id of an item or folder belongs to. Raises ValueError where it is no id, NoSuchMailbox."""
        decoded = base64.b64decode(opaque_id, validate=True)
        if not decoded.startswith(b"\x00\x03\x24\x00"):
            raise ValueError(opaque_id)
        try:
            return self._by_guid[decoded[4:36].decode("ascii", "replace")]
        except KeyError:
            raise NoSuchMailbox(opaque_id) from None

    def __iter__(self) -> Iterator[Mailbox]:
        return iter(list(self._by_guid.values()))

    def clear(self) -> None:
        with self._lock:
            self._mailboxes.clear()
            self._by_guid.clear()
