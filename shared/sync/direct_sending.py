"""Sends through a server that takes each email in one go and cannot be asked later whether it did (SMTP).

While one email is with the server, the intents of the next and the receipts of the last are written: so a process that dies
leaves few emails of which nobody knows whether they were sent. Those are sent again, with the same Message-ID.
"""

import logging
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass

from shared.domain.alerts import code_of
from shared.domain.errors import DeliveryError, TransientError
from shared.domain.outgoing import Receipt
from shared.ports import Sending
from shared.sync.budgets import RunBudget
from shared.sync.delivering import is_under_way
from shared.sync.journal import InHand, Move
from shared.sync.shipping import NOT_ABOUT_AN_EMAIL, Shipping, log_failure

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Writing:
    """What is being written beside the sending."""

    receipts: Sequence[Move]
    written: Future[Sequence[InHand]]


class DirectSending:
    """One email after the other."""

    def __init__(self, mail: Sending, shipping: Shipping, executor: Executor, budget: RunBudget) -> None:
        self._mail = mail
        self._shipping = shipping
        self._executor = executor
        self._budget = budget
        self._ahead: deque[InHand] = deque()
        """Emails with an intent, and their turn to come."""
        self._receipts: list[Move] = []
        """Not given to anybody to write yet."""
        self._writing: _Writing | None = None
        self._suspect: InHand | None = None
        """An email that was interrupted, and waits for the others to be through."""
        self._is_alone = False
        """The email in hand is such a one."""
        self._broken: tuple[InHand, TransientError] | None = None
        """The email at which the connection broke: the next one tells whose fault that was."""

    def send(self, emails: Iterator[InHand]) -> None:
        """Raises SyncError where the run cannot go on; what is known by then about each email is written."""
        try:
            while hand := self._next(emails):
                self._ahead.appendleft(hand)
                self._write_beside(emails)
                self._try(hand)
                self._ahead.popleft()
                if len(self._receipts) + self._being_written > self._budget.receipts_behind:
                    self._join()
                self._shipping.keep_lease()
            self._ask_whose_fault()
            self._settle_broken()
            self._join()
            self._shipping.write(self._receipts)
        except Exception as error:
            self._wind_up(error)
            raise

    # ---- the server

    def _try(self, hand: InHand) -> None:
        try:
            answer: Receipt | Exception = self._mail.send(self._shipping.message(hand))
        except DeliveryError as error:
            answer = error
        except NOT_ABOUT_AN_EMAIL:
            raise
        except TransientError as error:
            if self._broken is not None:
                raise
            self._broken = hand, error
            return
        except Exception as error:  # noqa: BLE001 # whatever one email does to a connector is that email's, and is counted
            log_failure(error, [hand])
            answer = error
        self._settle_broken()
        self._receipts.append(self._shipping.receipt(hand, answer))

    def _ask_whose_fault(self) -> None:
        """Where no other email tells, the server does. Raises MailboxError, TransientError: it is away."""
        if self._broken is not None:
            self._mail.check()

    def _settle_broken(self) -> None:
        """It was the email's own fault: the connection did not break at another one."""
        if self._broken is not None:
            hand, error = self._broken
            self._broken = None
            self._receipts.append(self._shipping.receipt(hand, error))

    # ---- what is written beside it

    @property
    def _being_written(self) -> int:
        return len(self._writing.receipts) if self._writing is not None else 0

    def _next(self, emails: Iterator[InHand]) -> InHand | None:
        """The next email that has its intent; None where there is none any more."""
        if not self._ahead:
            self._join()
        while not self._ahead:
            self._is_alone = False
            if not (intents := self._intents(emails, 1)):
                return None
            self._start(intents)
            self._join()
        return self._ahead.popleft()

    def _write_beside(self, emails: Iterator[InHand]) -> None:
        if self._writing is not None and self._writing.written.done():
            self._join()
        if self._writing is None:
            intents = self._intents(emails, self._budget.intents_ahead + 1 - len(self._ahead))
            if intents or self._receipts:
                self._start(intents)

    def _intents(self, emails: Iterator[InHand], count: int) -> Sequence[Move]:
        """At most `count` intents. An email that was interrupted may be what stops the process: it has its intent alone, so
        that no other one is interrupted with it."""
        intents: list[Move] = []
        while len(intents) < count and not self._is_alone:
            hand, self._suspect = self._suspect or next(emails, None), None
            if hand is None:
                break
            if is_under_way(hand.email) and (intents or self._ahead):
                self._suspect = hand
                break
            self._is_alone = is_under_way(hand.email)
            intents.append(self._shipping.intent(hand, can_tell=False))
        return intents

    def _start(self, intents: Sequence[Move]) -> None:
        receipts, self._receipts = self._receipts, []
        self._writing = _Writing(receipts, self._executor.submit(self._shipping.write, [*receipts, *intents]))

    def _join(self) -> None:
        """Waits for what is being written. Raises Busy; the receipts are then to be written again."""
        writing, self._writing = self._writing, None
        if writing is None:
            return
        try:
            taken = writing.written.result()
        except Exception:
            self._receipts = [*writing.receipts, *self._receipts]
            raise
        self._ahead.extend(hand for hand in taken if is_under_way(hand.email))

    def _wind_up(self, error: Exception) -> None:
        """The run ends: emails with an intent that were not sent go back. What cannot be written is found by the next run."""
        try:
            self._join()
        except Exception as failure:  # noqa: BLE001 # what ended the run is reported, not what followed from it
            log.warning("steps_not_written", extra={"code": code_of(failure)})
        unsent = [*([self._broken[0]] if self._broken is not None else []), *self._ahead]
        try:
            self._shipping.write([*self._receipts, *(self._shipping.returned(hand, error) for hand in unsent)])
        except Exception as failure:  # noqa: BLE001 # as above
            log.warning("receipts_not_written", extra={"emails": len(self._receipts), "code": code_of(failure)})
