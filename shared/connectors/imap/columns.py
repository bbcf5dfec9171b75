"""What is asked of messages before they are read whole: flags, time, size and the headers that judging needs.

Where the server fails over a set of messages, halves of it are asked for, so that the one that is the cause costs no other.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from shared.connectors.imap.answers import Fetched, set_of
from shared.connectors.imap.errors import ConnectionLost
from shared.connectors.imap.folders import Folders
from shared.connectors.imap.session import Session
from shared.connectors.mime import read_envelope
from shared.connectors.mime.envelope import WANTED
from shared.domain.email import Envelope, ItemRef
from shared.domain.errors import ItemError, ItemGone, ItemUnreadable, SyncError

FIRST_HEADERS = 16 << 10
"""Bytes of headers that are asked for at once; few messages have more of these."""
LARGEST_HEADERS = 1 << 20
"""Bytes of the headers of one message that are read at most."""
MOST_LOSSES = 24
"""Connections that may break over the messages of one page until it is given up; one message of 512 takes eleven."""

FACTS = b"UID FLAGS INTERNALDATE RFC822.SIZE"
_HEADERS = b"BODY.PEEK[HEADER.FIELDS (%s)]" % " ".join(sorted(WANTED - {"received"})).upper().encode("ascii")
BARE = b"(%s)" % FACTS
WITH_HEADERS = b"(%s %s<0.%d>)" % (FACTS, _HEADERS, FIRST_HEADERS)
_ALL_HEADERS = b"(UID %s<0.%d>)" % (_HEADERS, LARGEST_HEADERS)

type Outcome = Fetched | ItemError
type Ask = Callable[[Sequence[int]], Mapping[int, Fetched]]


class Columns:
    """Asks for columns of messages of one mailbox."""

    def __init__(self, session: Session, folders: Folders) -> None:
        self._session = session
        self._folders = folders

    def of(self, uids: Sequence[int], folder_id: str, uid_validity: int, *, losses: int = 0) -> dict[int, Outcome]:
        """With headers, of the messages that are there. `losses`: so many connections may break over it. Raises ItemGone where
        the folder is not what it was."""
        found = by_halves(self._asking(folder_id, uid_validity, WITH_HEADERS), uids, losses)
        return {uid: self._completed(outcome) for uid, outcome in found.items()}

    def of_numbers(self, first: int, last: int, folder_id: str, uid_validity: int) -> list[Fetched]:
        """With headers, of messages that go by sequence numbers in the folder that is open. One whose headers the server does
        not give stands there without. Raises ItemGone as `of`."""
        try:
            found = self._session.fetch_numbers(first, last, WITH_HEADERS)
        except (ItemUnreadable, ConnectionLost):
            return self._one_by_one(first, last, folder_id, uid_validity)
        if len(found) <= last - first:
            return self._one_by_one(first, last, folder_id, uid_validity)
        return [_known(self._completed(row), row) for row in found.values()]

    def bare(self, uids: Sequence[int], folder_id: str, uid_validity: int) -> dict[int, Outcome]:
        """Without headers."""
        return by_halves(self._asking(folder_id, uid_validity, BARE), uids)

    def _one_by_one(self, first: int, last: int, folder_id: str, uid_validity: int) -> list[Fetched]:
        """Numbers that others have by now belong to messages with higher UIDs: whoever lists by them leaves these out."""
        opened = self._folders.examine(folder_id)
        check_validity(opened.uid_validity, uid_validity)
        last = min(last, opened.exists)
        if last < first:
            return []
        return self.listed(list(self._session.fetch_numbers(first, last, b"(UID)")), folder_id, uid_validity)

    def listed(self, uids: Sequence[int], folder_id: str, uid_validity: int) -> list[Fetched]:
        """With headers, of the messages that are there, as `of_numbers`. Raises ItemGone as `of`."""
        whole = self.of(uids, folder_id, uid_validity, losses=MOST_LOSSES)
        failed = [uid for uid, outcome in whole.items() if isinstance(outcome, ItemError)]
        bare = self.bare(failed, folder_id, uid_validity) if failed else {}
        rows = [_known(outcome, bare.get(uid) or Fetched(uid)) for uid, outcome in whole.items()]
        missing = [uid for uid in uids if uid not in whole]
        return rows + [Fetched(uid) for uid in self.untold(missing, folder_id, uid_validity)]

    def untold(self, uids: Sequence[int], folder_id: str, uid_validity: int) -> Sequence[int]:
        """Those that are there although nothing was said of them: who lists must not pass over them, and they are not gone."""
        if not uids:
            return []
        check_validity(self._folders.within(folder_id).uid_validity, uid_validity)
        asked = set(uids)
        return [uid for uid in self._session.search(b"UID", set_of(uids)) if uid in asked]

    def _asking(self, folder_id: str, uid_validity: int, columns: bytes) -> Ask:
        def ask(uids: Sequence[int]) -> Mapping[int, Fetched]:
            check_validity(self._folders.within(folder_id).uid_validity, uid_validity)
            return self._session.fetch(uids, columns)

        return ask

    def _completed(self, row: Outcome) -> Outcome:
        """With all of the headers, where more than usual are there."""
        if isinstance(row, ItemError) or len(row.content or b"") < FIRST_HEADERS:
            return row
        try:
            found = self._session.fetch([row.uid], _ALL_HEADERS).get(row.uid)
        except ItemUnreadable:
            found = None
        return replace(row, content=found.content) if found is not None and found.content else row


def envelope_of(row: Fetched, ref: ItemRef) -> Envelope | ItemError:
    if row.content is None:
        return ItemUnreadable("The server does not give the headers of the message.")
    try:
        return read_envelope(row.content, ref, received=row.received, size=row.size or 0, categories=row.categories)
    except Exception as error:  # noqa: BLE001 # computed from this message alone, so whatever breaks is this message
        return of_message(error)


def of_message(error: Exception) -> ItemError:
    """What is the matter with a message over which converting it failed."""
    return ItemUnreadable(f"The message cannot be read: {type(error).__name__}.").because_of(error)


def by_halves(ask: Ask, uids: Sequence[int], losses: int = 0) -> dict[int, Outcome]:
    """What the server gives of each; nothing of those that are not there. One that fails alone, or over which the connection
    breaks twice, is unreadable. Raises ConnectionLost once more connections broke than `losses`."""
    outcomes: dict[int, Outcome] = {}
    waiting: list[Sequence[int]] = [uids] if uids else []
    breaking: set[int] = set()
    while waiting:
        part = waiting.pop()
        try:
            found = ask(part)
        except ItemUnreadable as error:
            failure: SyncError = error
        except ConnectionLost as error:
            losses -= 1
            if losses < 0:
                raise
            failure = error
            if len(part) == 1 and part[0] not in breaking:
                breaking.add(part[0])
                waiting.append(part)
                continue
        else:
            outcomes |= {uid: found[uid] for uid in part if uid in found}
            continue
        if len(part) == 1:
            outcomes[part[0]] = _unreadable(failure)
        else:
            waiting += [part[len(part) // 2 :], part[: len(part) // 2]]
    return outcomes


def check_validity(present: int, wanted: int) -> None:
    """Raises ItemGone."""
    if present != wanted:
        raise ItemGone("The folder was made anew: its messages have other ids.")


def _known(outcome: Outcome | None, otherwise: Outcome) -> Fetched:
    if isinstance(outcome, Fetched):
        return outcome
    return otherwise if isinstance(otherwise, Fetched) else Fetched(0)


def _unreadable(error: SyncError) -> ItemError:
    if isinstance(error, ItemError):
        return error
    return ItemUnreadable(f"The server breaks the connection over this message: {error}").because_of(error)
