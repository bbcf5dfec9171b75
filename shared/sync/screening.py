"""Decides which items of a page are read: by what the ledger says, by what the listing says, and by their envelopes.

What is refused is booked without being downloaded. Whether a message is accepted in the end is judged over the whole message.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import batched

from shared.domain.choices import Direction, Reason, Verdict
from shared.domain.email import ChangeKind, Envelope, ListedItem
from shared.domain.errors import ItemError, UnreadableRow
from shared.domain.ids import email_id
from shared.domain.judgement import Judgement
from shared.domain.ledger import ItemKey, LedgerItem, UnreadableItems
from shared.ports import Activities, IncomingEmail
from shared.sync.booking import Booking
from shared.sync.emails import Emails
from shared.sync.items import Candidate, Refused, candidate_of
from shared.sync.judged import Judged
from shared.sync.judging import Judging, wish_of
from shared.sync.known import KnownItem
from shared.sync.listing import oldest_first
from shared.sync.relevance import CONFIGURED, reason_to_skip
from shared.sync.special import is_delivery_report

ENVELOPES_AT_ONCE = 100


class Screening:
    """Screens the items of one mailbox."""

    def __init__(
        self,
        mail: IncomingEmail,
        judging: Judging,
        emails: Emails,
        activities: Activities,
        booking: Booking,
        start: datetime | None,
        largest_message: int,
        *,
        watches_several: bool,
    ) -> None:
        """`start`: mail received before is not read, but for what a rule or a category tracks. `watches_several`: mail may be
        moved from one watched folder to another."""
        self._mail = mail
        self._judging = judging
        self._emails = emails
        self._activities = activities
        self._booking = booking
        self._start = start
        self._largest_message = largest_message
        self._watches_several = watches_several
        self._elsewhere: Mapping[ItemKey, Sequence[LedgerItem]] = {}
        self._unreadable_elsewhere: Mapping[ItemKey, UnreadableItems] = {}
        """Of the items of the present page that may have been moved, the rows that they have where they lay before."""

    def wanted(self, items: Sequence[ListedItem], *, is_repeated: bool) -> list[Candidate]:
        """Books what is refused, and returns what is to be read, oldest first. `is_repeated`: an interrupted run began it."""
        listed = oldest_first(items)
        rows = self._booking.known.of(listed)
        listed = [(key, item) for key, item in listed if not self._is_set_aside(key)]
        new = [(item, rows.get(key)) for key, item in listed if not self._is_decided(key, item, rows.get(key))]
        self._booking.tally.seen += len(new)
        self._look_where_they_lay_before([candidate_of(item) for item, _ in new])
        candidates = []
        for item, known in new:
            candidate = replace(
                candidate_of(item),
                is_repeated=is_repeated,
                is_fetched_first=self._is_fetched_first(item),
                is_quarantined=known is not None and known.verdict is Verdict.QUARANTINED,
            )
            reason = reason_to_skip(item, self._start_for(item), self._largest_message)
            if (error := self._unreadable_elsewhere.get(candidate.key)) is not None:
                self._booking.fail(candidate, error)
            elif known is None and (former := self._said_by_hand(candidate, item)):
                self._booking.find_again(candidate, former)
            elif reason is None:
                candidates.append(candidate)
            elif left := self._refused(candidate, Refused(Judgement(Verdict.SKIPPED, reason))):
                candidates.append(left)
        return self.by_envelope(candidates)

    def by_envelope(self, candidates: Sequence[Candidate]) -> list[Candidate]:
        """Books the candidates whose envelopes are refused, and returns the others.

        In a run that is careful all are read. Those that are read anyway are judged here too, in their place among the others:
        they may be what others answer.
        """
        accepted: list[Candidate] = []
        for some in batched(candidates, ENVELOPES_AT_ONCE, strict=False):
            self._booking.lease.renew_when_half_gone()
            is_asked = not self._booking.is_careful and not all(_is_read_anyway(each) for each in some)
            refused = self._judged(some) if is_asked else {}
            for candidate in some:
                result = refused.get(candidate.key)
                if result is None:
                    accepted.append(candidate)
                elif isinstance(result, ItemError):
                    self._booking.fail(candidate, result)
                elif left := self._refused(candidate, result):
                    accepted.append(left)
        return accepted

    # ---- by the ledger

    def _is_decided(self, key: ItemKey, item: ListedItem, known: KnownItem | None) -> bool:
        """Whether the verdict in the ledger stands. A change of an item that was not promoted is judged like a new one."""
        if known is None or known.verdict is Verdict.GONE:
            return False
        if item.kind is ChangeKind.CREATED:
            return True
        if known.verdict is Verdict.PROMOTED:
            self._untrack_where_asked(key, item, known)
            return True
        is_categorized = self._judging.is_categorized(item.categories)
        if known.verdict is Verdict.SKIPPED:
            return known.reason in _BY_HAND and not is_categorized
        return known.verdict is Verdict.FAILING or not is_categorized  # a person asks for what was given up

    def _is_set_aside(self, key: ItemKey) -> bool:
        """A later version decided about it: that stands, and is not written over."""
        error = self._booking.known.unreadable.get(key)
        if error is not None:
            self._booking.tally.leave_aside(error)
        return error is not None

    def _untrack_where_asked(self, key: ItemKey, item: ListedItem, known: KnownItem) -> None:
        """The tracking category was there and is not any more: a person took it away."""
        if known.category is None or not self._judging.tracks_by_category or self._is_categorized_still(item, known.category):
            return
        try:
            row = self._booking.known.row(key)
            if row is not None and row.activity_id is not None:
                for activity_id in row.activity_ids:
                    self._emails.untrack(activity_id, self._judging.mailbox_id)
                self._booking.untrack(row)
        except UnreadableRow as error:
            self._booking.tally.leave_aside(error)

    def _is_categorized_still(self, item: ListedItem, category: str) -> bool:
        """By the name that the tracking category has now, or had when the item was given it."""
        had = category.casefold()
        return self._judging.is_categorized(item.categories) or any(each.casefold() == had for each in item.categories)

    # ---- by the ledger, where it lay before

    def _look_where_they_lay_before(self, candidates: Sequence[Candidate]) -> None:
        """Only where mail can be moved to another watched folder, or all of a folder may have got other ids: elsewhere it costs
        nothing."""
        may_be_known = self._watches_several or self._booking.known.is_loaded
        moved = [each for each in candidates if each.message_id is not None] if may_be_known else []
        found = self._booking.known.elsewhere({each.key: each.received for each in moved})
        self._elsewhere = {key: rows for key, rows in found.items() if not isinstance(rows, UnreadableItems)}
        self._unreadable_elsewhere = {key: error for key, error in found.items() if isinstance(error, UnreadableItems)}

    def _said_by_hand(self, candidate: Candidate, item: ListedItem) -> LedgerItem | None:
        """What a person said of it holds wherever it lies, until a person says something else."""
        latest = next(iter(self._elsewhere.get(candidate.key, ())), None)
        is_left = latest is not None and latest.verdict is Verdict.SKIPPED and latest.reason in _BY_HAND
        return latest if is_left and not self._judging.is_categorized(item.categories) else None

    # ---- by the listing

    def _start_for(self, item: ListedItem) -> datetime | None:
        """People who file or categorize old mail want it tracked."""
        return None if self._judging.is_promoted_anyhow(item.ref.folder, item.categories) else self._start

    def _is_fetched_first(self, item: ListedItem) -> bool:
        return self._judging.needs_content(item.ref.folder, item.item_class, item.categories)

    def _refused(self, candidate: Candidate, refused: Refused) -> Candidate | None:
        """Books the refusal; where the item may have been promoted before its page was interrupted, it is read first."""
        reason = refused.judgement.reason
        try:
            if candidate.is_repeated and reason in CONFIGURED and self._may_be_promoted(candidate):
                return replace(candidate, refusal=refused.judgement)
        except UnreadableRow as error:
            self._booking.fail(candidate, error)
            return None
        if former := self._promoted_where_it_lay_before(candidate, reason):
            self._booking.find_again(candidate, former)
        else:
            self._booking.leave(candidate, refused)
        return None

    def _promoted_where_it_lay_before(self, candidate: Candidate, reason: Reason) -> LedgerItem | None:
        """One from before the start date is left as it is: it has no row that would say what became of it the first time."""
        if candidate.todo is not None or reason not in CONFIGURED or reason is Reason.BEFORE_START_DATE:
            return None
        rows = self._elsewhere.get(candidate.key, ())
        return next((row for row in rows if row.verdict is Verdict.PROMOTED), None)

    def _may_be_promoted(self, candidate: Candidate) -> bool:
        """Its Message-ID leads to an email; only its content tells whether that is this one."""
        if candidate.message_id is None:
            return True
        ids = (email_id(candidate.message_id, direction) for direction in Direction)
        return any(self._activities.sightings(activity_id) for activity_id in ids)

    # ---- by the envelope

    def _judged(self, candidates: Sequence[Candidate]) -> dict[ItemKey, Refused | ItemError]:
        """What the envelopes alone decide: refusals, and items that cannot be read."""
        by_ref = {candidate.ref: candidate for candidate in candidates}
        answers = [(by_ref[ref], answer) for ref, answer in self._mail.envelopes(list(by_ref)) if ref in by_ref]
        read = [(candidate, answer) for candidate, answer in answers if isinstance(answer, Envelope)]
        wishes = {candidate.ref: wish for candidate, _ in read if (wish := wish_of(candidate)) is not None}
        judged = self._judging.judge_each([envelope for _, envelope in read], wishes)
        decided: dict[ItemKey, Refused | ItemError] = {
            candidate.key: answer
            for candidate, answer in answers
            if isinstance(answer, ItemError) and not _is_read_anyway(candidate)
        }
        leftovers = []
        for (candidate, _), judgement in zip(read, judged, strict=True):
            if isinstance(judgement, Judged) and not judgement.is_accepted and not _is_read_anyway(candidate, judgement):
                decided[candidate.key] = Refused(judgement.judgement, judgement.awaits_original)
                leftovers += [judgement.leftover] if judgement.leftover else []
        self._emails.leave_behind(leftovers)
        return decided


_BY_HAND = frozenset({Reason.UNTRACKED, Reason.DELETED, Reason.DISCARDED})
"""Reasons to skip that a person gave: only a person changes that."""


def _is_read_anyway(candidate: Candidate, judged: Judged | None = None) -> bool:
    """Whatever its envelope says; a report says only inside of which email it speaks."""
    is_report = judged is not None and is_delivery_report(judged.envelope)
    return candidate.is_fetched_first or candidate.refusal is not None or is_report
