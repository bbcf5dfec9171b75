"""Finds the mailboxes that are due and enqueues each once; hands on what is more than one invocation should walk.

A mailbox is marked as queued first and enqueued then: only what this enumeration marked, it sends, however many run at
once. What is marked and never sent is due again when the mark expires.
"""

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import uuid4

from shared import breakers
from shared.domain.alerts import alert_of
from shared.domain.choices import Workload
from shared.domain.configuration import DueMailbox, StoredProfile, whose_sign_in
from shared.domain.eligibility import at_probe, has_connector, profile_ineligibility
from shared.domain.errors import UnreadableRow
from shared.domain.ids import ProfileId
from shared.messages import EnumerateShards, Queue, SyncMailbox, SyncReason
from shared.ports import Clock, Stores
from shared.sync.budgets import EnumerationBudget

log = logging.getLogger(__name__)

LAST_SHARD = 255

_QUEUES: Mapping[Workload, Queue] = {Workload.OUTGOING: Queue.SYNC_OUTGOING, Workload.INCOMING: Queue.SYNC_INCOMING}
"""Workloads in the order in which they are looked at: what people sent does not wait for a poll."""

type SignIn = tuple[ProfileId, Workload]
"""What a breaker of a profile is about."""


@dataclass(slots=True)
class Walk:
    """One enumeration: what it has seen and what it has sent."""

    started: datetime
    profiles: Mapping[ProfileId, StoredProfile]
    enqueued: int = 0
    probed: set[SignIn] = field(default_factory=set)
    """Sign-ins for which a mailbox was sent."""
    handed_on: int = 0
    """Messages that hand shards on."""


class Enumeration:
    """Walks the schedules of all mailboxes."""

    def __init__(self, stores: Stores, clock: Clock, budget: EnumerationBudget | None = None) -> None:
        self._stores = stores
        self._clock = clock
        self._budget = budget or EnumerationBudget()

    def enumerate_all(self) -> Walk:
        """Every shard. Raises TransientError; what was not enqueued then stays due."""
        return self._walk(0, LAST_SHARD)

    def enumerate_shards(self, message: EnumerateShards) -> Walk:
        """The shards of a slice that an enumeration before handed on."""
        return self._walk(message.first, message.last)

    def _walk(self, first: int, last: int) -> Walk:
        profiles = self._readable(self._stores.profiles.list(), "profile")
        walk = Walk(self._clock(), {profile.record.id: profile for profile in profiles})
        for start in range(first, last + 1, self._budget.shards_at_once):
            end = min(start + self._budget.shards_at_once - 1, last)
            if not all(self._walk_slice(walk, workload, start, end) for workload in _QUEUES):
                self._hand_on(walk, start, last)
                break
        return _logged(walk)

    def _walk_slice(self, walk: Walk, workload: Workload, first: int, last: int) -> bool:
        """Whether the slice was walked to its end."""
        found = self._stores.mailboxes.due(workload, self._clock(), first, last)
        for due in self._readable(found, "mailbox", workload):
            if self._is_spent(walk):
                return False
            self._enqueue(walk, workload, due)
        return True

    def _readable[T](self, found: Iterable[T], kind: str, workload: Workload = Workload.INCOMING) -> Iterator[T]:
        """What cannot be read keeps nobody else from his turn: each has an alert."""
        try:
            yield from found
        except UnreadableRow as error:
            for each in error.rows:
                alert = alert_of(f"{kind}:{each}", UnreadableRow("", (each,)), self._clock(), {}, workload)
                self._stores.alerts.put(alert)

    def _is_spent(self, walk: Walk) -> bool:
        """Never before something was enqueued: whoever is handed the rest gets further, however slow the store is."""
        if not walk.enqueued:
            return False
        return walk.enqueued >= self._budget.mailboxes or self._clock() - walk.started >= self._budget.time

    def _hand_on(self, walk: Walk, first: int, last: int) -> None:
        """The remaining shards, cut in slices. The first one holds shards that are walked already: nothing is due there."""
        slices = [
            EnumerateShards(uuid4().hex, start, min(start + self._budget.shards_at_once - 1, last))
            for start in range(first, last + 1, self._budget.shards_at_once)
        ]
        self._stores.queues.send_many(Queue.ENUMERATE_SHARDS, [message.to_json() for message in slices])
        walk.handed_on = len(slices)

    # ---- one shard

    def _enqueue(self, walk: Walk, workload: Workload, due: Sequence[DueMailbox]) -> None:
        now = self._clock()
        marked = self._mark(now, _eligible(walk, workload, due, now))
        self._send(walk, workload, [SyncMailbox(uuid4().hex, mailbox.id, workload) for mailbox in marked])
        for mailbox in due:
            sign_in = _to_probe(walk, mailbox, now)
            if sign_in is not None and self._can_be_read(mailbox):
                walk.probed.add(sign_in)
                self._probe(walk, sign_in[0], mailbox, now)

    def _mark(self, now: datetime, due: Sequence[DueMailbox]) -> Sequence[DueMailbox]:
        return self._stores.mailboxes.mark_queued(due, now + self._budget.queued_for) if due else ()

    def _send(self, walk: Walk, workload: Workload, messages: Sequence[SyncMailbox]) -> None:
        if messages:
            self._stores.queues.send_many(_QUEUES[workload], [message.to_json() for message in messages])
            walk.enqueued += len(messages)

    def _can_be_read(self, mailbox: DueMailbox) -> bool:
        """The message of one that cannot would be refused before it tries anything, and it would be sent again and again."""
        try:
            return self._stores.mailboxes.get(mailbox.id) is not None
        except UnreadableRow:
            return False

    def _probe(self, walk: Walk, profile_id: ProfileId, mailbox: DueMailbox, now: datetime) -> None:
        """Sends a mailbox to probe a profile's credential. The breaker names its message first, so that another enumeration
        sends none; if this one is lost, the next follows when its mark expires."""
        message = SyncMailbox(uuid4().hex, mailbox.id, mailbox.workload, SyncReason.PROBE)
        until = now + self._budget.queued_for
        profiles = self._stores.profiles
        is_sent = breakers.send_probe(profiles, profile_id, mailbox.workload, now, until, message.id)
        if is_sent and self._mark(now, [mailbox]):
            self._send(walk, mailbox.workload, [message])


def _eligible(walk: Walk, workload: Workload, due: Sequence[DueMailbox], now: datetime) -> Sequence[DueMailbox]:
    """Those whose profile is active, and whose profile's breaker is closed for the workload."""
    return [mailbox for mailbox in due if _may_run(_profile_of(walk, mailbox), workload, now)]


def _may_run(profile: StoredProfile | None, workload: Workload, now: datetime) -> bool:
    if profile is None or profile_ineligibility(profile, workload, now) is not None:
        return False
    return not at_probe(profile, workload, now)


def _to_probe(walk: Walk, mailbox: DueMailbox, now: datetime) -> SignIn | None:
    """The sign-in of an active profile that the mailbox may probe: its breaker is half open, and none was sent for it yet."""
    profile, workload = _profile_of(walk, mailbox), mailbox.workload
    if profile is None or not profile.record.active or not has_connector(workload, profile.record.server_type):
        return None
    sign_in = profile.record.id, whose_sign_in(profile.record, workload)
    return sign_in if sign_in not in walk.probed and at_probe(profile, workload, now) else None


def _profile_of(walk: Walk, mailbox: DueMailbox) -> StoredProfile | None:
    return walk.profiles.get(mailbox.profile_id) if mailbox.profile_id is not None else None


def _logged(walk: Walk) -> Walk:
    if walk.enqueued or walk.handed_on:
        log.info("mailboxes_enqueued", extra={"enqueued": walk.enqueued, "handed_on": walk.handed_on})
    return walk
