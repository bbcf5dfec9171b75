"""The folders of a mailbox. Times are aware UTC."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder of a mailbox. `id` is opaque outside its connector, and stable over renames."""

    id: str
    name: str


INBOX = Folder(id="inbox", name="Inbox")
DRAFTS = Folder(id="drafts", name="Drafts")
SENT_ITEMS = Folder(id="sentitems", name="Sent Items")


@dataclass(frozen=True, slots=True)
class TreeFolder:
    """A folder below the Inbox. `parent` is the id of another one, None directly below the Inbox."""

    id: str
    name: str
    parent: str | None = None


@dataclass(frozen=True, slots=True)
class KnownTree:
    """The folders below the Inbox as they were read last."""

    folders: tuple[TreeFolder, ...]
    read_on: datetime
