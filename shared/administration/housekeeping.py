"""Removes what the organisation keeps no longer: audit entries, alerts, runs. What was decided about mail is never removed.

Each invocation has a time after which it stops; the next one finds what is left. Repeating it does no harm.
"""

import logging
from datetime import timedelta

from shared.ports import Clock, Stores

log = logging.getLogger(__name__)

LONGEST = timedelta(minutes=4)
"""Of one invocation; a host ends a function after five minutes where nothing else is configured."""


class Housekeeping:
    def __init__(self, stores: Stores, clock: Clock, longest: timedelta = LONGEST) -> None:
        self._stores = stores
        self._clock = clock
        self._longest = longest

    def run(self) -> bool:
        """False: the time was spent, and something may be left. Raises TransientError where the store fails."""
        started = self._clock()
        keep = self._stores.settings.get().record
        removals = {  # runs last: there are many more of them than of the others
            "audit": self._stores.audit.remove_before(started - keep.keep_audit),
            "alerts": self._stores.alerts.remove_before(started - keep.keep_alerts),
            "runs": self._stores.runs.remove_before(started - keep.keep_runs),
        }
        for name, parts in removals.items():
            count = 0
            for part in parts:
                count += part
                if self._clock() - started >= self._longest:
                    log.warning("housekeeping_stopped", extra={"records": name, "removed": count})
                    return False
            log.info("housekeeping_done", extra={"records": name, "removed": count})
        return True
