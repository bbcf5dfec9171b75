"""Reads messages whole: small ones several at once, large ones in slices into a temporary file, without marking them as read.

No slice is larger than a few MiB, whatever the server says of a message's size; nothing but the messages of one batch is held.
"""

import mmap
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from itertools import batched

from shared.connectors.imap.answers import Fetched
from shared.connectors.imap.columns import FACTS, Columns, Outcome, by_halves, check_validity, envelope_of, of_message
from shared.connectors.imap.errors import NotLetIn
from shared.connectors.imap.folders import Folders
from shared.connectors.imap.places import Census, Place, Remembered, place_of, uids_of
from shared.connectors.imap.session import Session
from shared.connectors.mapped import mapped
from shared.connectors.mime import read_message
from shared.domain.email import Envelope, IncomingMessage, ItemRef
from shared.domain.errors import FolderNotFound, ItemError, ItemGone, ItemTooLarge, ItemUnreadable
from shared.domain.folders import INBOX

SLICE = 1 << 20
"""Bytes of a message that are asked for at once, at first."""
FOLLOWING_SLICE = 4 << 20
"""The larger, the less a server reads twice: some look for the place from the beginning each time."""
LARGEST_MESSAGE = 256 << 20
"""Bytes; more than any mail server takes."""
MOST_AT_ONCE = 100
LARGEST_BATCH = 4 << 20
"""Sum of the sizes that the server says; a message of unknown size goes alone."""

_WHOLE = b"(%s BODY.PEEK[]<0.%d>)" % (FACTS, SLICE)


class Reading:
    """Reads messages of one mailbox."""

    def __init__(self, session: Session, folders: Folders, columns: Columns, remembered: Remembered) -> None:
        self._session = session
        self._folders = folders
        self._columns = columns
        self._remembered = remembered

    # ---- envelopes

    def envelopes(self, refs: Sequence[ItemRef]) -> Iterator[tuple[ItemRef, Envelope | ItemError]]:
        """What was listed just now is not asked for again, where nothing happened to its folder since."""
        for some in batched(refs, MOST_AT_ONCE, strict=False):
            census = self._look_again(some)
            known = ((ref, self._remembered.take(ref, census[ref.folder])) for ref in some if ref.folder in census)
            kept = {ref: envelope for ref, envelope in known if envelope is not None}
            asked = self._asked([ref for ref in some if ref not in kept], self._columns.of)
            for ref in some:
                yield ref, kept.get(ref) or self._envelope(ref, asked.get(ref))

    def _envelope(self, ref: ItemRef, outcome: Outcome | None) -> Envelope | ItemError:
        if isinstance(outcome, Fetched) and outcome.content is not None:
            return envelope_of(outcome, ref)
        return _error_of(outcome)

    # ---- messages

    def messages(self, refs: Sequence[ItemRef]) -> Iterator[tuple[ItemRef, IncomingMessage | ItemError]]:
        for some in batched(refs, MOST_AT_ONCE, strict=False):
            self._look_again(some)
            self._learn_sizes([ref for ref in some if self._remembered.size(ref) is None])
            for batch in self._batches(some):
                asked = self._asked(batch, self._whole)
                for ref in batch:
                    yield ref, self._message(ref, asked.pop(ref, None))

    def raw(self, ref: ItemRef) -> Iterator[bytes]:
        """Raises ItemError."""
        self._look_again([ref])
        outcome = self._asked([ref], self._whole).get(ref)
        if not isinstance(outcome, Fetched) or outcome.content is None:
            raise _error_of(outcome)
        yield from self._slices(ref, outcome.content)

    def _message(self, ref: ItemRef, outcome: Outcome | None) -> IncomingMessage | ItemError:
        if not isinstance(outcome, Fetched) or outcome.content is None:
            return _error_of(outcome)
        try:
            raw = mapped(self._slices(ref, outcome.content)) if _has_more(outcome) else outcome.content
        except ItemError as error:
            return error
        return _read(raw, ref, outcome)

    def _whole(self, uids: Sequence[int], folder_id: str, uid_validity: int) -> dict[int, Outcome]:
        """The first slice of each."""

        def ask(some: Sequence[int]) -> dict[int, Fetched]:
            check_validity(self._folders.within(folder_id).uid_validity, uid_validity)
            return self._session.fetch(some, _WHOLE)

        return by_halves(ask, uids)

    # ---- in slices

    def _slices(self, ref: ItemRef, first: bytes) -> Iterator[bytes]:
        """Until one is shorter than was asked for. Raises ItemTooLarge, ItemGone, ItemUnreadable."""
        yield first
        place, read, wanted, got = place_of(ref), len(first), SLICE, len(first)
        while got == wanted:
            if read > LARGEST_MESSAGE:
                raise ItemTooLarge(f"The message is larger than {LARGEST_MESSAGE >> 20} MiB.")
            wanted = FOLLOWING_SLICE
            part = self._slice(ref.folder, place, read, wanted)
            got = len(part)
            read += got
            yield from (part[start : start + SLICE] for start in range(0, got, SLICE))

    def _slice(self, folder_id: str, place: Place, start: int, length: int) -> bytes:
        check_validity(self._folders.within(folder_id).uid_validity, place.uid_validity)
        row = self._session.fetch([place.uid], b"(UID BODY.PEEK[]<%d.%d>)" % (start, length)).get(place.uid)
        if row is None:
            raise ItemGone("The message was removed while it was read.")
        if row.content and (row.origin != start or len(row.content) > length):
            raise ItemUnreadable("The server gives another part of the message than was asked for.")
        return row.content or b""

    # ---- batches

    def _look_again(self, refs: Sequence[ItemRef]) -> dict[str, Census]:
        """What the folders hold now, of those that are there. Within one opening a server may keep showing what was removed."""
        found: dict[str, Census] = {}
        for folder_id in dict.fromkeys(ref.folder for ref in refs):
            with suppress(FolderNotFound, NotLetIn):
                found[folder_id] = self._folders.examine(folder_id).census
        return found

    def _asked(
        self, refs: Sequence[ItemRef], ask: Callable[[Sequence[int], str, int], dict[int, Outcome]]
    ) -> dict[ItemRef, Outcome]:
        """What becomes of each that is there, folder by folder."""
        outcomes: dict[ItemRef, Outcome] = {}
        for folder_id in dict.fromkeys(ref.folder for ref in refs):
            own = [ref for ref in refs if ref.folder == folder_id]
            malformed = {ref: error for ref in own if (error := _malformed(ref)) is not None}
            outcomes |= malformed
            try:
                uid_validity = self._folders.within(folder_id).uid_validity
                by_uid = uids_of([ref for ref in own if ref not in malformed], uid_validity)
                told = ask([*by_uid], folder_id, uid_validity)
                untold = self._columns.untold([uid for uid in by_uid if uid not in told], folder_id, uid_validity)
                outcomes |= {by_uid[uid]: outcome for uid, outcome in told.items()}
                outcomes |= {by_uid[uid]: ItemUnreadable("The server says nothing of the message.") for uid in untold}
            except (FolderNotFound, ItemGone):
                continue
            except NotLetIn as error:
                if folder_id == INBOX.id:
                    raise
                outcomes |= dict.fromkeys(own, ItemUnreadable(f"Its folder may not be opened: {error}"))
        return outcomes

    def _batches(self, refs: Sequence[ItemRef]) -> Iterator[list[ItemRef]]:
        batch: list[ItemRef] = []
        total = 0
        for ref in refs:
            size = self._remembered.size(ref)
            weight = LARGEST_BATCH if size is None else min(size, LARGEST_BATCH)
            if batch and total + weight > LARGEST_BATCH:
                yield batch
                batch, total = [], 0
            batch.append(ref)
            total += weight
        if batch:
            yield batch

    def _learn_sizes(self, refs: Sequence[ItemRef]) -> None:
        if len(refs) < 2:
            return
        for ref, outcome in self._asked(refs, self._columns.bare).items():
            if isinstance(outcome, Fetched) and outcome.size is not None:
                self._remembered.note_size(ref, outcome.size)


def _has_more(row: Fetched) -> bool:
    """A server that does not say where a part begins gave all of it."""
    return row.origin == 0 and len(row.content or b"") == SLICE


def _read(raw: bytes | mmap.mmap, ref: ItemRef, row: Fetched) -> IncomingMessage | ItemError:
    if not len(raw) and row.size:
        return ItemUnreadable("The server gives nothing of the message.")
    try:
        return read_message(raw, ref, received=row.received, size=row.size, categories=row.categories)
    except ItemError as error:
        return error
    except Exception as error:  # noqa: BLE001 # computed from this message alone, so whatever breaks is this message
        return of_message(error)


def _malformed(ref: ItemRef) -> ItemError | None:
    try:
        place_of(ref)
    except ItemError as error:
        return error
    return None


def _error_of(outcome: Outcome | None) -> ItemError:
    if isinstance(outcome, ItemError):
        return outcome
    return ItemGone("The message is not there any more.") if outcome is None else ItemUnreadable("The server gives none of it.")
