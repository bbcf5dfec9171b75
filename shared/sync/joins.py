"""The todos of emails that wait for the beginning of their conversation: when each is joined, and what its row says then.

While older mail of the mailbox is still being read, originals are on the way: then nothing is looked for, and that counts as no
attempt.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import replace
from itertools import batched

from shared.domain.errors import SyncError, UnreadableRow
from shared.domain.ids import ActivityId
from shared.domain.ledger import LedgerItem, Todo
from shared.domain.organisation import OrganisationSettings
from shared.ports import Clock, Stores
from shared.sync.budgets import ItemLimits
from shared.sync.items import joining
from shared.sync.joining import Joined, Joining, noted
from shared.sync.lease import Change

log = logging.getLogger(__name__)

JOINED_AT_ONCE = 50
"""Emails that are joined to their conversations together: their contents are held in memory."""


class Joins:
    """Such todos of one mailbox."""

    def __init__(
        self,
        stores: Stores,
        settings: OrganisationSettings,
        executor: Executor,
        limits: ItemLimits,
        clock: Clock,
        *,
        backfills: bool,
        leave_aside: Callable[[UnreadableRow], None],
    ) -> None:
        """`backfills`: a folder is being read for the first time. `leave_aside` is told what cannot be read."""
        self._stores = stores
        self._settings = settings
        self._executor = executor
        self._limits = limits
        self._clock = clock
        self._backfills = backfills
        self._leave_aside = leave_aside

    def put_off(self, todos: Sequence[Todo]) -> list[Change]:
        """What is committed for them while older mail is still to come; nothing where they are to be done."""
        if not self._backfills:
            return []
        due = self._clock() + self._limits.judged_again_after[0]
        return [Change(todo.item, replace(todo, due=due), done=todo, leaves_row=True) for todo in todos]

    def done(self, standing: Sequence[tuple[Todo, LedgerItem]]) -> list[Change]:
        """Joins the emails of the rows, and returns what is committed for each. Raises TransientError."""
        wanted = [each for _, row in standing for each in row.activity_ids]
        joined: dict[ActivityId, Joined | UnreadableRow] = {}
        for some in batched(wanted, JOINED_AT_ONCE, strict=False):
            joined |= self._join(some)
        return [self._change_or_wait(todo, row, joined) for todo, row in standing]

    def _change_or_wait(self, todo: Todo, row: LedgerItem, joined: Mapping[ActivityId, Joined | UnreadableRow]) -> Change:
        """Where an email that it is about, or that leads up to it, cannot be read, it waits."""
        known = {key: each for key, each in joined.items() if not isinstance(each, UnreadableRow)}
        errors = [each for key in row.activity_ids if isinstance(each := joined.get(key), UnreadableRow)]
        if not errors:
            return self._change(todo, row, known)
        self._leave_aside(errors[0])
        later = replace(todo, due=self._clock() + self._limits.retry_after)
        return Change(row, later, done=todo, leaves_row=True)

    def _join(self, activity_ids: Sequence[ActivityId]) -> Mapping[ActivityId, Joined | UnreadableRow]:
        """One whose headers break it stays as it is, and does not affect the others."""
        try:
            return Joining(self._stores, self._settings, self._executor).join(activity_ids)
        except UnreadableRow as error:
            if len(activity_ids) == 1:
                return {activity_ids[0]: error}
        except SyncError:
            raise
        except Exception as error:  # noqa: BLE001 # computed from messages that strangers wrote
            if len(activity_ids) <= 1:
                log.warning("email_not_joined", extra={"activity_ids": activity_ids, "code": type(error).__name__})
                return {}
        return {key: each for one in activity_ids for key, each in self._join([one]).items()}

    def _change(self, todo: Todo, row: LedgerItem, joined: Mapping[ActivityId, Joined]) -> Change:
        """Whoever deleted the email, or joined it to where nothing is missing, leaves nothing to do. The judgement is that of
        the first email."""
        judgement, first = row.judgement, joined.get(row.activity_id) if row.activity_id else None
        if first is not None and judgement is not None:
            judgement = noted(judgement, first.email, first.conversation)
        present = replace(row, judgement=judgement)
        is_open = any(joined[each].email.is_fragment for each in row.activity_ids if each in joined)
        again = joining(present, todo.attempts + 1, self._limits, self._clock()) if is_open else None
        return Change(present, again, done=todo, leaves_row=present == row)
