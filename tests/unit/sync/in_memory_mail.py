"""A mailbox on a server, in memory: a faithful `IncomingEmail` with a switch for every fault that sync code must survive.

Behaves as Exchange does: the first listing comes newest first in pages with a watermark after each, later ones bring
every changed item once; an item that is gone says so when it is fetched.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime
from typing import Any

from shared.domain.configuration import Discovered, EmailServerProfile, Mailbox
from shared.domain.email import ChangeKind, Envelope, IncomingMessage, ItemRef, ListedItem, Page
from shared.domain.errors import AccessDenied, FolderNotFound, ItemError, ItemGone, MailboxNotFound, WatermarkExpired
from shared.domain.folders import INBOX, SENT_ITEMS, Folder, TreeFolder
from shared.domain.ids import normalised_address
from shared.ports import PAGE_ITEMS, IncomingEmail
from tests.builders import envelope_of


class ProcessDied(BaseException):
    """The process is gone: nothing catches this."""


@dataclass
class InMemoryMail:
    """One mailbox with an Inbox, Sent Items, and folders below the Inbox."""

    source: str = "https://mail.contoso.example/anna"
    page_items: int = PAGE_ITEMS
    generation: int = 1
    """Raise it and every watermark given out before is expired."""
    listing_fails: list[Exception] = field(default_factory=list)
    """Raised by the next listings, one each."""
    fetching_fails: dict[str, list[BaseException]] = field(default_factory=dict)
    """Per item id: raised by the next fetches of it, one each, in the middle of a batch."""
    marking_fails: list[Exception] = field(default_factory=list)
    """Raised by the next calls that mark, move or delete, one each."""
    unreadable: dict[str, ItemError] = field(default_factory=dict)
    raw_fails: dict[str, BaseException] = field(default_factory=dict)
    deadly: set[str] = field(default_factory=set)
    """Items that kill the process each time they are read."""
    fetched: list[str] = field(default_factory=list)
    closed: set[str] = field(default_factory=set)
    """Folders that must not be read."""
    folders_below: list[TreeFolder] = field(default_factory=list)
    """Those below the Inbox; whoever leaves out one has moved it away or deleted it."""
    _messages: dict[str, tuple[IncomingMessage, ListedItem]] = field(default_factory=dict)
    _log: list[tuple[str, str, ChangeKind]] = field(default_factory=list)
    """Item, folder, and what happened."""

    # ---- what happens to the mailbox

    def deliver(self, message: IncomingMessage, folder: Folder = INBOX, **columns: Any) -> ItemRef:
        """A message arrives in a folder; `columns` replace what its listing says."""
        ref = ItemRef(f"item-{len(self._log) + 1}", folder.id)
        listed = ListedItem(
            ref=ref,
            kind=ChangeKind.CREATED,
            item_class=message.item_class,
            message_id=message.message_id,
            sender=normalised_address(message.sender.address) if message.sender else None,
            sender_origin=message.sender_origin,
            received=message.received,
            size=message.size,
            is_own_copy=folder.id == SENT_ITEMS.id,
            categories=message.categories,
        )
        self._messages[ref.id] = (replace(message, ref=ref), replace(listed, **columns))
        self._log.append((ref.id, folder.id, ChangeKind.CREATED))
        return ref

    def change(self, ref: ItemRef, **columns: Any) -> None:
        """An item is updated, its columns with it."""
        message, listed = self._messages[ref.id]
        message = replace(message, categories=columns.get("categories", message.categories))
        self._messages[ref.id] = (message, replace(listed, **columns))
        self._log.append((ref.id, listed.ref.folder, ChangeKind.UPDATED))

    def mark_read(self, ref: ItemRef) -> None:
        self._log.append((ref.id, ref.folder, ChangeKind.READ_FLAG))

    def remove(self, ref: ItemRef) -> None:
        del self._messages[ref.id]
        self._log.append((ref.id, ref.folder, ChangeKind.DELETED))

    def file(self, ref: ItemRef, folder: Folder) -> ItemRef:
        """Somebody moves an item to another folder, where it gets another id."""
        message, listed = self._messages[ref.id]
        self.remove(ref)
        columns = {each.name: getattr(listed, each.name) for each in fields(listed) if each.name not in ("ref", "kind")}
        return self.deliver(message, folder, **{**columns, "is_own_copy": False})

    def categories(self, ref: ItemRef) -> tuple[str, ...]:
        return self._messages[ref.id][1].categories

    def folder_of(self, ref: ItemRef) -> str:
        return self._messages[ref.id][1].ref.folder

    def holds(self, ref: ItemRef) -> bool:
        return ref.id in self._messages

    # ---- the ports

    def folders(self) -> Sequence[Folder]:
        return (INBOX,)

    def tree(self) -> Sequence[TreeFolder]:
        return list(self.folders_below)

    def changes(self, folder: Folder, watermark: str | None, limit: int = PAGE_ITEMS) -> Page:
        if self.listing_fails:
            raise self.listing_fails.pop(0)
        if folder.id in self.closed:
            raise AccessDenied("ErrorAccessDenied")
        if folder not in (INBOX, SENT_ITEMS) and folder.id not in {each.id for each in self.folders_below}:
            raise FolderNotFound(folder.name)
        limit = min(limit, self.page_items)
        if watermark is None:
            return self._listing(folder, len(self._log), 0, limit)
        generation, *position = (int(part) for part in watermark.split(":"))
        if generation != self.generation:
            raise WatermarkExpired("the state is not valid")
        if len(position) == 2:
            return self._listing(folder, position[0], position[1], limit)
        return self._changes_after(folder, position[0], limit)

    def envelopes(self, refs: Sequence[ItemRef]) -> Iterator[tuple[ItemRef, Envelope | ItemError]]:
        for ref in refs:
            if ref.id in self._messages:
                yield ref, envelope_of(self._messages[ref.id][0])
            else:
                yield ref, ItemGone("it is not there")

    def latest(self, folder: Folder, count: int) -> Sequence[ItemRef]:
        found = [listed for _, listed in self._messages.values() if listed.ref.folder == folder.id]
        newest_first = sorted(found, key=lambda listed: listed.received or datetime.min.replace(tzinfo=UTC), reverse=True)
        return [listed.ref for listed in newest_first[:count]]

    def fetch(self, refs: Sequence[ItemRef]) -> Iterator[tuple[ItemRef, IncomingMessage | ItemError]]:
        for ref in refs:
            self.fetched.append(ref.id)
            if ref.id in self.deadly:
                raise ProcessDied(ref.id)
            if failures := self.fetching_fails.get(ref.id):
                raise failures.pop(0)
            if ref.id in self.unreadable:
                yield ref, self.unreadable[ref.id]
            elif ref.id not in self._messages:
                yield ref, ItemGone("it is not there")
            else:
                yield ref, self._messages[ref.id][0]

    def raw(self, ref: ItemRef) -> Iterator[bytes]:
        if ref.id in self.raw_fails:
            raise self.raw_fails[ref.id]
        yield f"raw form of {ref.id}".encode()

    def discard(self, refs: Sequence[ItemRef]) -> Mapping[ItemRef, ItemError]:
        self._may_fail()
        for ref in refs:
            if ref.id in self._messages:
                self.remove(ref)
        return {}

    def categorize(self, ref: ItemRef, add: Collection[str], remove: Collection[str]) -> None:
        """A change of an item that changes nothing is none."""
        self._expect(ref)
        present = self.categories(ref)
        wanted = tuple(sorted((set(present) - set(remove)) | set(add)))
        if wanted != present:
            self.change(ref, categories=wanted)

    def move(self, ref: ItemRef, folder_name: str, message_id: str | None) -> ItemRef:
        self._may_fail()
        place = f"folder-{folder_name}"
        if ref.id in self._messages:
            return ref if self.folder_of(ref) == place else self._moved(ref, ItemRef(f"{ref.id}-moved", place))
        there = [listed for _, listed in self._messages.values() if listed.ref.folder == place]
        named = [listed.ref for listed in there if message_id is not None and listed.message_id == message_id]
        if len(named) != 1:
            raise ItemGone("it is not there")
        return named[0]

    def _moved(self, ref: ItemRef, moved: ItemRef) -> ItemRef:
        message, listed = self._messages[ref.id]
        self.remove(ref)
        self._messages[moved.id] = (replace(message, ref=moved), replace(listed, ref=moved))
        self._log.append((moved.id, moved.folder, ChangeKind.CREATED))
        return moved

    def _may_fail(self) -> None:
        if self.marking_fails:
            raise self.marking_fails.pop(0)

    def _expect(self, ref: ItemRef) -> None:
        self._may_fail()
        if ref.id not in self._messages:
            raise ItemGone("it is not there")

    # ---- pages

    def _listing(self, folder: Folder, position: int, offset: int, limit: int) -> Page:
        """The items of the folder that were there at `position` of the log, newest first, from `offset` on."""
        created = [
            item_id for item_id, place, kind in self._log[:position] if kind is ChangeKind.CREATED and place == folder.id
        ]
        newest_first = list(reversed(created))
        chosen = newest_first[offset : offset + limit]
        items = tuple(self._messages[item_id][1] for item_id in chosen if self._is_in(item_id, folder.id))
        more = offset + limit < len(newest_first)
        watermark = f"{self.generation}:{position}:{offset + limit}" if more else f"{self.generation}:{position}"
        return Page(items, watermark, more)

    def _changes_after(self, folder: Folder, position: int, limit: int) -> Page:
        """Each item that changed, once, with the last that happened to it; as many as come first in the log."""
        last: dict[str, ChangeKind] = {}
        end = position
        for item_id, place, kind in self._log[position:]:
            if place == folder.id:
                if item_id not in last and len(last) == limit:
                    break
                last[item_id] = self._together(last.get(item_id), kind)
            end += 1
        items = tuple(self._listed(item_id, folder.id, kind) for item_id, kind in reversed(last.items()))
        return Page(items, f"{self.generation}:{end}", end < len(self._log))

    @staticmethod
    def _together(former: ChangeKind | None, kind: ChangeKind) -> ChangeKind:
        return ChangeKind.CREATED if former is ChangeKind.CREATED and kind is not ChangeKind.DELETED else kind

    def _listed(self, item_id: str, folder: str, kind: ChangeKind) -> ListedItem:
        is_there = self._is_in(item_id, folder)
        if kind in (ChangeKind.DELETED, ChangeKind.READ_FLAG) or not is_there:
            return ListedItem(ItemRef(item_id, folder), kind if is_there else ChangeKind.DELETED)
        return replace(self._messages[item_id][1], kind=kind)

    def _is_in(self, item_id: str, folder: str) -> bool:
        return item_id in self._messages and self._messages[item_id][1].ref.folder == folder


class Servers:
    """Opens mailboxes: one `InMemoryMail` per address, or the error that opening it has."""

    def __init__(self, **mails: InMemoryMail) -> None:
        self.mails = {f"{name}@contoso.example": mail for name, mail in mails.items()}
        self.refuses: dict[str, Exception] = {}
        """Per address: what opening the mailbox raises."""
        self.attempts: list[str] = []
        self.discovered: list[Discovered | None] = []
        """Where each was said to be."""

    @contextmanager
    def __call__(
        self, profile: EmailServerProfile, mailbox: Mailbox, discovered: Discovered | None = None
    ) -> Iterator[IncomingEmail]:
        assert profile.id == mailbox.profile_id
        self.attempts.append(mailbox.address)
        self.discovered.append(discovered)
        if mailbox.address in self.refuses:
            raise self.refuses[mailbox.address]
        if mailbox.address not in self.mails:
            raise MailboxNotFound("no such mailbox")
        yield self.mails[mailbox.address]
