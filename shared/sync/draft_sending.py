"""Sends through a server that keeps drafts (Exchange): several complete drafts are made, their references recorded, then sent.

A recorded draft that is still among the drafts was not sent, one that is gone was; what was never recorded was never sent. Each
attempt has a key of its own, which its draft carries: so nobody removes the draft of another worker.
"""

import logging
from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import Executor, Future

from shared.domain.alerts import code_of
from shared.domain.email import EmailActivity
from shared.domain.errors import DeliveryError, DeliveryUnknown, DraftGone, SyncError, TransientError
from shared.domain.ids import ActivityId
from shared.domain.outgoing import OutgoingMessage, Receipt
from shared.ports import Drafting
from shared.sync.delivering import delivery_of, is_under_way
from shared.sync.journal import InHand, Move
from shared.sync.shipping import NOT_ABOUT_AN_EMAIL, Shipping, log_failure

log = logging.getLogger(__name__)

type _Answer = tuple[InHand, Receipt | Exception]


class DraftSending:
    """A window of emails after the other."""

    def __init__(self, mail: Drafting, shipping: Shipping, executor: Executor, window: int) -> None:
        self._mail = mail
        self._shipping = shipping
        self._executor = executor
        self._window = window
        self._begun: Sequence[InHand] = ()
        """Emails of the present window that have an intent of this run."""
        self._writing: Future[Exception | None] | None = None
        self._broke = False
        """The connection broke at the last email that was tried alone."""

    def send(self, emails: Iterator[InHand]) -> None:
        """Raises SyncError where the run cannot go on; emails of which something is to be found out stay as they are then."""
        try:
            for window in self._windows(emails):
                self._shipping.keep_lease()
                self._send_window(window)
        except BaseException:
            self._join()
            raise
        if failure := self._join():
            raise failure

    def _windows(self, emails: Iterator[InHand]) -> Iterator[Sequence[InHand]]:
        """An email that was interrupted may be what stops the process: it is sent alone, and interrupts no other."""
        window: list[InHand] = []
        for hand in emails:
            is_suspect = is_under_way(hand.email)
            if window and (is_suspect or len(window) == self._window):
                yield window
                window = []
            if is_suspect:
                yield [hand]
            else:
                window.append(hand)
        if window:
            yield window

    # ---- one window

    def _send_window(self, window: Sequence[InHand]) -> None:
        self._begun = ()
        try:
            self._attempt(window)
        except NOT_ABOUT_AN_EMAIL as error:
            self._bring_back(error)
            raise
        except Exception as error:
            if len(window) > 1 and self._bring_back(error):
                self._send_one_by_one(window)
            elif len(window) > 1 or not self._blame(error):
                raise
        else:
            self._broke = False

    def _send_one_by_one(self, window: Sequence[InHand]) -> None:
        """One of them may be what breaks the connection: it is found, and the others are sent."""
        for hand in window:
            if _is_waiting(hand.email):
                self._send_window([hand])

    def _attempt(self, window: Sequence[InHand]) -> None:
        """Raises SyncError, and whatever else a connector fails with."""
        left = self._look_up(window)
        self._begun = self._taken([self._intent(hand, left.get(hand.email.id)) for hand in window if _may_begin(hand, left)])
        answers = self._prepare([hand for hand in self._begun if _draft_of(hand) is None])
        answers += self._submit([hand for hand in self._begun if _draft_of(hand) is not None])
        self._conclude(answers)

    def _look_up(self, window: Sequence[InHand]) -> dict[ActivityId, str | None]:
        """What became of the emails that an earlier run left: the reference of the draft of each that was not sent."""
        left = [hand for hand in window if is_under_way(hand.email)]
        present = self._find(left)
        self._shipping.write([self._shipping.found_sent(hand) for hand in left if _is_gone(hand, present)])
        unsent = [hand for hand in left if is_under_way(hand.email)]
        useless = [hand for hand in unsent if present.get(hand.email.id) is None or self._shipping.is_to_rest(hand)]
        removed = {hand.email.id for hand in self._remove_drafts(useless)}
        kept = {hand.email.id: present.get(hand.email.id) for hand in unsent if hand not in useless}
        return {**kept, **dict.fromkeys(removed)}

    def _find(self, hands: Sequence[InHand]) -> dict[ActivityId, str | None]:
        """The present reference of each draft that was recorded; None: it was sent."""
        recorded = [(hand, draft) for hand in hands if (draft := _draft_of(hand)) is not None]
        if not recorded:
            return {}
        found = self._mail.find([draft for _, draft in recorded])
        return {hand.email.id: reference for (hand, _), reference in zip(recorded, found, strict=True)}

    def _intent(self, hand: InHand, draft: str | None) -> Move:
        return self._shipping.intent(hand, can_tell=True) if draft is None else self._shipping.resumed(hand, draft)

    def _taken(self, moves: Sequence[Move]) -> Sequence[InHand]:
        """In the order of `moves`: the emails whose step was taken, and that are under way."""
        taken = {hand.email.id for hand in self._shipping.write(moves)}
        return [hand for hand, _ in moves if hand.email.id in taken and is_under_way(hand.email)]

    # ---- the server

    def _prepare(self, hands: Sequence[InHand]) -> list[_Answer]:
        """Makes drafts and records them; what failed at that."""
        answers: list[_Answer] = []
        composed: list[tuple[InHand, OutgoingMessage]] = []
        for hand in hands:
            try:
                composed.append((hand, self._shipping.message(hand)))
            except DeliveryError as error:
                answers.append((hand, error))
        if not composed:
            return answers
        made = self._mail.prepare([message for _, message in composed])
        moves: list[Move] = []
        for (hand, _), result in zip(composed, made, strict=True):
            if isinstance(result, DeliveryError):
                answers.append((hand, result))
            else:
                moves.append(self._shipping.drafted(hand, result))
        taken = {hand.email.id for hand in self._shipping.write(moves)}
        self._give_up([hand for hand, _ in moves if hand.email.id not in taken])
        return answers

    def _give_up(self, hands: Sequence[InHand]) -> None:
        """Another worker has these emails. Our drafts are removed, unless it took one of them over: with its key."""
        if not hands:
            return
        present = self._shipping.keys_in_use([hand.email.id for hand in hands])
        self._begun = [hand for hand in self._begun if hand not in hands]
        self._withdraw([key for hand in hands if (key := _key_of(hand)) not in present])

    def _submit(self, hands: Sequence[InHand]) -> list[_Answer]:
        hands = [hand for hand in hands if hand in self._begun]
        if not hands:
            return []
        drafts = [draft for hand in hands if (draft := _draft_of(hand)) is not None]
        answers = self._mail.submit(drafts, save_copy=self._shipping.profile.save_sent_items)
        return list(zip(hands, answers, strict=True))

    def _withdraw(self, keys: Collection[str]) -> None:
        if keys:
            self._mail.withdraw(keys)

    # ---- receipts

    def _conclude(self, answers: Sequence[_Answer]) -> None:
        unknown = [hand for hand, answer in answers if isinstance(answer, DeliveryUnknown)]
        present = self._find(unknown)
        moves: list[Move] = []
        failed: list[tuple[InHand, Exception]] = []
        for hand, answer in answers:
            if _is_gone(hand, present):
                moves.append(self._shipping.found_sent(hand))
            elif isinstance(answer, Receipt | DraftGone):
                moves.append(self._shipping.receipt(hand, answer))
            else:
                failed.append((hand, answer))
        removed = {hand.email.id for hand in self._remove_drafts([hand for hand, _ in failed])}
        moves += [self._shipping.receipt(hand, error) for hand, error in failed if hand.email.id in removed]
        self._write_beside(moves)

    def _remove_drafts(self, hands: Sequence[InHand]) -> Sequence[InHand]:
        """Removes what these attempts made, and says which are ours. Noted first: a draft that is gone counts as sent."""
        recorded = [self._shipping.undrafted(hand) for hand in hands if _draft_of(hand) is not None]
        taken = {hand.email.id for hand in self._shipping.write(recorded)}
        ours = [hand for hand in hands if _draft_of(hand) is None or hand.email.id in taken]
        self._withdraw([_key_of(hand) for hand in ours])
        return ours

    def _write_beside(self, moves: Sequence[Move]) -> None:
        """While the next window is with the server: a recorded draft tells what became of it, if this does not come about."""
        failure = self._join()
        if moves:
            self._writing = self._executor.submit(self._written, moves)
        if failure is not None:
            self._begun = ()
            raise failure

    def _written(self, moves: Sequence[Move]) -> Exception | None:
        try:
            self._shipping.write(moves)
        except SyncError as error:
            return error
        return None

    def _join(self) -> Exception | None:
        writing, self._writing = self._writing, None
        return writing.result() if writing is not None else None

    # ---- failures

    def _bring_back(self, error: Exception) -> bool:
        """The emails in hand wait as before, as far as they were not sent; False where that cannot be found out now."""
        return self._settle([hand for hand in self._begun if is_under_way(hand.email)], error, counts=False)

    def _blame(self, error: Exception) -> bool:
        """The one email in hand is put off; False where that cannot be written, or the connection breaks at everybody."""
        in_hand = [hand for hand in self._begun if is_under_way(hand.email)]
        broke_again = isinstance(error, TransientError) and self._broke
        self._broke = isinstance(error, TransientError)
        log_failure(error, in_hand)
        return self._settle(in_hand, error, counts=not broke_again) and bool(in_hand) and not broke_again

    def _settle(self, hands: Sequence[InHand], error: Exception, *, counts: bool) -> bool:
        try:
            present = self._find(hands)
            self._shipping.write([self._shipping.found_sent(hand) for hand in hands if _is_gone(hand, present)])
            unsent = self._remove_drafts([hand for hand in hands if not _is_gone(hand, present)])
            ended = self._shipping.receipt if counts else self._shipping.returned
            self._shipping.write([ended(hand, error) for hand in unsent])
        except Exception as failure:  # noqa: BLE001 # what ended the run is reported; the next run finds out the rest
            log.warning("emails_left_in_hand", extra={"emails": len(hands), "code": code_of(failure)})
            return False
        return True


def _is_waiting(email: EmailActivity) -> bool:
    return delivery_of(email).sent_on is None and not is_under_way(email)


def _may_begin(hand: InHand, left: dict[ActivityId, str | None]) -> bool:
    """Nobody left it, or what he left is known."""
    return hand.email.id in left or _is_waiting(hand.email)


def _draft_of(hand: InHand) -> str | None:
    return delivery_of(hand.email).draft


def _key_of(hand: InHand) -> str:
    return delivery_of(hand.email).attempt or ""


def _is_gone(hand: InHand, present: dict[ActivityId, str | None]) -> bool:
    """It was sent: its draft was recorded, and is not among the drafts any more."""
    return hand.email.id in present and present[hand.email.id] is None
