"""What people do to stored emails by hand: what an email is about, its owner, completing it, deleting it, and leaving its
conversation out from now on.

The row of a new list is written before the activity, that of the old one removed after it. A run that read an email just before
it was deleted may leave rows behind; whoever lists emails confirms each row against the activity.
Everything may be repeated after a crash, and completes what was begun.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

from shared.administration.auditing import Auditing
from shared.administration.failures import NotPossibleNow, RecordNotFound
from shared.administration.outgoing.standing import check_not_waiting
from shared.administration.writing import check_etag, persistently
from shared.domain.audit import Caller, ChangeAction
from shared.domain.choices import ActivityState, CorrelationMethod, EmailStatus, OwnerKind, RegardingSource
from shared.domain.configuration import OwnerRef
from shared.domain.conversations import path_of
from shared.domain.email import (
    CorrelationEntry,
    CorrelationKind,
    EmailActivity,
    EmailContent,
    OptOut,
    StoredActivity,
    TimelineEntry,
)
from shared.domain.errors import InvalidRecord
from shared.domain.ids import ActivityId, MailboxId, OwnerId, email_folder, short_hash
from shared.domain.listings import listed, regarding_entry, sent_entry, unsent_entry
from shared.domain.organisation import OrganisationSettings
from shared.domain.records import RecordRef
from shared.ports import Clock, Stores

type FoundBy = Callable[[EmailActivity, EmailContent, OrganisationSettings], Sequence[CorrelationEntry]]
"""By what later messages find a stored email, for the methods that are on."""


def found_by_nothing(
    _email: EmailActivity, _content: EmailContent, _settings: OrganisationSettings
) -> Sequence[CorrelationEntry]:
    """Where nothing reads mail, nothing stands in `Correlations`."""
    return ()


class Emails:
    def __init__(self, stores: Stores, clock: Clock, auditing: Auditing, found_by: FoundBy = found_by_nothing) -> None:
        self._stores = stores
        self._clock = clock
        self._auditing = auditing
        self._found_by = found_by

    def get(self, activity_id: ActivityId) -> StoredActivity:
        """Raises RecordNotFound, also of one that was deleted."""
        stored = self._stores.activities.get(activity_id)
        if stored is None or stored.record.deleted_on is not None:
            raise RecordNotFound(f"there is no activity {activity_id}")
        return stored

    def set_regarding(
        self, activity_id: ActivityId, regarding: RecordRef | None, caller: Caller, etag: str | None = None
    ) -> StoredActivity:
        """What the email is about. Raises RecordNotFound, Changed; NotPossibleNow where a tracking rule says so."""

        def edit(record: EmailActivity) -> EmailActivity:
            if record.regarding == regarding:
                return record
            self._check_no_rule(record)
            return replace(record, regarding=regarding, regarding_set_by=RegardingSource.HAND, regarding_rule=None)

        return self._change(activity_id, edit, caller, etag)

    def complete(self, activity_id: ActivityId, caller: Caller, etag: str | None = None) -> StoredActivity:
        """Raises RecordNotFound, Changed; NotPossibleNow for an email that was written here."""

        def edit(record: EmailActivity) -> EmailActivity:
            if record.delivery is not None:
                raise NotPossibleNow(
                    "the email was written here: its status says how it is on its way", "Complete emails that were received."
                )
            return replace(record, state=ActivityState.COMPLETED, status=EmailStatus.COMPLETED)

        return self._change(activity_id, edit, caller, etag)

    def reassign(self, activity_id: ActivityId, owner: OwnerRef, caller: Caller, etag: str | None = None) -> StoredActivity:
        """Raises RecordNotFound, Changed; InvalidRecord where there is no such user or queue."""
        if self._stores.owners.get(owner.kind, owner.id) is None:
            raise InvalidRecord("id", f"there is no {owner.kind.value} {owner.id}", "Name a user or queue that exists.")
        return self._change(activity_id, lambda record: replace(record, owner=owner), caller, etag)

    def _change(
        self, activity_id: ActivityId, edit: Callable[[EmailActivity], EmailActivity], caller: Caller, etag: str | None
    ) -> StoredActivity:
        trail = self._auditing.trail(caller, f"activity:{activity_id}")

        def attempt() -> StoredActivity:
            stored = self.get(activity_id)
            check_etag(stored.etag, etag)
            check_not_waiting(stored.record)
            edited = edit(stored.record)
            self._stores.timeline.put(_regarding_row(edited))
            if edited == stored.record:
                return stored
            trail.note(ChangeAction.CHANGED, stored.record, edited, stored.etag)
            changed = self._stores.activities.replace(edited, stored.etag)
            if stored.record.regarding != edited.regarding:
                self._stores.timeline.remove(_regarding_row(stored.record))
            return changed

        return persistently(attempt, etag)

    def _check_no_rule(self, record: EmailActivity) -> None:
        """A rule that does not stand any more holds nobody back."""
        if record.regarding_rule is None:
            return
        mailbox_id, _, folder = record.regarding_rule.rpartition(":")
        rules = (stored.record for stored in self._stores.tracking_rules.list(MailboxId(mailbox_id)))
        rule = next((rule for rule in rules if short_hash(rule.folder_id) == folder), None)
        if rule is not None and rule.active and rule.regarding is not None:
            raise NotPossibleNow(
                f"the email lies in the folder {rule.folder_name or rule.folder_id} of mailbox {mailbox_id}, whose rule says"
                " what its mail is about",
                "Change the rule, or move the message to another folder first.",
            )

    # ---- deleting

    def delete(self, activity_id: ActivityId, caller: Caller, etag: str | None = None) -> None:
        """The email, its content and attachments. A tombstone stays, so that its message is not stored again. Repeating it
        completes one that was interrupted; what is not there counts as deleted. Raises Changed; NotPossibleNow for one that
        waits to be sent."""
        trail = self._auditing.trail(caller, f"activity:{activity_id}")

        def attempt() -> None:
            stored = self._stores.activities.get(activity_id)
            if stored is None:
                return
            if stored.record.deleted_on is None:
                check_etag(stored.etag, etag)
                check_not_waiting(stored.record)
                trail.note(ChangeAction.DELETED, None, None, stored.etag)
                stored = self._stores.activities.replace(replace(stored.record, deleted_on=self._clock()), stored.etag)
            self._erase(stored)

        persistently(attempt, etag)

    def _erase(self, stored: StoredActivity) -> None:
        """The content goes last: everything else is found through it. Where it is gone, what is left of it goes now."""
        record = stored.record
        content = self._stores.activities.content(record.id)
        if content is not None:
            self._stores.timeline.remove(self._rows(record, content))
            self._stores.correlations.remove(self._entries(record, content))
        self._stores.blobs.delete_folder(email_folder(record.content_id))
        self._stores.activities.erase(tombstone(record), stored.etag)

    def _rows(self, record: EmailActivity, content: EmailContent) -> Sequence[TimelineEntry]:
        seen = (sighting.mailbox_id for sighting in self._stores.activities.sightings(record.id))
        mailboxes = list(dict.fromkeys((record.receiving_mailbox, *seen)))
        own = [] if record.delivery is None else [unsent_entry(record), sent_entry(record)]
        return [*own, *listed(record, content, mailboxes, self._queues_of(mailboxes))]

    def _entries(self, record: EmailActivity, content: EmailContent) -> Sequence[CorrelationEntry]:
        """Those that come from what people wrote: hashes of words and addresses. Others hold a number that a mail program
        made up, by which answers are still known to belong to a conversation that was opted out."""
        settings = replace(self._stores.settings.get().record, correlation_methods=tuple(CorrelationMethod))
        entries = self._found_by(record, content, settings)
        return [each for each in entries if each.kind is not CorrelationKind.CONVERSATION]

    def _queues_of(self, mailboxes: Sequence[MailboxId]) -> Sequence[OwnerId]:
        """A queue has an email that its own mailbox brought after another one."""
        stored = (self._stores.mailboxes.get(mailbox_id) for mailbox_id in mailboxes)
        owners = (each.record.owner for each in stored if each is not None)
        return [owner.id for owner in owners if owner is not None and owner.kind is OwnerKind.QUEUE]

    # ---- conversations

    def opt_out(self, activity_id: ActivityId, caller: Caller) -> OptOut:
        """The conversation of the email is not tracked any more; what is stored stays. Raises RecordNotFound; NotPossibleNow
        for an email that was not sent yet."""
        conversation = self._conversations(activity_id)[-1]
        trail = self._auditing.trail(caller, f"conversation:{conversation}")
        present = self._stores.correlations.opted_out([conversation]).get(conversation)
        if present is not None:
            return present
        opted_out = OptOut(conversation, caller.name, self._clock())
        trail.note(ChangeAction.OPTED_OUT, None, None, opted_out.opted_out_on.isoformat())
        self._stores.correlations.opt_out(opted_out)
        return opted_out

    def opt_in(self, activity_id: ActivityId, caller: Caller) -> None:
        """The conversation is tracked again from now on. Raises RecordNotFound, NotPossibleNow."""
        for conversation, present in self._stores.correlations.opted_out(self._conversations(activity_id)).items():
            trail = self._auditing.trail(caller, f"conversation:{conversation}")
            trail.note(ChangeAction.OPTED_IN, None, None, present.opted_out_on.isoformat())
            self._stores.correlations.opt_in(conversation)

    def _conversations(self, activity_id: ActivityId) -> Sequence[ActivityId]:
        """The one that the email belongs to, behind those that were joined to it since."""
        record = self.get(activity_id).record
        if _is_unsent(record):
            raise NotPossibleNow("the email was not sent yet", "Name an email of the conversation that was sent or received.")
        return path_of(record.conversation or record.id, self._known, is_fragment=record.is_fragment)

    def _known(self, activity_id: ActivityId) -> EmailActivity | None:
        stored = self._stores.activities.get(activity_id)
        return None if stored is None else stored.record


def tombstone(record: EmailActivity) -> EmailActivity:
    """Nothing of what the message said. What was written here is still known by its sender: a copy that comes later from
    Sent Items is that email."""
    delivery = record.delivery
    return replace(
        record,
        subject="",
        sender="" if delivery is None else record.sender,
        attachment_count=0,
        regarding=None,
        regarding_set_by=None,
        regarding_rule=None,
        delivery=None if delivery is None else replace(delivery, detail=""),
    )


def _is_unsent(record: EmailActivity) -> bool:
    return record.delivery is not None and record.status is not EmailStatus.SENT


def _regarding_row(record: EmailActivity) -> Sequence[TimelineEntry]:
    """An email gets it once it was sent, by the time of that."""
    entry = None if _is_unsent(record) else regarding_entry(record)
    return [] if entry is None else [entry]
