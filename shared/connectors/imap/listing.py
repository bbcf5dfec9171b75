"""Lists a folder: what came since a watermark, what of an old mailbox is still to be listed, and changes of flags.

An idle poll is one EXAMINE, which tells UIDNEXT and HIGHESTMODSEQ (RFC 7162). New mail is one FETCH more. Where more came than
a page holds, it is fetched by sequence numbers, so that neither gaps between UIDs nor the length of the mailbox matter. What is
marked as deleted is hidden by mail programs, so it is not listed as new; where the server keeps states of flags, one whose mark
is taken off again is.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import timedelta
from time import monotonic

from shared.connectors.imap.answers import Fetched, sets_of
from shared.connectors.imap.columns import MOST_LOSSES, Columns, envelope_of
from shared.connectors.imap.folders import Folders
from shared.connectors.imap.places import Remembered, ref_of
from shared.connectors.imap.session import Opened, Session
from shared.connectors.imap.watermark import FlagChanges, Stretch, Watermark, first_watermark, watermark_of
from shared.domain.email import ChangeKind, ItemRef, ListedItem, Page
from shared.domain.errors import Busy, ItemError, ItemGone, WatermarkExpired
from shared.domain.folders import SENT_ITEMS, Folder
from shared.domain.ids import normalised_address
from shared.ports import PAGE_ITEMS

_MOST_WINDOWS = 20
"""FETCHes of one page: more than one only where messages were removed that were to be listed."""

_LONGEST_PAGE = timedelta(minutes=2)
"""After that a page is what it is so far: a run's lease would not outlast a server that takes its time for each of them."""
_MOST_FLAGS = 20_000
"""Messages whose flags are asked for at once: somebody may mark all of a mailbox as read."""


class Listing:
    """Lists the folders of one mailbox."""

    def __init__(self, session: Session, folders: Folders, columns: Columns, remembered: Remembered) -> None:
        self._session = session
        self._folders = folders
        self._columns = columns
        self._remembered = remembered

    def page(self, folder: Folder, text: str | None, limit: int) -> Page:
        """Raises WatermarkExpired, FolderNotFound."""
        opened = self._folders.examine(folder.id)
        try:
            return self._page(folder, opened, text, max(1, min(limit, PAGE_ITEMS)))
        except ItemGone as error:
            raise WatermarkExpired("The folder was made anew while it was listed.") from error
        except ItemError as error:
            raise Busy(f"The server does not list the folder: {error}") from error

    def latest(self, folder: Folder, count: int) -> Sequence[ItemRef]:
        """The refs of the messages with the highest UIDs, highest first."""
        opened = self._folders.examine(folder.id)
        if not opened.exists or count < 1:
            return []
        found = self._session.fetch_numbers(max(1, opened.exists - count + 1), opened.exists, b"(UID FLAGS)")
        uids = sorted((row.uid for row in found.values() if not row.is_deleted), reverse=True)
        return [ref_of(folder.id, opened.uid_validity, uid) for uid in uids]

    # ---- a page

    def _page(self, folder: Folder, opened: Opened, text: str | None, limit: int) -> Page:
        former = self._former(folder, opened, text)
        watermark = former.with_new(opened.uid_next, opened.exists)
        items: list[ListedItem] = []
        until = monotonic() + _LONGEST_PAGE.total_seconds()
        for place in range(_MOST_WINDOWS):
            if not watermark.stretches or len(items) >= limit or (place and monotonic() > until):
                break
            watermark, rows = self._window(folder, opened, watermark, limit - len(items))
            items += self._items(rows, folder, opened, ChangeKind.CREATED)
        if not watermark.stretches and len(items) < limit:
            changes, watermark = self._flag_changes(folder, opened, watermark, former.uid_next, limit - len(items))
            items += changes
        return Page(tuple(items), watermark.text, _is_behind(watermark, opened))

    def _former(self, folder: Folder, opened: Opened, text: str | None) -> Watermark:
        if text is None:
            return first_watermark(folder.id, opened.uid_validity, opened.uid_next, opened.exists, opened.flags_at)
        return watermark_of(text, folder.id, opened.uid_validity, opened.uid_next if opened.tells_next else None)

    def _window(self, folder: Folder, opened: Opened, watermark: Watermark, room: int) -> tuple[Watermark, list[Fetched]]:
        """The messages at the end of the stretch that is listed, newest first."""
        stretch = watermark.stretches[-1]
        if stretch.before - stretch.first <= room:
            found = self._columns.listed(range(stretch.first, stretch.before), folder.id, opened.uid_validity)
            rest = None
        else:
            found, rest = self._by_numbers(folder, opened, stretch, room)
        watermark = watermark.with_last(rest)
        rows = sorted(found, key=lambda row: -row.uid)
        return (_noted(watermark, rows) if opened.flags_at is not None else watermark), rows

    def _by_numbers(self, folder: Folder, opened: Opened, stretch: Stretch, room: int) -> tuple[list[Fetched], Stretch | None]:
        """As many messages from the end of a stretch as there is room for, and what is left of it."""
        last = min(stretch.below, opened.exists)
        first = max(1, last - room + 1)
        found = self._columns.of_numbers(first, last, folder.id, opened.uid_validity) if last else []
        rows = [row for row in found if stretch.first <= row.uid < stretch.before]
        if first == 1 or any(row.uid <= stretch.first for row in found):
            return rows, None
        return rows, Stretch(stretch.first, min((row.uid for row in rows), default=stretch.before), first - 1)

    # ---- flags

    def _flag_changes(
        self, folder: Folder, opened: Opened, watermark: Watermark, uid_next: int, room: int
    ) -> tuple[list[ListedItem], Watermark]:
        """Of messages below `uid_next`, which are no news themselves."""
        since = watermark.flags_at
        if since is None or opened.flags_at is None or opened.flags_at < since:
            return [], replace(watermark, flags_at=opened.flags_at, changes=None)
        if opened.flags_at == since:
            return [], watermark
        changes = watermark.changes or FlagChanges(opened.flags_at, 0)
        changed = self._changed_since(since, changes.after, uid_next)
        part = next(sets_of(changed[:_MOST_FLAGS]), [])
        if not part:
            return [], replace(watermark, flags_at=changes.until, changes=None)
        rows = self._session.fetch(part, b"(UID FLAGS)")
        telling = [row for row in rows.values() if not row.is_deleted and (row.categories or row.uid in watermark.noted)]
        telling = sorted(telling, key=lambda row: row.uid)[: room + 1]
        if len(telling) > room:
            part = [uid for uid in part if uid < telling.pop().uid]
        items = self._updated(telling, folder, opened)
        untold = set(part) - {row.uid for row in telling}
        silent = (row.uid for row in rows.values() if row.uid in untold and not row.is_deleted)
        refs = [ref_of(folder.id, opened.uid_validity, uid) for uid in sorted(silent)]
        items += [ListedItem(ref, ChangeKind.READ_FLAG) for ref in refs[: room - len(items)]]
        watermark = _noted(watermark, (rows[uid] for uid in part if uid in rows))
        if part[-1] == changed[-1]:
            return items, replace(watermark, flags_at=changes.until, changes=None)
        return items, replace(watermark, changes=FlagChanges(changes.until, part[-1]))

    def _changed_since(self, flags_at: int, after: int, uid_next: int) -> Sequence[int]:
        """UIDs, ascending. A set whose ends are the wrong way round would mean the messages between them (RFC 3501)."""
        if after + 1 >= uid_next:
            return []
        return self._session.search(b"UID", b"%d:%d" % (after + 1, uid_next - 1), b"MODSEQ", b"%d" % (flags_at + 1))

    def _updated(self, rows: Sequence[Fetched], folder: Folder, opened: Opened) -> list[ListedItem]:
        if not rows:
            return []
        flags = {row.uid: row for row in rows}
        found = self._columns.of([*flags], folder.id, opened.uid_validity, losses=MOST_LOSSES)
        known = [outcome if isinstance(outcome, Fetched) else flags[uid] for uid, outcome in found.items()]
        return self._items(known, folder, opened, ChangeKind.UPDATED)

    # ---- items

    def _items(self, rows: Iterable[Fetched], folder: Folder, opened: Opened, kind: ChangeKind) -> list[ListedItem]:
        return [self._item(row, folder, opened, kind) for row in rows if not row.is_deleted]

    def _item(self, row: Fetched, folder: Folder, opened: Opened, kind: ChangeKind) -> ListedItem:
        """One whose headers the server does not give says nothing of itself: reading it tells what is the matter."""
        ref = ref_of(folder.id, opened.uid_validity, row.uid)
        is_own_copy = folder.id == SENT_ITEMS.id
        if row.size is not None:
            self._remembered.note_size(ref, row.size)
        envelope = envelope_of(row, ref)
        if isinstance(envelope, ItemError):
            return ListedItem(
                ref,
                kind,
                received=row.received,
                size=row.size or 0,
                is_draft=row.is_draft,
                is_own_copy=is_own_copy,
                categories=row.categories,
            )
        self._remembered.keep(envelope, len(row.content or b""), opened.census)
        return ListedItem(
            ref,
            kind,
            envelope.item_class,
            envelope.message_id,
            normalised_address(envelope.sender.address) if envelope.sender is not None else None,
            envelope.sender_origin,
            envelope.received,
            envelope.size,
            row.is_draft,
            is_own_copy,
            envelope.categories,
        )


def _is_behind(watermark: Watermark, opened: Opened) -> bool:
    flags_changed = watermark.flags_at is not None and (opened.flags_at or 0) > watermark.flags_at
    return bool(watermark.stretches) or watermark.uid_next < opened.uid_next or flags_changed


def _noted(watermark: Watermark, rows: Iterable[Fetched]) -> Watermark:
    """Those of whom a later change of flags has to be told, whatever is left on them then."""
    present = list(rows)
    noted = {row.uid for row in present if row.categories or row.is_deleted}
    return watermark.with_noted(noted, {row.uid for row in present} - noted)
