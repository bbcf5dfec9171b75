"""Where drafts went that are not where they were, by the key that each carries: for recovery only, as it searches folders.

A sent copy carries the key too. So does a draft that somebody deleted or moved, which has another id since. What was deleted
for good is not looked for: nobody says what else may lie there, of an email that was sent without a copy.
"""

import logging
from collections.abc import Collection, Iterator, Mapping, Sequence
from copy import deepcopy
from itertools import batched

from lxml import etree
from lxml.etree import _Element

from shared.connectors.exchange.drafts import KEY, MOST_FOUND, MOST_KEYS, as_many, carrying, is_on_its_way
from shared.connectors.exchange.errors import PerhapsMoved, RequestRefused
from shared.connectors.exchange.folders import FindFolder, FindItem
from shared.connectors.exchange.operation import element
from shared.connectors.exchange.records import M
from shared.connectors.exchange.session import Session
from shared.connectors.exchange.values import T
from shared.domain.alerts import code_of
from shared.domain.errors import FolderNotFound, ItemTooLarge, NoAnswer, SyncError, Throttled
from shared.domain.folders import DRAFTS, SENT_ITEMS
from shared.domain.outgoing import Trace

log = logging.getLogger(__name__)

OUTBOX, DELETED_ITEMS = "outbox", "deleteditems"
_NEAR = (DRAFTS.id, OUTBOX, SENT_ITEMS.id, DELETED_ITEMS)
"""Where nearly all of them are, in the order in which an email goes through them: one that moves on meanwhile is seen."""
_FOLDERS_AT_ONCE = 25
_MOST_FOLDERS = 1000

_SHAPE = element(
    '<m:ItemShape><t:BaseShape>IdOnly</t:BaseShape><t:AdditionalProperties><t:FieldURI FieldURI="item:IsSubmitted"/>'
    f'<t:FieldURI FieldURI="item:IsDraft"/>{KEY}</t:AdditionalProperties></m:ItemShape>'
)

type _Seen = tuple[str, bool]
"""A key, and whether what carries it is a draft still."""


def traces(session: Session, keys: Collection[str], *, everywhere: bool) -> Mapping[str, Trace]:
    """Keys that nothing carries are left out. `everywhere`: one that is not seen as sent is looked for in all folders of mail.
    Raises MailboxError, TransientError."""
    search = _Search(session)
    search.through(_NEAR, keys)
    if everywhere and search.unsent(keys):
        for folders in batched(search.all_folders(), _FOLDERS_AT_ONCE, strict=False):
            search.through(folders, search.unsent(keys))
    return search.result(keys)


class _Search:
    def __init__(self, session: Session) -> None:
        self._session = session
        self._sent: set[str] = set()
        self._drafts: set[str] = set()
        self._is_complete = True
        """Every folder that was to be looked through could be, so that what was not seen as sent is not there."""

    def through(self, folders: Sequence[str], keys: Collection[str]) -> None:
        for some in batched(sorted(keys), MOST_KEYS, strict=False):
            try:
                found = FindTraces(self._session).of(some, folders)
            except (RequestRefused, ItemTooLarge, NoAnswer) as error:
                self._miss(error)
                continue
            for seen, lack in found:
                self._note(seen)
                if lack is not None:
                    self._miss(lack)

    def all_folders(self) -> Sequence[str]:
        try:
            found = FindFolder(self._session).of_mail()
        except (FolderNotFound, RequestRefused, ItemTooLarge, NoAnswer) as error:
            self._miss(error)
            return ()
        self._is_complete &= len(found) <= _MOST_FOLDERS
        return found[:_MOST_FOLDERS]

    def unsent(self, keys: Collection[str]) -> Collection[str]:
        return set(keys) - self._sent

    def result(self, keys: Collection[str]) -> Mapping[str, Trace]:
        """A draft that is seen may be another one than that which was sent, where that could not be seen."""
        taken = self._drafts - self._sent if self._is_complete else set()
        return {key: Trace.SENT if key in self._sent else Trace.TAKEN for key in keys if key in self._sent | taken}

    def _note(self, seen: Sequence[_Seen]) -> None:
        for key, is_draft in seen:
            (self._drafts if is_draft else self._sent).add(key)

    def _miss(self, error: SyncError) -> None:
        """What cannot be searched for long must not keep everything from going on."""
        if isinstance(error, Throttled | PerhapsMoved):
            raise error
        log.info("folders_not_searched", extra={"code": code_of(error)})
        self._is_complete = False


class FindTraces(FindItem):
    """Items of several folders by our key."""

    def of(self, keys: Sequence[str], folders: Sequence[str]) -> Sequence[tuple[Sequence[_Seen], SyncError | None]]:
        """For each folder, in order, those that carry one of the keys, and why there may be others."""
        view = etree.Element(f"{M}IndexedPageItemView", MaxEntriesReturned=str(MOST_FOUND), Offset="0", BasePoint="Beginning")
        parents = self.folder_id("ParentFolderIds", folders[0])
        for folder in folders[1:]:
            parents.extend(self.folder_id("ParentFolderIds", folder))
        messages = self.ask(self.payload(deepcopy(_SHAPE), view, carrying(keys), parents, Traversal="Shallow"))
        with self.errors():
            answers = zip(folders, as_many(messages, folders), strict=True)
            return [(list(_seen(message, folder)), self.error(message) or _cut_short(message)) for folder, message in answers]


def _cut_short(message: _Element) -> SyncError | None:
    root = message.find(f"{M}RootFolder")
    is_whole = root is not None and root.get("IncludesLastItemInRange") != "false"
    return None if is_whole else ItemTooLarge("FindItem: the reply is not all there is.")


def _seen(message: _Element, folder: str) -> Iterator[_Seen]:
    for item in message.iterfind(f"{M}RootFolder/{T}Items/*"):
        if key := item.findtext(f"{T}ExtendedProperty/{T}Value"):
            yield key, folder != OUTBOX and not is_on_its_way(item)
