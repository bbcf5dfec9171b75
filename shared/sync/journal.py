"""Writes the steps of emails on their way out: each guarded by the email's ETag, repeated where the store fails for a moment.

An accepted email whose receipt is lost would be sent again, so a receipt is not given up at the first failure; and what changes
about an email beside its delivery (what it is about, who owns it) does not stand in the way of it.
"""

import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from shared.domain.delivery import OutboxEntry
from shared.domain.email import EmailActivity, EmailContent, StoredActivity
from shared.domain.errors import TransientError, UnreadableRow
from shared.domain.ids import ActivityId
from shared.domain.steps import Step
from shared.ports import Stores
from shared.sync.delivering import Outcome, delivery_of

log = logging.getLogger(__name__)

_TRIES = 3


@dataclass(slots=True)
class InHand:
    """An email that a run has taken up: how it stands in the store, and the entry that announced it."""

    entry: OutboxEntry
    stored: StoredActivity
    content: EmailContent
    draft: str | None = None
    """The server's reference of the complete draft that may be sent, of the attempt under way."""

    @property
    def email(self) -> EmailActivity:
        return self.stored.record


type Move = tuple[InHand, Outcome]


class Journal:
    """Where the emails of a run are written."""

    def __init__(self, stores: Stores) -> None:
        self._activities = stores.activities
        self._outbox = stores.outbox

    def write(self, moves: Sequence[Move]) -> Sequence[Move]:
        """Those whose step was taken; the others belong to somebody else by now. Entries for later are written first.

        Raises TransientError, which leaves open what was written: the same may be written again.
        """
        if waits := [outcome.waits for _, outcome in moves if outcome.waits is not None]:
            self._persist(lambda: self._outbox.put(waits))
        return self._persist(lambda: self._advance(moves)) if moves else ()

    def attempts_under_way(self, activity_ids: Collection[ActivityId]) -> Collection[str | None]:
        """Ids of the attempts that these emails have now."""
        return {delivery_of(stored.record).attempt for stored in self._activities.find(activity_ids).values()}

    def _persist[T](self, call: Callable[[], T]) -> T:
        for _ in range(_TRIES - 1):
            try:
                return call()
            except TransientError as error:
                log.info("step_repeated", extra={"code": error.code})
        return call()

    def _advance(self, moves: Sequence[Move]) -> Sequence[Move]:
        """Each step is taken upon the email as it stands in hand, so that it may be repeated."""
        answers = self._activities.advance([_step(hand, outcome) for hand, outcome in moves])
        taken: list[Move] = []
        refused: list[Move] = []
        for move, answer in zip(moves, answers, strict=True):
            if isinstance(answer, StoredActivity):
                move[0].stored = answer
                taken.append(move)
            else:
                refused.append(move)
        return [*taken, *self._settled(refused)] if refused else taken

    def _settled(self, moves: Sequence[Move]) -> Sequence[Move]:
        """What refusals mean: a reply that was lost before, a change of something else, or another worker."""
        present = self._present([hand.email.id for hand, _ in moves])
        taken: list[Move] = []
        again: list[Move] = []
        for hand, outcome in moves:
            found = present.get(hand.email.id)
            if found is None or found.etag == hand.stored.etag:
                continue
            if _stage(found.record) == _stage(outcome.email):
                hand.stored = found
                taken.append((hand, outcome))
            elif _stage(found.record) == _stage(hand.email):
                hand.stored = found
                again.append((hand, outcome))
        return [*taken, *self._advance(again)] if again else taken

    def _present(self, activity_ids: Collection[ActivityId]) -> Mapping[ActivityId, StoredActivity]:
        """One that a later version of Sidesync has written since is not there for this one."""
        try:
            return self._activities.find(activity_ids)
        except UnreadableRow:
            if len(activity_ids) == 1:
                return {}
        return {key: stored for each in activity_ids for key, stored in self._present([each]).items()}


def _step(hand: InHand, outcome: Outcome) -> Step:
    """What is not about its delivery stays as it is."""
    after = outcome.email
    email = replace(hand.email, state=after.state, status=after.status, received=after.received, delivery=after.delivery)
    return Step(email, hand.stored.etag, None, outcome.attempts)


def _stage(email: EmailActivity) -> tuple[object, ...]:
    """Tells apart how far an email is on its way."""
    delivery = delivery_of(email)
    tried = delivery.last_attempt, delivery.attempt, delivery.attempts
    return email.status, delivery.submission, delivery.due, *tried
