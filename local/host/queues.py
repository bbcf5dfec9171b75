"""Listens to one queue for one function, with the semantics of the real host's queue extension.

Fetches `batchSize` messages, invisible for ten minutes and renewed at half-time while their function runs; fetches again
when no more than `newBatchThreshold` are in flight. Success deletes; failure makes the message visible again after
`visibilityTimeout`, and at `maxDequeueCount` copies it to the poison queue. Polling backs off while the queue is empty.
"""

import base64
import binascii
import logging
import random
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from datetime import datetime, timedelta

from azure.core.exceptions import AzureError, ResourceNotFoundError
from azure.storage.queue import QueueClient, QueueMessage

from local.host.calls import Outcome, QueueCall
from local.host.configuration import QueueOptions
from local.host.storage import send

POISON = "-poison"
LEASE = timedelta(minutes=10)
"""How long a fetched message is invisible; fixed in the real host."""

_MINIMUM_POLL = timedelta(milliseconds=100)

log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Message:
    """A message in hand. Each renewal changes its receipt."""

    id: str
    receipt: str
    content: str
    dequeue_count: int
    metadata: Mapping[str, str]


class QueueListener:
    """A thread that polls, and one thread per message in flight that waits for its function."""

    def __init__(
        self,
        queue: QueueClient,
        poison: QueueClient | None,
        options: QueueOptions,
        invoke: Callable[[QueueCall], Future[Outcome]],
        lease: timedelta = LEASE,
    ) -> None:
        """`poison` is None for a poison queue itself, which has no further one."""
        self._queue = queue
        self._poison = poison
        self._options = options
        self._invoke = invoke
        self._lease = lease
        self._stopping = threading.Event()
        self._in_flight = 0
        self._room = threading.Condition()
        self._threads = ThreadPoolExecutor(
            options.batch_size + options.new_batch_threshold, thread_name_prefix=queue.queue_name
        )
        self._poller = threading.Thread(target=self._poll, name=f"poll-{queue.queue_name}", daemon=True)

    def start(self) -> None:
        self._poller.start()

    def stop(self) -> None:
        """Fetches nothing more; what is in flight goes on."""
        self._stopping.set()
        with self._room:
            self._room.notify_all()

    def wait_idle(self, seconds: float) -> bool:
        """Whether everything in flight ended within the time."""
        deadline = time.monotonic() + seconds
        self._poller.join(seconds)  # what it was fetching is in flight now, and given back
        with self._room:
            idle = self._room.wait_for(lambda: self._in_flight == 0, max(0.0, deadline - time.monotonic()))
        return idle and not self._poller.is_alive()

    def close(self) -> None:
        """Ends the threads; call once nothing is in flight or the worker has abandoned it."""
        self._poller.join()
        self._threads.shutdown()

    def _poll(self) -> None:
        delay = _MINIMUM_POLL
        while not self._stopping.is_set():
            found = self._fetch()
            for message in found:
                self._begin(message)
            if found:
                delay = _MINIMUM_POLL
                self._wait_until_room()
            else:
                self._stopping.wait(delay.total_seconds() * random.uniform(0.9, 1.1))
                delay = min(delay * 2, self._options.max_polling_interval)

    def _fetch(self) -> list[_Message]:
        try:
            pages = self._queue.receive_messages(
                messages_per_page=self._options.batch_size, visibility_timeout=int(self._lease.total_seconds())
            ).by_page()
            return [_in_hand(message) for message in next(pages, ())]
        except ResourceNotFoundError:
            return []  # a queue that nobody has written to yet
        except AzureError as error:
            log.warning("queue_unreachable", extra={"queue": self._queue.queue_name, "error": type(error).__name__})
            return []
        except Exception:
            log.exception("queue_listener_failed", extra={"queue": self._queue.queue_name})
            return []

    def _begin(self, message: _Message) -> None:
        with self._room:
            self._in_flight += 1
        self._threads.submit(self._process, message)

    def _wait_until_room(self) -> None:
        with self._room:
            self._room.wait_for(lambda: self._in_flight <= self._options.new_batch_threshold or self._stopping.is_set())

    def _process(self, message: _Message) -> None:
        try:
            self._process_one(message)
        except AzureError as error:
            # The message becomes visible again by itself when its lease ends.
            log.warning("queue_message_not_settled", extra={"message_id": message.id, "error": type(error).__name__})
        except Exception:
            log.exception("queue_listener_failed", extra={"message_id": message.id})
        finally:
            with self._room:
                self._in_flight -= 1
                self._room.notify_all()

    def _process_one(self, message: _Message) -> None:
        body = self._decoded(message.content)
        if self._stopping.is_set():
            self._release(message, timedelta())
        elif body is None:
            log.error("queue_message_not_decoded", extra={"queue": self._queue.queue_name, "message_id": message.id})
            message.content = base64.b64encode(message.content.encode()).decode()  # so that the poison function can read it
            self._to_poison(message)
        elif message.dequeue_count > self._options.max_dequeue_count and self._poison is not None:
            self._to_poison(message)  # the host died during the last attempt
        else:
            future = self._invoke(QueueCall(body, message.metadata))
            self._renew_until_done(message, future)
            self._settle(message, future)

    def _decoded(self, content: str) -> str | bytes | None:
        """None where the content is not in the encoding that host.json names."""
        if not self._options.base64:
            return content
        try:
            body = base64.b64decode(content, validate=True)
        except (binascii.Error, ValueError):
            return None
        try:
            return body.decode()
        except UnicodeDecodeError:
            return body

    def _renew_until_done(self, message: _Message, future: Future[Outcome]) -> None:
        half = self._lease.total_seconds() / 2
        while wait([future], half).not_done:
            try:
                renewed = self._queue.update_message(
                    message.id, message.receipt, visibility_timeout=int(self._lease.total_seconds())
                )
                message.receipt = str(renewed.pop_receipt)
            except AzureError as error:
                log.warning("queue_message_not_renewed", extra={"message_id": message.id, "error": type(error).__name__})

    def _settle(self, message: _Message, future: Future[Outcome]) -> None:
        try:
            succeeded = future.result().error is None
        except CancelledError:
            self._release(message, timedelta())
            return
        if succeeded:
            self._delete(message)
        elif message.dequeue_count >= self._options.max_dequeue_count:
            self._to_poison(message)
        elif self._poison is not None:
            self._release(message, self._options.visibility_timeout)

    def _delete(self, message: _Message) -> None:
        try:
            self._queue.delete_message(message.id, message.receipt)
        except AzureError as error:
            if not _somebody_else_has_it(error):
                raise

    def _release(self, message: _Message, after: timedelta) -> None:
        try:
            self._queue.update_message(message.id, message.receipt, visibility_timeout=int(after.total_seconds()))
        except AzureError as error:
            if not _somebody_else_has_it(error):
                raise

    def _to_poison(self, message: _Message) -> None:
        """Where there is no poison queue, the message stays invisible until its lease ends: else it would fail in an endless,
        fast loop."""
        if self._poison is None:
            return
        send(self._poison, message.content)
        log.error("queue_message_poisoned", extra={"queue": self._queue.queue_name, "message_id": message.id})
        self._delete(message)


def _somebody_else_has_it(error: AzureError) -> bool:
    """The message is gone, or was fetched again after its lease had ended (404, pop receipt mismatch)."""
    return isinstance(error, ResourceNotFoundError) or getattr(error, "error_code", None) == "PopReceiptMismatch"


def _in_hand(message: QueueMessage) -> _Message:
    times = {
        "InsertionTime": message.inserted_on,
        "ExpirationTime": message.expires_on,
        "NextVisibleTime": message.next_visible_on,
    }
    metadata = {name: _text(moment) for name, moment in times.items() if moment is not None}
    metadata |= {"Id": message.id, "PopReceipt": str(message.pop_receipt), "DequeueCount": str(message.dequeue_count)}
    return _Message(message.id, str(message.pop_receipt), message.content, int(message.dequeue_count or 1), metadata)


def _text(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S+00:00")
