"""Sends through a server that keeps drafts (Exchange): several complete drafts are made, their references recorded, then sent.

A recorded draft that is where it was was not sent; one that is gone was, unless it is found elsewhere and a draft still; what
was never recorded was never sent. Each attempt has a key of its own, which its draft carries: so nobody removes the draft of
another worker. While a window is with the server, the receipts of the one before and the intents of the next are written.
"""

import logging
from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future, wait
from typing import NamedTuple

from shared.domain.alerts import code_of
from shared.domain.choices import EmailStatus
from shared.domain.email import EmailActivity
from shared.domain.errors import Busy, DeliveryError, DeliveryUnknown, DraftGone, LeaseLost, NotGiven, SyncError, TransientError
from shared.domain.ids import ActivityId
from shared.domain.outgoing import OutgoingMessage, Receipt, Trace
from shared.ports import Drafting
from shared.sync.budgets import RunBudget
from shared.sync.delivering import delivery_of, is_under_way
from shared.sync.journal import InHand, Move
from shared.sync.shipping import NOT_ABOUT_AN_EMAIL, Shipping, log_failure

log = logging.getLogger(__name__)

type _Answer = tuple[InHand, Receipt | Exception]
type _Window = Sequence[InHand]
type _Found = Mapping[ActivityId, str | Trace | DeliveryError]
"""Of the drafts that were recorded: the present reference, what is known of one that is not where it was, or why nobody knows
whether it is."""


class _Begun(NamedTuple):
    """A window whose turn comes, and its emails that have an intent by then; None where that is still to be written."""

    window: _Window
    begun: _Window | None


class DraftSending:
    """A window of emails after the other."""

    def __init__(self, mail: Drafting, shipping: Shipping, executor: Executor, budget: RunBudget) -> None:
        self._mail = mail
        self._shipping = shipping
        self._drafts = shipping.drafts
        self._left = shipping.left
        self._executor = executor
        self._budget = budget
        self._begun: _Window = ()
        """Emails of the present window that have an intent of this run."""
        self._ahead: Future[_Begun] | None = None
        self._coming: _Window = ()
        """The window that is begun ahead."""
        self._ended: list[Move] = []
        """Receipts that are written with the next intents: a recorded draft tells what became of it, if that fails."""
        self._broke = False
        """The connection broke at the last email that was tried alone."""

    def send(self, emails: Iterator[InHand]) -> None:
        """Raises SyncError where the run cannot go on; emails of which something is to be found out stay as they are then."""
        windows = self._windows(emails)
        self._withdraw(self._left.keys(self._mail.source))
        try:
            self._begin_beside(windows)
            while (following := self._join_ahead()).window:
                self._shipping.keep_lease()
                self._begin_beside(windows)
                self._send_window(*following)
        except BaseException as error:
            self._wind_up(error)
            raise
        self._end(self._ended)

    def _windows(self, emails: Iterator[InHand]) -> Iterator[_Window]:
        """An email that was interrupted may be what stops the process: it is sent alone, and interrupts no other."""
        window: list[InHand] = []
        size = 0
        for hand in emails:
            is_suspect, size = is_under_way(hand.email), size + _size(hand)
            is_full = len(window) == self._budget.drafts_at_once or size > self._budget.batch_bytes
            if window and (is_suspect or is_full):
                yield window
                window, size = [], _size(hand)
            if is_suspect:
                yield [hand]
            else:
                window.append(hand)
        if window:
            yield window

    # ---- the next window

    def _begin_beside(self, windows: Iterator[_Window]) -> None:
        """Reads the next window, and writes its intents with the receipts of the last: one transaction holds some of both. A
        window that has to be looked up first is begun when its turn comes."""
        ended, self._ended = self._ended, []

        def begin() -> _Begun:
            try:
                window = next(windows, ())
            except Exception:
                self._end(ended)
                raise
            is_suspect = any(is_under_way(hand.email) for hand in window)
            self._coming = () if is_suspect else window
            begun = self._intend(self._coming, {}, ended)
            return _Begun(window, None if is_suspect else begun)

        self._ahead = self._executor.submit(begin)

    def _join_ahead(self) -> _Begun:
        ahead = self._ahead
        following = ahead.result() if ahead is not None else _Begun((), None)
        self._ahead, self._coming = None, ()
        return following

    def _wind_up(self, error: BaseException) -> None:
        """What is known is written; those of the next window wait as before, as their drafts were not begun."""
        if self._ahead is not None:
            wait([self._ahead])
        if not isinstance(error, Exception):
            return
        returned = [self._shipping.returned(hand, error) for hand in self._coming if is_under_way(hand.email)]
        try:
            self._end(self._ended, returned)
        except SyncError as failure:
            log.warning("receipts_not_written", extra={"emails": len(self._ended), "code": code_of(failure)})

    # ---- one window

    def _send_window(self, window: _Window, begun: _Window | None = None) -> None:
        self._begun = begun or ()
        try:
            self._attempt(window, begun)
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

    def _send_one_by_one(self, window: _Window) -> None:
        """One of them may be what breaks the connection: it is found, and the others are sent."""
        for hand in window:
            if _is_waiting(hand.email):
                self._send_window([hand])

    def _attempt(self, window: _Window, begun: _Window | None) -> None:
        """Raises SyncError, and whatever else a connector fails with."""
        if begun is None:
            begun = self._intend(window, self._look_up(window))
        self._begun = begun
        new = [hand for hand in begun if hand.draft is None]
        answers = self._prepare(new)
        answers += self._submit([hand for hand in begun if hand.draft is not None])
        self._conclude(answers, {hand.email.id for hand in new})

    def _look_up(self, window: _Window) -> dict[ActivityId, str | None]:
        """What became of the emails that an earlier run left: the reference of the draft of each that was not sent. Of one that
        was recorded elsewhere nobody can tell."""
        left = [hand for hand in window if is_under_way(hand.email)]
        for hand in left:
            hand.draft = self._drafts.reference(_key_of(hand), self._mail.source)
        found = self._find(left)
        self._end(self._gone(left, found))
        unsent = [hand for hand in left if is_under_way(hand.email)]
        useless = [hand for hand in unsent if hand.email.id not in found or self._shipping.is_to_rest(hand)]
        if away := self._abandon([hand for hand in useless if not self._is_elsewhere(hand)]):
            raise away
        return {hand.email.id: None if hand in useless else hand.draft for hand in unsent if is_under_way(hand.email)}

    def _find(self, hands: _Window) -> _Found:
        """Of those that were recorded. Those that are still there have their present reference in hand."""
        recorded = [(hand, hand.draft) for hand in hands if hand.draft is not None]
        if not recorded:
            return {}
        references = self._mail.find([draft for _, draft in recorded])
        there = {hand.email.id: found for (hand, _), found in zip(recorded, references, strict=True) if found is not None}
        for hand, draft in recorded:
            found = there.get(hand.email.id)
            hand.draft = found if isinstance(found, str) else draft
        return {**there, **self._trace([hand for hand, _ in recorded if hand.email.id not in there])}

    def _trace(self, hands: _Window) -> _Found:
        """Of drafts that are not where they were: also because another worker removed them, if it has the mailbox now. Raises
        LeaseLost."""
        if not hands:
            return {}
        keys = {_key_of(hand): hand.email.id for hand in hands}
        traces = self._mail.trace(keys, has_copies=self._shipping.profile.save_sent_items)
        self._shipping.keep_lease()
        return {email: traces.get(key, Trace.NOTHING) for key, email in keys.items()}

    def _gone(self, hands: _Window, found: _Found) -> list[Move]:
        """How the attempts ended whose drafts are not where they were."""
        traces = [(hand, found.get(hand.email.id)) for hand in hands]
        return [self._shipping.gone(hand, trace) for hand, trace in traces if isinstance(trace, Trace)]

    def _intend(self, window: _Window, left: Mapping[ActivityId, str | None], ended: Sequence[Move] = ()) -> _Window:
        """Writes the intents; the emails that are under way by them, in their order. `left`: what was looked up; `ended`: what
        is written with them."""
        elsewhere = [_key_of(hand) for hand in window if self._is_elsewhere(hand)]
        moves = [self._intent(hand, left.get(hand.email.id)) for hand in window if _may_begin(hand, left)]
        taken = self._end(ended, moves)
        self._drafts.forget(elsewhere)
        return [hand for hand, _ in moves if hand.email.id in taken and is_under_way(hand.email)]

    def _intent(self, hand: InHand, draft: str | None) -> Move:
        hand.draft = draft
        if draft is not None:
            return self._shipping.resumed(hand)
        return self._shipping.intent(hand, can_tell=not self._is_elsewhere(hand))

    def _is_elsewhere(self, hand: InHand) -> bool:
        return self._drafts.is_elsewhere(_key_of(hand), self._mail.source)

    # ---- the server

    def _prepare(self, hands: _Window) -> list[_Answer]:
        """Makes drafts and records them; what failed at that."""
        answers: list[_Answer] = []
        composed: list[tuple[InHand, OutgoingMessage]] = []
        for hand in hands:
            try:
                composed.append((hand, self._shipping.message(hand, with_text=False)))
            except DeliveryError as error:
                answers.append((hand, error))
        if not composed:
            return answers
        made = self._mail.prepare([message for _, message in composed])
        drafted = [(hand, result) for (hand, _), result in zip(composed, made, strict=True) if isinstance(result, str)]
        answers += [
            (hand, result) for (hand, _), result in zip(composed, made, strict=True) if isinstance(result, DeliveryError)
        ]
        self._record(drafted)
        return answers

    def _record(self, drafted: Sequence[tuple[InHand, str]]) -> None:
        """Raises LeaseLost, when the drafts are removed, and Busy."""
        if not drafted:
            return
        for hand, draft in drafted:
            hand.draft = draft
        try:
            self._drafts.record({_key_of(hand): draft for hand, draft in drafted}, self._mail.source)
        except LeaseLost:
            self._give_up([hand for hand, _ in drafted])
            raise
        except TransientError as error:
            raise Busy("The store does not take the references of drafts.", error.retry_after) from error

    def _give_up(self, hands: _Window) -> None:
        """Another worker has the mailbox. Our drafts are removed, unless it took one of them over: with its key."""
        present = self._shipping.keys_in_use([hand.email.id for hand in hands])
        self._begun = ()
        if keys := [key for hand in hands if (key := _key_of(hand)) not in present]:
            self._mail.withdraw(keys)

    def _submit(self, hands: _Window) -> list[_Answer]:
        drafts = [draft for hand in hands if (draft := hand.draft) is not None]
        if not drafts:
            return []
        answers = self._mail.submit(drafts, save_copy=self._shipping.profile.save_sent_items)
        return list(zip(hands, answers, strict=True))

    # ---- receipts

    def _conclude(self, answers: Sequence[_Answer], new: Collection[ActivityId]) -> None:
        """`new`: emails whose drafts this run made. One that may be sent yet, or of which the server tells nothing, is left to
        the next run, which sends that draft. Raises what kept the server from being given some of them."""
        found = {**self._find(_answered(answers, DeliveryUnknown)), **self._trace(_answered(answers, DraftGone))}
        never_sent = {hand.email.id for hand in _answered(answers, DraftGone)} & set(new)
        found |= {email: Trace.TAKEN for email in never_sent if found[email] is Trace.NOTHING}
        others = [(hand, answer) for hand, answer in answers if _is_final(answer, is_new=hand.email.id in new)]
        self._remove_drafts([hand for hand, answer in others if not isinstance(answer, Receipt)])
        self._ended += self._gone([hand for hand, _ in answers], found)
        self._ended += [self._shipping.receipt(hand, answer) for hand, answer in others if not isinstance(answer, NotGiven)]
        if away := next((answer for _, answer in answers if isinstance(answer, NotGiven)), None):
            self._send_back(_answered(others, NotGiven), away)

    def _send_back(self, hands: _Window, error: NotGiven) -> None:
        """Raises why the server was not reached."""
        cause = error.__cause__ if isinstance(error.__cause__, Exception) else error
        ended, self._ended = self._ended, []
        self._end([*ended, *(self._shipping.returned(hand, cause) for hand in hands)])
        raise cause

    def _abandon(self, hands: _Window) -> SyncError | None:
        """As `_remove_drafts`, of attempts of which nobody knows how far they came: what the server was told may still be
        carried out. What it sent until its draft was to be removed is ended. Raises as `Drafting.trace` does, too."""
        self._left.note([_key_of(hand) for hand in hands if hand.draft is None], self._mail.source)
        away = self._remove_drafts(hands)
        if hands and away is None:
            traces = self._mail.trace([_key_of(hand) for hand in hands], has_copies=False)
            self._end([self._shipping.gone(hand, Trace.SENT) for hand in hands if traces.get(_key_of(hand)) is Trace.SENT])
        return away

    def _remove_drafts(self, hands: _Window) -> SyncError | None:
        """Removes what these attempts made; if the server does not do it now, says why, and a later run will. Struck first: a
        recorded draft that is gone counts as sent. Raises LeaseLost, TransientError: the store."""
        keys = [_key_of(hand) for hand in hands]
        self._drafts.strike(keys)
        for hand in hands:
            hand.draft = None
        return self._withdraw(keys)

    def _withdraw(self, keys: Collection[str]) -> SyncError | None:
        """As `_remove_drafts`."""
        if not keys:
            return None
        try:
            self._mail.withdraw(keys)
        except SyncError as error:
            log.info("drafts_left", extra={"drafts": len(keys), "code": code_of(error)})
            self._left.note(keys, self._mail.source)
            return error
        self._left.removed(keys)
        return None

    def _end(self, moves: Sequence[Move], others: Sequence[Move] = ()) -> Collection[ActivityId]:
        """Writes how attempts ended, after which nobody needs what was recorded of their drafts, and `others` with that. Those
        whose step was taken."""
        keys = {hand.email.id: _key_of(hand) for hand, _ in moves}
        taken = {hand.email.id for hand in self._shipping.write([*moves, *others])}
        self._drafts.forget([key for email, key in keys.items() if email in taken])
        return taken

    # ---- failures

    def _bring_back(self, error: Exception) -> bool:
        """The emails in hand wait as before, as far as they were not sent; False where the server does not answer."""
        return self._settle([hand for hand in self._begun if is_under_way(hand.email)], error, counts=False)

    def _blame(self, error: Exception) -> bool:
        """The one email in hand is put off; False where that cannot be written, or the connection breaks at everybody."""
        in_hand = [hand for hand in self._begun if is_under_way(hand.email)]
        broke_again = isinstance(error, TransientError) and self._broke
        self._broke = isinstance(error, TransientError)
        log_failure(error, in_hand)
        return self._settle(in_hand, error, counts=not broke_again) and bool(in_hand) and not broke_again

    def _settle(self, hands: _Window, error: Exception, *, counts: bool) -> bool:
        """False where the server does not answer any more. What was recorded may have been sent then, and stays as it is, as
        does what the server does not tell of. What was not was not sent, whatever the server says; it stays too if it may be
        what the server broke down at, so that the next run tries it alone, behind the others."""
        recorded = [hand for hand in hands if hand.draft is not None]
        unfinished = [hand for hand in hands if hand.draft is None]
        try:
            self._end_unsent(unfinished, error, counts=counts, may_go_back=isinstance(error, NOT_ABOUT_AN_EMAIL))
            found = self._find(recorded)
            self._end(self._gone(recorded, found))
            unsent = [hand for hand in recorded if isinstance(found[hand.email.id], str)]
            self._end_unsent(unsent, error, counts=counts, may_go_back=False)
        except Exception as failure:  # noqa: BLE001 # what ended the run is reported; the next run finds out the rest
            log.warning("emails_left_in_hand", extra={"emails": len(hands), "code": code_of(failure)})
            return False
        return True

    def _end_unsent(self, hands: _Window, error: Exception, *, counts: bool, may_go_back: bool) -> None:
        """`may_go_back`: though the server does not answer since. Else raises what it says."""
        if (away := self._abandon(hands)) is not None and not may_go_back:
            raise away
        ended = self._shipping.receipt if counts else self._shipping.returned
        self._end([ended(hand, error) for hand in hands if is_under_way(hand.email)])


def _is_waiting(email: EmailActivity) -> bool:
    """To be sent, or to go to the rest of its recipients: another server, that the mailbox had before, put them off."""
    return (email.status is EmailStatus.PENDING_SEND or bool(delivery_of(email).waiting)) and not is_under_way(email)


def _size(hand: InHand) -> int:
    """Bytes, roughly: enough to tell when a window is large."""
    content = hand.content
    return sum(each.size for each in content.attachments) + len(content.body_html or "") + len(content.body_text)


def _may_begin(hand: InHand, left: Mapping[ActivityId, str | None]) -> bool:
    """Nobody left it, or what he left is known."""
    return hand.email.id in left or _is_waiting(hand.email)


def _key_of(hand: InHand) -> str:
    return delivery_of(hand.email).attempt or ""


def _is_final(answer: Receipt | Exception, *, is_new: bool) -> bool:
    """A draft that this run did not make may have been sent before, though this time it was not given to the server."""
    return not isinstance(answer, DeliveryUnknown | DraftGone) and (is_new or not isinstance(answer, NotGiven))


def _answered(answers: Sequence[_Answer], kind: type[Exception]) -> _Window:
    return [hand for hand, answer in answers if isinstance(answer, kind)]
