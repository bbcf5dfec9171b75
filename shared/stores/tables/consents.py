"""Consents: a row for each mailbox, in the shard of its id; and in a partition of their own the requests without an answer.

A request is taken by whoever deletes its row in the state that was read: the service lets one of many do that.
"""

from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime

from shared.domain.consents import Consent, ConsentRequest, StoredConsent
from shared.domain.errors import AlreadyExists, Changed
from shared.domain.ids import MailboxId
from shared.ports import Slice
from shared.stores.entities import CONSENT_REQUESTS, CONSENTS, mailbox_partition
from shared.stores.limits import checked_id, storable_consent, storable_request
from shared.stores.parallel import Parallel
from shared.stores.tables.gateway import Entity, Query, RowMissing, Verb, operation, rows_of
from shared.stores.tables.removing import each_page, removal, write_unchanged
from shared.stores.tables.table import Table, columns_of, record_of, slice_as


class TableConsents:
    def __init__(self, table: Table, parallel: Parallel) -> None:
        self._table = table
        self._parallel = parallel

    def get(self, mailbox_id: MailboxId) -> StoredConsent | None:
        found = self._table.get(mailbox_partition(mailbox_id), mailbox_id)
        return None if found is None else _stored(found)

    def put(self, consent: Consent, etag: str | None) -> StoredConsent:
        kept = storable_consent(consent)
        mailbox_id = checked_id(kept.mailbox_id, "mailbox_id")
        verb = Verb.INSERT if etag is None else Verb.REPLACE
        write = operation(verb, mailbox_partition(mailbox_id), mailbox_id, columns_of(kept), etag)
        what = f"the consent of mailbox {mailbox_id}"
        try:
            return StoredConsent(kept, self._table.write(write))
        except AlreadyExists as error:
            raise AlreadyExists(what) from error
        except Changed as error:
            raise Changed(f"{what} was changed since it was read") from error

    def delete(self, mailbox_id: MailboxId) -> None:
        partition = mailbox_partition(mailbox_id)
        if self._table.get(partition, mailbox_id) is not None:
            with suppress(RowMissing):
                self._table.write(operation(Verb.DELETE, partition, mailbox_id))

    def list(self, continuation: str | None = None, limit: int = 100) -> Slice[StoredConsent]:
        return slice_as(self._table.slice(Query(*CONSENTS), continuation, limit), _stored)

    def ask(self, request: ConsentRequest) -> None:
        kept = storable_request(request)
        row = checked_id(kept.key, "key")
        try:
            self._table.write(operation(Verb.INSERT, CONSENT_REQUESTS, row, columns_of(kept)))
        except AlreadyExists as error:
            raise AlreadyExists("the request for consent") from error

    def answered(self, key: str) -> ConsentRequest | None:
        found = self._table.get(CONSENT_REQUESTS, key)
        if found is None:
            return None
        try:
            self._table.transact([removal(found)])
        except Changed:  # somebody else has taken it
            return None
        return record_of(ConsentRequest, found)

    def remove_unanswered(self, time: datetime) -> Iterator[int]:
        for page in each_page(self._table, rows_of(CONSENT_REQUESTS)):
            expired = [removal(row) for row in page if record_of(ConsentRequest, row).expires_on < time]
            yield len(write_unchanged(self._table, self._parallel, expired))


def _stored(found: Entity) -> StoredConsent:
    return StoredConsent(record_of(Consent, found), found.etag)
