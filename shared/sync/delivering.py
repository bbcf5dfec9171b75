"""What becomes of an email that is written here, step by step, from the intent to the receipt. Pure: the email, the server's
answer and the time come in, the next state of the email comes out, with what its history says and where it waits from then on.

Implements "Outgoing: intent, effect, receipt" of the design. Refuses to know servers, stores and who else sends.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import Enum, auto

from shared.domain.alerts import code_of
from shared.domain.choices import ActivityState, EmailStatus
from shared.domain.delivery import Attempt, AttemptOutcome, Delivery, OutboxEntry
from shared.domain.email import EmailActivity
from shared.domain.errors import DeliveryError, DeliveryPostponed, DeliveryUnknown, DraftTaken, SyncError
from shared.domain.outgoing import UNSURE, Receipt, Trace
from shared.domain.steps import StoredEmail

FIRST_WAIT = timedelta(minutes=1)
LONGEST_WAIT = timedelta(hours=4)
_LONGEST_HINT = timedelta(hours=24)
"""A server that asks for more is not believed."""
_LONGEST_DETAIL = 1000


class Standing(Enum):
    """What an outbox entry leads to."""

    READY = auto()
    """An email to be sent now."""
    WAITING = auto()
    """An email that waits for later than the entry says: it waits by another entry, or has to."""
    SENT = auto()
    """It was sent, and what follows from that may not be done yet."""
    UNANNOUNCED = auto()
    """An email that is not made to wait yet, or whose `send` came to nothing."""
    WORTHLESS = auto()


@dataclass(frozen=True, slots=True)
class Outcome:
    """The next state of an email."""

    email: EmailActivity
    attempts: tuple[Attempt, ...] = ()
    """What its history says from now on."""
    waits: OutboxEntry | None = None
    """Announces it for later: written before the email changes, so that it is never forgotten."""

    @property
    def ends_entry(self) -> bool:
        """The entry that announced the email has done its duty."""
        delivery = delivery_of(self.email)
        if self.waits is not None:
            return True
        is_over = self.email.status in (EmailStatus.SENT, EmailStatus.FAILED) and not delivery.waiting
        return is_over and delivery.attempt is None


def standing(entry: OutboxEntry, email: StoredEmail | None, now: datetime, hint_life: timedelta) -> Standing:
    """What `entry` is worth: the email decides."""
    if email is None or email.activity.record.delivery is None:
        return Standing.WORTHLESS
    record, delivery = email.activity.record, email.activity.record.delivery
    if delivery.submission != entry.submission:
        is_left_over = now - entry.announced_on >= hint_life
        return Standing.WORTHLESS if is_left_over else Standing.UNANNOUNCED
    if record.status is EmailStatus.SENT and not delivery.waiting:
        return Standing.SENT
    if record.status not in (EmailStatus.PENDING_SEND, EmailStatus.SENDING, EmailStatus.SENT):
        return Standing.WORTHLESS
    return Standing.WAITING if delivery.due is not None and delivery.due > now else Standing.READY


def delivery_of(email: EmailActivity) -> Delivery:
    """Of an email that is written here."""
    if email.delivery is None:
        raise ValueError("an email that was read from a mailbox is not sent")
    return email.delivery


def is_under_way(email: EmailActivity) -> bool:
    """It has an intent and no receipt: this run's, or that of an earlier run which was interrupted."""
    return delivery_of(email).attempt is not None


# ---- before the server


def begun(email: EmailActivity, attempt_id: str, now: datetime, *, can_tell: bool) -> Outcome:
    """The intent. `can_tell`: the server was asked what became of the attempts before."""
    former = delivery_of(email)
    history = (_attempt(email, AttemptOutcome.INTERRUPTED, now, _NO_RECEIPT),) if former.attempt is not None else ()
    unsure = not can_tell and (former.attempt is not None or former.error in UNSURE)
    delivery = replace(
        former,
        attempts=former.attempts + 1,
        last_attempt=former.last_attempt + 1,
        attempt=attempt_id,
        attempted_on=now,
        may_be_twice=former.may_be_twice or unsure,
        error=None,
        status_code="",
        detail="",
    )
    status = EmailStatus.SENT if delivery.waiting else EmailStatus.SENDING
    after = replace(email, state=ActivityState.COMPLETED, status=status, delivery=delivery)
    return Outcome(after, history)


def resumed(email: EmailActivity, now: datetime) -> Outcome:
    """The intent to send the draft of an attempt that was interrupted: under the same id, which the draft carries."""
    return begun(email, delivery_of(email).attempt or "", now, can_tell=True)


def is_to_rest(email: EmailActivity, now: datetime, allowed: int) -> bool:
    """Interrupted, and not to be tried again now: for the second time and more, it may be what stops the process, so it waits
    longer each time, until the attempts are used up."""
    delivery = delivery_of(email)
    if delivery.attempt is None or delivery.attempted_on is None:
        return False
    return delivery.attempts >= allowed or (delivery.attempts > 1 and now < delivery.attempted_on + _wait(delivery.attempts))


def interrupted(email: EmailActivity, entry: OutboxEntry, allowed: int) -> Outcome:
    """It waits before it is tried again, or has failed after `allowed` attempts."""
    began = delivery_of(email).attempted_on
    if began is None:
        raise ValueError("an attempt that was interrupted has begun")
    return _put_off(email, entry, _NO_RECEIPT, began, allowed, AttemptOutcome.INTERRUPTED)


# ---- after the server


def answered(email: EmailActivity, entry: OutboxEntry, answer: Receipt | Exception, now: datetime, allowed: int) -> Outcome:
    """What the answer to the attempt under way comes to. An exception that is no DeliveryError says nothing for good.

    `entry`: what announced the email. `allowed`: attempts after which one that is put off has failed.
    """
    match answer:
        case Receipt():
            return _accepted(email, entry, answer, now, allowed)
        case DeliveryError() if not isinstance(answer, DeliveryPostponed):
            return _failed(email, answer, now, AttemptOutcome.REFUSED)
        case _:
            return _put_off(email, entry, answer, now, allowed, AttemptOutcome.POSTPONED)


def gone(email: EmailActivity, trace: Trace, now: datetime) -> Outcome:
    """An attempt without a receipt, whose draft is not where it was. Sent, unless somebody is known to have taken it: what may
    have been sent is not sent again."""
    if trace is Trace.TAKEN:
        return _failed(email, DraftTaken(_TAKEN), now, AttemptOutcome.REFUSED)
    delivery = delivery_of(email)
    sent_on = delivery.attempted_on or now
    after = replace(_settled(delivery, None), sent_on=delivery.sent_on or sent_on, waiting=())
    attempt = replace(_attempt(email, AttemptOutcome.FOUND_SENT, now), detail=_NO_TRACE if trace is Trace.NOTHING else "")
    return Outcome(_sent(email, after), (attempt,))


def returned(email: EmailActivity, error: Exception, now: datetime) -> Outcome:
    """The attempt came to nothing for a reason that is not the email's: it waits as before, and the attempt does not count."""
    delivery = delivery_of(email)
    after = replace(_settled(delivery, error), attempts=max(delivery.attempts - 1, 0), due=delivery.due)
    return Outcome(_waiting(email, after), (_attempt(email, AttemptOutcome.POSTPONED, now, error),))


def _accepted(email: EmailActivity, entry: OutboxEntry, receipt: Receipt, now: datetime, allowed: int) -> Outcome:
    """From the first acceptance on it is sent, and goes on to those whom the server did not take for now."""
    delivery = delivery_of(email)
    waits = bool(receipt.waiting) and delivery.attempts < allowed
    due = now + _longer(_wait(delivery.attempts), receipt.retry_after) if waits else None
    after = replace(
        _settled(delivery, None),
        due=due,
        sent_on=delivery.sent_on or now,
        waiting=receipt.waiting if waits else (),
        refused=delivery.refused + len(receipt.refused) - (len(receipt.waiting) if waits else 0),
        may_be_twice=delivery.may_be_twice or (waits and receipt.may_be_twice),
        server_message_id=delivery.server_message_id or receipt.message_id,
    )
    attempt = replace(
        _attempt(email, AttemptOutcome.ACCEPTED, now),
        detail=receipt.detail[:_LONGEST_DETAIL],
        refused=receipt.refused,
        server_id=receipt.server_id,
    )
    return Outcome(_sent(email, after), (attempt,), None if due is None else _announcing(entry, delivery, due))


def _sent(email: EmailActivity, delivery: Delivery) -> EmailActivity:
    """Lists and correlation go by the time of sending from now on."""
    received = delivery.sent_on or email.received
    return replace(email, state=ActivityState.COMPLETED, status=EmailStatus.SENT, received=received, delivery=delivery)


def _put_off(
    email: EmailActivity, entry: OutboxEntry, error: Exception, since: datetime, allowed: int, outcome: AttemptOutcome
) -> Outcome:
    delivery = delivery_of(email)
    if delivery.attempts >= allowed:
        return _failed(email, error, since, outcome)
    due = since + _longer(_wait(delivery.attempts), error.retry_after if isinstance(error, DeliveryPostponed) else None)
    after = replace(_settled(delivery, error), due=due)
    return Outcome(_waiting(email, after), (_attempt(email, outcome, since, error),), _announcing(entry, delivery, due))


def _failed(email: EmailActivity, error: Exception, now: datetime, outcome: AttemptOutcome) -> Outcome:
    """For good. One that somebody has got is sent all the same; those who waited for it are refused."""
    former = delivery_of(email)
    attempts = (_attempt(email, outcome, now, error),)
    delivery = _settled(former, error)
    if former.waiting:
        given_up = replace(delivery, waiting=(), refused=former.refused + len(former.waiting))
        return Outcome(replace(email, delivery=given_up), attempts)
    return Outcome(replace(email, state=ActivityState.OPEN, status=EmailStatus.FAILED, delivery=delivery), attempts)


def _waiting(email: EmailActivity, delivery: Delivery) -> EmailActivity:
    status = EmailStatus.SENT if delivery.waiting else EmailStatus.PENDING_SEND
    return replace(email, state=ActivityState.COMPLETED, status=status, delivery=delivery)


def _announcing(entry: OutboxEntry, delivery: Delivery, due: datetime) -> OutboxEntry:
    return replace(entry, due=due, submission=delivery.submission)


def _settled(delivery: Delivery, error: Exception | None) -> Delivery:
    """No attempt is under way any more; `error` is what the last one failed of."""
    return replace(
        delivery,
        attempt=None,
        due=None,
        error=None if error is None else code_of(error),
        status_code=error.status_code if isinstance(error, DeliveryError) else "",
        detail=_words_of(error),
    )


def _attempt(email: EmailActivity, outcome: AttemptOutcome, now: datetime, error: Exception | None = None) -> Attempt:
    """The attempt under way, as it ended."""
    delivery = delivery_of(email)
    return Attempt(
        activity_id=email.id,
        number=delivery.last_attempt,
        id=delivery.attempt or "",
        started_on=delivery.attempted_on or now,
        outcome=outcome,
        ended_on=now,
        error=None if error is None else code_of(error),
        status_code=error.status_code if isinstance(error, DeliveryError) else "",
        detail=_words_of(error),
        refused=error.refused if isinstance(error, DeliveryError) else (),
    )


def _longer(wait: timedelta, hint: timedelta | None) -> timedelta:
    return max(wait, min(hint or timedelta(), _LONGEST_HINT))


def _wait(attempts: int) -> timedelta:
    """One minute, doubling up to four hours."""
    return min(LONGEST_WAIT, FIRST_WAIT * (1 << min(max(attempts - 1, 0), 16)))


def _words_of(error: Exception | None) -> str:
    """The text of an exception that is not ours stays out: it may quote anything."""
    if error is None:
        return ""
    return str(error)[:_LONGEST_DETAIL] if isinstance(error, SyncError) else type(error).__name__


_TAKEN = "Somebody deleted or moved the draft before it was sent."
_NO_TRACE = (
    "The draft is gone, and no copy of it was found: it counts as sent, though somebody may have deleted it before it was."
)
_NO_RECEIPT = DeliveryUnknown("The run that sent it ended before the server's answer was stored.")
