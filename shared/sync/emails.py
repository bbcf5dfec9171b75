"""Writes emails to the store so that repeating it changes nothing, and a crash anywhere leaves what a repetition completes.

The activity row is the decision. It is created without looking first; where it is there already, every other row is derived
from what is stored, not from what this run would have decided.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from shared.domain.choices import Reason
from shared.domain.email import EmailContent, NewEmail, Sighting, StoredActivity
from shared.domain.errors import ItemError
from shared.domain.ids import ActivityId
from shared.ports import Activities, Timeline
from shared.sync.items import Result, Written
from shared.sync.promotion import as_variant, timeline_of


@dataclass(frozen=True, slots=True)
class _Stored:
    """An email as it stands in the store, and the sighting that this run has of it."""

    activity: StoredActivity
    content: EmailContent
    sighting: Sighting


class Emails:
    """Where emails are written. Blobs that an email names are written before it."""

    def __init__(self, activities: Activities, timeline: Timeline) -> None:
        self._activities = activities
        self._timeline = timeline

    def write(self, emails: Sequence[NewEmail]) -> Sequence[Result]:
        """Writes the emails; one that the store refuses is the ItemError at its place and does not affect the others.

        Raises TransientError.
        """
        if not emails:
            return ()
        try:
            return self._write(emails)
        except ItemError as error:
            if len(emails) == 1:
                return (error,)
            return [self.write([email])[0] for email in emails]

    def _write(self, emails: Sequence[NewEmail]) -> Sequence[Result]:
        stored = self._with_contents(emails, self._create(emails))
        self._sight(stored)
        entries = {
            (entry.list_of, entry.whose, entry.activity_id): entry
            for each in stored
            for entry in timeline_of(each.activity.record, each.content, each.sighting)
        }
        self._timeline.put(list(entries.values()))
        return [Written(each.activity.record.id, _reason(each.content)) for each in stored]

    def _create(self, emails: Sequence[NewEmail]) -> list[StoredActivity]:
        """The stored rows, in the order of `emails`: what another content has the id of becomes a variant."""
        stored = list(self._activities.create(emails))
        places = [place for place, email in enumerate(emails) if not _same_content(stored[place], email)]
        if not places:
            return stored
        unmarked = {stored[place].record.id for place in places if not stored[place].record.has_variants}
        variants = self._activities.create([as_variant(emails[place]) for place in places])
        for place, variant in zip(places, variants, strict=True):
            stored[place] = variant
        if unmarked:
            self._activities.mark_variants(unmarked)
        return stored

    def _with_contents(self, emails: Sequence[NewEmail], activities: Sequence[StoredActivity]) -> list[_Stored]:
        """Beside every stored row its stored content: ours where this call created it, else read."""
        contents = {
            activity.record.id: email.content for email, activity in zip(emails, activities, strict=True) if activity.created
        }
        stored = []
        for email, activity in zip(emails, activities, strict=True):
            activity_id = activity.record.id
            if activity_id not in contents:
                contents[activity_id] = self._activities.content(activity_id) or email.content
            sighting = replace(email.sighting, activity_id=activity_id)
            stored.append(_Stored(activity, contents[activity_id], sighting))
        return stored

    def _sight(self, stored: Sequence[_Stored]) -> None:
        """Adds the sightings that were not written together with their activity."""
        written: set[ActivityId] = {each.activity.record.id for each in stored if each.activity.created}
        missing = {
            each.sighting.activity_id: each.sighting for each in reversed(stored) if each.activity.record.id not in written
        }
        if missing:
            self._activities.sight(list(missing.values()))


def _same_content(stored: StoredActivity, email: NewEmail) -> bool:
    return stored.record.fingerprint == email.activity.fingerprint


def _reason(content: EmailContent) -> Reason:
    return Reason.SENDER_CLAIMS_OWN_ADDRESS if content.sender_claims_own_address else Reason.RELEVANT
