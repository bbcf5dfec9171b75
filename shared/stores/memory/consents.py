"""Consents in memory."""

from collections.abc import Iterator
from datetime import datetime
from threading import RLock

from shared.domain.consents import Consent, ConsentRequest, StoredConsent
from shared.domain.errors import AlreadyExists
from shared.domain.ids import MailboxId
from shared.ports import Slice
from shared.stores.codec import Plain, codec_of
from shared.stores.entities import mailbox_partition
from shared.stores.limits import checked_id, storable_consent, storable_request
from shared.stores.memory.rows import Row, check_etag, row, slice_of


class MemoryConsents:
    def __init__(self) -> None:
        self._lock = RLock()
        self._rows: dict[MailboxId, Row[Consent]] = {}
        self._requests: dict[str, ConsentRequest] = {}

    def get(self, mailbox_id: MailboxId) -> StoredConsent | None:
        with self._lock:
            found = self._rows.get(mailbox_id)
            return None if found is None else StoredConsent(*found)

    def put(self, consent: Consent, etag: str | None) -> StoredConsent:
        with self._lock:
            mailbox_id = checked_id(consent.mailbox_id, "mailbox_id")
            what = f"the consent of mailbox {mailbox_id}"
            if etag is not None:
                check_etag(self._rows.get(mailbox_id), etag, what)
            elif mailbox_id in self._rows:
                raise AlreadyExists(what)
            self._rows[mailbox_id] = row(storable_consent(consent))
            return StoredConsent(*self._rows[mailbox_id])

    def delete(self, mailbox_id: MailboxId) -> None:
        with self._lock:
            self._rows.pop(mailbox_id, None)

    def list(self, continuation: str | None = None, limit: int = 100) -> Slice[StoredConsent]:
        with self._lock:
            keyed = [((mailbox_partition(key), key), StoredConsent(*found)) for key, found in self._rows.items()]
            return slice_of(keyed, continuation, limit)

    def ask(self, request: ConsentRequest) -> None:
        with self._lock:
            if checked_id(request.key, "key") in self._requests:
                raise AlreadyExists("the request for consent")
            self._requests[request.key] = storable_request(request)

    def answered(self, key: str) -> ConsentRequest | None:
        with self._lock:
            return self._requests.pop(key, None)

    def remove_unanswered(self, time: datetime) -> Iterator[int]:
        with self._lock:
            expired = [key for key, request in self._requests.items() if request.expires_on < time]
            for key in expired:
                del self._requests[key]
        yield len(expired)

    def snapshot(self) -> dict[str, Plain]:
        """The keys of requests are random, as are the versions of secrets."""
        with self._lock:
            return {
                "given": {key: codec_of(Consent).plain(found.record) for key, found in self._rows.items()},
                "asked": [request.mailbox_id for request in self._requests.values()],
            }
