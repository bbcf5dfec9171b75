"""The ledger: what Sidesync knows about every item it has seen in a mailbox, and how a run holds and commits it.

An item of mail that was not promoted leaves no subject, address or body here: only ids, times and the decision.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from shared.domain.choices import Reason, Verdict
from shared.domain.email import ItemRef
from shared.domain.errors import UnreadableRow
from shared.domain.ids import ActivityId, RunId, normalised_message_id, short_hash
from shared.domain.judgement import Judgement
from shared.domain.records import RecordRef


@dataclass(frozen=True, slots=True, order=True)
class ItemKey:
    """Key of an item: the hash of its identity (Message-ID, else the server's id), and of the server's id."""

    identity: str
    server: str

    def __str__(self) -> str:
        return f"{self.identity}:{self.server}"


def item_key(message_id: str | None, ref: ItemRef) -> ItemKey:
    identity = normalised_message_id(message_id) or ref.id
    return ItemKey(short_hash(identity), short_hash(ref.id))


class UnreadableItems(UnreadableRow):
    """Rows of items that a later version wrote."""

    def __init__(self, message: str, rows: tuple[str, ...], keys: frozenset[ItemKey]) -> None:
        super().__init__(message, rows)
        self.keys = keys


@dataclass(frozen=True, slots=True)
class LedgerItem:
    """An item and what became of it."""

    key: ItemKey
    ref: ItemRef
    message_id: str | None
    received: datetime | None
    size: int
    verdict: Verdict
    reason: Reason
    decided_on: datetime
    run_id: RunId
    activity_id: ActivityId | None = None
    attempts: int = 0
    """How often reading it failed; of a skipped one, how often it was judged again because its conversation was unknown."""
    error: str | None = None
    """Code of the error that an item failed with."""
    detail: str = ""
    """What the error said, without content of the message."""
    judgement: Judgement | None = None
    """How it was judged. A detail: retention removes it, the verdict stays."""
    others: tuple[ActivityId, ...] = ()
    """Of a forward that carried several messages: the emails that those behind the first became."""
    category: str | None = None
    """The tracking category that its item carries, by the name that it had then: where that is taken away, a person untracks
    it. To call the category something else is none of that."""

    @property
    def activity_ids(self) -> tuple[ActivityId, ...]:
        """All emails that it became."""
        return () if self.activity_id is None else (self.activity_id, *self.others)

    @property
    def may_lose_details(self) -> bool:
        """It has some, and nobody needs them for another attempt."""
        return self.verdict not in (Verdict.FAILING, Verdict.QUARANTINED) and any(getattr(self, name) for name in DETAILS)


DETAILS: Mapping[str, str | None] = {"detail": "", "judgement": None}
"""Fields that say more about an item than its codes do, kept for `OrganisationSettings.keep_ledger_details`, and what stands
there afterwards."""


class TodoKind(StrEnum):
    RETRY = "retry"
    """It failed, and is read again."""
    JUDGE = "judge"
    """It is judged again: its conversation was unknown, or a setting was changed."""
    TRACK = "track"
    """A person wants it tracked, whatever the filters say."""
    STAMP = "stamp"
    """Its category on the server is brought in line with its verdict: Tracked, Undeliverable, or none."""
    MOVE = "move"
    """It goes to the folder of undeliverable mail."""
    DISCARD = "discard"
    """It is stored, and is deleted on the server (process and delete)."""
    JOIN = "join"
    """It is stored, and answers what was not: the beginning of its conversation is looked for again."""


@dataclass(frozen=True, slots=True)
class Todo:
    """Work on an item that remains after its page was committed."""

    kind: TodoKind
    due: datetime
    item: LedgerItem
    """The item row as it was when the todo was written: enough to act without reading it again."""
    regarding: RecordRef | None = None
    """Of TRACK: what the email shall be about."""
    attempts: int = 0
    """Of STAMP, MOVE and DISCARD: how often it failed; of JOIN, how often it was looked for."""


@dataclass(frozen=True, slots=True)
class Mark:
    """How far a folder has been read."""

    folder: str
    source: str
    """Hash of endpoint, address and folder: a watermark of another source is worthless (`WatermarkExpired`)."""
    watermark: str | None
    """None: list the folder from the start."""
    caught_up: bool = False
    """The first listing reached its end; until then the mailbox is being backfilled."""


@dataclass(frozen=True, slots=True)
class RunState:
    """The row whose ETag is the fence. Everything that writes the ledger goes through it."""

    nonce: str
    """Fresh with every commit: settles whether a commit whose reply was lost happened."""
    holder: RunId | None = None
    """The run that has the lease; None: released."""
    expires: datetime | None = None
    takeovers: int = 0
    """Leases in a row that were never released."""
    trying: ItemKey | None = None
    """The item being tried alone, after leases were lost repeatedly."""
    page_open: bool = False
    """Part of a page is committed and its watermark is not yet."""


@dataclass(frozen=True, slots=True)
class LedgerHead:
    """Marks, state and the todos that are due: one query."""

    state: RunState | None
    etag: str | None
    marks: tuple[Mark, ...] = ()
    todos: tuple[Todo, ...] = ()
    unreadable: tuple[UnreadableRow, ...] = ()
    """Todos that a later version wrote: they stay where they are."""


@dataclass(frozen=True, slots=True)
class LedgerCommit:
    """What one transaction writes. At most `ports.LEDGER_COMMIT_ROWS` rows beside the state."""

    state: RunState
    items: tuple[LedgerItem, ...] = ()
    marks: tuple[Mark, ...] = ()
    todos: tuple[Todo, ...] = ()
    done: tuple[Todo, ...] = field(default=())
    """Todos that are removed."""

    @property
    def rows(self) -> int:
        return len(self.items) + len(self.marks) + len(self.todos) + len(self.done)
