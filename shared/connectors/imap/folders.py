"""Which folder of an IMAP mailbox an id means, and the tree of those that can be watched.

INBOX is the domain's Inbox. Another folder goes by its MAILBOXID (RFC 8474) where the server tells it, so that it stays the
same when it is renamed; else by its name, as the server writes it. IMAP knows no "below the Inbox": most servers put all
folders beside it, so every folder of mail that the mailbox has is one that can be watched.
"""

import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice

from imapclient.exceptions import ProtocolError
from imapclient.imap_utf7 import decode
from imapclient.response_parser import parse_response

from shared.connectors.imap.session import Opened, Session
from shared.connectors.imap.wire import Untagged
from shared.domain.errors import FolderNotFound
from shared.domain.folders import INBOX, SENT_ITEMS, TreeFolder

MOST_FOLDERS = 20_000
_BY_ID, _BY_NAME = "id:", "name:"
_LINE_ENDS = frozenset("\r\n\0")
"""No name of a folder has them that could be said to a server."""
_UNSELECTABLE = frozenset({b"\\noselect", b"\\nonexistent"})
_VIRTUAL = frozenset({b"\\all", b"\\flagged", b"\\important", b"\\starred", b"\\allmail"})
"""What stands in them stands in another folder as well (RFC 6154, RFC 8457, and what Gmail said before)."""
_SENT, _TRASH = b"\\sent", b"\\trash"
_USUAL_NAMES: Mapping[bytes, frozenset[str]] = {
    _SENT: frozenset({"sent", "sent items", "sent messages", "sent mail"}),
    b"\\drafts": frozenset({"drafts"}),
    b"\\junk": frozenset({"junk", "junk e-mail", "junk email", "spam", "bulk mail"}),
    _TRASH: frozenset({"trash", "deleted items", "deleted messages", "deleted"}),
}
"""Of folders for special uses, where the server does not say which ones these are: beside INBOX, or right below it."""


@dataclass(frozen=True, slots=True)
class _Listed:
    """A folder as LIST gives it."""

    name: bytes
    parts: tuple[bytes, ...]
    attributes: frozenset[bytes]
    id: str

    @property
    def is_inbox(self) -> bool:
        return self.name.upper() == b"INBOX"

    @property
    def title(self) -> str:
        return _decoded(self.parts[-1])

    @property
    def usual_name(self) -> str:
        """What it would be called where it is one for a special use; empty where it stands too deep for that."""
        below_inbox = len(self.parts) == 2 and self.parts[0].upper() == b"INBOX"
        return self.title.casefold() if len(self.parts) == 1 or below_inbox else ""


class Folders:
    """Of one mailbox. What is looked up is kept for as long as it proves right."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._listed: Sequence[_Listed] | None = None

    def examine(self, folder_id: str) -> Opened:
        """Opened anew for reading, as it is now. Raises FolderNotFound."""
        return self._opened(folder_id, self._session.examine)

    def within(self, folder_id: str) -> Opened:
        """Opened for reading. Raises FolderNotFound."""
        return self._opened(folder_id, self._session.within)

    def select(self, folder_id: str) -> Opened:
        """Opened for changing it. Raises FolderNotFound, ItemRejected."""
        return self._opened(folder_id, self._session.select)

    def trash(self) -> bytes | None:
        """The name of the folder for deleted messages, where there is one."""
        found = self._with_use(_TRASH, self._listing())
        return found.name if found is not None else None

    def tree(self) -> Sequence[TreeFolder]:
        """The folders of mail but INBOX and those for special uses, with what is below these; none of other people."""
        listing = self._listing(anew=True)
        left_out = {each.parts for each in self._left_out(listing)}
        foreign = self._foreign_prefixes()
        kept = {
            each.parts: each
            for each in listing
            if not each.is_inbox
            and not each.attributes & _UNSELECTABLE
            and not each.name.startswith(foreign)
            and not any(each.parts[:depth] in left_out for depth in range(1, len(each.parts) + 1))
        }
        return [TreeFolder(each.id, each.title, _parent(each, kept)) for each in kept.values()]

    # ---- by id

    def _opened(self, folder_id: str, opening: Callable[[bytes], Opened]) -> Opened:
        """What was looked up before may have been renamed since: then it is looked up once more."""
        is_known = self._listed is not None
        try:
            return _checked(opening(self._name_of(folder_id)), folder_id)
        except FolderNotFound:
            if not is_known or not _is_looked_up(folder_id):
                raise
            self._listed = None
            return _checked(opening(self._name_of(folder_id)), folder_id)

    def _name_of(self, folder_id: str) -> bytes:
        if folder_id == INBOX.id:
            return b"INBOX"
        if folder_id.startswith(_BY_NAME) and not _LINE_ENDS & set(folder_id):
            return folder_id.removeprefix(_BY_NAME).encode("latin-1", "replace")
        if folder_id == SENT_ITEMS.id:
            found = self._with_use(_SENT, self._listing())
        else:
            found = next((each for each in self._listing() if each.id == folder_id), None)
        if found is None:
            raise FolderNotFound("LIST: no folder of that id")
        return found.name

    # ---- listing

    def _listing(self, *, anew: bool = False) -> Sequence[_Listed]:
        if self._listed is None or anew:
            session = self._session
            tells_ids = session.can("OBJECTID") and session.can("LIST-STATUS")
            wanted = [b"STATUS (MAILBOXID)"] if tells_ids else []
            if session.can("SPECIAL-USE") and (tells_ids or session.can("LIST-EXTENDED")):
                wanted.append(b"SPECIAL-USE")
            rows, said = session.folders(*([b"RETURN (" + b" ".join(wanted) + b")"] if wanted else []))
            ids = _ids(said) if tells_ids else {}
            self._listed = [_listed(*row, ids) for row in islice(rows, MOST_FOLDERS)]
        return self._listed

    def _with_use(self, use: bytes, listing: Iterable[_Listed]) -> _Listed | None:
        """The folder for a special use: as the server says, else by its name."""
        selectable = [each for each in listing if not each.attributes & _UNSELECTABLE]
        said = next((each for each in selectable if use in each.attributes), None)
        return said or next((each for each in selectable if each.usual_name in _USUAL_NAMES[use]), None)

    def _left_out(self, listing: Sequence[_Listed]) -> Iterable[_Listed]:
        yield from (each for each in listing if each.attributes & (_VIRTUAL | _USUAL_NAMES.keys()))
        yield from (found for use in _USUAL_NAMES if (found := self._with_use(use, listing)) is not None)

    def _foreign_prefixes(self) -> tuple[bytes, ...]:
        """Of folders of other people and of everybody (RFC 2342)."""
        if not self._session.can("NAMESPACE"):
            return ()
        said = (self._session.ask("NAMESPACE").get("NAMESPACE") or [b""])[-1]
        try:
            _, *foreign = parse_response([said])
            prefixes = [prefix for names in foreign if names is not None for prefix, *_ in names]
        except (ProtocolError, ValueError, TypeError):
            return ()
        return tuple(prefix for prefix in prefixes if isinstance(prefix, bytes) and prefix)


def _listed(attributes: frozenset[bytes], delimiter: bytes, name: bytes, ids: Mapping[bytes, str]) -> _Listed:
    parts = tuple(name.split(delimiter)) if delimiter else (name,)
    found = ids.get(name)
    return _Listed(name, parts, attributes, f"{_BY_ID}{found}" if found else f"{_BY_NAME}{name.decode('latin-1')}")


def _ids(said: Untagged) -> Mapping[bytes, str]:
    """MAILBOXID by name, of the STATUS responses that came with a LIST (RFC 5819, RFC 8474)."""
    found: dict[bytes, str] = {}
    for line in said.get("STATUS", ()):
        try:
            name, (_, (mailbox_id, *_), *_) = parse_response([line])
        except (ProtocolError, ValueError, TypeError):
            continue
        found[_bytes(name)] = _bytes(mailbox_id).decode("ascii", "replace")
    return found


def _bytes(value: object) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode("ascii", "replace")


def _checked(opened: Opened, folder_id: str) -> Opened:
    """Another folder may have the name by now."""
    if folder_id.startswith(_BY_ID) and opened.mailbox_id not in (None, folder_id.removeprefix(_BY_ID)):
        raise FolderNotFound("The folder of that name is another one.")
    return opened


def _is_looked_up(folder_id: str) -> bool:
    return folder_id != INBOX.id and not folder_id.startswith(_BY_NAME)


def _parent(folder: _Listed, kept: Mapping[tuple[bytes, ...], _Listed]) -> str | None:
    """The nearest folder above that is one of the tree."""
    above = (folder.parts[:depth] for depth in range(len(folder.parts) - 1, 0, -1))
    return next((kept[parts].id for parts in above if parts in kept), None)


def _decoded(name: bytes) -> str:
    """Modified UTF-7 (RFC 3501 section 5.1.3); what is none of it as UTF-8, which newer servers write."""
    with suppress(ValueError):
        decoded = str(decode(name)) if name.isascii() else ""
        if decoded and not any(unicodedata.category(letter) in _NO_TEXT for letter in decoded):
            return decoded
    return name.decode("utf-8", "replace")


_NO_TEXT = frozenset({"Cc", "Cs"})
"""Control characters, and halves of letters."""
