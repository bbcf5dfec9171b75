"""Emails that are written here advance: activity, content and attempts in one transaction, fenced by the ETag of the activity.

Every step leaves its own mark in the activity row. A reply that was lost is settled by it: who meets the own mark there was not
refused. A large text that replaces another gets a blob of its own, so that nobody removes what another row names.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from uuid import uuid4

from shared.domain.email import EmailActivity, EmailContent, StoredActivity
from shared.domain.errors import Changed, Throttled, TransientError
from shared.domain.ids import ActivityId
from shared.domain.steps import Step
from shared.stores.entities import activity_partition, attempt_row, content_blob, content_row, is_blob_of
from shared.stores.limits import storable_activity, storable_attempt, storable_content
from shared.stores.parallel import Parallel
from shared.stores.tables.contents import blobs_of, content_columns
from shared.stores.tables.gateway import Operation, Value, Verb, grouped_transactions, operation
from shared.stores.tables.table import Table, columns_of
from shared.stores.text_blobs import TextBlobs

_MARK = "step"
"""The column with the mark of the step that wrote the row."""


@dataclass(frozen=True, slots=True)
class _Content:
    """Content that replaces another."""

    columns: Mapping[str, Value]
    fresh: Sequence[str]
    """Blobs that were written for it."""
    replaced: Sequence[str]
    """Blobs that nothing names any more once it stands there."""


@dataclass(frozen=True, slots=True)
class _Writing:
    """A step as rows, that of the activity first."""

    activity: EmailActivity
    mark: str
    rows: Sequence[Operation]
    content: _Content | None

    def needless(self, taken: StoredActivity | Changed) -> Sequence[str]:
        """Blobs that nothing names now."""
        if self.content is None:
            return ()
        return self.content.fresh if isinstance(taken, Changed) else self.content.replaced


class Steps:
    def __init__(self, table: Table, texts: TextBlobs, parallel: Parallel) -> None:
        self._table = table
        self._texts = texts
        self._parallel = parallel

    def take(self, steps: Sequence[Step]) -> Sequence[StoredActivity | Changed]:
        """`ports.Activities.advance`."""
        replacing = [(step.activity, step.content) for step in steps if step.content is not None]
        contents = self._parallel.each(lambda each: self._content(*each), replacing)
        by_activity = {activity.id: content for (activity, _), content in zip(replacing, contents, strict=True)}
        writings = {step.activity.id: _encoded(step, by_activity.get(step.activity.id)) for step in steps}
        transactions = grouped_transactions([writing.rows for writing in writings.values()])
        sharing = [[known for row in each if (known := writings.get(ActivityId(row.row)))] for each in transactions]
        answers = self._parallel.each(self._take, sharing)
        taken = {key: each for of_transaction in answers for key, each in of_transaction.items()}
        needless = [blob for key, writing in writings.items() for blob in writing.needless(taken[key])]
        self._parallel.each(self._remove, needless)
        return [taken[step.activity.id] for step in steps]

    def _content(self, activity: EmailActivity, content: EmailContent) -> _Content:
        """If the step is taken it replaces the row that is read here: content changes only with its activity."""
        found = self._table.get(activity_partition(activity.id), content_row(activity.id))
        before = {} if found is None else blobs_of(found)
        writing = uuid4().hex

        def blob_of(column: str, text: str) -> str:
            known = before.get(column, "")
            return known if is_blob_of(text, known) else content_blob(activity.content_id, column, text, writing)

        columns, texts = content_columns(storable_content(content), blob_of)
        fresh = [blob for blob in texts if blob not in before.values()]
        for blob in fresh:
            self._texts.put(blob, texts[blob])
        return _Content(columns, fresh, [blob for blob in before.values() if blob not in texts])

    def _take(self, writings: Sequence[_Writing], *, again: bool = True) -> Mapping[str, StoredActivity | Changed]:
        """Together; where one of them is refused, each for itself."""
        rows = [row for writing in writings for row in writing.rows]
        try:
            etags = self._table.transact(rows)
        except Changed:
            if len(writings) == 1:
                return {writings[0].activity.id: self._settled(writings[0])}
            return {key: each for writing in writings for key, each in self._take([writing]).items()}
        except TransientError as error:
            if not again or isinstance(error, Throttled):  # throttled, nothing of it was executed
                raise
            return self._take(writings, again=False)
        of_row = {row.row: etag for row, etag in zip(rows, etags, strict=True)}
        return {each.activity.id: StoredActivity(each.activity, of_row[each.activity.id]) for each in writings}

    def _settled(self, writing: _Writing) -> StoredActivity | Changed:
        """Refused, unless it was this very step that changed the row, and its reply was lost."""
        row = writing.rows[0]
        found = self._table.get(row.partition, row.row)
        if found is not None and found.columns.get(_MARK) == writing.mark:
            return StoredActivity(writing.activity, found.etag)
        return Changed(f"email {writing.activity.id} was changed since it was read")

    def _remove(self, blob: str) -> None:
        """What stays behind goes when the email is erased: the step is taken, and must not look as if it were not."""
        with suppress(TransientError):
            self._texts.delete(blob)


def _encoded(step: Step, content: _Content | None) -> _Writing:
    activity, mark = storable_activity(step.activity), uuid4().hex
    partition = activity_partition(activity.id)
    beside: dict[str, Mapping[str, Value]] = {} if content is None else {content_row(activity.id): content.columns}
    beside |= {attempt_row(activity.id, each.number): columns_of(storable_attempt(each)) for each in step.attempts}
    rows = [
        operation(Verb.REPLACE, partition, activity.id, {**columns_of(activity), _MARK: mark}, step.etag),
        *(operation(Verb.UPSERT, partition, row, columns) for row, columns in beside.items()),
    ]
    return _Writing(activity, mark, rows, content)
