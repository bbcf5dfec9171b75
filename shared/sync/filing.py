"""What follows from how an email fared: lists, what answers are found by, and the outbox entry, which goes last.

All of it is derived from the stored email and may be repeated: an entry that is still there after a crash leads here again.
"""

import logging
from collections.abc import Sequence
from concurrent.futures import Executor, Future
from threading import Lock

from shared.domain.choices import EmailStatus
from shared.domain.delivery import OutboxEntry
from shared.domain.email import CorrelationEntry, CorrelationKind, TimelineEntry
from shared.domain.errors import TransientError
from shared.domain.ids import short_hash
from shared.domain.listings import listed, sent_entry, unsent_entry
from shared.domain.organisation import OrganisationSettings
from shared.ports import Stores
from shared.sync.correlation import entries_of
from shared.sync.delivering import delivery_of
from shared.sync.journal import InHand

log = logging.getLogger(__name__)


class Filing:
    """Collects what is to be filed, and files it together."""

    def __init__(self, stores: Stores, settings: OrganisationSettings, at_once: int, executor: Executor) -> None:
        """`executor` files what has come together while other emails are sent."""
        self._stores = stores
        self._executor = executor
        self._under_way: list[Future[None]] = []
        self._settings = settings
        self._at_once = at_once
        self._adding = Lock()
        self.removed = 0
        """Entries that are not in the outbox any more."""
        self._sent: list[InHand] = []
        self._done: list[OutboxEntry] = []

    def take(self, hand: InHand) -> None:
        """An email with a receipt: its entry has done its duty."""
        with self._adding:
            if hand.email.status is EmailStatus.SENT:
                self._sent.append(hand)
            self._done.append(hand.entry)

    def discard(self, entry: OutboxEntry) -> None:
        """The entry announces nothing."""
        with self._adding:
            self._done.append(entry)

    def file_if_much(self) -> None:
        """Files where so much has come together that it is worth it; waits for nothing."""
        if len(self._done) >= self._at_once:
            self._under_way.append(self._executor.submit(self._file_or_leave, *self._collected()))

    def file(self) -> None:
        """Files what has come together."""
        self._file_or_leave(*self._collected())

    def finish(self) -> None:
        """Files what is left, and waits for the rest."""
        self.file()
        for each in self._under_way:
            each.result()

    def _collected(self) -> tuple[Sequence[InHand], Sequence[OutboxEntry]]:
        with self._adding:
            sent, self._sent = self._sent, []
            done, self._done = self._done, []
        return sent, done

    def _file_or_leave(self, sent: Sequence[InHand], done: Sequence[OutboxEntry]) -> None:
        """What the store does not take now is filed by a later run: its entries are still there. An email that cannot be filed
        at all keeps no other from it."""
        try:
            self._file(sent, done)
        except TransientError as error:
            log.warning("sent_emails_not_filed", extra={"emails": len(done), "code": error.code})
        except Exception as error:  # whatever one email's rows do to a store is that email's
            if not sent:
                raise
            if len(sent) == 1:
                log.warning("email_not_filed", exc_info=error, extra={"activity_id": sent[0].email.id})
                return
            for hand in sent:
                self._file_or_leave([hand], [hand.entry])
            self._file_or_leave((), [entry for entry in done if all(entry is not hand.entry for hand in sent)])

    def _file(self, sent: Sequence[InHand], done: Sequence[OutboxEntry]) -> None:
        if found_by := [entry for hand in sent for entry in self._found_by(hand)]:
            self._stores.correlations.put(found_by)  # first of all: an answer may be there already
        if sent:
            self._stores.timeline.put([row for hand in sent for row in _rows(hand)])
            self._stores.timeline.remove([unsent_entry(hand.email) for hand in sent])
        if done:
            self._stores.outbox.remove(done)
            with self._adding:
                self.removed += len(done)

    def _found_by(self, hand: InHand) -> Sequence[CorrelationEntry]:
        entries = entries_of(hand.email, hand.content, self._settings)
        known_as = delivery_of(hand.email).server_message_id
        if known_as is None or known_as == hand.content.message_id:
            return entries
        return [*entries, _alias(hand, known_as)]


def _rows(hand: InHand) -> Sequence[TimelineEntry]:
    return [sent_entry(hand.email), *listed(hand.email, hand.content, [hand.email.receiving_mailbox])]


def _alias(hand: InHand, message_id: str) -> CorrelationEntry:
    """Answers name the Message-ID that the server gave it."""
    email = hand.email
    return CorrelationEntry(
        kind=CorrelationKind.MESSAGE,
        key=short_hash(message_id),
        activity_id=email.id,
        conversation=email.conversation or email.id,
        time=email.received,
        is_fragment=email.is_fragment,
    )
