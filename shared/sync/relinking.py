"""Gives the emails of a folder the regarding that its tracking rule has now, after the rule was pointed at another record.

Works from the ledger and writes activities only, each under its own ETag, so it needs no lease. What another mailbox's rule,
or another folder's of the same mailbox, says of an email stays: the first one that processed it wins. Repeating it changes
nothing more.
"""

import logging
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import batched

from shared.domain.choices import RegardingSource, Verdict, Workload
from shared.domain.email import EmailActivity, StoredActivity
from shared.domain.ids import ActivityId, MailboxId, short_hash
from shared.domain.ledger import LedgerItem
from shared.domain.records import FolderTrackingRule, RecordRef
from shared.messages import Queue, RelinkFolder
from shared.ports import Activities, Clock, Stores, Timeline
from shared.sync.budgets import RunBudget
from shared.sync.rewriting import rewrite
from shared.sync.watching import rules_that_hold

log = logging.getLogger(__name__)

WAITS_FOR_RULE = timedelta(minutes=5)
"""Between looks at a rule that was announced and is not there."""

_AT_ONCE = 50


def rule_name(mailbox_id: MailboxId, folder_id: str) -> str:
    """As `EmailActivity.regarding_rule` has it."""
    return f"{mailbox_id}:{short_hash(folder_id)}"


def by_rule(email: EmailActivity, rule: FolderTrackingRule, *, moved: bool) -> EmailActivity:
    """The email as the rule of the folder that it lies in has it. `moved`: it came here from another folder of the mailbox,
    whose rule does not count any more."""
    if rule.regarding is None or email.deleted_on is not None:
        return email
    name = rule_name(rule.mailbox_id, rule.folder_id)
    if rule.from_now_on and email.regarding_rule == name:
        return email
    of_this_mailbox = email.regarding_rule is not None and email.regarding_rule.startswith(f"{rule.mailbox_id}:")
    if email.regarding_rule not in (None, name) and not (moved and of_this_mailbox):
        return email
    return replace(email, regarding=rule.regarding, regarding_set_by=RegardingSource.RULE, regarding_rule=name)


def set_by_rule(
    activities: Activities, timeline: Timeline, stored: StoredActivity, rule: FolderTrackingRule, *, moved: bool
) -> StoredActivity:
    """Writes `by_rule`. Raises TransientError."""
    return rewrite(activities, timeline, stored, lambda email: by_rule(email, rule, moved=moved))


def by_hand(email: EmailActivity, regarding: RecordRef) -> EmailActivity:
    """The email as a person wants it; what a rule set stays."""
    if email.regarding_rule is not None or email.deleted_on is not None:
        return email
    return replace(email, regarding=regarding, regarding_set_by=RegardingSource.HAND)


def set_by_hand(activities: Activities, timeline: Timeline, stored: StoredActivity, regarding: RecordRef) -> StoredActivity:
    """Writes `by_hand`. Raises TransientError."""
    return rewrite(activities, timeline, stored, lambda email: by_hand(email, regarding))


class Relinking:
    """Does what `RelinkFolder` messages say."""

    def __init__(self, stores: Stores, clock: Clock, budget: RunBudget | None = None) -> None:
        self._stores = stores
        self._clock = clock
        self._budget = budget or RunBudget()

    def run(self, message: RelinkFolder) -> int:
        """How many emails were looked at; what is left when the time is spent is queued again. Raises TransientError."""
        stored = self._stores.tracking_rules.get(message.mailbox_id, message.folder_id)
        if stored is None or stored.record.regarding != _announced(message):
            self._wait(message)
            return 0
        if not stored.record.active:
            return 0
        return self._walk(message, stored.record)

    def _wait(self, message: RelinkFolder) -> None:
        """The rule is not written yet, or never was, or was changed again."""
        if self._clock() < _until(message):
            self._stores.queues.send(Queue.RELINK_FOLDER, message.to_json(), WAITS_FOR_RULE)

    def _walk(self, message: RelinkFolder, rule: FolderTrackingRule) -> int:
        deadline = self._clock() + self._budget.time
        seen = 0
        for items in batched(self._items(message, rule), _AT_ONCE, strict=False):
            self._relink([each for item in items for each in item.activity_ids], rule)
            seen += len(items)
            if self._clock() >= deadline:
                self._stores.queues.send(Queue.RELINK_FOLDER, replace(message, after=str(items[-1].key)).to_json())
                return seen
        log.info("folder_relinked", extra={"mailbox_id": message.mailbox_id, "emails": seen})
        return seen

    def _items(self, message: RelinkFolder, rule: FolderTrackingRule) -> Iterator[LedgerItem]:
        folders = self._folders(rule)
        for item in self._stores.ledger.items(message.mailbox_id, Workload.INCOMING):
            if item.ref.folder in folders and item.verdict is Verdict.PROMOTED and str(item.key) > (message.after or ""):
                yield item

    def _folders(self, rule: FolderTrackingRule) -> Collection[str]:
        """Those that the rule holds in, by the tree as it was read last."""
        known = self._stores.folder_trees.get(rule.mailbox_id)
        if known is None or not rule.include_subfolders:
            return {rule.folder_id}
        rules = [each.record for each in self._stores.tracking_rules.list(rule.mailbox_id) if each.record.active]
        holding = rules_that_hold(rules, known.folders)
        return {rule.folder_id} | {folder for folder, held_by in holding.items() if held_by.folder_id == rule.folder_id}

    def _relink(self, ids: Sequence[ActivityId], rule: FolderTrackingRule) -> None:
        for stored in self._stores.activities.find(ids).values():
            set_by_rule(self._stores.activities, self._stores.timeline, stored, rule, moved=False)


def _announced(message: RelinkFolder) -> RecordRef:
    return RecordRef(message.regarding_type, message.regarding_id)


def _until(message: RelinkFolder) -> datetime:
    until = datetime.fromisoformat(message.until)
    return until if until.tzinfo else until.replace(tzinfo=UTC)
