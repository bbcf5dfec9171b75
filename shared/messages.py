"""The queue contract: small, versioned JSON messages that carry ids and a reason, never bodies.

A message may come twice, late or out of order; nothing depends on how many there are.
"""

import json
from dataclasses import asdict, dataclass
from enum import StrEnum

from shared.domain.choices import Workload
from shared.domain.errors import SyncError
from shared.domain.ids import MailboxId, ProfileId

VERSION = 1


class Queue(StrEnum):
    """Queue names. The poison queue of each is its name and `-poison`, as the Functions host has it."""

    SYNC_INCOMING = "sync-incoming"
    SYNC_BACKFILL = "sync-backfill"
    SYNC_OUTGOING = "sync-outgoing"
    ENUMERATE_SHARDS = "enumerate-shards"
    TEST_MAILBOX = "test-mailbox"
    LOAD_RECORDS = "load-records"
    VISIT_MAILBOXES = "visit-mailboxes"
    CHANGE_ITEMS = "change-items"
    RELINK_FOLDER = "relink-folder"

    @property
    def poison(self) -> str:
        return f"{self.value}-poison"


class SyncReason(StrEnum):
    DUE = "due"
    CONTINUATION = "continuation"
    REQUESTED = "requested"
    PROBE = "probe"
    """The one mailbox that tries a profile's credential again; its breaker does not stop it."""


class MalformedMessage(SyncError):
    """A queue message that is not one of ours; it goes to the poison queue."""

    code = "malformed_message"
    remedy = "Find out who writes to this queue; Sidesync's own messages are versioned JSON."


@dataclass(frozen=True, slots=True)
class SyncMailbox:
    """Synchronize one workload of one mailbox. `id` names the run's lease, so that its poison function can expire it."""

    id: str
    mailbox_id: MailboxId
    workload: Workload
    reason: SyncReason = SyncReason.DUE

    def to_json(self) -> str:
        return json.dumps({"v": VERSION, "kind": "sync_mailbox", **asdict(self)}, separators=(",", ":"))


@dataclass(frozen=True, slots=True)
class EnumerateShards:
    """Enumerate the mailboxes of the shards from `first` to `last`, both included, 0 to 255."""

    id: str
    first: int
    last: int

    def to_json(self) -> str:
        return json.dumps({"v": VERSION, "kind": "enumerate_shards", **asdict(self)}, separators=(",", ":"))


@dataclass(frozen=True, slots=True)
class ProbeMailbox:
    """Probe every workload of a mailbox, and enable what works."""

    id: str
    mailbox_id: MailboxId

    def to_json(self) -> str:
        return json.dumps({"v": VERSION, "kind": "probe_mailbox", **asdict(self)}, separators=(",", ":"))


@dataclass(frozen=True, slots=True)
class LoadRecords:
    """Load the next part of an uploaded file into the address book."""

    id: str
    load_id: str

    def to_json(self) -> str:
        return json.dumps({"v": VERSION, "kind": "load_records", **asdict(self)}, separators=(",", ":"))


class ProfileTask(StrEnum):
    """What is done to each mailbox of a profile."""

    RELEASE = "release"
    """Its connection changed: what failed before says nothing any more, so the mailbox is due."""
    TEST = "test"


@dataclass(frozen=True, slots=True)
class VisitMailboxes:
    """Walk over the mailboxes of a profile from `continuation` on, and do `task` to each."""

    id: str
    profile_id: ProfileId
    task: ProfileTask
    continuation: str | None = None

    def to_json(self) -> str:
        return json.dumps({"v": VERSION, "kind": "visit_mailboxes", **asdict(self)}, separators=(",", ":"))


class ItemTask(StrEnum):
    """What is to become of items that the ledger knows already."""

    JUDGE = "judge"
    """Skipped ones received after `since` are judged again."""
    REPLAY = "replay"
    """Quarantined ones are tried again."""
    GIVE_UP = "give_up"
    """A quarantined one is discarded."""
    TRACK = "track"
    UNTRACK = "untrack"


@dataclass(frozen=True, slots=True)
class ChangeItems:
    """Write the todos that do `task` to items of a mailbox, under its lease; a run of the mailbox then does them."""

    id: str
    mailbox_id: MailboxId
    task: ItemTask
    identity: str | None = None
    """Hash of the identity of the one message that is meant, in all its copies (`ItemKey.identity`); None means all."""
    server: str | None = None
    """Of REPLAY and GIVE_UP, with `identity`: the one copy that is meant (`ItemKey.server`)."""
    since: str | None = None
    """RFC 3339; of JUDGE."""
    regarding_type: str | None = None
    regarding_id: str | None = None
    """Of TRACK: the record that the email shall be about."""
    note: str | None = None
    """Of GIVE_UP: why, in the caller's words. At most 500 characters."""
    tried_by: str | None = None
    """Of REPLAY: a version of Sidesync; what it gave up itself is not tried again."""
    after: str | None = None
    """Where all are meant: the item (`ItemKey`) up to which it is done."""

    def to_json(self) -> str:
        return json.dumps({"v": VERSION, "kind": "change_items", **asdict(self)}, separators=(",", ":"))


@dataclass(frozen=True, slots=True)
class RelinkFolder:
    """Give the emails that lie in a folder the regarding that its tracking rule is given.

    Sent before the rule is written, so that none is forgotten: it names the regarding that it announces, and waits for it.
    """

    id: str
    mailbox_id: MailboxId
    folder_id: str
    regarding_type: str
    regarding_id: str
    until: str
    """RFC 3339; a rule that does not have this regarding by then was not written, or has another one since."""
    after: str | None = None
    """The item (`ItemKey`) up to which it is done."""

    def to_json(self) -> str:
        return json.dumps({"v": VERSION, "kind": "relink_folder", **asdict(self)}, separators=(",", ":"))


type Message = SyncMailbox | EnumerateShards | ProbeMailbox | LoadRecords | VisitMailboxes | ChangeItems | RelinkFolder


def parse(text: str) -> Message:
    """The message that `text` is. Raises MalformedMessage, saying what is wrong with it."""
    try:
        fields = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise MalformedMessage(f"not JSON: {error}") from error
    if not isinstance(fields, dict):
        raise MalformedMessage("not a JSON object")
    if fields.get("v") != VERSION:
        raise MalformedMessage(f"version {fields.get('v')!r} is not {VERSION}")
    try:
        match fields.get("kind"):
            case "sync_mailbox":
                return SyncMailbox(
                    id=_text(fields, "id"),
                    mailbox_id=MailboxId(_text(fields, "mailbox_id")),
                    workload=Workload(_text(fields, "workload")),
                    reason=SyncReason(_text({"reason": SyncReason.DUE, **fields}, "reason")),
                )
            case "enumerate_shards":
                return EnumerateShards(id=_text(fields, "id"), first=_shard(fields, "first"), last=_shard(fields, "last"))
            case "probe_mailbox":
                return ProbeMailbox(id=_text(fields, "id"), mailbox_id=MailboxId(_text(fields, "mailbox_id")))
            case "load_records":
                return LoadRecords(id=_text(fields, "id"), load_id=_text(fields, "load_id"))
            case "visit_mailboxes":
                return VisitMailboxes(
                    id=_text(fields, "id"),
                    profile_id=ProfileId(_text(fields, "profile_id")),
                    task=ProfileTask(_text(fields, "task")),
                    continuation=_optional_text(fields, "continuation"),
                )
            case "change_items":
                return ChangeItems(
                    id=_text(fields, "id"),
                    mailbox_id=MailboxId(_text(fields, "mailbox_id")),
                    task=ItemTask(_text(fields, "task")),
                    identity=_optional_text(fields, "identity"),
                    server=_optional_text(fields, "server"),
                    since=_optional_text(fields, "since"),
                    regarding_type=_optional_text(fields, "regarding_type"),
                    regarding_id=_optional_text(fields, "regarding_id"),
                    note=_optional_text(fields, "note"),
                    tried_by=_optional_text(fields, "tried_by"),
                    after=_optional_text(fields, "after"),
                )
            case "relink_folder":
                return RelinkFolder(
                    id=_text(fields, "id"),
                    mailbox_id=MailboxId(_text(fields, "mailbox_id")),
                    folder_id=_text(fields, "folder_id"),
                    regarding_type=_text(fields, "regarding_type"),
                    regarding_id=_text(fields, "regarding_id"),
                    until=_text(fields, "until"),
                    after=_optional_text(fields, "after"),
                )
            case kind:
                raise MalformedMessage(f"unknown kind {kind!r}")
    except ValueError as error:
        raise MalformedMessage(str(error)) from error


def _text(fields: dict[str, object], name: str) -> str:
    value = fields.get(name)
    if not isinstance(value, str) or not 0 < len(value) <= 2_000:
        raise MalformedMessage(f"{name} must be a text of 1 to 2,000 characters")
    return value


def _optional_text(fields: dict[str, object], name: str) -> str | None:
    return None if fields.get(name) is None else _text(fields, name)


def _shard(fields: dict[str, object], name: str) -> int:
    value = fields.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= 255:
        raise MalformedMessage(f"{name} must be a whole number from 0 to 255")
    return value
