"""A mailbox on a server, in memory: a faithful `IncomingEmail` with a switch for every fault that sync code must survive.

Behaves as Exchange does: the first listing comes newest first in pages with a watermark after each, later ones bring
every changed item once; an item that is gone says so when it is fetched.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from shared.domain.configuration import Discovered, EmailServerProfile, Mailbox
from shared.domain.email import INBOX, ChangeKind, Folder, IncomingMessage, ItemRef, ListedItem, Page
from shared.domain.errors import ItemError, ItemGone, MailboxNotFound, WatermarkExpired
from shared.domain.ids import normalised_address
from shared.ports import PAGE_ITEMS, IncomingEmail


class ProcessDied(BaseException):
    """The process is gone: nothing catches this."""


@dataclass
class InMemoryMail:
    """One mailbox with an Inbox."""

    source: str = "https://mail.contoso.example/anna"
    page_items: int = PAGE_ITEMS
    generation: int = 1
    """Raise it and every watermark given out before is expired."""
    listing_fails: list[Exception] = field(default_factory=list)
    """Raised by the next listings, one each."""
    fetching_fails: dict[str, list[BaseException]] = field(default_factory=dict)
    """Per item id: raised by the next fetches of it, one each, in the middle of a batch."""
    unreadable: dict[str, ItemError] = field(default_factory=dict)
    raw_fails: dict[str, BaseException] = field(default_factory=dict)
    deadly: set[str] = field(default_factory=set)
    """Items that kill the process each time they are read."""
    fetched: list[str] = field(default_factory=list)
    opened: int = 0
    _messages: dict[str, tuple[IncomingMessage, ListedItem]] = field(default_factory=dict)
    _log: list[tuple[str, ChangeKind]] = field(default_factory=list)

    # ---- what happens to the mailbox

    def deliver(self, message: IncomingMessage, **columns: Any) -> ItemRef:
        """A message arrives; `columns` replace what its listing says."""
        ref = ItemRef(f"item-{len(self._log) + 1}", INBOX.id)
        listed = ListedItem(
            ref=ref,
            kind=ChangeKind.CREATED,
            message_id=message.message_id,
            sender=normalised_address(message.sender.address) if message.sender else None,
            sender_origin=message.sender_origin,
            received=message.received,
            size=message.size,
        )
        self._messages[ref.id] = (replace(message, ref=ref), replace(listed, **columns))
        self._log.append((ref.id, ChangeKind.CREATED))
        return ref

    def change(self, ref: ItemRef, **columns: Any) -> None:
        """An item is updated, its columns with it."""
        message, listed = self._messages[ref.id]
        self._messages[ref.id] = (message, replace(listed, **columns))
        self._log.append((ref.id, ChangeKind.UPDATED))

    def mark_read(self, ref: ItemRef) -> None:
        self._log.append((ref.id, ChangeKind.READ_FLAG))

    def remove(self, ref: ItemRef) -> None:
        del self._messages[ref.id]
        self._log.append((ref.id, ChangeKind.DELETED))

    # ---- the port

    def folders(self) -> Sequence[Folder]:
        return (INBOX,)

    def changes(self, folder: Folder, watermark: str | None, limit: int = PAGE_ITEMS) -> Page:
        assert folder == INBOX
        if self.listing_fails:
            raise self.listing_fails.pop(0)
        limit = min(limit, self.page_items)
        if watermark is None:
            return self._listing(len(self._log), 0, limit)
        generation, *position = (int(part) for part in watermark.split(":"))
        if generation != self.generation:
            raise WatermarkExpired("the state is not valid")
        if len(position) == 2:
            return self._listing(position[0], position[1], limit)
        return self._changes_after(position[0], limit)

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

    def discard(self, ref: ItemRef) -> None:
        if ref.id in self._messages:
            self.remove(ref)

    # ---- pages

    def _listing(self, position: int, offset: int, limit: int) -> Page:
        """The items that were there at `position` of the log, newest first, from `offset` on."""
        created = [item_id for item_id, kind in self._log[:position] if kind is ChangeKind.CREATED]
        newest_first = list(reversed(created))
        chosen = newest_first[offset : offset + limit]
        items = tuple(self._messages[item_id][1] for item_id in chosen if item_id in self._messages)
        more = offset + limit < len(newest_first)
        watermark = f"{self.generation}:{position}:{offset + limit}" if more else f"{self.generation}:{position}"
        return Page(items, watermark, more)

    def _changes_after(self, position: int, limit: int) -> Page:
        """Each item that changed, once, with the last that happened to it; as many as come first in the log."""
        last: dict[str, ChangeKind] = {}
        end = position
        for item_id, kind in self._log[position:]:
            if item_id not in last and len(last) == limit:
                break
            end += 1
            last[item_id] = self._together(last.get(item_id), kind)
        items = tuple(self._listed(item_id, kind) for item_id, kind in reversed(last.items()))
        return Page(items, f"{self.generation}:{end}", end < len(self._log))

    @staticmethod
    def _together(former: ChangeKind | None, kind: ChangeKind) -> ChangeKind:
        return ChangeKind.CREATED if former is ChangeKind.CREATED and kind is not ChangeKind.DELETED else kind

    def _listed(self, item_id: str, kind: ChangeKind) -> ListedItem:
        if kind in (ChangeKind.DELETED, ChangeKind.READ_FLAG) or item_id not in self._messages:
            return ListedItem(ItemRef(item_id, INBOX.id), kind if item_id in self._messages else ChangeKind.DELETED)
        return replace(self._messages[item_id][1], kind=kind)


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
