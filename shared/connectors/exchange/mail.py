"""The Exchange mailbox that mail is read from: `IncomingEmail` over EWS, with its folders (`FolderTree`) and marks (`Marking`).

An idle poll is one request: the Inbox goes by its distinguished name, and nothing is discovered.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import batched, islice

from shared.connectors.exchange.asking import Asking, of_item, server_answers
from shared.connectors.exchange.attachments import Attachments, Guard
from shared.connectors.exchange.folders import CreateFolder, FindFolder, FindItem
from shared.connectors.exchange.marking import MoveItem, UpdateItem
from shared.connectors.exchange.records import Fetched
from shared.connectors.exchange.services import DeleteItem, GetItem, SyncFolderItems
from shared.connectors.exchange.session import Session
from shared.connectors.mime.attached import with_readable
from shared.connectors.reports import delivery_report, is_report
from shared.domain.email import Envelope, IncomingMessage, ItemRef, Page
from shared.domain.errors import Busy, FolderNotFound, ItemError, ItemGone, Throttled, TransientError
from shared.domain.folders import INBOX, Folder, TreeFolder
from shared.ports import PAGE_ITEMS

_REMEMBERED_SIZES = 8 * PAGE_ITEMS

_DISCARDED_AT_ONCE = 100
"""A server answers what takes long with a timeout, and leaves open what happened."""


class ExchangeMail:
    """One mailbox. `changes` and `fetch` may run in different threads at the same time."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._attachments = Attachments(session)
        self._sizes: dict[str, int] = {}
        self._folder_ids: dict[str, str] = {}
        """Of the folders that items are moved to, by name."""
        get = GetItem(session)
        sizes = session.protocol.batch_size, session.protocol.envelope_batch_size
        self._messages = Asking[Fetched, IncomingMessage](session, sizes[0], self._sizes, get.fetch, self._completed)
        self._envelopes = Asking[Envelope, Envelope](session, sizes[1], None, get.envelopes, _as_it_is)

    @property
    def source(self) -> str:
        return self._session.source

    def folders(self) -> Sequence[Folder]:
        return (INBOX,)

    def tree(self) -> Sequence[TreeFolder]:
        return FindFolder(self._session).below_inbox()

    def changes(self, folder: Folder, watermark: str | None, limit: int = PAGE_ITEMS) -> Page:
        page = SyncFolderItems(self._session).page(folder, watermark, max(1, min(limit, PAGE_ITEMS)))
        self._remember_sizes(page)
        return page

    def latest(self, folder: Folder, count: int) -> Sequence[ItemRef]:
        return FindItem(self._session).latest(folder, count)

    def envelopes(self, refs: Sequence[ItemRef]) -> Iterator[tuple[ItemRef, Envelope | ItemError]]:
        return self._envelopes.read(refs)

    def fetch(self, refs: Sequence[ItemRef]) -> Iterator[tuple[ItemRef, IncomingMessage | ItemError]]:
        return self._messages.read(refs)

    def raw(self, ref: ItemRef) -> Iterator[bytes]:
        return self._guarded(ref, partial(GetItem(self._session).mime, ref))

    # ---- changing what is in the mailbox

    def discard(self, refs: Sequence[ItemRef]) -> Mapping[ItemRef, ItemError]:
        refused: dict[ItemRef, ItemError] = {}
        for some in batched(refs, _DISCARDED_AT_ONCE, strict=False):
            errors = zip(some, DeleteItem(self._session).delete(some), strict=True)
            refused |= {ref: error for ref, error in errors if error is not None and not isinstance(error, ItemGone)}
        return refused

    def categorize(self, ref: ItemRef, add: Collection[str], remove: Collection[str]) -> None:
        UpdateItem(self._session).categorize(ref, add, remove)

    def move(self, ref: ItemRef, folder_name: str, message_id: str | None) -> ItemRef:
        folder = self._folder_ids.get(folder_name) or self._folder_beside_inbox(folder_name)
        self._folder_ids[folder_name] = folder
        if ref.folder == folder:
            return ref
        try:
            return MoveItem(self._session).move(ref, folder)
        except ItemGone:
            moved = FindItem(self._session).of_message(folder, message_id) if message_id else ()
            if len(moved) != 1:
                raise
            return moved[0]
        except FolderNotFound:
            del self._folder_ids[folder_name]
            raise

    def _folder_beside_inbox(self, name: str) -> str:
        """Found or created; created by somebody else meanwhile it is found then."""
        find = partial(FindFolder(self._session).beside_inbox, name)
        found = find() or CreateFolder(self._session).beside_inbox(name) or find()
        if found is None:
            raise Busy("CreateFolder: the server neither creates the folder nor has it.")
        return found

    # ---- messages

    def _completed(self, batch: Sequence[Fetched]) -> Sequence[IncomingMessage]:
        """With attachments, and delivery reports read."""
        completed = self._attachments.complete(batch, self._guard)
        return [self._with_report(with_readable(message)) for message in completed]

    def _with_report(self, message: IncomingMessage) -> IncomingMessage:
        """What the report says stands only in its MIME form. Without that it is still mail."""
        if not is_report(message.item_class, message.headers.get("content-type", "")):
            return message
        try:
            return replace(message, report=delivery_report(self.raw(message.ref)))
        except ItemError:
            return message

    def _guard(self, fetched: Fetched) -> Guard:
        return partial(self._guarded, fetched.message.ref)

    def _guarded(self, ref: ItemRef, stream: Callable[[], Iterator[bytes]]) -> Iterator[bytes]:
        """A stream that fails while the server answers otherwise is this item's failure."""
        try:
            yield from stream()
        except Throttled:
            raise
        except TransientError as error:
            if not server_answers(self._session, ref):
                raise
            raise of_item(error) from error

    def _remember_sizes(self, page: Page) -> None:
        """Of the latest pages: the one being fetched may not be the last one listed."""
        self._sizes |= {item.ref.id: item.size for item in page.items if item.size}
        for oldest in list(islice(self._sizes, max(0, len(self._sizes) - _REMEMBERED_SIZES))):
            del self._sizes[oldest]


def _as_it_is(envelopes: Sequence[Envelope]) -> Sequence[Envelope]:
    return envelopes
