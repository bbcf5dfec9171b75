"""Does on the server what follows from verdicts: categories, the folder of undeliverable mail, deleting what is stored.

Each is a todo that was committed with the verdict, so that none is forgotten, and each may be repeated. One that fails is tried
again a few times and then left: it never makes the item fail, nor the run, unless the server wants to be left alone.
"""

import logging
from dataclasses import replace
from datetime import timedelta

from shared.domain.alerts import code_of
from shared.domain.choices import Verdict
from shared.domain.email import ItemRef
from shared.domain.errors import ItemError, ItemGone, Throttled, TransientError
from shared.domain.ledger import LedgerItem, Todo, TodoKind
from shared.domain.organisation import OrganisationSettings
from shared.ports import Clock, IncomingEmail, Marking
from shared.sync.lease import Change
from shared.sync.quarantine import QuarantineRoom

log = logging.getLogger(__name__)

KINDS = frozenset({TodoKind.STAMP, TodoKind.MOVE, TodoKind.DISCARD})
"""What is done here; other todos read the item again."""

ATTEMPTS = 5
TRIED_AGAIN_AFTER = timedelta(minutes=15)

UNDELIVERABLE = "Undeliverable"
"""Name of the folder beside the Inbox (moveundeliveredemails)."""


class Marker:
    """Does such todos for one mailbox. All calls of the mail server happen on the thread of whoever calls."""

    def __init__(
        self, mail: IncomingEmail, room: QuarantineRoom, settings: OrganisationSettings, clock: Clock, mailbox_id: str
    ) -> None:
        self._mail = mail
        self._room = room
        self._settings = settings
        self._clock = clock
        self._mailbox_id = mailbox_id

    def do(self, todo: Todo) -> Change:
        """What is to be committed for it. Raises Throttled, MailboxError."""
        try:
            row = self._do(todo)
        except ItemGone:
            row = None
        except (ItemError, TransientError) as error:
            if isinstance(error, Throttled):
                raise
            return self._failed(todo, error)
        return Change(row or todo.item, done=todo, leaves_row=row is None)

    def _do(self, todo: Todo) -> LedgerItem | None:
        """The row as it is then; None where it stays as it was."""
        if todo.kind is TodoKind.DISCARD:
            self._mail.discard(todo.item.ref)
            return None
        if not isinstance(self._mail, Marking):
            return None
        return self._stamp(self._mail, todo.item) if todo.kind is TodoKind.STAMP else self._move(self._mail, todo.item)

    def _stamp(self, mail: Marking, row: LedgerItem) -> LedgerItem:
        """The category of its verdict is there, and no other of ours."""
        tracked, undeliverable = self._settings.tracked_category, self._settings.undeliverable_category
        by_verdict = {Verdict.PROMOTED: tracked, Verdict.QUARANTINED: undeliverable}
        add = {by_verdict[row.verdict]} if row.verdict in by_verdict else set()
        mail.categorize(row.ref, sorted(add), sorted({tracked, undeliverable} - add))
        return replace(row, is_stamped=row.verdict is Verdict.PROMOTED)

    def _move(self, mail: Marking, row: LedgerItem) -> LedgerItem:
        if self._settings.stamp_categories:
            row = self._stamp(mail, row)
        moved: ItemRef = mail.move(row.ref, UNDELIVERABLE)
        self._room.moved(row, moved)
        return replace(row, ref=moved)

    def _failed(self, todo: Todo, error: Exception) -> Change:
        extra = {"mailbox_id": self._mailbox_id, "kind": todo.kind.value, "code": code_of(error), "attempts": todo.attempts + 1}
        log.warning("marking_failed", extra=extra)
        if todo.attempts + 1 >= ATTEMPTS:
            return Change(todo.item, done=todo, leaves_row=True)
        again = replace(todo, due=self._clock() + TRIED_AGAIN_AFTER, attempts=todo.attempts + 1)
        return Change(todo.item, again, done=todo, leaves_row=True)
