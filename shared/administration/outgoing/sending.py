"""Handing an email over to be sent, and taking it back.

The order matters. What is wrong is told before anything is written. Then the outbox has the entry, then the mailbox is due,
then the email waits to be sent: a crash leaves a draft and a hint that leads nowhere, and nothing that was promised is lost.
The queue message comes last, and only makes it faster.
"""

from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from uuid import uuid4

from shared.administration.auditing import Auditing, Trail
from shared.administration.failures import NotPossibleNow
from shared.administration.outgoing.attached import all_parts_folder
from shared.administration.outgoing.checks import Checks, Ready
from shared.administration.outgoing.drafts import draft_of
from shared.administration.outgoing.standing import WAITING, advance, check_editable, delivery_of, read, unsure
from shared.administration.writing import check_etag, persistently
from shared.domain.audit import Caller, ChangeAction
from shared.domain.choices import ActivityState, EmailStatus, Workload
from shared.domain.configuration import WorkloadSchedule
from shared.domain.delivery import OutboxEntry
from shared.domain.email import EmailActivity, EmailContent, StoredActivity
from shared.domain.errors import TransientError
from shared.domain.ids import ActivityId, MailboxId
from shared.domain.steps import StoredEmail
from shared.domain.tracking_tokens import with_token
from shared.messages import Queue, SyncMailbox, SyncReason
from shared.ports import Clock, Stores


class Sending:
    def __init__(self, stores: Stores, clock: Clock, auditing: Auditing) -> None:
        self._stores = stores
        self._clock = clock
        self._auditing = auditing
        self._checks = Checks(stores)

    def send(self, activity_id: ActivityId, caller: Caller, etag: str | None = None) -> StoredActivity:
        """The email waits to be sent; one that does already stays as it is. Raises RecordNotFound, NotPossibleNow, Changed, and
        InvalidRecord that names what keeps it from being sent: then it stays a draft."""
        trail = self._auditing.trail(caller, f"activity:{activity_id}")

        def attempt() -> StoredActivity:
            stored = read(self._stores.activities, activity_id)
            check_etag(stored.activity.etag, etag)
            if stored.activity.record.status in WAITING:
                return stored.activity
            return self._submit(stored, trail)

        return persistently(attempt, etag)

    def _submit(self, stored: StoredEmail, trail: Trail) -> StoredActivity:
        check_editable(stored.activity.record)
        settings, now = self._stores.settings.get().record, self._clock()
        draft = draft_of(stored.activity.record, stored.content)
        ready = self._checks.ready(draft, stored.content, settings, now)
        email = _submitted(stored.activity.record, ready, now)
        subject = with_token(stored.content.subject, email.conversation or email.id, settings)
        email, content = replace(email, subject=subject), replace(stored.content, subject=subject, parties=ready.parties)
        entry = _entry(email, content, now)
        self._stores.outbox.put([entry])
        schedule = self._make_due(ready.mailbox.record.id, entry.due)
        trail.note(ChangeAction.SEND_REQUESTED, None, None, stored.activity.etag)
        taken = advance(self._stores.activities, stored, email, content)
        self._wake(ready.mailbox.record.id, schedule, entry.due, now)
        if content.attachments:
            self._remove_parts(email)
        return taken

    def _remove_parts(self, email: EmailActivity) -> None:
        """Of uploads whose completion was cut off when all was there; none is under way, or the email could not be sent. What
        the store does not remove now goes with the email."""
        with suppress(TransientError):
            self._stores.blobs.delete_folder(all_parts_folder(email))

    def _make_due(self, mailbox_id: MailboxId, due: datetime) -> WorkloadSchedule:
        """The schedule as it was, read after the entry was put: a run that ends later looks at the outbox once more. Where a
        breaker is open, its next probe comes first: the email waits for that."""
        mailbox = self._stores.mailboxes.get(mailbox_id)
        schedule = WorkloadSchedule() if mailbox is None else mailbox.schedule.get(Workload.OUTGOING, WorkloadSchedule())
        if schedule.breaker is None and (schedule.due is None or schedule.due > due):
            self._stores.mailboxes.make_due(mailbox_id, Workload.OUTGOING, due)
        return schedule

    def _wake(self, mailbox_id: MailboxId, schedule: WorkloadSchedule, due: datetime, now: datetime) -> None:
        """Has the mailbox sent for at once, unless a message for it is under way."""
        is_under_way = schedule.queued_until is not None and schedule.queued_until > now
        if due > now or is_under_way or schedule.breaker is not None:
            return
        message = SyncMailbox(uuid4().hex, mailbox_id, Workload.OUTGOING, SyncReason.REQUESTED)
        self._stores.queues.send(Queue.SYNC_OUTGOING, message.to_json())

    def cancel(self, activity_id: ActivityId, caller: Caller, etag: str | None = None) -> StoredActivity:
        """Takes an email back that waits to be sent; one that is canceled already stays so. Raises RecordNotFound, Changed;
        NotPossibleNow where it does not wait, or may be on the server already."""
        trail = self._auditing.trail(caller, f"activity:{activity_id}")

        def attempt() -> StoredActivity:
            stored = read(self._stores.activities, activity_id)
            check_etag(stored.activity.etag, etag)
            record = stored.activity.record
            _check_cancelable(record)
            taken = stored.activity
            if record.status is EmailStatus.PENDING_SEND:
                trail.note(ChangeAction.SEND_CANCELED, None, None, stored.activity.etag)
                canceled = replace(record, state=ActivityState.CANCELED, status=EmailStatus.CANCELED)
                taken = advance(self._stores.activities, stored, canceled)
            self._stores.outbox.remove([_entry(record, stored.content, self._clock())])
            return taken

        return persistently(attempt, etag)


def _check_cancelable(email: EmailActivity) -> None:
    delivery = delivery_of(email)
    if email.status not in (EmailStatus.PENDING_SEND, EmailStatus.CANCELED):
        if email.status is EmailStatus.SENDING:
            raise NotPossibleNow("the email is being sent", "Wait until it was sent, or has failed.")
        if email.status is EmailStatus.SENT:
            raise NotPossibleNow("the email was sent", "Write another one: it cannot be taken back.")
        raise NotPossibleNow("the email does not wait to be sent", "Change or delete it instead.")
    if email.status is EmailStatus.PENDING_SEND and delivery.attempt is not None:
        raise NotPossibleNow("the email may have been sent just now", "Wait until it was sent, or has failed.")


def _submitted(email: EmailActivity, ready: Ready, now: datetime) -> EmailActivity:
    """As it waits to be sent: a submission of its own, with nothing of those before. That some recipients may have it already
    stays true."""
    delivery = delivery_of(email)
    submission = replace(
        delivery,
        mailbox=ready.mailbox.record.id,
        submission=uuid4().hex,
        submitted_on=now,
        due=max(now, delivery.send_after) if delivery.send_after else now,
        attempts=0,
        attempt=None,
        sent_on=None,
        waiting=(),
        refused=0,
        error=unsure(delivery),
        status_code="",
        detail="",
    )
    return replace(
        email,
        state=ActivityState.COMPLETED,
        status=EmailStatus.PENDING_SEND,
        sender=ready.sender.address,
        delivery=submission,
    )


def _entry(email: EmailActivity, content: EmailContent, now: datetime) -> OutboxEntry:
    delivery = delivery_of(email)
    return OutboxEntry(
        mailbox_id=delivery.mailbox,
        activity_id=email.id,
        submission=delivery.submission,
        due=delivery.due or now,
        announced_on=delivery.submitted_on or now,
        priority=content.priority,
    )
