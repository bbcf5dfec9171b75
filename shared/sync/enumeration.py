"""Finds the mailboxes that are due and enqueues each once; hands on what is more than one invocation should walk.

A mailbox is marked as queued first and enqueued then: only what this enumeration marked, it sends, however many run at
once. What is marked and never sent is due again when the mark expires.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import uuid4

from shared import breakers
from shared.domain.choices import Workload
from shared.domain.configuration import DueMailbox, StoredProfile
from shared.domain.eligibility import at_probe, has_connector, profile_ineligibility
from shared.domain.ids import ProfileId
from shared.messages import EnumerateShards, Queue, SyncMailbox, SyncReason
from shared.ports import Clock, Stores
from shared.sync.budgets import EnumerationBudget

log = logging.getLogger(__name__)

LAST_SHARD = 255


@dataclass(slots=True)
class Walk:
    """One enumeration: what it has seen and what it has sent."""

    started: datetime
    profiles: Mapping[ProfileId, StoredProfile]
    enqueued: int = 0
    probed: set[ProfileId] = field(default_factory=set)
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
        walk = Walk(self._clock(), {profile.record.id: profile for profile in self._stores.profiles.list()})
        for start in range(first, last + 1, self._budget.shards_at_once):
            end = min(start + self._budget.shards_at_once - 1, last)
            for due in self._stores.mailboxes.due(Workload.INCOMING, self._clock(), start, end):
                if self._is_spent(walk):
                    self._hand_on(walk, start, last)
                    return _logged(walk)
                self._enqueue(walk, due)
        return _logged(walk)

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

    def _enqueue(self, walk: Walk, due: Sequence[DueMailbox]) -> None:
        now = self._clock()
        marked = self._mark(now, _eligible(walk, due, now))
        self._send(walk, [SyncMailbox(uuid4().hex, mailbox.id, mailbox.workload) for mailbox in marked])
        for profile_id, mailbox in _first_at_probe(walk, due, now).items():
            self._probe(walk, profile_id, mailbox, now)

    def _mark(self, now: datetime, due: Sequence[DueMailbox]) -> Sequence[DueMailbox]:
        return self._stores.mailboxes.mark_queued(due, now + self._budget.queued_for) if due else ()

    def _send(self, walk: Walk, messages: Sequence[SyncMailbox]) -> None:
        if messages:
            self._stores.queues.send_many(Queue.SYNC_INCOMING, [message.to_json() for message in messages])
            walk.enqueued += len(messages)

    def _probe(self, walk: Walk, profile_id: ProfileId, mailbox: DueMailbox, now: datetime) -> None:
        """Sends a mailbox to probe a profile's credential. The breaker names its message first, so that another enumeration
        sends none; if this one is lost, the next follows when its mark expires."""
        walk.probed.add(profile_id)
        message = SyncMailbox(uuid4().hex, mailbox.id, mailbox.workload, SyncReason.PROBE)
        until = now + self._budget.queued_for
        if breakers.send_probe(self._stores.profiles, profile_id, now, until, message.id) and self._mark(now, [mailbox]):
            self._send(walk, [message])


def _eligible(walk: Walk, due: Sequence[DueMailbox], now: datetime) -> Sequence[DueMailbox]:
    """Those whose profile is active, and whose profile's breaker is closed."""
    return [mailbox for mailbox in due if _may_run(_profile_of(walk, mailbox), now)]


def _may_run(profile: StoredProfile | None, now: datetime) -> bool:
    if profile is None or profile_ineligibility(profile, Workload.INCOMING, now) is not None:
        return False
    return not at_probe(profile, now)


def _first_at_probe(walk: Walk, due: Sequence[DueMailbox], now: datetime) -> Mapping[ProfileId, DueMailbox]:
    """For every active profile whose breaker is half open, and that was not probed in this walk, its first mailbox."""
    first: dict[ProfileId, DueMailbox] = {}
    for mailbox in due:
        profile = _profile_of(walk, mailbox)
        if profile is not None and profile.record.id not in walk.probed and _is_to_probe(profile, now):
            first.setdefault(profile.record.id, mailbox)
    return first


def _is_to_probe(profile: StoredProfile, now: datetime) -> bool:
    is_possible = profile.record.active and has_connector(Workload.INCOMING, profile.record.server_type)
    return is_possible and at_probe(profile, now)


def _profile_of(walk: Walk, mailbox: DueMailbox) -> StoredProfile | None:
    return walk.profiles.get(mailbox.profile_id) if mailbox.profile_id is not None else None


def _logged(walk: Walk) -> Walk:
    if walk.enqueued or walk.handed_on:
        log.info("mailboxes_enqueued", extra={"enqueued": walk.enqueued, "handed_on": walk.handed_on})
    return walk
