"""What operators look at: the runs and quarantined items of a mailbox, and alerts."""

from shared.administration.failures import RecordNotFound
from shared.domain.ids import MailboxId
from shared.domain.operations import Alert, QuarantinedItem, Run
from shared.ports import Slice, Stores


class Operations:
    def __init__(self, stores: Stores) -> None:
        self._stores = stores

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

    def _check_mailbox(self, mailbox_id: MailboxId) -> None:
        if self._stores.mailboxes.get(mailbox_id) is None:
            raise RecordNotFound(f"there is no mailbox {mailbox_id}")
