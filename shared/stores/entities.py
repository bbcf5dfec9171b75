"""Every key rule of the tables.

Ids stand in keys as they are (whoever writes has them checked); free text (addresses, ids of servers, names) is hashed.
Shards and buckets are taken from a hash of what follows them, so that the rows of a page touch dozens of partitions, not
hundreds.
"""

import hashlib
import json
from datetime import UTC, datetime, timedelta

from shared.domain.choices import OwnerKind, Priority, Workload
from shared.domain.delivery import OutboxEntry
from shared.domain.email import CorrelationKind, ListOf
from shared.domain.ids import ActivityId, MailboxId, OwnerId, ProfileId, RunId, email_folder, normalised_address, short_hash
from shared.domain.ledger import ItemKey, Todo
from shared.domain.operations import Alert
from shared.domain.records import RejectedLine

SHARDS = 256

PROFILES = "profile"

ORGANISATION = ("organisation", "settings")
"""The one row of the organisation's settings."""

LOADS = "load"
"""The partition of all bulk loads: they are few, and one at a time is at work."""

STATE = "state"

_FIRST = datetime(1, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_INVERT = 10**18
"""More than the microseconds of 9,999 years."""
_INVERT_DAYS = 9_999_999
"""More than the days of 9,999 years."""


# ---- order


def sortable_time(time: datetime) -> str:
    """Sorts as the time does: 18 digits of microseconds since year 1."""
    return f"{_microseconds(time):018d}"


def inverted_time(time: datetime) -> str:
    """Sorts newest first."""
    return f"{_INVERT - 1 - _microseconds(time):018d}"


def _microseconds(time: datetime) -> int:
    return max(0, (time - _FIRST) // _MICROSECOND)


def after(prefix: str) -> str:
    """The first key behind all that start with `prefix`, which ends in a colon."""
    return prefix[:-1] + ";"


# ---- shards and buckets


def shard(text: str) -> str:
    """`00` to `ff`."""
    return _digest(text)[:2]


def bucket(text: str) -> str:
    """`0` to `f`."""
    return _digest(text)[:1]


def shard_name(number: int) -> str:
    return f"{number:02x}"


# ---- configuration


END_OF_BREAKERS = ":breaker"


def breaker_row(profile_id: ProfileId, workload: Workload) -> str:
    """That of incoming mail has the name that it had when there was no other. The end tells breakers from profiles."""
    whose = "" if workload is Workload.INCOMING else f":{workload}"
    return f"{profile_id}{whose}{END_OF_BREAKERS}"


def owner_key(kind: OwnerKind, owner_id: OwnerId) -> tuple[str, str]:
    row_key = f"{kind}:{owner_id}"
    return shard(row_key), row_key


def mailbox_partition(mailbox_id: MailboxId) -> str:
    return shard(mailbox_id)


def schedule_row(mailbox_id: MailboxId) -> str:
    return f"{mailbox_id}:schedule"


def shard_number_of_mailbox(mailbox_id: MailboxId) -> int:
    return int(mailbox_partition(mailbox_id), 16)


def address_key(address: str) -> tuple[str, str]:
    digest = short_hash(normalised_address(address))
    return digest[:2], digest


def further_hints(address_row: str) -> str:
    """What the row keys of the hints start with that stand beside the row of their address."""
    return f"{address_row}:"


def further_hint_row(address_row: str, kind: str, record_id: str) -> str:
    """`kind` is that of an owner, or the type of a record of the address book."""
    return f"{further_hints(address_row)}{kind}:{record_id}"


def record_key(record_type: str, record_id: str) -> tuple[str, str]:
    return f"{record_type}:{bucket(record_id)}", record_id


def record_partitions(record_type: str) -> tuple[str, str]:
    """The first and the last partition of a type; no other type lies between them."""
    return f"{record_type}:0", f"{record_type}:f"


def load_row(load_id: str) -> str:
    return f"load:{load_id}"


def load_listed_row(created_on: datetime, load_id: str) -> str:
    return f"time:{inverted_time(created_on)}:{load_id}"


def rejected_prefix(load_id: str) -> str:
    return f"line:{load_id}:"


def rejected_row(load_id: str, line: RejectedLine) -> str:
    """In the order of lines; a line may be rejected for several fields."""
    return f"{rejected_prefix(load_id)}{line.line:012d}:{short_hash(line.field)}"


def rule_row(folder_id: str) -> str:
    return short_hash(folder_id)


CONSENTS = ("00", "ff")
"""The first and last partition of consents, which are shards; requests for consent stand behind."""
CONSENT_REQUESTS = "request"
"""The partition of all requests for consent: they are few, and live for minutes."""

TREE = "tree"
"""The one row of a mailbox's folder tree."""


def tree_blob(mailbox_id: MailboxId, writing: str) -> str:
    """Every writing has a blob of its own: whoever replaces one removes no other's."""
    return f"folders/{mailbox_id}/{writing}"


def share_key(identity: str) -> tuple[str, str]:
    digest = short_hash(identity)
    return bucket(digest), digest


# ---- mail


def activity_partition(activity_id: ActivityId) -> str:
    return bucket(activity_id)


def rows_beside(activity_id: ActivityId) -> str:
    """What the keys of all rows of an activity start with, but for its own."""
    return f"{activity_id}:"


def content_row(activity_id: ActivityId) -> str:
    return f"{activity_id}:content"


def sightings_prefix(activity_id: ActivityId) -> str:
    return f"{activity_id}:seen:"


def sighting_row(activity_id: ActivityId, mailbox_id: MailboxId) -> str:
    return f"{sightings_prefix(activity_id)}{mailbox_id}"


def annotations_prefix(activity_id: ActivityId) -> str:
    return f"{activity_id}:note:"


def annotation_row(about: ActivityId, report: ActivityId) -> str:
    return f"{annotations_prefix(about)}{report}"


def attempts_prefix(activity_id: ActivityId) -> str:
    """Behind the content, so that an activity and its content lie side by side."""
    return f"{activity_id}:try:"


def attempt_row(activity_id: ActivityId, number: int) -> str:
    return f"{attempts_prefix(activity_id)}{number:09d}"


def outbox_prefix(priority: Priority) -> str:
    """The higher priority sorts first. It stands before the time, so that what goes first is read without the rest."""
    return f"{max(Priority) - priority}:"


def outbox_row(entry: OutboxEntry) -> str:
    """With the submission, so that who removes what announced one never removes what announces the next."""
    return f"{outbox_prefix(entry.priority)}{sortable_time(entry.due)}:{entry.activity_id}:{entry.submission}"


def due_of_outbox_row(row: str) -> datetime:
    """What `outbox_row` says of the entry, whatever its columns are."""
    _, time, _ = row.split(":", 2)
    return _FIRST + int(time) * _MICROSECOND


def outbox_due(priority: Priority, now: datetime) -> str:
    """The key behind all emails of a priority that are due."""
    return after(f"{outbox_prefix(priority)}{sortable_time(now)}:")


def timeline_key(list_of: ListOf, whose: str) -> tuple[str, str]:
    """The partition of a list, and what its row keys start with. `whose` may be an address, so it is hashed."""
    digest = short_hash(whose)
    return f"{list_of}:{bucket(digest)}", f"{digest}:"


def timeline_row(prefix: str, time: datetime, activity_id: ActivityId) -> str:
    return f"{prefix}{inverted_time(time)}:{activity_id}"


def correlation_key(kind: CorrelationKind, key: str) -> tuple[str, str]:
    """The partition of what is found by `key`, and what its row keys start with."""
    digest = short_hash(key)
    return f"{kind}:{bucket(digest)}", f"{digest}:"


def correlation_row(prefix: str, time: datetime, activity_id: ActivityId) -> str:
    """The latest come first."""
    return f"{prefix}{inverted_time(time)}:{activity_id}"


OPT_OUTS = ("opted-out:0", "opted-out:f")
"""The first and the last partition of opted-out conversations; nothing else lies between them."""


def opt_out_key(conversation: ActivityId) -> tuple[str, str]:
    return f"opted-out:{bucket(conversation)}", conversation


# ---- the ledger


def ledger_partition(mailbox_id: MailboxId, workload: Workload) -> str:
    return f"{mailbox_id}:{workload}"


def item_row(key: ItemKey) -> str:
    return f"item:{key}"


def item_key_of(row: str) -> ItemKey:
    """Of the key of an item's row."""
    _, identity, server = row.split(":", 2)
    return ItemKey(identity, server)


def mark_row(folder: str) -> str:
    return f"mark:{short_hash(folder)}"


def todo_row(todo: Todo) -> str:
    """An item may have several things to do at one time."""
    return f"todo:{sortable_time(todo.due)}:{todo.item.key}:{todo.kind}"


def todos_due(now: datetime) -> str:
    """The key behind all todos that are due."""
    return f"todo:{sortable_time(now)}~"


def watermark_blob(mailbox_id: MailboxId, workload: Workload, folder: str, watermark: str) -> str:
    return f"watermarks/{mailbox_id}/{workload}/{short_hash(folder)}/{_digest(watermark)}"


def content_blob(content_id: ActivityId, column: str, text: str, writing: str = "") -> str:
    """Named after its hash: another rendering of the same message must not appear under a row that did not name it. What is
    replaced and removed has a `writing` of its own beside it."""
    return f"{email_folder(content_id)}{_digest(text)}{writing and '-'}{writing}{_SUFFIXES.get(column, '.json')}"


def is_blob_of(text: str, blob: str) -> bool:
    """Whether the blob of this name holds this text."""
    return _digest(text) in blob


_SUFFIXES = {"body_html": ".html", "body_text": ".txt", "subject": ".txt", "authentication_results": ".txt"}


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


# ---- operations


def alert_row(alert: Alert) -> str:
    parameters = json.dumps(sorted(alert.parameters.items()))
    return f"{alert.code}:{short_hash(parameters)}"


def alert_id_key(alert_id: str) -> tuple[str, str]:
    """Where it stands which row an alert's id means."""
    return bucket(alert_id), alert_id


def audit_partition(changed_on: datetime) -> str:
    """A day (UTC): sorts newest first, and can be read by people."""
    day = changed_on.astimezone(UTC).date()
    return f"{_INVERT_DAYS - day.toordinal():07d}:{day.isoformat()}"


def audit_partitions_before(time: datetime) -> str:
    """The first partition of the days before that of `time`."""
    return f"{audit_partition(time)};"


def audit_row(entry_id: str) -> str:
    """Says that the entry is there, whatever time it was written with."""
    return f"id:{entry_id}"


def audit_listed_row(changed_on: datetime, entry_id: str) -> str:
    return f"time:{inverted_time(changed_on)}:{entry_id}"


def quarantine_row(key: ItemKey) -> str:
    """Where the item's listed row is found again."""
    return f"item:{key}"


def quarantine_listed_row(quarantined_on: datetime, key: ItemKey) -> str:
    return f"time:{inverted_time(quarantined_on)}:{key}"


VERSIONS = "version"
"""The partition that tells which mailboxes may have items that a version gave up. No mailbox has such an id."""


def version_prefix(version: str) -> str:
    return f"{short_hash(version)}:"


def version_row(version: str, mailbox_id: MailboxId) -> str:
    return f"{version_prefix(version)}{mailbox_id}"


def run_row(started_on: datetime, run_id: RunId) -> str:
    return f"{inverted_time(started_on)}:{short_hash(run_id)}"


def run_rows_before(time: datetime) -> str:
    """The first row, in any partition, of the runs that started before `time`."""
    return f"{inverted_time(time)};"


def secret_partition(name: str) -> str:
    return short_hash(name)
