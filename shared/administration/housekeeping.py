"""Removes what the organisation keeps no longer: audit entries, alerts, bulk loads, runs, and the words about items of mail.
What was decided about mail is never removed.

Each invocation has a time after which it stops, and each kind of record an equal part of what is left of it; the next
invocation finds the rest. Repeating it does no harm.
"""

import logging
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime, timedelta

from shared.administration.loading import FINISHED, blob_of
from shared.domain.errors import Changed, SyncError
from shared.domain.records import BulkLoad
from shared.ports import Clock, Stores

log = logging.getLogger(__name__)

LONGEST = timedelta(minutes=4)
"""Of one invocation; a host ends a function after five minutes where nothing else is configured."""

_LOADS = 100


class Housekeeping:
    def __init__(self, stores: Stores, clock: Clock, longest: timedelta = LONGEST) -> None:
        self._stores = stores
        self._clock = clock
        self._longest = longest

    def run(self) -> bool:
        """False: the time was spent, and something may be left. Raises SyncError where the store fails, after all that can be
        removed nevertheless."""
        started = self._clock()
        end = started + self._longest
        keep = self._stores.settings.get().record
        removals = {  # those with the fewest first: what they leave of their time is for the others
            "audit": self._stores.audit.remove_before(started - keep.keep_audit),
            "alerts": self._stores.alerts.remove_before(started - keep.keep_alerts),
            "loads": self._remove_loads(started - keep.keep_runs),
            "runs": self._stores.runs.remove_before(started - keep.keep_runs),
            "ledger_details": self._stores.ledger.remove_details_before(started - keep.keep_ledger_details),
        }
        finished, failed = True, None
        for place, (name, parts) in enumerate(removals.items()):
            share = (end - self._clock()) / (len(removals) - place)
            try:
                finished = self._remove(name, parts, self._clock() + share) and finished
            except SyncError as error:
                log.warning("housekeeping_failed", extra={"records": name, "code": error.code})
                failed = error
        if failed is not None:
            raise failed
        return finished

    def _remove(self, name: str, parts: Iterator[int], until: datetime) -> bool:
        count = 0
        for part in parts:
            count += part
            if self._clock() >= until:
                log.warning("housekeeping_stopped", extra={"records": name, "removed": count})
                return False
        log.info("housekeeping_done", extra={"records": name, "removed": count})
        return True

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
