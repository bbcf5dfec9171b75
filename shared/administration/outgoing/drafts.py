"""Drafts: emails created here, and edited until they are sent. The Message-ID is fixed when the draft is created.

The row of the list stands before the email: a crash in between leaves a row that leads nowhere, and never an email that nobody
finds. Who repeats the creation with the same key gets the same draft.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import uuid4

from shared.administration import rules
from shared.administration.auditing import Auditing, Trail
from shared.administration.failures import NotPossibleNow
from shared.administration.outgoing.answers import Answers, Continued, answering, completed, threaded
from shared.administration.outgoing.copies import Copies
from shared.administration.outgoing.recipients import ROLES, Recipients, by_role, given
from shared.administration.outgoing.standing import advance, as_draft, check_editable, delivery_of, read
from shared.administration.writing import Put, check_etag, persistently
from shared.domain.audit import Caller, ChangeAction
from shared.domain.choices import (
    ActivityState,
    Direction,
    EmailStatus,
    OwnerKind,
    ParticipationType,
    Priority,
    Reason,
    RegardingSource,
)
from shared.domain.configuration import Owner, OwnerRef
from shared.domain.delivery import Delivery
from shared.domain.drafts import Answered, Draft
from shared.domain.email import EmailActivity, EmailContent, NewEmail, Party, Sighting, StoredActivity
from shared.domain.errors import InvalidRecord
from shared.domain.ids import ActivityId, OwnerId, email_id, mailbox_id_of, message_id_of
from shared.domain.listings import unsent_entry
from shared.domain.ranges import BODY, EMAIL_SUBJECT
from shared.domain.records import RecordRef
from shared.domain.steps import StoredEmail
from shared.ports import Clock, Stores

type Edit = Callable[[Draft], Draft]
"""Returns the draft as it shall be. It is called again when others win the race."""


@dataclass(frozen=True, slots=True)
class _Facts:
    """What the audit says of an email: nothing of what it says itself."""

    sender: OwnerRef
    submitter: OwnerId | None
    regarding: RecordRef | None
    priority: Priority
    send_after: datetime | None
    recipients: int
    attachments: int
    status: EmailStatus


class Drafts:
    def __init__(self, stores: Stores, clock: Clock, auditing: Auditing) -> None:
        self._stores = stores
        self._clock = clock
        self._auditing = auditing
        self._recipients = Recipients(stores)
        self._answers = Answers(stores)
        self._copies = Copies(stores, self._answers)

    def create(
        self, draft: Draft, caller: Caller, answers: Answered | None = None, key: str | None = None
    ) -> Put[StoredActivity]:
        """A new draft; with `key` the one that was created with the same key for the same sender before, as it is now. Raises
        InvalidRecord; NotPossibleNow where that one was deleted."""
        sender = self._sender(draft)
        if key is not None:
            rules.identifier("key", key)
        domain = sender.address.rpartition("@")[2]
        message_id = message_id_of(sender.kind, sender.id, key or str(uuid4()), domain)
        activity_id = email_id(message_id, Direction.OUTGOING)
        if key is not None and (present := self._stores.activities.get(activity_id)) is not None:
            put = Put(_not_deleted(present), created=False)
        else:
            put = self._create(self._new(draft, sender, activity_id, message_id, answers), caller)
        return put if answers is None else put._replace(stored=self._copies.complete(put.stored, answers))

    def _create(self, email: NewEmail, caller: Caller) -> Put[StoredActivity]:
        self._stores.timeline.put([unsent_entry(email.activity)])
        trail = self._auditing.trail(caller, f"activity:{email.activity.id}")
        trail.note(ChangeAction.CREATED, None, _facts(email.activity, email.content))
        (stored,) = self._stores.activities.create([email])
        return Put(_not_deleted(stored), created=stored.created)

    def edit(self, activity_id: ActivityId, edit: Edit, caller: Caller, etag: str | None = None) -> StoredActivity:
        """Changes what is written; what failed or was canceled is a draft again. The same again changes nothing. Raises
        RecordNotFound, NotPossibleNow, InvalidRecord, Changed."""
        trail = self._auditing.trail(caller, f"activity:{activity_id}")

        def attempt() -> StoredActivity:
            stored = read(self._stores.activities, activity_id)
            check_etag(stored.activity.etag, etag)
            check_editable(stored.activity.record)
            before = draft_of(stored.activity.record, stored.content)
            edited = edit(before)
            if edited == before:
                return stored.activity
            return self._write(stored, before, edited, trail)

        return persistently(attempt, etag)

    def _write(self, stored: StoredEmail, before: Draft, edited: Draft, trail: Trail) -> StoredActivity:
        former = stored.activity.record
        changed, content = self._edited(stored, before, edited)
        if (changed, content) == (former, stored.content):
            return stored.activity
        email = as_draft(changed, delivery_of(changed))
        has_moved = email.receiving_mailbox != former.receiving_mailbox
        self._stores.timeline.put([unsent_entry(email)])
        if has_moved:
            self._stores.activities.sight([_sighting(email)])
        trail.note(ChangeAction.CHANGED, _facts(former, stored.content), _facts(email, content), stored.activity.etag)
        taken = advance(self._stores.activities, stored, email, content)
        if has_moved:
            self._stores.timeline.put([unsent_entry(email)])  # who listed in between removed it as an orphan
            self._stores.timeline.remove([unsent_entry(former)])
            self._stores.activities.unsight(former.id, former.receiving_mailbox)
        return taken

    # ---- what a draft becomes

    def _new(self, draft: Draft, sender: Owner, activity_id: ActivityId, message_id: str, answers: Answered | None) -> NewEmail:
        now = self._clock()
        continued = None if answers is None else self._answers.read(answers)
        given = draft if continued is None else completed(draft, continued, sender)
        mailbox_id = mailbox_id_of(sender.kind, sender.id)
        activity = EmailActivity(
            id=activity_id,
            fingerprint="",
            content_id=activity_id,
            direction=Direction.OUTGOING,
            state=ActivityState.OPEN,
            status=EmailStatus.DRAFT,
            subject="",
            sender=sender.address,
            received=now,
            created_on=now,
            owner=given.sender,
            receiving_mailbox=mailbox_id,
            conversation=activity_id,
            delivery=Delivery(mailbox_id),
        )
        content = EmailContent(
            subject="",
            message_id=message_id,
            in_reply_to=None,
            references=(),
            parties=(_sender_party(sender), *self._recipients.parties(given, {})),
            sent=None,
            received=now,
            priority=given.priority,
            body_html=None,
            body_text="",
            attachments=(),
            conversation_index=None,
            acceptance=Reason.BY_HAND,
        )
        return self._begun(draft, *_written(_checked(given), activity, content), continued, now)

    def _begun(
        self, draft: Draft, activity: EmailActivity, content: EmailContent, continued: Continued | None, now: datetime
    ) -> NewEmail:
        """With what it takes over from the email that it continues."""
        if continued is not None:
            activity = answering(activity, continued, draft)
            attachments = self._copies.announced(continued, activity.id)
            activity = replace(activity, attachment_count=len(attachments))
            content = replace(content, attachments=attachments)
        return NewEmail(activity, threaded(content, activity, continued, now), _sighting(activity))

    def _edited(self, stored: StoredEmail, before: Draft, edited: Draft) -> tuple[EmailActivity, EmailContent]:
        email, content = stored.activity.record, stored.content
        sender_party = tuple(each for each in content.parties if each.type is ParticipationType.SENDER)
        if edited.sender != before.sender:
            email, sender_party = self._moved(email, edited)
        recipients = self._recipients.parties(edited, by_role(content.parties))
        return _written(_checked(edited), email, replace(content, parties=(*sender_party, *recipients)))

    def _moved(self, email: EmailActivity, edited: Draft) -> tuple[EmailActivity, tuple[Party, ...]]:
        """To the mailbox of another sender. What was tried once may lie as a draft on the former one's server."""
        delivery = delivery_of(email)
        if delivery.submission:
            raise InvalidRecord("sender", "the email was sent before, from another sender", "Write a new email instead.")
        sender = self._sender(edited)
        mailbox_id = mailbox_id_of(sender.kind, sender.id)
        moved = replace(
            email,
            sender=sender.address,
            owner=edited.sender,
            receiving_mailbox=mailbox_id,
            delivery=replace(delivery, mailbox=mailbox_id),
        )
        return moved, (_sender_party(sender),)

    def _sender(self, draft: Draft) -> Owner:
        stored = self._stores.owners.get(draft.sender.kind, draft.sender.id)
        if stored is None:
            raise InvalidRecord(
                "sender", f"there is no {draft.sender.kind.value} {draft.sender.id}", "Name a user or queue that exists."
            )
        return stored.record


def draft_of(email: EmailActivity, content: EmailContent) -> Draft:
    """What was given of an email that is written here. Raises NotPossibleNow for another one."""
    delivery = delivery_of(email)
    sender = next(each for each in content.parties if each.type is ParticipationType.SENDER)
    roles = by_role(content.parties)
    return Draft(
        sender=OwnerRef(OwnerKind(sender.record_kind or ""), OwnerId(sender.record_id or "")),
        submitter=delivery.submitter,
        **{field: given(roles[role]) for field, role in ROLES.items()},
        subject=content.subject,
        body_html=content.body_html,
        body_text=content.body_text,
        priority=content.priority,
        read_receipt=delivery.read_receipt,
        delivery_receipt=delivery.delivery_receipt,
        regarding=email.regarding,
        send_after=delivery.send_after,
    )


def _written(draft: Draft, email: EmailActivity, content: EmailContent) -> tuple[EmailActivity, EmailContent]:
    """The email as the draft has it, parties apart."""
    delivery = replace(
        delivery_of(email),
        submitter=draft.submitter,
        read_receipt=draft.read_receipt,
        delivery_receipt=draft.delivery_receipt,
        send_after=draft.send_after,
    )
    email = replace(email, subject=draft.subject, delivery=delivery)
    if draft.regarding != email.regarding:
        email = replace(email, regarding=draft.regarding, regarding_set_by=RegardingSource.HAND, regarding_rule=None)
    return email, replace(
        content, subject=draft.subject, priority=draft.priority, body_html=draft.body_html, body_text=draft.body_text
    )


def _checked(draft: Draft) -> Draft:
    """What no draft may have, however unfinished it is. Raises InvalidRecord."""
    for field, text, longest in (
        ("subject", draft.subject, EMAIL_SUBJECT.high),
        ("body_html", draft.body_html or "", BODY.high),
        ("body_text", draft.body_text, BODY.high),
    ):
        if len(text) > longest:
            raise InvalidRecord(field, f"{field} is too long", f"Write {longest} characters at most.")
    return replace(draft, send_after=rules.start_date("send_after", draft.send_after))


def _sender_party(sender: Owner) -> Party:
    return Party(ParticipationType.SENDER, sender.address, sender.name, sender.kind.value, sender.id)


def _sighting(email: EmailActivity) -> Sighting:
    return Sighting(email.id, email.receiving_mailbox, email.created_on, "")


def _facts(email: EmailActivity, content: EmailContent) -> _Facts:
    delivery, sender = delivery_of(email), draft_of(email, content).sender
    recipients = len(content.parties) - 1
    attachments = len(content.attachments)
    return _Facts(
        sender,
        delivery.submitter,
        email.regarding,
        content.priority,
        delivery.send_after,
        recipients,
        attachments,
        email.status,
    )


def _not_deleted(stored: StoredActivity) -> StoredActivity:
    if stored.record.deleted_on is not None:
        raise NotPossibleNow("the draft that was created with this key was deleted", "Use another key.")
    return stored
