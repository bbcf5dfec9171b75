"""What every store refuses or shortens, so that an email or a record meets the same rule wherever it is kept.

The numbers are those of Azure Tables and Queues; the emulator does not check all of them, and a message from a stranger must
not be able to make a commit fail by its size.
"""

import base64
import binascii
import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import fields, is_dataclass, replace
from typing import Any

from shared.domain.audit import AuditEntry, FieldChange
from shared.domain.choices import OwnerKind
from shared.domain.consents import Consent, ConsentRequest
from shared.domain.delivery import Attempt, Delivery, OutboxEntry, RefusedRecipient
from shared.domain.email import (
    Annotation,
    CorrelationEntry,
    EmailActivity,
    EmailContent,
    OptOut,
    RecipientReport,
    Sighting,
    TimelineEntry,
)
from shared.domain.errors import InvalidRecord
from shared.domain.folders import KnownTree
from shared.domain.judgement import Judgement, Vote
from shared.domain.ledger import LedgerCommit, LedgerItem
from shared.domain.operations import Alert, QuarantinedItem, Run
from shared.domain.records import AddressBookRecord, RejectedLine
from shared.ports import LEDGER_COMMIT_ROWS
from shared.stores.codec import codec_of, to_json

ID_UNITS = 200
"""UTF-16 units of an id; a key may hold two."""

TEXT_UNITS = 30_000
"""UTF-16 units of a text that stands in a row; the Table service takes 32 Ki."""

LISTED_UNITS = 1_000
"""UTF-16 units of a text that is only shown in lists, or kept for the record."""

JUDGEMENT_UNITS = 8_000
"""UTF-16 units of a judgement as JSON: a commit holds 99 items, each perhaps within a todo."""

FEW = 12
"""So many votes, queues and tries together fit in a judgement, however long their ids are."""

CORRELATED_ADDRESSES = 500
"""Hashes of addresses by which one email can be found."""

QUEUE_TEXT_BYTES = 48 * 1024
"""Bytes of a queue message before base64; the Queue service takes 64 KiB of base64."""

SECRET_BYTES = 16 * 1024

KEY_UNITS = 512
"""UTF-16 units of a key."""

REJECTED_LINES = 99
"""Rejected lines that one commit of a bulk load may write beside its progress."""

_TYPE = re.compile(r"[a-z][a-z0-9_]{0,99}")
_FORBIDDEN = re.compile(r"[\x00-\x1f\x7f-\x9f/\\#?\ud800-\udfff]")


def units(text: str) -> int:
    """Length as the Table service counts it: UTF-16 units."""
    return len(text) if text.isascii() else len(text.encode("utf-16-le", "surrogatepass")) // 2


def cut(text: str, longest: int) -> str:
    """The start of a text, at most `longest` UTF-16 units, never half a character; lone surrogates become U+FFFD."""
    clean = well_formed(text[:longest])
    if units(clean) <= longest:
        return clean
    return clean.encode("utf-16-le")[: longest * 2].decode("utf-16-le", "ignore")


def well_formed(text: str) -> str:
    """The text with lone surrogates replaced: broken mail has them, UTF-8 does not."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


def _is_text(text: str) -> bool:
    return well_formed(text) == text


def is_key(text: str) -> bool:
    """Whether the Table service takes it as a key."""
    return units(text) <= KEY_UNITS and not _FORBIDDEN.search(text)


def checked_id[T: str](value: T, field: str = "id") -> T:
    """The id, if it can be part of a key. Raises InvalidRecord."""
    if not value or units(value) > ID_UNITS or not is_key(value):
        raise InvalidRecord(
            field,
            f"{field} cannot be stored as a key: {value[:80]!r}",
            f"Use 1 to {ID_UNITS} characters without / \\ # ? and control characters.",
        )
    return value


def checked_record(record: AddressBookRecord) -> AddressBookRecord:
    """A record of the address book, if it can be stored. Raises InvalidRecord naming the field."""
    if not is_record_type(record.type):
        raise InvalidRecord(
            "type",
            f"{record.type[:80]!r} is no type of a record of the address book",
            "Use up to 100 lower-case letters, digits and underscores, starting with a letter; users and queues have records"
            " of their own.",
        )
    checked_id(record.id)
    _check_text("name", record.name)
    for place, address in enumerate(record.addresses):
        _check_text(f"addresses/{place}", address)
    if record.owner_id is not None:
        checked_id(record.owner_id, "owner_id")
    return record


def is_record_type(text: str) -> bool:
    """Users and queues are no types: whoever has such an address belongs to the organisation."""
    return _TYPE.fullmatch(text) is not None and text not in tuple(OwnerKind)


def _check_text(field: str, text: str) -> None:
    if units(text) > LISTED_UNITS:
        raise InvalidRecord(field, f"{field} has more than {LISTED_UNITS} characters", "Use a shorter text.")
    if well_formed(text) != text:
        raise InvalidRecord(field, f"{field} has half a character (a lone surrogate)", "Use text that is valid Unicode.")


def checked_limit(limit: int) -> int:
    """How many items a list shall have. Raises InvalidRecord."""
    if limit < 1:
        raise InvalidRecord("limit", f"a list of {limit} items", "Ask for at least one item.")
    return limit


def checked_message(text: str) -> str:
    """A queue message, if it fits. Raises InvalidRecord."""
    if len(text.encode()) > QUEUE_TEXT_BYTES:
        raise InvalidRecord(
            "text", f"the queue message has more than {QUEUE_TEXT_BYTES} bytes", "Send ids and a reason, never content."
        )
    return text


def checked_secret(name: str, value: str) -> str:
    """A secret, if it fits. Raises InvalidRecord, which does not repeat the value."""
    if len(value.encode()) > SECRET_BYTES:
        raise InvalidRecord("secret", f"the secret {name!r} has more than {SECRET_BYTES} bytes", "Use a shorter secret.")
    return value


def checked_rows(commit: LedgerCommit) -> LedgerCommit:
    """A commit, if it fits in one transaction. Raises ValueError: the caller cuts pages."""
    if commit.rows > LEDGER_COMMIT_ROWS:
        raise ValueError(f"a ledger commit of {commit.rows} rows; at most {LEDGER_COMMIT_ROWS} fit in a transaction")
    return commit


def storable_activity(activity: EmailActivity) -> EmailActivity:
    """The whole subject stands in the content; the activity row repeats what fits."""
    return replace(
        activity,
        subject=cut(activity.subject, TEXT_UNITS),
        sender=cut(activity.sender, LISTED_UNITS),
        delivery=None if activity.delivery is None else _storable_delivery(activity.delivery),
    )


def _storable_delivery(delivery: Delivery) -> Delivery:
    """What the server said may have any length; what it is sent by stays as it is."""
    return replace(
        delivery,
        status_code=cut(delivery.status_code, LISTED_UNITS),
        detail=cut(delivery.detail, LISTED_UNITS),
        server_message_id=_cut_optional(delivery.server_message_id),
    )


def storable_attempt(attempt: Attempt) -> Attempt:
    """As many refused recipients as fit in one column; an email may have thousands."""
    return replace(
        attempt,
        status_code=cut(attempt.status_code, LISTED_UNITS),
        detail=cut(attempt.detail, LISTED_UNITS),
        server_id=cut(attempt.server_id, LISTED_UNITS),
        refused=_fitting(_storable_refused(each) for each in attempt.refused),
    )


def _storable_refused(recipient: RefusedRecipient) -> RefusedRecipient:
    return RefusedRecipient(
        cut(recipient.address, LISTED_UNITS), cut(recipient.status_code, LISTED_UNITS), cut(recipient.detail, LISTED_UNITS)
    )


def checked_outbox(entry: OutboxEntry) -> OutboxEntry:
    """An entry of the outbox, if its ids can be keys. Raises InvalidRecord."""
    checked_id(entry.mailbox_id, "mailbox_id")
    checked_id(entry.activity_id, "activity_id")
    checked_id(entry.submission, "submission")
    return entry


def storable_entry(entry: TimelineEntry) -> TimelineEntry:
    return replace(entry, subject=cut(entry.subject, LISTED_UNITS), sender=cut(entry.sender, LISTED_UNITS))


def storable_item(item: LedgerItem) -> LedgerItem:
    """A Message-ID, an error text or a judgement of any length must not break the commit of its page."""
    return replace(
        item,
        message_id=_cut_optional(item.message_id),
        detail=cut(item.detail, LISTED_UNITS),
        judgement=None if item.judgement is None else storable_judgement(item.judgement),
    )


def storable_judgement(judgement: Judgement) -> Judgement:
    """Mail to a thousand users has a thousand votes: those that decided are kept first."""
    whole = replace(judgement, rule=_cut_optional(judgement.rule))
    if len(whole.votes) + len(whole.queues) + len(whole.correlation.tried) <= FEW:
        return whole
    kept, most = whole, 64
    while units(to_json(codec_of(Judgement).plain(kept := _with_at_most(whole, most)))) > JUDGEMENT_UNITS:
        most //= 2
    return kept


def _with_at_most(judgement: Judgement, most: int) -> Judgement:
    votes = _most_telling(judgement, most)
    return replace(
        judgement,
        votes=votes,
        votes_left_out=judgement.votes_left_out + len(judgement.votes) - len(votes),
        queues=judgement.queues[:most],
        correlation=replace(judgement.correlation, tried=judgement.correlation.tried[:most]),
    )


def _most_telling(judgement: Judgement, most: int) -> tuple[Vote, ...]:
    """That of the owner who accepted it first, then those with the reason that it has; in the order they stand in."""

    def rank(place: int) -> tuple[bool, bool, int]:
        vote = judgement.votes[place]
        return vote.owner != judgement.accepted_by, vote.reason != judgement.reason, place

    telling = sorted(range(len(judgement.votes)), key=rank)[:most]
    return tuple(judgement.votes[place] for place in sorted(telling))


def storable_annotation(annotation: Annotation) -> Annotation:
    """As many recipients as fit in one column; a report may name thousands."""
    return replace(annotation, recipients=_fitting(_storable_report(each) for each in annotation.recipients))


def _storable_report(recipient: RecipientReport) -> RecipientReport:
    return RecipientReport(
        cut(recipient.address, LISTED_UNITS),
        cut(recipient.action, LISTED_UNITS),
        cut(recipient.status, LISTED_UNITS),
        cut(recipient.diagnostic, LISTED_UNITS),
    )


def _fitting[T](records: Iterable[T]) -> tuple[T, ...]:
    """The first of them, as many as fit in one column as JSON."""
    kept: list[T] = []
    room = TEXT_UNITS
    for each in records:
        room -= units(to_json(codec_of(type(each)).plain(each))) + 1
        if room < 0:
            break
        kept.append(each)
    return tuple(kept)


def storable_correlation(entry: CorrelationEntry) -> CorrelationEntry:
    return replace(entry, addresses=entry.addresses[:CORRELATED_ADDRESSES])


def storable_opt_out(opted_out: OptOut) -> OptOut:
    return replace(opted_out, by=cut(opted_out.by, LISTED_UNITS))


def storable_quarantined(item: QuarantinedItem) -> QuarantinedItem:
    return replace(item, message_id=_cut_optional(item.message_id), detail=cut(item.detail, TEXT_UNITS))


def storable_alert(alert: Alert) -> Alert:
    parameters = {cut(name, LISTED_UNITS): cut(value, LISTED_UNITS) for name, value in alert.parameters.items()}
    return replace(alert, cause=cut(alert.cause, TEXT_UNITS), remedy=cut(alert.remedy, TEXT_UNITS), parameters=parameters)


def acknowledging(name: str) -> str:
    """Who saw an alert."""
    return cut(name, LISTED_UNITS)


def storable_entry_of_audit(entry: AuditEntry) -> AuditEntry:
    """Old and new values are shortened until they fit in one column together."""
    longest = LISTED_UNITS
    while True:
        changes = tuple(_cut_change(each, longest) for each in entry.changes)
        if units(json.dumps([[each.field, each.old, each.new] for each in changes])) <= TEXT_UNITS - 50 * len(changes):
            return replace(entry, caller=cut(entry.caller, LISTED_UNITS), record=audited_record(entry.record), changes=changes)
        longest //= 2


def _cut_change(change: FieldChange, longest: int) -> FieldChange:
    return FieldChange(cut(change.field, longest), cut(change.old, longest), cut(change.new, longest))


def audited_record(record: str) -> str:
    """The name of a record as the audit keeps it."""
    return cut(record, LISTED_UNITS)


def checked_rejected(lines: Sequence[RejectedLine]) -> Sequence[RejectedLine]:
    """What fits of rejected lines. Raises ValueError where they are more than one commit takes."""
    if len(lines) > REJECTED_LINES:
        raise ValueError(f"{len(lines)} rejected lines; at most {REJECTED_LINES} fit in one commit")
    return [
        RejectedLine(each.line, cut(each.field, LISTED_UNITS), cut(each.detail, LISTED_UNITS), cut(each.remedy, LISTED_UNITS))
        for each in lines
    ]


def storable_run(run: Run) -> Run:
    return replace(run, detail=cut(run.detail, TEXT_UNITS))


def storable_content(content: EmailContent) -> EmailContent:
    """The content as it is: it may have any length, but its text must be text."""
    return _with_well_formed_texts(content)


def storable_tree(tree: KnownTree) -> KnownTree:
    """The tree as it is: it may have any number of folders, but their names must be text."""
    return _with_well_formed_texts(tree)


def storable_consent(consent: Consent) -> Consent:
    return replace(consent, granted_by=cut(consent.granted_by, LISTED_UNITS))


def storable_request(request: ConsentRequest) -> ConsentRequest:
    return replace(request, asked_by=cut(request.asked_by, LISTED_UNITS))


def storable_sighting(sighting: Sighting) -> Sighting:
    return replace(sighting, item_id=cut(sighting.item_id, LISTED_UNITS))


def _cut_optional(text: str | None) -> str | None:
    return None if text is None else cut(text, LISTED_UNITS)


def _with_well_formed_texts[T](value: T) -> T:
    known: Any = value
    if isinstance(known, str):
        return known if known.isascii() else well_formed(known)  # type: ignore[return-value]  # T is str here
    if isinstance(known, tuple):
        return tuple(_with_well_formed_texts(each) for each in known)  # type: ignore[return-value]  # T is a tuple here
    if is_dataclass(known) and not isinstance(known, type):
        changed = {each.name: _with_well_formed_texts(getattr(known, each.name)) for each in fields(known)}
        return replace(known, **changed)  # type: ignore[return-value]  # T is a dataclass here
    return value


def continuation(*position: str) -> str:
    """An opaque text for where a list goes on."""
    return base64.urlsafe_b64encode(json.dumps(position).encode()).decode()


def position(text: str) -> tuple[str, ...]:
    """Where a list goes on. Raises InvalidRecord: the text came from outside."""
    try:
        found = json.loads(base64.urlsafe_b64decode(text.encode()))
    except (binascii.Error, ValueError, RecursionError):
        found = None
    if not isinstance(found, list) or not found or not all(isinstance(part, str) and _is_text(part) for part in found):
        raise InvalidRecord("continuation", "not a continuation of this list", "Start the list from its beginning.")
    return tuple(found)
