"""What may be done to an email that is written here, by how it is on its way; and how it is read and changed."""

from dataclasses import replace

from shared.administration.failures import NotPossibleNow, RecordNotFound
from shared.domain.choices import ActivityState, EmailStatus
from shared.domain.delivery import Delivery
from shared.domain.email import EmailActivity, EmailContent, StoredActivity
from shared.domain.errors import Changed
from shared.domain.ids import ActivityId
from shared.domain.outgoing import UNSURE
from shared.domain.steps import Step, StoredEmail
from shared.ports import Activities

EDITABLE = (EmailStatus.DRAFT, EmailStatus.FAILED, EmailStatus.CANCELED)
"""Statuses of an email that nobody is about to send."""
WAITING = (EmailStatus.PENDING_SEND, EmailStatus.SENDING)


def read(activities: Activities, activity_id: ActivityId) -> StoredEmail:
    """The email with its content. Raises RecordNotFound, also of one that was deleted."""
    found = activities.whole([activity_id]).get(activity_id)
    if found is None or found.activity.record.deleted_on is not None:
        raise RecordNotFound(f"there is no activity {activity_id}")
    return found


def delivery_of(email: EmailActivity) -> Delivery:
    """Raises NotPossibleNow for one that was not written here."""
    if email.delivery is None:
        raise NotPossibleNow("the email was read from a mailbox, it was not written here", "Answer or forward it instead.")
    return email.delivery


def check_editable(email: EmailActivity) -> Delivery:
    """How it is on its way. Raises NotPossibleNow for one that waits to be sent, or was."""
    delivery = delivery_of(email)
    check_not_waiting(email)
    if email.status not in EDITABLE:
        raise NotPossibleNow("the email was sent", "Write another one.")
    return delivery


def check_not_waiting(email: EmailActivity) -> None:
    """Raises NotPossibleNow for an email that waits to be sent: only who sends it changes it then."""
    if email.delivery is None:
        return
    if email.status is EmailStatus.PENDING_SEND:
        raise NotPossibleNow("the email waits to be sent", "Cancel it first.")
    if email.status is EmailStatus.SENDING:
        raise NotPossibleNow("the email is being sent", "Wait until it was sent, or has failed.")


def as_draft(email: EmailActivity, delivery: Delivery) -> EmailActivity:
    """What failed or was canceled is a draft again once it is changed; its attempts stay in its history."""
    afresh = replace(delivery, due=None, attempts=0, refused=0, error=unsure(delivery), status_code="", detail="")
    return replace(email, state=ActivityState.OPEN, status=EmailStatus.DRAFT, delivery=afresh)


def unsure(delivery: Delivery) -> str | None:
    """What the last attempt failed of where it may have succeeded all the same: that stays true of the next submission."""
    return delivery.error if delivery.error in UNSURE else None


def advance(
    activities: Activities, stored: StoredEmail, email: EmailActivity, content: EmailContent | None = None
) -> StoredActivity:
    """Takes one step. Raises Changed."""
    (taken,) = activities.advance([Step(email, stored.activity.etag, content)])
    if isinstance(taken, Changed):
        raise taken
    return taken
