"""Does on the server what follows from verdicts: categories, the folder of undeliverable mail, deleting what is stored.

Each is a todo that was committed with the verdict, so that none is forgotten, and each may be repeated. One that fails is tried
again a few times and then left: it never makes the item fail, nor the run, unless the server wants to be left alone. Who may
read a mailbox may perhaps not write to it: that is said in an alert, and mail is read all the same.
"""

import logging
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta

from shared.domain.alerts import code_of
from shared.domain.choices import AlertLevel, Verdict
from shared.domain.email import ItemRef
from shared.domain.errors import AuthenticationFailed, ItemGone, LeaseLost, MailboxError, SyncError, Throttled
from shared.domain.ledger import LedgerItem, Todo, TodoKind
from shared.domain.operations import Alert
from shared.domain.organisation import OrganisationSettings
from shared.ports import Alerts, Clock, IncomingEmail, Marking
from shared.sync.lease import Change
from shared.sync.quarantine import QuarantineRoom

log = logging.getLogger(__name__)

KINDS = frozenset({TodoKind.STAMP, TodoKind.MOVE, TodoKind.DISCARD})
"""What is done here; other todos read the item again."""

ATTEMPTS = 5
TRIED_AGAIN_AFTER = timedelta(minutes=15)

UNDELIVERABLE = "Undeliverable"
"""Name of the folder beside the Inbox (moveundeliveredemails)."""

FAILED = "marking_failed"
"""Code of the alert about what cannot be done on the server."""

_CAUSES: Mapping[TodoKind, str] = {
    TodoKind.STAMP: "The category that says what became of a message cannot be set.",
    TodoKind.MOVE: "A message that was given up cannot be moved to the folder of undeliverable mail.",
    TodoKind.DISCARD: "A message that is stored cannot be deleted in the mailbox.",
}
_REMEDY = (
    "Mail is read and stored all the same. Give the profile's identity the right to change items of this mailbox, and the"
    " mailbox room to do so; or switch off what is to be done (stamp_categories, move_undeliverable, process_and_delete)."
)


class Marker:
    """Does such todos for one mailbox. All calls of the mail server happen on the thread of whoever calls."""

    def __init__(
        self,
        mail: IncomingEmail,
        alerts: Alerts,
        room: QuarantineRoom,
        settings: OrganisationSettings,
        clock: Clock,
        mailbox_id: str,
    ) -> None:
        self._mail = mail
        self._alerts = alerts
        self._room = room
        self._settings = settings
        self._clock = clock
        self._mailbox_id = mailbox_id
        self._refused: dict[TodoKind, MailboxError] = {}
        """What the server does not let us do here: it is not asked again in this run."""
        self._told: set[tuple[TodoKind, str]] = set()

    def do(self, todos: Sequence[Todo]) -> list[Change]:
        """What is to be committed for each. `todos` are of one kind, and one only but of DISCARD. Raises Throttled,
        AuthenticationFailed."""
        kind = todos[0].kind
        if refused := self._refused.get(kind):
            return [self._failed(todo, refused) for todo in todos]
        try:
            return self._discard(todos) if kind is TodoKind.DISCARD else [self._mark(todo) for todo in todos]
        except (Throttled, AuthenticationFailed, LeaseLost):
            raise
        except SyncError as error:
            return [self._failed(todo, error) for todo in todos]

    def _discard(self, todos: Sequence[Todo]) -> list[Change]:
        left = self._mail.discard([todo.item.ref for todo in todos])
        return [
            self._failed(todo, error) if (error := left.get(todo.item.ref)) else Change(todo.item, done=todo, leaves_row=True)
            for todo in todos
        ]

    def _mark(self, todo: Todo) -> Change:
        try:
            row = self._marked(todo)
        except ItemGone:
            row = None
        return Change(row or todo.item, done=todo, leaves_row=row is None)

    def _marked(self, todo: Todo) -> LedgerItem | None:
        """The row as it is then; None where it stays as it was."""
        if not isinstance(self._mail, Marking):
            return None
        return self._stamp(self._mail, todo.item) if todo.kind is TodoKind.STAMP else self._move(self._mail, todo.item)

    def _stamp(self, mail: Marking, row: LedgerItem) -> LedgerItem:
        """The category of its verdict is there, and no other of ours."""
        tracked, undeliverable = self._settings.tracked_category, self._settings.undeliverable_category
        by_verdict = {Verdict.PROMOTED: tracked, Verdict.QUARANTINED: undeliverable}
        add = {by_verdict[row.verdict]} if row.verdict in by_verdict else set()
        ours = {tracked, undeliverable, row.category or tracked}
        mail.categorize(row.ref, sorted(add), sorted(ours - add))
        return replace(row, category=tracked if row.verdict is Verdict.PROMOTED else None)

    def _move(self, mail: Marking, row: LedgerItem) -> LedgerItem:
        """A run that died behind the move has left the former reference: then the server looks where the item is now."""
        if self._settings.stamp_categories:
            with suppress(ItemGone):
                row = self._stamp(mail, row)
        moved: ItemRef = mail.move(row.ref, UNDELIVERABLE, row.message_id)
        self._room.moved(row, moved)
        return replace(row, ref=moved)

    def _failed(self, todo: Todo, error: SyncError) -> Change:
        extra = {"mailbox_id": self._mailbox_id, "kind": todo.kind.value, "code": code_of(error), "attempts": todo.attempts + 1}
        log.warning("marking_failed", extra=extra)
        if isinstance(error, MailboxError):
            self._refused[todo.kind] = error
            self._alert(todo.kind, error)
        if todo.attempts + 1 >= ATTEMPTS:
            self._alert(todo.kind, error)
            return Change(todo.item, done=todo, leaves_row=True)
        again = replace(todo, due=self._clock() + TRIED_AGAIN_AFTER, attempts=todo.attempts + 1)
        return Change(todo.item, again, done=todo, leaves_row=True)

    def _alert(self, kind: TodoKind, error: SyncError) -> None:
        """One for each kind and error, however many messages it is about."""
        if (kind, error.code) in self._told:
            return
        self._told.add((kind, error.code))
        self._alerts.put(
            Alert(
                about=f"mailbox:{self._mailbox_id}",
                code=FAILED,
                level=AlertLevel.WARNING,
                cause=f"{_CAUSES[kind]} {error}".strip(),
                remedy=_REMEDY,
                raised_on=self._clock(),
                parameters={"kind": kind.value, "error": error.code},
            )
        )
