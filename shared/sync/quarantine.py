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

SETTLED_BY = "Sidesync"
"""Who acknowledges the alert about an item that is not in quarantine any more."""

_GONE = (
    "The message is not where it lay in the mailbox: it was deleted, or moved to another folder. What is kept of it stays here."
)


def raw_blob_name(mailbox_id: MailboxId, item: LedgerItem) -> str:
    return f"quarantine/{mailbox_id}/{item.key}"


def release(stores: Stores, mailbox_id: MailboxId, item: LedgerItem) -> None:
    """The item is not given up any more: its alert is settled, its raw form goes, and what leads to both goes last. Idempotent.
    Raises TransientError."""
    kept = stores.quarantine.get(mailbox_id, item.key)
    if kept is not None:
        stores.alerts.acknowledge(_alert_about(kept).id, SETTLED_BY, item.decided_on)
    stores.blobs.delete(raw_blob_name(mailbox_id, item))
    stores.quarantine.remove(mailbox_id, item.key)


def _alert_about(kept: QuarantinedItem, remedy: str = "") -> Alert:
    return Alert(
        about=f"mailbox:{kept.mailbox_id}",
        code="item_quarantined",
        level=AlertLevel.ERROR,
        cause=f"A message was given up after {kept.attempts} attempts. {cause_of(kept.error)}",
        remedy=remedy,
        raised_on=kept.quarantined_on,
        parameters={"item": kept.id, "error": kept.error},
    )


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
        kept = QuarantinedItem(
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
        former = self._stores.quarantine.get(self._mailbox_id, item.key)
        if former is not None and former.error != kept.error:  # a replay failed otherwise
            self._stores.alerts.acknowledge(_alert_about(former).id, SETTLED_BY, item.decided_on)
        self._stores.quarantine.put(kept)
        self._stores.alerts.put(_alert_about(kept, error.remedy))

    def release(self, item: LedgerItem) -> None:
        """The item is not given up any more; before the ledger says so. Raises TransientError."""
        release(self._stores, self._mailbox_id, item)

    def gone(self, item: LedgerItem) -> None:
        """The item was to be replayed, and is not there any more: it stays, and says so. Raises TransientError."""
        kept = self._stores.quarantine.get(self._mailbox_id, item.key)
        if kept is not None:
            detail = kept.detail if kept.detail.startswith(_GONE) else f"{_GONE} {kept.detail}".strip()
            self._stores.quarantine.put(replace(kept, version=self._version, detail=detail))

    def moved(self, item: LedgerItem, ref: ItemRef) -> None:
        """The item lies somewhere else now, where a replay finds it. Raises TransientError."""
        kept = self._stores.quarantine.get(self._mailbox_id, item.key)
        if kept is not None:
            self._stores.quarantine.put(replace(kept, ref=ref, detail=kept.detail.removeprefix(_GONE).strip()))

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
