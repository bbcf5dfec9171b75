"""Activities: the row that may change, and its content, annotations, attempts to send it and one sighting per mailbox beside it
in the same partition.

An activity is created optimistically, in one transaction with content and sighting. When a transaction fails because some of
its activities exist already, every activity of it is read once and the rest is sent again. One that is erased leaves its row:
first that says so, then the rest goes, the content last, so that whoever finds something knows that it is to go.
"""

from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from shared.domain.delivery import Attempt
from shared.domain.email import Annotation, EmailActivity, EmailContent, NewEmail, Sighting, StoredActivity
from shared.domain.errors import AlreadyExists, Busy, Changed, InvalidRecord, ItemRejected
from shared.domain.ids import ActivityId, MailboxId
from shared.domain.steps import Step, StoredEmail
from shared.stores.entities import (
    activity_partition,
    after,
    annotation_row,
    annotations_prefix,
    attempts_prefix,
    content_blob,
    content_row,
    rows_beside,
    sighting_row,
    sightings_prefix,
)
from shared.stores.limits import (
    checked_id,
    storable_activity,
    storable_annotation,
    storable_content,
    storable_sighting,
)
from shared.stores.parallel import Parallel
from shared.stores.tables.contents import blobs_of, content_columns, content_of
from shared.stores.tables.deleting import delete_rows
from shared.stores.tables.gateway import Entity, Operation, Verb, grouped_transactions, operation, rows_of, transactions_of
from shared.stores.tables.steps import Steps
from shared.stores.tables.table import Table, columns_of, record_of
from shared.stores.text_blobs import TextBlobs

_ROUNDS = 8

type _Rows = tuple[Operation, Operation, Operation]


@dataclass(frozen=True, slots=True)
class _Encoded:
    """The rows of an email, and the texts that are too large for them, by the name of their blob."""

    rows: _Rows
    texts: Mapping[str, str]


class TableActivities:
    def __init__(self, table: Table, texts: TextBlobs, parallel: Parallel) -> None:
        self._table = table
        self._texts = texts
        self._parallel = parallel
        self._steps = Steps(table, texts, parallel)

    def create(self, emails: Sequence[NewEmail]) -> Sequence[StoredActivity]:
        first = {email.activity.id: email for email in reversed(emails)}
        encoded = {key: _encoded(email) for key, email in first.items()}
        large = [text for each in encoded.values() for text in each.texts.items()]
        self._parallel.each(lambda text: self._texts.put(*text), large)
        stored = self._created_or_found(first, {key: each.rows for key, each in encoded.items()})
        erased = [key for key, email in first.items() if _is_erased(stored[key], email)]
        self._parallel.each(self._texts.delete, [blob for key in erased for blob in encoded[key].texts])
        return _in_order([email.activity.id for email in emails], stored)

    def get(self, activity_id: ActivityId) -> StoredActivity | None:
        found = self._table.get(activity_partition(activity_id), activity_id)
        return None if found is None else StoredActivity(record_of(EmailActivity, found), found.etag)

    def content(self, activity_id: ActivityId) -> EmailContent | None:
        partition, row = activity_partition(activity_id), content_row(activity_id)
        found = self._table.get(partition, row)
        while found is not None:
            try:
                return content_of(found, self._texts)
            except KeyError:
                known, found = found, self._table.get(partition, row)
                if found is not None and found.etag == known.etag:  # nor was it replaced
                    activity = self.get(activity_id)
                    if activity is None or activity.record.deleted_on is not None:
                        return None  # it is being erased, and its texts went first
                    raise
        return None

    def contents(self, activity_ids: Collection[ActivityId]) -> Mapping[ActivityId, EmailContent]:
        asked = sorted(set(activity_ids))
        found = zip(asked, self._parallel.each(self.content, asked), strict=True)
        return {key: content for key, content in found if content is not None}

    def sightings(self, activity_id: ActivityId) -> Sequence[Sighting]:
        prefix = sightings_prefix(activity_id)
        rows = self._table.rows(rows_of(activity_partition(activity_id), prefix, after(prefix)))
        return [record_of(Sighting, found) for found in rows]

    def sight(self, sightings: Sequence[Sighting]) -> None:
        unique = {(each.activity_id, each.mailbox_id): each for each in reversed(sightings)}
        inserts = [_sighting(Verb.INSERT, each) for each in unique.values()]
        self._parallel.each(self._insert_missing, grouped_transactions([(each,) for each in inserts]))

    def find(self, activity_ids: Collection[ActivityId]) -> Mapping[ActivityId, StoredActivity]:
        asked = sorted(set(activity_ids))
        found = zip(asked, self._parallel.each(self.get, asked), strict=True)
        return {key: activity for key, activity in found if activity is not None}

    def replace(self, activity: EmailActivity, etag: str) -> StoredActivity:
        storable = storable_activity(activity)
        write = operation(Verb.REPLACE, activity_partition(activity.id), activity.id, columns_of(storable), etag)
        try:
            return StoredActivity(storable, self._table.write(write))
        except Changed as error:
            raise Changed(f"email {activity.id} was changed since it was read") from error

    def whole(self, activity_ids: Collection[ActivityId]) -> Mapping[ActivityId, StoredEmail]:
        asked = sorted(set(activity_ids))
        found = zip(asked, self._parallel.each(self._whole, asked), strict=True)
        return {key: email for key, email in found if email is not None}

    def advance(self, steps: Sequence[Step]) -> Sequence[StoredActivity | Changed]:
        return self._steps.take(steps)

    def attempts(self, activity_id: ActivityId) -> Sequence[Attempt]:
        prefix = attempts_prefix(activity_id)
        rows = self._table.rows(rows_of(activity_partition(activity_id), prefix, after(prefix)))
        return [record_of(Attempt, found) for found in rows]

    def erase(self, activity: EmailActivity, etag: str) -> None:
        self.replace(activity, etag)
        partition, prefix = activity_partition(activity.id), rows_beside(activity.id)
        beside = {row.row: row for row in self._table.rows(rows_of(partition, prefix, after(prefix)))}
        content = beside.pop(content_row(activity.id), None)
        delete_rows(self._table, self._parallel, [(partition, row) for row in beside])
        if content is not None:
            self._parallel.each(self._texts.delete, blobs_of(content).values())
            delete_rows(self._table, self._parallel, [(partition, content.row)])

    def unsight(self, activity_id: ActivityId, mailbox_id: MailboxId) -> None:
        delete_rows(self._table, self._parallel, [(activity_partition(activity_id), sighting_row(activity_id, mailbox_id))])

    def annotate(self, annotations: Sequence[Annotation]) -> None:
        self._parallel.each(self._table.transact, transactions_of(map(_annotation, annotations)))

    def annotations(self, activity_id: ActivityId) -> Sequence[Annotation]:
        prefix = annotations_prefix(activity_id)
        rows = self._table.rows(rows_of(activity_partition(activity_id), prefix, after(prefix)))
        return [record_of(Annotation, found) for found in rows]

    def mark_variants(self, activity_ids: Collection[ActivityId]) -> None:
        self._parallel.each(self._mark_variant, sorted(set(activity_ids)))

    def _created_or_found(
        self, emails: Mapping[ActivityId, NewEmail], rows: Mapping[ActivityId, _Rows]
    ) -> dict[ActivityId, StoredActivity]:
        stored: dict[ActivityId, StoredActivity] = {}
        for _ in range(_ROUNDS):
            transactions = grouped_transactions([rows[key] for key in emails if key not in stored])
            etags = self._parallel.each(self._insert, transactions)
            for transaction, created in zip(transactions, etags, strict=True):
                stored |= _created(transaction, created, emails)
            unknown = [_activity_of(each) for each, created in zip(transactions, etags, strict=True) if created is None]
            conflicting = [key for keys in unknown for key in keys]
            found = zip(conflicting, self._parallel.each(self.get, conflicting), strict=True)
            stored |= {key: activity for key, activity in found if activity is not None}
            if not conflicting:
                return stored
        raise Busy("activities were created by others faster than they could be read")

    def _whole(self, activity_id: ActivityId) -> StoredEmail | None:
        first, last = activity_id, content_row(activity_id)
        known: Entity | None = None
        while True:
            rows = {each.row: each for each in self._table.rows(rows_of(activity_partition(first), first, last + "!"))}
            if first not in rows or last not in rows:
                return None
            activity = StoredActivity(record_of(EmailActivity, rows[first]), rows[first].etag)
            if activity.record.deleted_on is not None:
                return None
            try:
                return StoredEmail(activity, content_of(rows[last], self._texts))
            except KeyError:
                if known is not None and known.etag == rows[last].etag:
                    raise
                known = rows[last]  # it was replaced meanwhile, or erased: what does it say now?

    def _insert(self, transaction: Sequence[Operation]) -> Sequence[str] | None:
        """The new ETags; None if a row of it is there already."""
        try:
            return self._table.transact(transaction)
        except AlreadyExists:
            return None

    def _insert_missing(self, transaction: Sequence[Operation]) -> None:
        if self._insert(transaction) is None:
            for each in transaction:
                with suppress(AlreadyExists):
                    self._table.write(each)

    def _mark_variant(self, activity_id: ActivityId) -> None:
        with suppress(Changed, InvalidRecord):  # what is not there, or cannot be
            self._table.write(operation(Verb.MERGE, activity_partition(activity_id), activity_id, {"has_variants": True}))


def _encoded(email: NewEmail) -> _Encoded:
    """Only the activity is inserted: a conflict means that it exists, whatever else does. Raises ItemRejected."""
    activity = storable_activity(email.activity)
    try:
        partition = activity_partition(checked_id(activity.id))
        content, texts = content_columns(
            storable_content(email.content), lambda column, text: content_blob(activity.content_id, column, text)
        )
        rows = (
            operation(Verb.INSERT, partition, activity.id, columns_of(activity)),
            operation(Verb.UPSERT, partition, content_row(activity.id), content),
            _sighting(Verb.UPSERT, email.sighting),
        )
    except InvalidRecord as error:
        raise ItemRejected(f"email {activity.id} cannot be stored: {error}") from error
    return _Encoded(rows, texts)


def _activity_of(transaction: Sequence[Operation]) -> Sequence[ActivityId]:
    return [ActivityId(each.row) for each in transaction[::3]]


def _created(
    transaction: Sequence[Operation], etags: Sequence[str] | None, emails: Mapping[ActivityId, NewEmail]
) -> Mapping[ActivityId, StoredActivity]:
    if etags is None:
        return {}
    keys = zip(_activity_of(transaction), etags[::3], strict=True)
    return {key: StoredActivity(storable_activity(emails[key].activity), etag, created=True) for key, etag in keys}


def _in_order(keys: Sequence[ActivityId], stored: Mapping[ActivityId, StoredActivity]) -> Sequence[StoredActivity]:
    """An id that comes again was there already, as far as its second email is concerned."""
    seen: set[ActivityId] = set()
    answers = []
    for key in keys:
        found = stored[key]
        answers.append(StoredActivity(found.record, found.etag, found.created and key not in seen))
        seen.add(key)
    return answers


def _is_erased(stored: StoredActivity, email: NewEmail) -> bool:
    """This very email was erased: nothing names its texts any more."""
    return stored.record.deleted_on is not None and stored.record.content_id == email.activity.content_id


def _annotation(annotation: Annotation) -> Operation:
    partition = activity_partition(checked_id(annotation.about, "about"))
    row = annotation_row(annotation.about, checked_id(annotation.report, "report"))
    return operation(Verb.UPSERT, partition, row, columns_of(storable_annotation(annotation)))


def _sighting(verb: Verb, sighting: Sighting) -> Operation:
    partition = activity_partition(checked_id(sighting.activity_id))
    checked_id(sighting.mailbox_id, "mailbox_id")
    row = sighting_row(sighting.activity_id, sighting.mailbox_id)
    return operation(verb, partition, row, columns_of(storable_sighting(sighting)))
