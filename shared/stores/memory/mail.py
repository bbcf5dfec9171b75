"""Activities and their timelines in memory."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from threading import RLock

from shared.domain.delivery import Attempt
from shared.domain.email import (
    Annotation,
    EmailActivity,
    EmailContent,
    ListOf,
    NewEmail,
    Sighting,
    StoredActivity,
    TimelineEntry,
)
from shared.domain.errors import Changed, InvalidRecord, ItemRejected
from shared.domain.ids import ActivityId, MailboxId
from shared.domain.steps import Step, StoredEmail
from shared.ports import Slice
from shared.stores.codec import Plain, codec_of
from shared.stores.entities import inverted_time
from shared.stores.limits import (
    checked_id,
    storable_activity,
    storable_annotation,
    storable_attempt,
    storable_content,
    storable_entry,
    storable_sighting,
)
from shared.stores.memory.rows import Row, check_etag, row, slice_of


class MemoryActivities:
    def __init__(self) -> None:
        self._lock = RLock()
        self._rows: dict[ActivityId, Row[EmailActivity]] = {}
        self._contents: dict[ActivityId, EmailContent] = {}
        self._sightings: dict[ActivityId, dict[MailboxId, Sighting]] = {}
        self._annotations: dict[ActivityId, dict[ActivityId, Annotation]] = {}
        self._attempts: dict[ActivityId, dict[int, Attempt]] = {}

    def create(self, emails: Sequence[NewEmail]) -> Sequence[StoredActivity]:
        for email in emails:
            _check(email)
        with self._lock:
            return [self._create(email) for email in emails]

    def _create(self, email: NewEmail) -> StoredActivity:
        activity_id = email.activity.id
        created = activity_id not in self._rows
        if created:
            self._rows[activity_id] = row(storable_activity(email.activity))
            self._contents[activity_id] = storable_content(email.content)
            self._sightings.setdefault(activity_id, {})[email.sighting.mailbox_id] = storable_sighting(email.sighting)
        return self._stored(activity_id, created=created)

    def get(self, activity_id: ActivityId) -> StoredActivity | None:
        with self._lock:
            return self._stored(activity_id, created=False) if activity_id in self._rows else None

    def content(self, activity_id: ActivityId) -> EmailContent | None:
        with self._lock:
            return self._contents.get(activity_id)

    def contents(self, activity_ids: Collection[ActivityId]) -> Mapping[ActivityId, EmailContent]:
        with self._lock:
            return {each: self._contents[each] for each in activity_ids if each in self._contents}

    def sightings(self, activity_id: ActivityId) -> Sequence[Sighting]:
        with self._lock:
            return [sighting for _, sighting in sorted(self._sightings.get(activity_id, {}).items())]

    def sight(self, sightings: Sequence[Sighting]) -> None:
        with self._lock:
            for sighting in sightings:
                self._sight(sighting)

    def _sight(self, sighting: Sighting) -> None:
        checked_id(sighting.mailbox_id, "mailbox_id")
        self._sightings.setdefault(checked_id(sighting.activity_id), {}).setdefault(
            sighting.mailbox_id, storable_sighting(sighting)
        )

    def find(self, activity_ids: Collection[ActivityId]) -> Mapping[ActivityId, StoredActivity]:
        with self._lock:
            return {each: self._stored(each, created=False) for each in activity_ids if each in self._rows}

    def replace(self, activity: EmailActivity, etag: str) -> StoredActivity:
        with self._lock:
            check_etag(self._rows.get(activity.id), etag, f"email {activity.id}")
            self._rows[activity.id] = row(storable_activity(activity))
            return self._stored(activity.id, created=False)

    def whole(self, activity_ids: Collection[ActivityId]) -> Mapping[ActivityId, StoredEmail]:
        with self._lock:
            return {
                each: StoredEmail(self._stored(each, created=False), self._contents[each])
                for each in activity_ids
                if each in self._contents and self._rows[each].record.deleted_on is None
            }

    def advance(self, steps: Sequence[Step]) -> Sequence[StoredActivity | Changed]:
        with self._lock:
            return [self._advance(step) for step in steps]

    def _advance(self, step: Step) -> StoredActivity | Changed:
        try:
            stored = self.replace(step.activity, step.etag)
        except Changed as refused:
            return refused
        if step.content is not None:
            self._contents[step.activity.id] = storable_content(step.content)
        tried = self._attempts.setdefault(step.activity.id, {})
        tried |= {each.number: storable_attempt(each) for each in step.attempts}
        return stored

    def attempts(self, activity_id: ActivityId) -> Sequence[Attempt]:
        with self._lock:
            return [attempt for _, attempt in sorted(self._attempts.get(activity_id, {}).items())]

    def erase(self, activity: EmailActivity, etag: str) -> None:
        with self._lock:
            self.replace(activity, etag)
            self._contents.pop(activity.id, None)
            self._sightings.pop(activity.id, None)
            self._annotations.pop(activity.id, None)
            self._attempts.pop(activity.id, None)

    def unsight(self, activity_id: ActivityId, mailbox_id: MailboxId) -> None:
        with self._lock:
            self._sightings.get(activity_id, {}).pop(mailbox_id, None)

    def annotate(self, annotations: Sequence[Annotation]) -> None:
        with self._lock:
            for each in annotations:
                about, report = checked_id(each.about, "about"), checked_id(each.report, "report")
                self._annotations.setdefault(about, {})[report] = storable_annotation(each)

    def annotations(self, activity_id: ActivityId) -> Sequence[Annotation]:
        with self._lock:
            return [annotation for _, annotation in sorted(self._annotations.get(activity_id, {}).items())]

    def mark_variants(self, activity_ids: Collection[ActivityId]) -> None:
        with self._lock:
            for activity_id in activity_ids:
                if found := self._rows.get(activity_id):
                    self._rows[activity_id] = row(replace(found.record, has_variants=True))

    def _stored(self, activity_id: ActivityId, *, created: bool) -> StoredActivity:
        found = self._rows[activity_id]
        return StoredActivity(found.record, found.etag, created)

    def snapshot(self) -> dict[str, Plain]:
        with self._lock:
            return {
                "activities": {key: codec_of(EmailActivity).plain(found.record) for key, found in self._rows.items()},
                "contents": {key: codec_of(EmailContent).plain(content) for key, content in self._contents.items()},
                "sightings": {
                    key: {mailbox_id: codec_of(Sighting).plain(sighting) for mailbox_id, sighting in seen.items()}
                    for key, seen in self._sightings.items()
                },
                "annotations": {
                    key: {report: codec_of(Annotation).plain(each) for report, each in annotations.items()}
                    for key, annotations in self._annotations.items()
                },
                "attempts": {
                    key: [codec_of(Attempt).plain(attempt) for _, attempt in sorted(attempts.items())]
                    for key, attempts in self._attempts.items()
                    if attempts
                },
            }


def _check(email: NewEmail) -> None:
    try:
        checked_id(email.activity.id)
        checked_id(email.sighting.mailbox_id, "mailbox_id")
    except InvalidRecord as error:
        raise ItemRejected(f"email {email.activity.id} cannot be stored: {error}") from error


class MemoryTimeline:
    def __init__(self) -> None:
        self._lock = RLock()
        self._rows: dict[tuple[ListOf, str], dict[tuple[str, str], TimelineEntry]] = {}

    def put(self, entries: Sequence[TimelineEntry]) -> None:
        with self._lock:
            for entry in entries:
                key = (inverted_time(entry.time), checked_id(entry.activity_id))
                self._rows.setdefault((entry.list_of, entry.whose), {})[key] = storable_entry(entry)

    def remove(self, entries: Sequence[TimelineEntry]) -> None:
        with self._lock:
            for entry in entries:
                key = (inverted_time(entry.time), entry.activity_id)
                self._rows.get((entry.list_of, entry.whose), {}).pop(key, None)

    def list(self, list_of: ListOf, whose: str, continuation: str | None = None, limit: int = 50) -> Slice[TimelineEntry]:
        with self._lock:
            return slice_of(self._rows.get((list_of, whose), {}).items(), continuation, limit)

    def snapshot(self) -> dict[str, Plain]:
        with self._lock:
            return {
                f"{list_of}:{whose}": [codec_of(TimelineEntry).plain(entry) for _, entry in sorted(entries.items())]
                for (list_of, whose), entries in self._rows.items()
            }
