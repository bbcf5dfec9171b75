"""One transaction (RFC 5321 section 3.3): an email for as many of its recipients as the server takes at once.

Until the dot that ends the content nothing is accepted, whatever happens; after it only the server's reply tells.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from time import monotonic

from shared.connectors.mime.composing import Composed
from shared.connectors.smtp.connection import Connection
from shared.connectors.smtp.errors import Closing, NoSmtp
from shared.connectors.smtp.refusals import Recipient, Refusal, of_email
from shared.connectors.smtp.replies import Reply
from shared.domain.errors import DeliveryUnknown

_START_CONTENT = 354
NOT_SAID = Reply(0)
"""Where nothing was asked."""
_NOT_ASKED = Reply(452, "4.5.3", "The server was too slow to be asked for everybody.")
"""Of recipients whom there was no time to name."""
_LONGEST_PATIENCE = 600.0
"""Seconds that a server may take to answer (RFC 5321 section 4.5.3.2.6)."""
_LONGEST_ENVELOPE_ID = 100
"""Characters (RFC 3461 section 4.4)."""


@dataclass(frozen=True, slots=True)
class Limits:
    """As `monotonic` tells time."""

    asked: float
    """Until when recipients are named; those who are left then get the email another time."""
    given: float
    """When the content is to be given."""
    answered: float
    """When the server is to have answered."""


@dataclass(frozen=True, slots=True)
class Email:
    composed: Composed
    sender: str
    """As the envelope has it."""
    is_utf8: bool
    """It needs SMTPUTF8 (RFC 6531)."""
    wants_report: bool
    """Servers on the way are asked to report (DSN, RFC 3461)."""


@dataclass(frozen=True, slots=True)
class Outcome:
    accepted: tuple[Recipient, ...]
    """Empty: nothing was sent."""
    refused: tuple[Refusal, ...]
    left: tuple[Recipient, ...]
    """The server takes them in another transaction."""
    reply: Reply
    """To the content, where it was sent."""


def is_taken_by(connection: Connection, email: Email) -> bool:
    """Whether it offers what the email was composed for: several servers may share a name."""
    takes_utf8 = connection.offers("smtputf8") or not email.is_utf8
    return takes_utf8 and (connection.offers("8bitmime") or not email.composed.is_eight_bit)


def transact(connection: Connection, email: Email, recipients: Sequence[Recipient], limits: Limits) -> Outcome:
    """Raises DeliveryError, DeliveryUnknown among them, MailboxError and TransientError for refusals of the email; what the
    connection raises, and Closing, where nothing was accepted."""
    with connection.within(limits.given):
        outcome = _taken(connection, email, recipients, limits.asked)
        if not outcome.accepted:
            return outcome
        _give(connection, email.composed)
    return replace(outcome, reply=_answer(connection, limits))


def _taken(connection: Connection, email: Email, recipients: Sequence[Recipient], asked: float) -> Outcome:
    """Who is accepted, the server waiting for the content; or nobody, and it waits for none."""
    mail, answers, data = _envelope(connection, email, recipients, asked)
    if not mail.is_positive:
        _leave(connection, data)
        raise of_email("MAIL", mail)
    outcome = _sorted(recipients, answers)
    if not outcome.accepted:
        _leave(connection, data)
        return outcome
    if data.code != _START_CONTENT:
        _leave(connection, data)
        raise of_email("DATA", data)
    return outcome


def _envelope(
    connection: Connection, email: Email, recipients: Sequence[Recipient], asked: float
) -> tuple[Reply, Sequence[Reply], Reply]:
    """The replies to MAIL, to each RCPT there was time for, and to DATA, which goes along where commands may be under way
    together."""
    mail_line = _mail(connection, email)
    lines = [_rcpt(connection, email, each) for each in recipients]
    if connection.offers("pipelining"):
        mail, *answers = connection.command_each([mail_line, *lines, "DATA"], asked)
        if len(answers) > len(lines):
            return mail, answers[:-1], answers[-1]
    else:
        mail = connection.command(mail_line)
        answers = connection.command_each(lines, asked) if mail.is_positive else []
    is_taken = any(each.is_positive for each in answers)
    return mail, answers, connection.command("DATA") if is_taken else NOT_SAID


def _give(connection: Connection, composed: Composed) -> None:
    try:
        connection.give(composed.chunks())
    except OSError:
        reply = connection.last_words()
        if reply is None or reply.is_positive or reply.is_closing:
            raise
        connection.drop()
        raise of_email("DATA", reply) from None


def _answer(connection: Connection, limits: Limits) -> Reply:
    """The reply to the content, which says that it is accepted."""
    patience = min(_LONGEST_PATIENCE, max(1.0, limits.answered - monotonic()))
    try:
        reply = connection.outcome(patience)
    except Exception as error:
        connection.drop()
        raise DeliveryUnknown("The connection was lost before the server answered.") from error
    if reply.is_closing:
        raise Closing("DATA", reply)
    if not reply.is_positive:
        raise of_email("DATA", reply)
    return reply


def _sorted(recipients: Sequence[Recipient], answers: Sequence[Reply]) -> Outcome:
    unasked = [_NOT_ASKED] * (len(recipients) - len(answers))
    answered = list(zip(recipients, [*answers, *unasked], strict=True))
    accepted = tuple(recipient for recipient, reply in answered if reply.is_positive)
    left = tuple(recipient for recipient, reply in answered if accepted and _is_for_later(reply))
    refused = tuple(
        Refusal(recipient, reply)
        for recipient, reply in answered
        if not reply.is_positive and not (accepted and _is_for_later(reply))
    )
    return Outcome(accepted, refused, left, NOT_SAID)


def _is_for_later(reply: Reply) -> bool:
    return not reply.is_positive and reply.is_too_many


def _leave(connection: Connection, data: Reply) -> None:
    """The transaction, without an email: a server that takes content for nobody is given none, not even an empty one. What it
    said of the email counts, whatever becomes of the connection."""
    if data.code == _START_CONTENT:
        connection.drop()
        return
    try:
        connection.command("RSET")
    except (OSError, EOFError, NoSmtp, Closing):
        connection.drop()


# ---- the envelope


def _mail(connection: Connection, email: Email) -> str:
    line = f"MAIL FROM:<{email.sender}>"
    if connection.offers("size"):
        line += f" SIZE={email.composed.size}"
    if connection.offers("8bitmime") and email.composed.is_eight_bit:
        line += " BODY=8BITMIME"
    if email.is_utf8:
        line += " SMTPUTF8"
    if email.wants_report and connection.offers("dsn"):
        envelope_id = _xtext(email.composed.message_id)
        line += " RET=HDRS" + (f" ENVID={envelope_id}" if len(envelope_id) <= _LONGEST_ENVELOPE_ID else "")
    return line


def _rcpt(connection: Connection, email: Email, recipient: Recipient) -> str:
    wants_report = email.wants_report and connection.offers("dsn")
    return f"RCPT TO:<{recipient.written}>{' NOTIFY=SUCCESS,FAILURE,DELAY' if wants_report else ''}"


def _xtext(text: str) -> str:
    """RFC 3461 section 4."""
    return "".join(each if "!" <= each <= "~" and each not in "+=" else f"+{ord(each):02X}" for each in text)
