"""The address book: email-enabled records of any type, and folder-level tracking rules that point at them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from shared.domain.configuration import AddressMatch, Owner
from shared.domain.ids import MailboxId


@dataclass(frozen=True, slots=True)
class RecordRef:
    """A record by its type (contact, account, lead, or any other) and its id."""

    type: str
    id: str


@dataclass(frozen=True, slots=True)
class AddressBookRecord:
    """A contact, account, lead or other record with email addresses."""

    type: str
    """Logical name of the table: lower-case letters, digits and underscores."""
    id: str
    """Chosen by whoever creates it: 1 to 64 letters, digits, dots, hyphens and underscores."""
    name: str
    """fullname, name; shown to people."""
    addresses: tuple[str, ...] = ()
    """emailaddress1, emailaddress2, emailaddress3; mail of these addresses finds the record."""
    owner_id: str | None = None
    """ownerid; the user who owns the record."""
    do_not_email: bool = False
    """donotemail: the record is not written to; `do_not_email` of the organisation says what becomes of emails to it."""
    active: bool = True
    """statecode; an inactive record still has its addresses, and resolves as inactive."""


def addresses_of(record: Owner | AddressBookRecord) -> Sequence[str]:
    return (record.address,) if isinstance(record, Owner) else record.addresses


def match_of(record: Owner | AddressBookRecord) -> AddressMatch:
    """What is said of it to whoever asks for one of its addresses."""
    if isinstance(record, Owner):
        return AddressMatch(record.kind, record.id, record.name, record.active, filtering_method=record.filtering_method)
    return AddressMatch(
        record.type, record.id, record.name, record.active, owner_id=record.owner_id, do_not_email=record.do_not_email
    )


@dataclass(frozen=True, slots=True)
class StoredRecord:
    record: AddressBookRecord
    etag: str


@dataclass(frozen=True, slots=True)
class FolderTrackingRule:
    """mailboxtrackingfolder: mail that lies in this folder is tracked, with this regarding."""

    mailbox_id: MailboxId
    """mailboxid; given by the path."""
    folder_id: str
    """exchangefolderid; the server's id of the folder, so that renaming it changes nothing."""
    folder_name: str
    """exchangefoldername; shown to people, decides nothing."""
    regarding: RecordRef | None = None
    """regardingobjectid; None: tracked without a regarding."""
    include_subfolders: bool = False
    """True: mail in folders below is tracked as well; the model knows no such rule."""
    from_now_on: bool = False
    """A changed regarding applies to mail that arrives from then on; False, as in the model, relinks all of the folder."""
    for_queue: bool = False
    """The mailbox may be a queue's; False allows users' only, as the model does."""
    active: bool = True
    """An inactive rule tracks nothing; what it tracked stays."""


@dataclass(frozen=True, slots=True)
class StoredRule:
    record: FolderTrackingRule
    etag: str


class LoadState(StrEnum):
    UPLOADED = "uploaded"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class BulkLoad:
    """Records that are loaded from an uploaded file of JSON lines."""

    id: str
    state: LoadState
    created_on: datetime
    size: int = 0
    """Bytes of the file."""
    lines: int = 0
    """Lines read so far."""
    loaded: int = 0
    rejected: int = 0
    offset: int = 0
    """Bytes of the file that are done: a repetition goes on from here."""
    held_until: datetime | None = None
    """Somebody uploads or loads it until then; nobody else does."""
    attempts: int = 0
    """Starts in a row that got nowhere."""
    finished_on: datetime | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class StoredLoad:
    record: BulkLoad
    etag: str


@dataclass(frozen=True, slots=True)
class RejectedLine:
    """A line of a bulk load that is no valid record."""

    line: int
    field: str
    detail: str
    remedy: str
