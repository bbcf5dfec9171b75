"""The SMTP server that a mailbox sends through: `Sending`. Connected when something is sent first, and for the rest of the run.

A server cannot be asked later whether it has an email, so what is certain is said: nothing was accepted before the dot that
ends the content. A connection that the server ended between two emails is nobody's fault: another is opened.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from time import monotonic

from shared.connectors.internet.connection import server_of
from shared.connectors.internet.gates import Gates
from shared.connectors.internet.sign_in import Identities, Password, sign_in_to_send
from shared.connectors.mime.composing import Composed, compose
from shared.connectors.mime.written_addresses import ascii_domain, needs_utf8, written_address
from shared.connectors.smtp.connection import Connection
from shared.connectors.smtp.errors import Closing, NoSmtp, mapped
from shared.connectors.smtp.refusals import Recipient, Refusal, longest_hint, of_all
from shared.connectors.smtp.replies import Reply
from shared.connectors.smtp.session import Session
from shared.connectors.smtp.transaction import NOT_SAID, Email, Limits, Outcome, is_taken_by, transact
from shared.domain.configuration import EmailServerProfile, Mailbox, for_outgoing
from shared.domain.delivery import RefusedRecipient
from shared.domain.errors import (
    DeliveryError,
    DeliveryPostponed,
    DeliveryRefused,
    DeliveryUnknown,
    EmailTooLarge,
    MailboxError,
    NoAnswer,
    SyncError,
    TransientError,
    Unreachable,
)
from shared.domain.outgoing import OutgoingMessage, Receipt
from shared.ports import Secrets

TLS_PORT = 465
PORT = 587
"""Of submission (RFC 8314, RFC 6409)."""

LONGEST_SENDING = timedelta(minutes=5)
"""One email, all in all: a run's lease would not outlast a longer one."""
_LONGEST_GIVING = timedelta(minutes=4)
"""Until the content is given; the server answers in the rest of the time."""
_LONGEST_ASKING = timedelta(minutes=2)
"""Until all recipients are named, and the last transaction is begun."""
_MOST_DIGITS = 20
_NO_ADDRESS = Reply(553, "5.1.3", "The address is none that mail can be sent to.")
_NOT_ASCII = Reply(553, "5.6.7", "The server takes no addresses beyond ASCII (SMTPUTF8).")


@contextmanager
def open_smtp(
    profile: EmailServerProfile,
    mailbox: Mailbox,
    secrets: Secrets,
    gates: Gates | None = None,
    identities: Identities | None = None,
    *,
    allow_local_servers: bool,
) -> Iterator["SmtpMail"]:
    """A mailbox; its server is not asked before something is. `profile` is the one that was configured. `gates` stop passwords
    that were refused before, `identities` keep tokens. Raises LocationRefused, AuthenticationFailed, TransientError."""
    server = server_of(for_outgoing(profile), tls_port=TLS_PORT, port=PORT, allow_local_servers=allow_local_servers)
    who = sign_in_to_send(profile, mailbox, secrets, identities, allow_local_servers=allow_local_servers)
    gate = (gates or Gates()).at(server, who) if isinstance(who, Password) else None
    name = ascii_domain(mailbox.address.rpartition("@")[2]) or "localhost"
    session = Session(server, who, gate, profile.timeout, name, allow_local_servers=allow_local_servers)
    try:
        yield SmtpMail(session)
    finally:
        session.close()


class SmtpMail:
    """One mailbox. Not thread-safe."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def check(self) -> None:
        """Signs in, and sends nothing. Raises MailboxError, TransientError."""
        connection = self._session.connection()
        try:
            connection.command("NOOP")
        except Exception as error:
            self._session.drop()
            raise mapped(error, "NOOP") from error

    def send(self, message: OutgoingMessage) -> Receipt:
        """Recipients whom the server takes no more of in one transaction get it in another."""
        begun = monotonic()
        limits = Limits(*(begun + each.total_seconds() for each in (_LONGEST_ASKING, _LONGEST_GIVING, LONGEST_SENDING)))
        is_fresh = not self._session.is_open
        connection = self._session.connection(limits.given)
        takes_utf8 = connection.offers("smtputf8")
        recipients, unwritable = _addressed(message, utf8=takes_utf8)
        if not recipients:
            raise of_all(unwritable)
        is_utf8 = takes_utf8 and any(map(needs_utf8, _addresses(message)))
        with compose(message, utf8=is_utf8, eight_bit=connection.offers("8bitmime")) as composed:
            _check_size(connection, composed)
            email = Email(composed, _sender(message, utf8=is_utf8), is_utf8, message.delivery_receipt)
            sent = _Sent(unwritable)
            self._send_to_all(email, recipients, limits, sent, is_fresh=is_fresh)
            if not sent.reply.is_positive:
                raise of_all(sent.refusals)
            return sent.receipt(message, composed)

    def _send_to_all(
        self, email: Email, recipients: Sequence[Recipient], limits: Limits, sent: "_Sent", *, is_fresh: bool
    ) -> None:
        """Raises where it fails before anybody is accepted; afterwards those who are left wait, or are refused."""
        while recipients:
            try:
                outcome = self._transacted(email, recipients, limits, is_fresh=is_fresh)
            except (DeliveryError, MailboxError, TransientError) as error:
                if not sent.reply.is_positive:
                    raise
                sent.stop(error, recipients)
                return
            sent.add(outcome)
            recipients, is_fresh = outcome.left, False
            if recipients and monotonic() > limits.asked:
                sent.stop(NoAnswer("The server is too slow to take all recipients at once."), recipients)
                return

    def _transacted(self, email: Email, recipients: Sequence[Recipient], limits: Limits, *, is_fresh: bool) -> Outcome:
        """On a connection that is not fresh any more a loss says nothing: it is tried once again on another."""
        for is_last in (True,) if is_fresh else (False, True):
            connection = self._session.connection(limits.given)
            if not is_taken_by(connection, email):
                self._session.drop()
                raise Unreachable("sending: the server that answers now takes less than the one before.")
            try:
                return transact(connection, email, recipients, limits)
            except SyncError:
                raise
            except Exception as error:
                self._session.drop()
                if is_last or monotonic() > limits.asked:
                    raise _lost(error) from error
        raise AssertionError("The last try returns or raises.")


def _lost(error: Exception) -> SyncError:
    """The error for a connection that broke before the end of the content: nothing was accepted. Where the server ends it over
    the email, it is as if it had broken; the email may be what the server cannot bear."""
    match error:
        case NoSmtp():
            return Unreachable("sending: the server says what cannot be understood")
        case Closing() if error.command != "MAIL" and not error.reply.is_throttling and not error.reply.is_quota:
            return Unreachable(str(error))
        case _:
            return mapped(error, "sending")


class _Sent:
    """What has become of an email so far."""

    def __init__(self, unwritable: Sequence[Refusal]) -> None:
        self.refusals = list(unwritable)
        self.reply = NOT_SAID
        """The last one that accepted the email."""
        self._others: list[RefusedRecipient] = []
        self._waiting: list[int] = []
        self._hints: list[timedelta] = []
        self._may_be_twice = False

    def add(self, outcome: Outcome) -> None:
        self.refusals += outcome.refused
        if outcome.accepted:
            self.reply = outcome.reply

    def stop(self, error: SyncError, recipients: Sequence[Recipient]) -> None:
        """The email went to others; to these it did not, or nobody knows."""
        is_final = isinstance(error, DeliveryRefused)
        status = error.status_code if isinstance(error, DeliveryError) else ""
        told = status or ("5.0.0" if is_final else "4.0.0")
        self._others += [RefusedRecipient(each.address, told, str(error)) for each in recipients]
        self._may_be_twice = isinstance(error, DeliveryUnknown)
        if not is_final:
            self._waiting += [each.place for each in recipients]
        hint = error.retry_after if isinstance(error, DeliveryPostponed | TransientError) else None
        self._hints += [] if hint is None else [hint]

    def receipt(self, message: OutgoingMessage, composed: Composed) -> Receipt:
        waiting = [refusal for refusal in self.refusals if refusal.is_for_now]
        hint = longest_hint(waiting)
        hints = [*self._hints, *([] if hint is None else [hint])]
        known_as = self.reply.message_id or composed.message_id
        return Receipt(
            server_id=self.reply.server_id,
            detail=self.reply.words,
            refused=(*(refusal.told() for refusal in self.refusals), *self._others),
            waiting=tuple(sorted([*self._waiting, *(refusal.recipient.place for refusal in waiting)])),
            retry_after=max(hints, default=None),
            may_be_twice=self._may_be_twice,
            message_id=None if known_as == message.message_id else known_as,
        )


def _addressed(message: OutgoingMessage, *, utf8: bool) -> tuple[list[Recipient], list[Refusal]]:
    """Whom it goes to, and those whom no envelope can name."""
    everybody = message.everybody
    recipients: list[Recipient] = []
    unwritable: list[Refusal] = []
    for place in message.waiting or range(len(everybody)):
        if place >= len(everybody):
            continue
        address = everybody[place]
        written = written_address(address, utf8=utf8)
        if written is None:
            reply = _NOT_ASCII if needs_utf8(address) and not utf8 else _NO_ADDRESS
            unwritable.append(Refusal(Recipient(place, address, ""), reply))
        else:
            recipients.append(Recipient(place, address, written))
    return recipients, unwritable


def _addresses(message: OutgoingMessage) -> list[str]:
    writers = [message.from_] if message.sender is None else [message.from_, message.sender]
    return [*(each.address for each in writers), *message.everybody]


def _sender(message: OutgoingMessage, *, utf8: bool) -> str:
    """Who is told of failures: who sends. One that cannot be written was refused when the email was composed."""
    return written_address((message.sender or message.from_).address, utf8=utf8) or ""


def _check_size(connection: Connection, composed: Composed) -> None:
    """RFC 1870: 0, or nothing, is no limit that is known."""
    told = connection.esmtp_features.get("size", "").strip()
    largest = int(told) if told.isdecimal() and len(told) < _MOST_DIGITS else 0
    if 0 < largest < composed.size:
        message = f"The email has {composed.size} bytes as it is sent, and the server takes {largest}."
        raise EmailTooLarge(message, status_code="5.3.4")
