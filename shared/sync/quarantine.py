"""Keeps what failed for good: its raw form, its place in the list of quarantined items, and an alert. Idempotent by item."""

from dataclasses import replace

from shared.domain.choices import AlertLevel
from shared.domain.email import ItemRef
from shared.domain.errors import ItemError, TransientError
from shared.domain.ids import MailboxId
from shared.domain.ledger import LedgerItem
from shared.domain.operations import Alert, QuarantinedItem
from shared.domain.words import cause_of
from shared.ports import IncomingEmail, Stores
from shared.sync.items import DETAIL_LENGTH, StoppedTheProcess


def raw_blob_name(mailbox_id: MailboxId, item: LedgerItem) -> str:
    return f"quarantine/{mailbox_id}/{item.key}"


class QuarantineRoom:
    """Where the items of one mailbox go that are given up."""

    def __init__(self, stores: Stores, mail: IncomingEmail, mailbox_id: MailboxId, version: str) -> None:
        self._stores = stores
        self._mail = mail
        self._mailbox_id = mailbox_id
        self._version = version

    def keep(self, item: LedgerItem, error: ItemError, *, without_raw: bool = False) -> None:
        """Writes everything but the ledger row, which is committed after it. Raises TransientError.

        `without_raw`: where the raw form cannot be had just now, the item is kept without it.
        """
        blob, note = self._raw(item, error, without_raw=without_raw)
        self._stores.quarantine.put(
            QuarantinedItem(
                mailbox_id=self._mailbox_id,
                key=item.key,
                ref=item.ref,
                message_id=item.message_id,
                quarantined_on=item.decided_on,
                received=item.received,
                error=error.code,
                detail=f"{item.detail} {note}".strip()[: 2 * DETAIL_LENGTH],
                attempts=item.attempts,
                version=self._version,
                raw_blob=blob,
            )
        )
        self._stores.alerts.put(self._alert(item, error))

    def release(self, item: LedgerItem) -> None:
        """The item is not given up any more; before the ledger says so. Raises TransientError."""
        self._stores.quarantine.remove(self._mailbox_id, item.key)
        self._stores.blobs.delete(raw_blob_name(self._mailbox_id, item))

    def moved(self, item: LedgerItem, ref: ItemRef) -> None:
        """The item lies somewhere else now. Raises TransientError."""
        kept = self._stores.quarantine.get(self._mailbox_id, item.key)
        if kept is not None:
            self._stores.quarantine.put(replace(kept, ref=ref))

    def _raw(self, item: LedgerItem, error: ItemError, *, without_raw: bool) -> tuple[str | None, str]:
        """Name of the blob with the raw form, or None and why there is none."""
        if isinstance(error, StoppedTheProcess):
            return None, "The raw form was not read: the item is not touched again."
        name = raw_blob_name(self._mailbox_id, item)
        try:
            self._stores.blobs.write(name, self._mail.raw(item.ref))
        except ItemError as failure:
            return None, f"The raw form cannot be read: {failure}"
        except TransientError as failure:
            if not without_raw:
                raise
            return None, f"The raw form could not be read: {failure}"
        return name, ""

    def _alert(self, item: LedgerItem, error: ItemError) -> Alert:
        return Alert(
            about=f"mailbox:{self._mailbox_id}",
            code="item_quarantined",
            level=AlertLevel.ERROR,
            cause=f"A message was given up after {item.attempts} attempts. {cause_of(error.code)}",
            remedy=error.remedy,
            raised_on=item.decided_on,
            parameters={"item": str(item.key), "error": error.code},
        )
