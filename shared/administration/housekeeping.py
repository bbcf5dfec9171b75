"""Removes what the organisation keeps no longer: audit entries, alerts, bulk loads, runs, and the words about items of mail.
What was decided about mail is never removed. After an upgrade, has what another version gave up tried once more. Tells which
consents of mailboxes' owners are about to end.

Each invocation has a time after which it stops, and each kind of record an equal part of what is left of it; the next
invocation finds the rest. Repeating it does no harm.
"""

import logging
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime, timedelta
from uuid import uuid4

from shared.administration.consent_ends import tell_ends
from shared.administration.loading import FINISHED, blob_of
from shared.domain.errors import Changed, SyncError
from shared.domain.records import BulkLoad
from shared.messages import ChangeItems, ItemTask, Queue
from shared.ports import Clock, Stores

log = logging.getLogger(__name__)

LONGEST = timedelta(minutes=4)
"""Of one invocation; a host ends a function after five minutes where nothing else is configured."""

_LOADS = 100


class Housekeeping:
    def __init__(self, stores: Stores, clock: Clock, longest: timedelta = LONGEST, version: str = "") -> None:
        """`version`: of Sidesync."""
        self._stores = stores
        self._clock = clock
        self._version = version
        self._longest = longest

    def run(self) -> bool:
        """False: the time was spent, and something may be left. Raises SyncError where the store fails, after all that can be
        removed nevertheless."""
        started = self._clock()
        end = started + self._longest
        keep = self._stores.settings.get().record
        work = {  # what is least first: what it leaves of its time is for the rest
            "replays": self._replay_what_others_gave_up(),
            "consents": tell_ends(self._stores, started),
            "audit": self._stores.audit.remove_before(started - keep.keep_audit),
            "alerts": self._stores.alerts.remove_before(started - keep.keep_alerts),
            "loads": self._remove_loads(started - keep.keep_runs),
            "runs": self._stores.runs.remove_before(started - keep.keep_runs),
            "ledger_details": self._stores.ledger.remove_details_before(started - keep.keep_ledger_details),
        }
        finished, failed = True, None
        for place, (name, parts) in enumerate(work.items()):
            share = (end - self._clock()) / (len(work) - place)
            try:
                finished = self._do(name, parts, self._clock() + share) and finished
            except SyncError as error:
                log.warning("housekeeping_failed", extra={"records": name, "code": error.code})
                failed = error
        if failed is not None:
            raise failed
        return finished

    def _do(self, name: str, parts: Iterator[int], until: datetime) -> bool:
        count = 0
        for part in parts:
            count += part
            if self._clock() >= until:
                log.warning("housekeeping_stopped", extra={"records": name, "done": count})
                return False
        log.info("housekeeping_done", extra={"records": name, "done": count})
        return True

    def _replay_what_others_gave_up(self) -> Iterator[int]:
        """What this version gives up again carries its name, so that each version tries it once. Where a mailbox is not run, it
        is asked for again the next night."""
        for mailboxes in self._stores.quarantine.mailboxes_of_other_versions(self._version):
            replays = [ChangeItems(uuid4().hex, each, ItemTask.REPLAY, tried_by=self._version) for each in mailboxes]
            self._stores.queues.send_many(Queue.CHANGE_ITEMS, [replay.to_json() for replay in replays])
            yield len(replays)

    def _remove_loads(self, time: datetime) -> Iterator[int]:
        """Bulk loads that were finished before `time`: the file first, if it is still there, as only the load names it."""
        continuation: str | None = None
        while True:
            loads = self._stores.bulk_loads.list(continuation, _LOADS)
            for stored in loads.items:
                if _is_finished_before(stored.record, time):
                    self._stores.blobs.delete(blob_of(stored.record))
                    with suppress(Changed):  # then somebody is at work on it
                        self._stores.bulk_loads.delete(stored.record.id, stored.etag)
                    yield 1
            if (continuation := loads.continuation) is None:
                return


def _is_finished_before(load: BulkLoad, time: datetime) -> bool:
    return load.state in FINISHED and load.finished_on is not None and load.finished_on < time
