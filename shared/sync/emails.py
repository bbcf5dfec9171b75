"""Writes emails to the store so that repeating it changes nothing, and a crash anywhere leaves what a repetition completes.

The activity row is the decision. It is created without looking first; where it is there already, every other row is derived
from what is stored, not from what this run would have decided. Only a folder-level tracking rule changes a stored email, and
who asked for a message by hand: what it is about.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from shared.domain.choices import CorrelationMethod, EmailStatus, Notifications, Reason, Verdict
from shared.domain.email import (
    Annotation,
    CorrelationEntry,
    EmailActivity,
    EmailContent,
    ListOf,
    NewEmail,
    Sighting,
    StoredActivity,
)
from shared.domain.errors import AlreadyExists, BeingSent, ItemError
from shared.domain.ids import ActivityId, MailboxId, OwnerId, email_folder, normalised_address
from shared.domain.judgement import Judgement
from shared.domain.listings import entry, listed
from shared.domain.organisation import OrganisationSettings
from shared.ports import Stores
from shared.sync.correlation import entries_of
from shared.sync.items import Refused, Result, Written
from shared.sync.judged import JUST_NOW, Judged
from shared.sync.promotion import Proposal, as_variant
from shared.sync.relinking import set_by_hand, set_by_rule


@dataclass(frozen=True, slots=True)
class _Stored:
    """An email as it stands in the store, the sighting that this run has of it, and how the run judged it."""

    activity: StoredActivity
    content: EmailContent
    sighting: Sighting
    judged: Judged


class Emails:
    """Where emails are written. Blobs that an email names are written before it."""

    def __init__(self, stores: Stores, settings: OrganisationSettings) -> None:
        self._stores = stores
        self._activities = stores.activities
        self._settings = settings

    def write(self, proposals: Sequence[Proposal]) -> Sequence[Result]:
        """Writes the emails; one that the store refuses is the ItemError at its place and does not affect the others.

        Raises TransientError.
        """
        if not proposals:
            return ()
        try:
            return self._write(proposals)
        except ItemError as error:
            if len(proposals) == 1:
                return (error,)
            return [self.write([proposal])[0] for proposal in proposals]

    def leave_behind(self, entries: Sequence[CorrelationEntry]) -> None:
        """What is kept of messages that are not: by what their answers find where they belong."""
        if entries:
            self._stores.correlations.put(entries)

    def untrack(self, activity_id: ActivityId, mailbox_id: MailboxId) -> None:
        """The email leaves the list of the mailbox; it stays an activity."""
        stored = self._activities.get(activity_id)
        if stored is not None:
            self._stores.timeline.remove([entry(stored.record, ListOf.MAILBOX, mailbox_id)])
            self._activities.unsight(activity_id, mailbox_id)

    def _write(self, proposals: Sequence[Proposal]) -> Sequence[Result]:
        self._create_contacts(proposals)
        emails = [proposal.email for proposal in proposals]
        activities = self._create(emails)
        stored = self._with_contents(proposals, activities)
        self._remove_blobs([activity for activity, each in zip(activities, stored, strict=True) if each is _DELETED])
        kept = [self._about_what_is_wanted(each) for each in stored if isinstance(each, _Stored)]
        self._sight(kept)
        self._list(kept)
        self._make_findable(kept)
        self._annotate(kept)
        return [_result(each) if isinstance(each, _Stored) else each for each in stored]

    def _remove_blobs(self, deleted: Sequence[StoredActivity]) -> None:
        """Another copy of a deleted email brought its attachments with it: they go again."""
        for each in deleted:
            self._stores.blobs.delete_folder(email_folder(each.record.content_id))

    def _create_contacts(self, proposals: Sequence[Proposal]) -> None:
        """Before the emails that name them. One that is there already is as good, whoever made it."""
        contacts = {each.judged.contact.id: each.judged.contact for each in proposals if each.judged.contact}
        for contact in contacts.values():
            try:
                self._stores.address_book.create(contact)
            except AlreadyExists:
                continue

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

    def _with_contents(
        self, proposals: Sequence[Proposal], activities: Sequence[StoredActivity]
    ) -> list[_Stored | Refused | BeingSent]:
        """Beside every stored row its stored content: ours where this call created it, else read. What is left of one that was
        deleted, perhaps only just now, has none: its content goes last. A copy of one that is being sent comes too early: its
        rows are written by the time of its receipt."""
        pairs = list(zip(proposals, activities, strict=True))
        created = {activity.record.id: proposal.email.content for proposal, activity in pairs if activity.created}
        others = {each.record.id for each in activities if each.record.deleted_on is None} - created.keys()
        contents = {**created, **(self._activities.contents(others) if others else {})}
        stored: list[_Stored | Refused | BeingSent] = []
        for proposal, activity in pairs:
            content = contents.get(activity.record.id)
            sighting = replace(proposal.email.sighting, activity_id=activity.record.id)
            if content is None:
                stored.append(_DELETED)
            elif _is_being_sent(activity.record):
                stored.append(BeingSent("The email that this is a copy of is being sent."))
            else:
                stored.append(_Stored(activity, content, sighting, proposal.judged))
        return stored

    def _about_what_is_wanted(self, stored: _Stored) -> _Stored:
        """An email that was there before takes the regarding of the rule of the folder in which it lies now, or the one that a
        person asked for."""
        rule, wish = stored.judged.facts.rule, stored.judged.wish
        activity = stored.activity
        if activity.created:
            return stored
        if rule is not None and rule.regarding is not None:
            activity = set_by_rule(self._activities, self._stores.timeline, activity, rule, moved=True)
        elif wish is not None and wish.regarding is not None:
            activity = set_by_hand(self._activities, self._stores.timeline, activity, wish.regarding)
        return replace(stored, activity=activity)

    def _sight(self, stored: Sequence[_Stored]) -> None:
        """Adds the sightings that were not written together with their activity."""
        written: set[ActivityId] = {each.activity.record.id for each in stored if each.activity.created}
        missing = {
            each.sighting.activity_id: each.sighting for each in reversed(stored) if each.activity.record.id not in written
        }
        if missing:
            self._activities.sight(list(missing.values()))

    def _list(self, stored: Sequence[_Stored]) -> None:
        entries = {
            (row.list_of, row.whose, row.activity_id): row
            for each in stored
            for row in listed(each.activity.record, each.content, [each.sighting.mailbox_id], _own_queue(each.judged))
        }
        if entries:
            self._stores.timeline.put(list(entries.values()))

    def _make_findable(self, stored: Sequence[_Stored]) -> None:
        entries = [entry for each in stored for entry in entries_of(each.activity.record, each.content, self._settings)]
        unique = {(entry.kind, entry.key, entry.activity_id): entry for entry in entries}
        if unique:
            self._stores.correlations.put(list(unique.values()))

    def _annotate(self, stored: Sequence[_Stored]) -> None:
        """A delivery report tells something about the email that it names."""
        told = ((each.activity.record, annotation_of(each.activity.record, each.content)) for each in stored)
        annotations = {email.id: annotation for email, annotation in told if annotation is not None}
        if annotations:
            self._activities.annotate(list(annotations.values()))


def _own_queue(judged: Judged) -> Sequence[OwnerId]:
    return () if judged.own_queue is None else (judged.own_queue,)


def annotation_of(email: EmailActivity, content: EmailContent) -> Annotation | None:
    """What a delivery report tells about the email that it names."""
    report = content.report
    names_it = email.correlation_method is CorrelationMethod.IN_REPLY_TO
    if report is None or report.original_message_id is None or email.correlated_to is None or not names_it:
        return None
    return Annotation(email.correlated_to, email.id, email.received, report.recipients)


def _same_content(stored: StoredActivity, email: NewEmail) -> bool:
    """What is sent from here has no fingerprint: servers add to it on the way. Its copies (in Sent Items, or in the mailbox of
    another user where internal mail is one activity) are known by who sent it."""
    if stored.record.delivery is not None:
        return normalised_address(stored.record.sender) == normalised_address(email.activity.sender)
    return stored.record.fingerprint == email.activity.fingerprint


def _is_being_sent(email: EmailActivity) -> bool:
    return email.delivery is not None and email.status in (EmailStatus.PENDING_SEND, EmailStatus.SENDING)


_DELETED = Refused(Judgement(Verdict.SKIPPED, Reason.DELETED))


def _result(stored: _Stored) -> Result:
    email, judged = stored.activity.record, stored.judged
    brought_it = email.receiving_mailbox == stored.sighting.mailbox_id
    reason = stored.content.acceptance if brought_it or not judged.is_accepted else judged.judgement.reason
    category = judged.facts.settings.tracked_category if judged.facts.by_category else None
    is_whole = stored.content.notifications is Notifications.NONE
    return Written(email.id, reason, judged.judgement, category, is_whole, _fragment_since(email, judged))


def _fragment_since(email: EmailActivity, judged: Judged) -> datetime | None:
    """An answer that begins a fragment counts as stored anew by each mailbox that brings it: that may bring the original too.
    So does one of a fragment that was joined since."""
    if not email.is_fragment:
        return None
    is_behind = judged.original is not None and judged.fragment_since is None
    return JUST_NOW if is_behind or email.conversation == email.id else judged.fragment_since
