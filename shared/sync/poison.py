"""What becomes of a queue message that failed for good: an alert, and a mailbox that is due again.

A run that died holds a lease until it expires. The message that started it is known to be dead, so its lease, and no
other's, is expired at once.
"""

import logging
from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

from shared.domain.choices import AlertLevel, Workload
from shared.domain.configuration import StoredMailbox, WorkloadSchedule
from shared.domain.errors import LeaseLost
from shared.domain.operations import Alert
from shared.domain.scheduling import after_transient
from shared.domain.words import cause_of
from shared.messages import (
    ChangeItems,
    EnumerateShards,
    LoadRecords,
    MalformedMessage,
    ProbeMailbox,
    ProfileTask,
    Queue,
    RelinkFolder,
    SyncMailbox,
    VisitMailboxes,
    parse,
)
from shared.ports import Clock, Stores
from shared.sync.lease import expire

log = logging.getLogger(__name__)

POISON = "poison_message"
_ASK_AGAIN = "Ask for it again; what was done already is not done twice. If this comes again, look at the log."
_REMEDY = "Nothing to do for now: the mailbox is tried again by itself. If this comes again, look at the log of the run."

_UNTESTED = "Not every mailbox was tested."
_UNCHANGED = "What was asked for messages of this mailbox was not done, or not for all of them."
_UNLINKED = "Not every email of a folder was given the regarding of its tracking rule."
_REST = timedelta(minutes=15)


class Poison:
    """Takes what the poison queues hold."""

    def __init__(self, stores: Stores, clock: Clock) -> None:
        self._stores = stores
        self._clock = clock

    def handle(self, queue: str, text: str) -> None:
        """`queue` is the name of the queue that the message failed on. Raises TransientError."""
        log.warning("poison_message", extra={"queue": queue})
        try:
            message = parse(text)
        except MalformedMessage as error:
            self._alert(f"queue:{queue}", error.code, str(error), error.remedy)
            return
        match message:
            case SyncMailbox():
                self._restart(message)
            case EnumerateShards():
                self._alert(f"queue:{queue}", POISON, "", "Nothing to do: the mailboxes are enumerated again within a minute.")
            case ProbeMailbox(mailbox_id=mailbox_id):
                self._alert(f"mailbox:{mailbox_id}", POISON, _UNTESTED, "Ask for the test again.")
            case VisitMailboxes(profile_id=profile_id, task=ProfileTask.TEST):
                self._alert(f"profile:{profile_id}", POISON, _UNTESTED, "Ask for the test again.")
            case VisitMailboxes(profile_id=profile_id):
                self._alert(f"profile:{profile_id}", POISON, "", "Nothing to do: each mailbox is tried again at its own time.")
            case LoadRecords():
                self._resume(message)
            case ChangeItems(mailbox_id=mailbox_id):
                self._alert(f"mailbox:{mailbox_id}", POISON, _UNCHANGED, _ASK_AGAIN)
                self._expire(message)
            case RelinkFolder(mailbox_id=mailbox_id):
                again = "Give the rule no regarding, then the present one again: it then goes through all of the folder."
                self._alert(f"mailbox:{mailbox_id}", POISON, _UNLINKED, again)

    def _resume(self, message: LoadRecords) -> None:
        """A load counts how often it stopped, and gives up by itself: for that it needs another message."""
        self._alert(f"load:{message.load_id}", POISON, "", "Nothing to do: the load goes on from where it stopped.")
        again = replace(message, id=uuid4().hex)
        self._stores.queues.send(Queue.LOAD_RECORDS, again.to_json(), delay=_REST)

    def _restart(self, message: SyncMailbox) -> None:
        """Lets the mailbox go on. Counted as a failure, so that one that always fails is tried less and less often."""
        mailbox = self._stores.mailboxes.get(message.mailbox_id)
        if mailbox is None:
            log.warning("unknown_mailbox", extra={"mailbox_id": message.mailbox_id, "message_id": message.id})
            return
        self._alert(f"mailbox:{message.mailbox_id}", POISON, "", _REMEDY)
        self._expire(message)
        self._make_due(mailbox, message.workload)

    def _expire(self, message: SyncMailbox | ChangeItems) -> None:
        workload = message.workload if isinstance(message, SyncMailbox) else Workload.INCOMING
        try:
            expire(self._stores.ledger, message.mailbox_id, workload, message.id, self._clock(), uuid4().hex)
        except LeaseLost:
            log.info("lease_moved_on", extra={"mailbox_id": message.mailbox_id})

    def _make_due(self, mailbox: StoredMailbox, workload: Workload) -> None:
        schedule = mailbox.schedule.get(workload, WorkloadSchedule())
        profile_id = mailbox.record.profile_id
        profile = self._stores.profiles.get(profile_id) if profile_id is not None else None
        if schedule.due is None or profile is None:
            return
        after = after_transient(schedule, self._clock(), profile.record.min_polling_interval, POISON)
        self._stores.mailboxes.reschedule(mailbox.record.id, workload, after)

    def _alert(self, about: str, code: str, detail: str, remedy: str) -> None:
        cause = f"{cause_of(code)} {detail}".strip()
        self._stores.alerts.put(Alert(about, code, AlertLevel.ERROR, cause, remedy, self._clock()))
