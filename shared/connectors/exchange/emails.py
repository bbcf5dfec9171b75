"""Asks about several emails in one request, and gives each its own answer: one bad email never holds up the others."""

from collections.abc import Callable, Sequence
from itertools import takewhile

from shared.connectors.exchange.errors import BatchStopped, RequestRefused, RequestTooLarge
from shared.connectors.exchange.refusals import is_of_everybody, of_email
from shared.domain.errors import Busy, DeliveryError, DeliveryRefused, EmailTooLarge, ItemTooLarge, SyncError

type Ask[E, A] = Callable[[Sequence[E]], Sequence[A | SyncError]]


def each_answered[E, A](emails: Sequence[E], ask: Ask[E, A], check: Callable[[], None]) -> list[A | DeliveryError]:
    """In the order of `emails`. Where none of them did well and `check` raises, the cause is not the emails, and that is
    raised; so is what stops every email, and what fails the request. Raises MailboxError, TransientError."""
    answers = _answers(emails, ask)
    errors = [answer for answer in answers if isinstance(answer, SyncError) and not isinstance(answer, DeliveryError)]
    if errors and len(errors) == len(answers):
        if stops := next(filter(is_of_everybody, errors), None):
            raise stops
        check()
    return [of_email(answer) if isinstance(answer, SyncError) else answer for answer in answers]


def _answers[E, A](emails: Sequence[E], ask: Ask[E, A]) -> list[A | SyncError]:
    try:
        answers = ask(emails) if emails else ()
    except (RequestRefused, ItemTooLarge) as error:
        if len(emails) > 1:
            return [answer for email in emails for answer in _answers([email], ask)]
        return [refused_alone(error)]
    return _with_the_rest(emails, answers, ask)


def _with_the_rest[E, A](emails: Sequence[E], answers: Sequence[A | SyncError], ask: Ask[E, A]) -> list[A | SyncError]:
    """A server may stop at an email; those behind it are asked about again, unless they would fare no better."""
    answered = list(takewhile(lambda answer: not isinstance(answer, BatchStopped), answers))
    if len(answered) == len(emails):
        return answered
    if not answered:
        raise Busy("The server stopped before the first email of the request.")
    last, rest = answered[-1], emails[len(answered) :]
    if isinstance(last, SyncError) and is_of_everybody(last):
        return answered + [last] * len(rest)
    return answered + _answers(rest, ask)


def refused_alone(error: RequestRefused | ItemTooLarge) -> DeliveryError:
    """What is wrong with a request that is about one email is wrong with the email."""
    kind = DeliveryRefused if isinstance(error, RequestRefused) and not isinstance(error, RequestTooLarge) else EmailTooLarge
    return kind(str(error)).because_of(error)
