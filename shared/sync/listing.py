"""Listing a folder: which watermark to go on from, what a page holds that is new, and when a server talks nonsense."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from shared.domain.email import ChangeKind, ListedItem, Page
from shared.domain.errors import Unreachable, WatermarkExpired
from shared.domain.folders import Folder
from shared.domain.ids import short_hash
from shared.domain.ledger import ItemKey, LedgerHead, Mark, item_key
from shared.ports import IncomingEmail


@dataclass(frozen=True, slots=True)
class ListedPage:
    """A page, and the mark from which it was listed."""

    folder: Folder
    mark: Mark
    page: Page

    @property
    def after(self) -> Mark:
        """The mark that stands once this page is committed."""
        return replace(self.mark, watermark=self.page.watermark, caught_up=self.mark.caught_up or not self.page.more)

    @property
    def is_idle(self) -> bool:
        """Nothing new: committing it would change nothing that matters."""
        is_read = self.mark.caught_up and self.mark.watermark is not None
        return is_read and not (self.page.items or self.page.more or self.page.is_worth_keeping)


def mark_of(head: LedgerHead, folder: Folder, mail: IncomingEmail) -> Mark:
    """How far `folder` was read; from the start where nothing is known, or where what is known is of another source."""
    source = short_hash(f"{mail.source}:{folder.id}")
    for mark in head.marks:
        if mark.folder == folder.id and mark.source == source:
            return mark
    return Mark(folder.id, source, watermark=None)


def list_page(mail: IncomingEmail, folder: Folder, mark: Mark) -> ListedPage:
    """The next page after `mark`; the first one again where the server forgot the watermark. Raises FolderNotFound."""
    try:
        page = mail.changes(folder, mark.watermark)
    except WatermarkExpired as error:
        if mark.watermark is None:
            raise Unreachable("The server refuses a watermark that was not given.") from error
        mark = Mark(mark.folder, mark.source, watermark=None)
        page = _first_page(mail, folder)
    if page.more and not page.items and page.watermark == mark.watermark:
        raise Unreachable("The server says that there is more, and gives nothing.")
    return ListedPage(folder, mark, page)


def _first_page(mail: IncomingEmail, folder: Folder) -> Page:
    try:
        return mail.changes(folder, None)
    except WatermarkExpired as error:
        raise Unreachable("The server refuses a watermark that was not given.") from error


def oldest_first(items: Iterable[ListedItem]) -> list[tuple[ItemKey, ListedItem]]:
    """The items of a page that are there now, each once, in an order that every repetition of the page has too."""
    present: dict[ItemKey, ListedItem] = {}
    for item in items:
        if item.kind in (ChangeKind.CREATED, ChangeKind.UPDATED):
            key = item_key(item.message_id, item.ref)
            present[key] = _earliest_kind(item, present.get(key))
    return sorted(present.items(), key=lambda entry: (entry[1].received or datetime.min.replace(tzinfo=UTC), entry[0]))


def _earliest_kind(item: ListedItem, former: ListedItem | None) -> ListedItem:
    """An item that was created and updated within one page was created, with the columns of the update."""
    created = former is not None and former.kind is ChangeKind.CREATED
    return replace(item, kind=ChangeKind.CREATED) if created else item
