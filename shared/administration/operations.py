"""What operators look at: the runs and quarantined items of a mailbox, and alerts, which they acknowledge."""

from shared.administration.auditing import Auditing
from shared.administration.failures import RecordNotFound
from shared.domain.audit import Caller, ChangeAction
from shared.domain.ids import MailboxId
from shared.domain.operations import Alert, QuarantinedItem, Run
from shared.ports import Clock, Slice, Stores


class Operations:
    def __init__(self, stores: Stores, clock: Clock, auditing: Auditing) -> None:
        self._stores = stores
        self._clock = clock
        self._auditing = auditing

    def runs(self, mailbox_id: MailboxId, continuation: str | None = None, limit: int = 50) -> Slice[Run]:
        """Newest first; idle polls leave none. Raises RecordNotFound, InvalidRecord."""
        self._check_mailbox(mailbox_id)
        return self._stores.runs.list(mailbox_id, continuation, limit)

    def quarantine(self, mailbox_id: MailboxId, continuation: str | None = None, limit: int = 50) -> Slice[QuarantinedItem]:
        """Newest first. Raises RecordNotFound, InvalidRecord."""
        self._check_mailbox(mailbox_id)
        return self._stores.quarantine.list(mailbox_id, continuation, limit)

    def alerts(self, about: str | None = None, continuation: str | None = None, limit: int = 50) -> Slice[Alert]:
        """Of everything, or about one thing (`mailbox:<id>`, `profile:<id>`, `queue:<name>`). Raises InvalidRecord."""
        return self._stores.alerts.list(about, continuation, limit)

    def acknowledge(self, alert_id: str, caller: Caller) -> Alert:
        """Marks the alert as seen; raised again later, it is open again. Raises RecordNotFound.

        Only the store knows what the id stands for, so here the audit follows; a repetition after a crash writes both again.
        """
        now = self._clock()
        alert = self._stores.alerts.acknowledge(alert_id, caller.name, now)
        if alert is None:
            raise RecordNotFound(f"there is no alert {alert_id}")
        trail = self._auditing.trail(caller, f"alert:{alert.about}:{alert.code}")
        trail.note(ChangeAction.ACKNOWLEDGED, None, None, f"{alert.id}:{alert.raised_on.isoformat()}")
        return alert

    def _check_mailbox(self, mailbox_id: MailboxId) -> None:
        if self._stores.mailboxes.get(mailbox_id) is None:
            raise RecordNotFound(f"there is no mailbox {mailbox_id}")
