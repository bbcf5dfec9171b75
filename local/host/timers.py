"""Fires one timer function by its NCRONTAB schedule, with the semantics of the real host's timer extension.

The status {Last, Next, LastUpdated} is a blob; a start after `Next` makes one run that is past due, however many ticks
were missed. A lease on a second blob lets only one host fire. One run at a time; a run that fails stops nothing.
"""

import json
import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, wait
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from azure.core.exceptions import AzureError, ResourceExistsError, ResourceNotFoundError
from azure.storage.blob import BlobClient, BlobLeaseClient, BlobServiceClient

from local.host.calls import Outcome, TimerCall
from local.host.crontab import Crontab

CONTAINER = "azure-webjobs-hosts"
_NEVER = datetime.min.replace(tzinfo=UTC)

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Status:
    last: datetime
    next: datetime
    updated: datetime

    def to_json(self) -> dict[str, str]:
        return {"Last": self.last.isoformat(), "Next": self.next.isoformat(), "LastUpdated": self.updated.isoformat()}

    @staticmethod
    def from_json(text: str) -> "Status":
        """Raises ValueError or KeyError where it is none."""
        fields = json.loads(text)
        return Status(*(datetime.fromisoformat(fields[name]).astimezone(UTC) for name in ("Last", "Next", "LastUpdated")))


def timer_call(status: Status, *, past_due: bool) -> TimerCall:
    schedule = {"AdjustForDST": True}
    return TimerCall(json.dumps({"Schedule": schedule, "ScheduleStatus": status.to_json(), "IsPastDue": past_due}))


def first_status(schedule: Crontab, now: datetime) -> Status:
    return Status(_NEVER, schedule.next_after(now), now)


class TimerListener:
    """One thread, which holds the lease, waits for the next occurrence and then for the function."""

    def __init__(
        self,
        name: str,
        schedule: Crontab,
        blobs: BlobServiceClient,
        host_id: str,
        invoke: Callable[[TimerCall], Future[Outcome]],
        *,
        run_on_startup: bool,
        lock: timedelta,
        lock_recovery: timedelta,
    ) -> None:
        self._name = name
        self._schedule = schedule
        self._invoke = invoke
        self._run_on_startup = run_on_startup
        self._lock_seconds = int(lock.total_seconds())
        self._recovery_seconds = lock_recovery.total_seconds()
        self._status_blob = blobs.get_blob_client(CONTAINER, f"timers/{host_id}/Host.Functions.{name}/status")
        self._lock_blob = blobs.get_blob_client(CONTAINER, f"locks/{host_id}/Host.Functions.{name}.Listener")
        self._lease = BlobLeaseClient(self._lock_blob)
        self._renewed = 0.0
        self._stopping = threading.Event()
        self._idle = threading.Event()
        self._idle.set()
        self._thread = threading.Thread(target=self._listen, name=f"timer-{name}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()

    def wait_idle(self, seconds: float) -> bool:
        """Whether a run in progress ended within the time."""
        return self._idle.wait(seconds)

    def close(self) -> None:
        """Ends the thread and gives the lease back."""
        self._thread.join()

    def _listen(self) -> None:
        while not self._stopping.is_set():
            try:
                self._acquire()
            except AzureError as error:
                log.info("timer_lock_not_acquired", extra={"function": self._name, "error": type(error).__name__})
                self._stopping.wait(self._recovery_seconds)
                continue
            try:
                self._fire_while_leading()
            except AzureError as error:
                log.warning("timer_lock_lost", extra={"function": self._name, "error": type(error).__name__})
                self._stopping.wait(1)
            except Exception:
                log.exception("timer_listener_failed", extra={"function": self._name})
                self._stopping.wait(self._recovery_seconds)
            finally:
                self._give_back()

    def _acquire(self) -> None:
        """Always with the same lease id: after an outage the lease is still ours."""
        try:
            self._lease.acquire(self._lock_seconds)
        except ResourceNotFoundError:
            _create_empty(self._lock_blob)
            self._lease.acquire(self._lock_seconds)
        self._renewed = time.monotonic()

    def _renew(self) -> None:
        self._lease.renew()
        self._renewed = time.monotonic()

    def _seconds_to_renewal(self) -> float:
        return max(0.0, self._renewed + self._lock_seconds / 2 - time.monotonic())

    def _give_back(self) -> None:
        try:
            self._lease.release()
        except AzureError as error:
            log.debug("timer_lock_not_released", extra={"function": self._name, "error": type(error).__name__})

    def _fire_while_leading(self) -> None:
        """Raises AzureError when the lease cannot be renewed."""
        status, past_due = self._recorded_status(_now())
        if past_due or self._run_on_startup:
            status = self._fire(_now(), status, past_due=past_due)
        while not self._stopping.is_set():
            due = self._schedule.next_after(_now())
            if self._waited_for(due):
                status = self._fire(due, status, past_due=False)

    def _recorded_status(self, now: datetime) -> tuple[Status, bool]:
        """The stored status, and whether its next occurrence was missed. A changed schedule has missed nothing."""
        try:
            recorded = Status.from_json(self._status_blob.download_blob(encoding="utf-8").readall())
        except (ResourceNotFoundError, ValueError, KeyError):
            status = first_status(self._schedule, now)
            self._record(status)
            return status, False
        since = recorded.updated if recorded.last == _NEVER else recorded.last
        if recorded.next != self._schedule.next_after(since):
            return Status(recorded.last, self._schedule.next_after(now), recorded.updated), False
        return recorded, now > recorded.next

    def _waited_for(self, due: datetime) -> bool:
        """Whether `due` was reached before the host stopped; keeps the lease meanwhile."""
        while (remaining := (due - _now()).total_seconds()) > 0:
            if self._stopping.wait(min(remaining, self._seconds_to_renewal())):
                return False
            if self._seconds_to_renewal() == 0:
                self._renew()
        return not self._stopping.is_set()

    def _fire(self, moment: datetime, status: Status, *, past_due: bool) -> Status:
        self._idle.clear()
        try:
            if self._stopping.is_set():
                return status
            future = self._invoke(timer_call(status, past_due=past_due))
            self._renew_until_done(future)
            if future.cancelled():
                return status  # abandoned at shutdown: past due at the next start
            fired = Status(moment, self._schedule.next_after(moment), _now())
            self._record(fired)
        finally:
            self._idle.set()
        return fired

    def _renew_until_done(self, future: Future[Outcome]) -> None:
        while wait([future], self._lock_seconds / 2).not_done:
            try:
                self._renew()
            except AzureError as error:
                # The function cannot be stopped; whoever has the lease now waits for the next occurrence.
                log.warning("timer_lock_not_renewed", extra={"function": self._name, "error": type(error).__name__})

    def _record(self, status: Status) -> None:
        try:
            self._status_blob.upload_blob(json.dumps(status.to_json()).encode(), overwrite=True)
        except AzureError as error:
            log.warning("timer_status_not_stored", extra={"function": self._name, "error": type(error).__name__})


def _create_empty(blob: BlobClient) -> None:
    try:
        blob.upload_blob(b"")
    except ResourceExistsError:
        return  # another host was faster


def _now() -> datetime:
    return datetime.now(UTC)
