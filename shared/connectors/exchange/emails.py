"""Asks about several emails in one request, and gives each its own answer: one bad email never holds up the others."""

from collections.abc import Callable, Sequence

from shared.connectors.exchange.errors import BatchStopped, RequestRefused, RequestTooLarge
from shared.connectors.exchange.refusals import is_of_everybody, of_email
from shared.domain.errors import AccessDenied, Busy, DeliveryError, DeliveryRefused, EmailTooLarge, ItemTooLarge, SyncError

type Ask[E, A] = Callable[[Sequence[E]], Sequence[A | SyncError]]


def each_answered[E, A](emails: Sequence[E], ask: Ask[E, A], check: Callable[[], None]) -> list[A | DeliveryError]:
    """In the order of `emails`. Where none of them did well and `check` raises, the cause is not the emails, and that is
    raised; so is what stops every email, what several are denied alike, and what fails the request. Raises MailboxError,
    TransientError; FolderNotFound."""
    answers = _answers(emails, ask)
    errors = [answer for answer in answers if isinstance(answer, SyncError) and not isinstance(answer, DeliveryError)]
    if errors and len(errors) == len(answers):
        if stops := next(filter(is_of_everybody, errors), None):
            raise stops
        check()
        if len(errors) > 1 and all(isinstance(error, AccessDenied) for error in errors):
            raise errors[0]
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
    """A server may stop at an email; those that it left out are asked about again, unless they would fare no better."""
    left_out = [place for place, answer in enumerate(answers) if isinstance(answer, BatchStopped)]
    if not left_out:
        return list(answers)
    if len(left_out) == len(answers):
        raise Busy("The server stopped before the first email of the request.")
    outcomes = list(answers)
    stops = next((each for each in answers if isinstance(each, SyncError) and is_of_everybody(each)), None)
    rest = [stops] * len(left_out) if stops else _answers([emails[place] for place in left_out], ask)
    for place, answer in zip(left_out, rest, strict=True):
        outcomes[place] = answer
    return outcomes


def refused_alone(error: RequestRefused | ItemTooLarge) -> DeliveryError:
    """What is wrong with a request that is about one email is wrong with the email."""
    kind = DeliveryRefused if isinstance(error, RequestRefused) and not isinstance(error, RequestTooLarge) else EmailTooLarge
    return kind(str(error)).because_of(error)
