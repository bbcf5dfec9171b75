"""One run over the outbox of one mailbox: looks whether anything waits, takes the lease, sends, gives the lease back.

The outbox holds hints; each is confirmed against its email, and what is left over is cleared away. Refuses to know how a server
is spoken to, schedules, and what follows from an error.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import timedelta
from itertools import batched

from shared.domain.choices import Workload
from shared.domain.delivery import OutboxEntry
from shared.domain.errors import LeaseLost, UnreadableRow
from shared.domain.ids import ActivityId
from shared.domain.ledger import LedgerHead
from shared.domain.operations import RunOutcome
from shared.domain.steps import StoredEmail
from shared.ports import Drafting, OpenOutgoing, OutgoingEmail
from shared.sync.assignment import Assignment, Surroundings
from shared.sync.booking import Tally
from shared.sync.composing import LOST
from shared.sync.delivering import Standing, delivery_of, is_under_way, standing
from shared.sync.direct_sending import DirectSending
from shared.sync.draft_sending import DraftSending
from shared.sync.filing import Filing
from shared.sync.inline import InlineExecutor
from shared.sync.journal import InHand, Journal
from shared.sync.lease import Lease, is_held
from shared.sync.left_drafts import LeftDrafts, have_to_go
from shared.sync.pace import pace_of
from shared.sync.recorded_drafts import RecordedDrafts
from shared.sync.shipping import LONGEST_EFFECT, Shipping
from shared.sync.whereabouts import whereabouts

_RENEWED_EVERY = timedelta(minutes=1)
"""The lease is renewed so often while a run sends: it always outlasts the email that is with the server."""


class OutgoingRun:
    """One run. However `go` ends, `give_back` may be called after it."""

    def __init__(self, assignment: Assignment, around: Surroundings, open_outgoing: OpenOutgoing) -> None:
        self.tally = Tally()
        self._assignment = assignment
        self._mailbox = assignment.mailbox
        self._around = around
        self._stores = around.stores
        self._open_outgoing = open_outgoing
        self._started = around.clock()
        self._shipping: Shipping | None = None
        self._taken_up: set[ActivityId] = set()
        """Emails that this run has tried already."""
        self._passed: set[OutboxEntry] = set()
        """Entries that this run has looked at."""
        self._lease = Lease(
            around.stores.ledger,
            self._mailbox.id,
            Workload.OUTGOING,
            assignment.run_id,
            max(around.budget.lease, LONGEST_EFFECT + _RENEWED_EVERY),
            around.clock,
        )

    def go(self) -> RunOutcome:
        """Raises SyncError where the run cannot go on, LeaseLost where another worker has the mailbox now."""
        around = self._around
        if self._assignment.is_probe:
            with self._open() as mail:
                mail.check()
        entries = self._next_entries()
        head = around.stores.ledger.head(self._mailbox.id, Workload.OUTGOING, around.clock())
        if not entries and not have_to_go(head, around.clock()):
            return RunOutcome.IDLE
        if is_held(head.state, around.clock()):
            return RunOutcome.HELD
        shipping = self._new_shipping(head)
        if not shipping.pace.room(around.clock()):
            self.tally.not_before = shipping.pace.next_room(around.clock())
            return RunOutcome.IDLE
        try:
            self._lease.take(head)
        except LeaseLost:
            return RunOutcome.HELD
        if self._was_changed():
            self.give_back()
            return RunOutcome.HELD
        self._shipping = shipping
        try:
            with self._open() as mail:
                self._send(mail, shipping, entries)
        finally:
            shipping.filing.finish()
        self.give_back()
        return RunOutcome.CONTINUED if shipping.is_out_of_time else RunOutcome.COMPLETED

    def _open(self) -> AbstractContextManager[OutgoingEmail]:
        assignment = self._assignment
        return self._open_outgoing(assignment.profile, self._mailbox, whereabouts(assignment, self._around))

    def give_back(self) -> None:
        """Releases the lease if this run holds it. Raises TransientError or LeaseLost; the lease then expires by itself."""
        self._lease.release(marks=() if self._shipping is None else self._shipping.marks())

    def _was_changed(self) -> bool:
        """The mailbox was changed after this run read it: another run follows, as the change made the mailbox due."""
        present = self._stores.mailboxes.get(self._mailbox.id)
        return present is None or present.record != self._mailbox

    # ---- what waits

    def _waiting(self, entries: Sequence[OutboxEntry], filing: Filing, executor: Executor) -> Iterator[InHand]:
        """Emails to be sent now, each once. One that was interrupted comes last: it may be what stopped the run before."""
        while entries:
            interrupted: list[InHand] = []
            for hand in self._confirmed(entries, filing, executor):
                if is_under_way(hand.email):
                    interrupted.append(hand)
                else:
                    yield hand
            yield from sorted(interrupted, key=lambda hand: delivery_of(hand.email).attempts)
            filing.file()
            entries = self._next_entries(filing.removed)

    def _next_entries(self, removed: int = 0) -> Sequence[OutboxEntry]:
        """Read again after each batch, so that high priority goes ahead. Those that were looked at may still be there."""
        limit = self._around.budget.outbox_batch + len(self._passed) - removed
        found = self._stores.outbox.due(self._mailbox.id, self._around.clock(), limit)
        for error in found.unreadable:
            self.tally.leave_aside(error)
        new = [entry for entry in found.entries if entry not in self._passed]
        self._passed.update(new)
        return new

    def _confirmed(self, entries: Sequence[OutboxEntry], filing: Filing, executor: Executor) -> Iterator[InHand]:
        """What the entries announce, read in windows, the next one while this one is sent."""
        windows = list(batched(entries, self._around.budget.window, strict=False))
        asked = [{entry.activity_id for entry in window} for window in windows]
        reading = executor.submit(self._read, asked[0])
        for window, following in zip(windows, [*asked[1:], None], strict=True):
            emails = reading.result()
            if following is not None:
                reading = executor.submit(self._read, following)
            for entry in window:
                if hand := self._settled(entry, emails.get(entry.activity_id), filing):
                    yield hand

    def _read(self, activity_ids: Collection[ActivityId]) -> Mapping[ActivityId, StoredEmail | UnreadableRow]:
        """One of which a text is lost, or that a later version wrote, keeps none of the others from being read."""
        try:
            return self._stores.activities.whole(activity_ids)
        except (KeyError, UnreadableRow) as error:
            if len(activity_ids) > 1:
                return {key: email for each in activity_ids for key, email in self._read([each]).items()}
            if isinstance(error, UnreadableRow):
                return dict.fromkeys(activity_ids, error)
        return {key: StoredEmail(stored, LOST) for key, stored in self._stores.activities.find(activity_ids).items()}

    def _settled(self, entry: OutboxEntry, email: StoredEmail | UnreadableRow | None, filing: Filing) -> InHand | None:
        """The email if it is to be sent now; else what its entry leads to is done. One that cannot be read waits on."""
        if isinstance(email, UnreadableRow):
            self.tally.leave_aside(email)
            return None
        stands = standing(entry, email, self._around.clock(), self._around.budget.hint_life)
        if email is None or stands is Standing.WORTHLESS:
            filing.discard(entry)
            return None
        hand = InHand(entry, email.activity, email.content)
        if stands is Standing.READY and entry.activity_id not in self._taken_up:
            self._taken_up.add(entry.activity_id)
            return hand
        if stands is Standing.WAITING:
            self._announce_again(hand)
        if stands in (Standing.WAITING, Standing.SENT):
            filing.take(hand)
        return None

    def _announce_again(self, hand: InHand) -> None:
        """By the time that the email itself says, before the entry that says another one goes."""
        due = delivery_of(hand.email).due or hand.entry.due
        self._stores.outbox.put([replace(hand.entry, due=due)])

    # ---- sending

    def _send(self, mail: OutgoingEmail, shipping: Shipping, entries: Sequence[OutboxEntry]) -> None:
        """Drafts are read in a thread of the executor, where nothing may wait for another one: all runs share them."""
        budget, executor = self._around.budget, self._around.executor
        beside = InlineExecutor() if isinstance(mail, Drafting) else executor
        emails = shipping.as_long_as_possible(self._waiting(entries, shipping.filing, beside))
        if isinstance(mail, Drafting):
            DraftSending(mail, shipping, executor, budget).send(emails)
        else:
            DirectSending(mail, shipping, executor, budget).send(emails)

    def _new_shipping(self, head: LedgerHead) -> Shipping:
        around, profile = self._around, self._assignment.profile
        return Shipping(
            mailbox=self._mailbox,
            profile=profile,
            blobs=self._stores.blobs,
            journal=Journal(self._stores),
            filing=Filing(self._stores, around.settings(), around.budget.drafts_at_once, around.executor),
            lease=self._lease,
            clock=around.clock,
            deadline=self._started + around.budget.time,
            pace=pace_of(head, profile.emails_per_minute),
            drafts=RecordedDrafts(self._lease, head),
            left=LeftDrafts(self._lease, head, around.clock),
            tally=self.tally,
        )
