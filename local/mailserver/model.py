"""The mail store behind every protocol head: mailboxes, their folders, what is put into them. Knows no protocol.

Every change in a mailbox gets the next number of that mailbox's clock. Ids are opaque; an item that moves gets a new one, a
folder that moves keeps its own, as on Exchange.
"""

import base64
import hashlib
import threading
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from itertools import count

from local.mailserver.contents import MAIL, Folder, Item
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


class FolderRefused(ValueError):
    """The folder cannot be that, or there."""


class FolderExists(FolderRefused):
    """Its parent has a folder of that name already; names ignore case."""


class FolderLoop(FolderRefused):
    """A folder cannot be below itself."""


class DistinguishedFolder(FolderRefused):
    """A folder that every mailbox has stays where it is."""


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

    def add_folder(self, name: str, parent: str = "msgfolderroot", kind: str = MAIL) -> Folder:
        """Raises FolderRefused."""
        with self.lock:
            below = self.folder(parent)
            self._refuse_name(name, below)
            return self._new_folder(name, below, None, kind)

    def rename_folder(self, name_or_id: str, name: str) -> Folder:
        """Raises FolderRefused."""
        with self.lock:
            folder = self.folder(name_or_id)
            self._refuse_name(name, folder.parent, folder)
            folder.name, folder.changed = name, self.tick()
            return folder

    def move_folder(self, name_or_id: str, parent: str) -> Folder:
        """With all that is in it and below it; ids stay. Raises FolderRefused."""
        with self.lock:
            folder, below = self._movable(name_or_id), self.folder(parent)
            if folder in (below, *below.ancestors()):
                raise FolderLoop(folder.name)
            self._refuse_name(folder.name, below, folder)
            self._note_ancestors(folder)
            folder.parent, folder.changed = below, self.tick()
            self._note_ancestors(folder)
            return folder

    def renumber_folder(self, name_or_id: str) -> None:
        """As after a restore: what clients know its items by (uids) is no longer true."""
        with self.lock:
            self.folder(name_or_id).renumber(next(self._numbers))

    def discard_folder(self, name_or_id: str) -> None:
        """Into the deleted items, under another name where one of its name is there. Raises DistinguishedFolder."""
        with self.lock:
            folder, bin_ = self._movable(name_or_id), self.folder("deleteditems")
            if bin_ in folder.ancestors():
                self.remove_folder(folder.id)
                return
            taken = {child.name.lower() for child in self.children(bin_)}
            names = (folder.name, *(f"{folder.name}{number}" for number in range(1, len(taken) + 1)))
            free = next(name for name in names if name.lower() not in taken)
            if free != folder.name:
                self.rename_folder(folder.id, free)
            self.move_folder(folder.id, bin_.id)

    def remove_folder(self, name_or_id: str) -> None:
        """The folder, what is under it, and all items in them disappear. Raises DistinguishedFolder."""
        with self.lock:
            folder = self._movable(name_or_id)
            self._note_ancestors(folder)
            for gone in [folder, *self.descendants(folder)]:
                del self.folders[gone.id]

    def _movable(self, name_or_id: str) -> Folder:
        folder = self.folder(name_or_id)
        if folder.well_known is not None:
            raise DistinguishedFolder(folder.name)
        return folder

    def _refuse_name(self, name: str, parent: Folder | None, itself: Folder | None = None) -> None:
        if not name.strip():
            raise FolderRefused("a folder has a name")
        siblings = self.children(parent) if parent is not None else []
        if any(name.lower() == sibling.name.lower() for sibling in siblings if sibling is not itself):
            raise FolderExists(name)

    def _note_ancestors(self, folder: Folder) -> None:
        """It and what is below it has come below its ancestors, or is about to leave them."""
        at = self.tick()
        for moved in (folder, *self.descendants(folder)):
            for ancestor in folder.ancestors():
                ancestor.folder_came_or_left(moved.id, at)

    def children(self, folder: Folder) -> list[Folder]:
        return [candidate for candidate in self.folders.values() if candidate.parent is folder]

    def descendants(self, folder: Folder) -> Iterator[Folder]:
        """Parents before what is below them."""
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
        item_class: str = "",
        categories: tuple[str, ...] = (),
        properties: Mapping[str, tuple[str, ...]] | None = None,
    ) -> Item:
        """`item_class`: another one than the message's form tells."""
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
                item_class=item_class or message.item_class,
                categories=categories,
                properties=properties or {},
            )
            target.put(item)
            return item

    def move(self, item_id: str, folder: str) -> Item:
        """The item gets a new id in the other folder."""
        with self.lock:
            item, target = self.item(item_id), self.folder(folder)
            item.folder.take(item, self.tick())
            return self._put_anew(item, target)

    def copy(self, item_id: str, folder: str) -> Item:
        """Another one in the other folder, with an id of its own."""
        with self.lock:
            return self._put_anew(self.item(item_id), self.folder(folder))

    def _put_anew(self, item: Item, target: Folder) -> Item:
        """Whoever still holds the item as it was reads it as it was."""
        number, at = next(self._numbers), self.tick()
        identity = self._opaque_id("item", number, 112)
        anew = replace(item, id=identity, number=number, folder=target, entered=at, changed=at, read_changed=at)
        target.put(anew)
        return anew

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

    def rewrite(self, item_id: str, message: Message) -> Item:
        """The item is another message from now on: somebody goes on writing it."""
        with self.lock:
            item = self.touch(item_id)
            item.message, item.item_class = message, message.item_class
            return item

    def flag(self, item_id: str, flags: Collection[str], *, is_draft: bool) -> Item:
        """The item has these marks of mail clients from now on."""
        with self.lock:
            item = self.touch(item_id)
            item.flags, item.is_draft = frozenset(flags), is_draft
            return item

    def categorize(self, item_id: str, categories: Collection[str]) -> Item:
        """The item has these categories from now on, in this order, each once whatever its case."""
        with self.lock:
            item = self.touch(item_id)
            distinct: dict[str, str] = {}
            for category in categories:
                distinct.setdefault(category.lower(), category)
            item.categories = tuple(distinct.values())
            return item

    def _new_folder(self, name: str, parent: Folder | None, well_known: str | None, kind: str = MAIL) -> Folder:
        at = self.tick()
        number = next(self._numbers)
        folder = Folder(
            self._opaque_id("folder", number, 90), name, self, parent, well_known, kind, at, at, uid_validity=number
        )
        self.folders[folder.id] = folder
        self._note_ancestors(folder)
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
        self._domains: set[str] = set()
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
            self._domains.update(known.lower().rpartition("@")[2] for known in (address, *aliases))
            return mailbox

    def mailbox(self, address: str) -> Mailbox:
        """Raises NoSuchMailbox."""
        try:
            return self._mailboxes[address.strip().lower()]
        except KeyError:
            raise NoSuchMailbox(address) from None

    def serves(self, address: str) -> bool:
        """Whether mail to the domain of an address ends here: a mailbox is in it."""
        return address.strip().lower().rpartition("@")[2] in self._domains

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
            self._domains.clear()
