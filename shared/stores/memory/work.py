"""Blobs, queues and secrets in memory."""

import hashlib
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from threading import RLock
from typing import BinaryIO
from uuid import uuid4

from shared.domain.configuration import SecretRef
from shared.stores.codec import Plain
from shared.stores.limits import checked_message, checked_secret

_CHUNK = 1024 * 1024


class MemoryBlobs:
    def __init__(self) -> None:
        self._lock = RLock()
        self._content: dict[str, bytes] = {}

    def put(self, name: str, content: BinaryIO | bytes) -> None:
        read = content if isinstance(content, bytes) else content.read()
        with self._lock:
            self._content.setdefault(name, read)

    def write(self, name: str, chunks: Iterable[bytes]) -> int:
        content = b"".join(chunks)
        with self._lock:
            self._content[name] = content
        return len(content)

    def read(self, name: str, offset: int = 0) -> Iterator[bytes]:
        with self._lock:
            content = self._content[name]
        return (content[start : start + _CHUNK] for start in range(offset, len(content), _CHUNK))

    def delete(self, name: str) -> None:
        with self._lock:
            self._content.pop(name, None)

    def delete_folder(self, folder: str) -> None:
        with self._lock:
            self._content = {name: content for name, content in self._content.items() if not name.startswith(folder)}

    def snapshot(self) -> dict[str, Plain]:
        with self._lock:
            return {name: f"{len(content)}:{hashlib.sha256(content).hexdigest()}" for name, content in self._content.items()}


@dataclass(frozen=True, slots=True)
class SentMessage:
    text: str
    delay: timedelta


class MemoryQueues:
    """`receive` is for tests: it hands out what was sent, delays notwithstanding."""

    def __init__(self) -> None:
        self._lock = RLock()
        self._messages: defaultdict[str, deque[SentMessage]] = defaultdict(deque)

    def send(self, queue: str, text: str, delay: timedelta = timedelta()) -> None:
        with self._lock:
            self._messages[queue].append(SentMessage(checked_message(text), delay))

    def send_many(self, queue: str, texts: Sequence[str]) -> None:
        for text in texts:
            self.send(queue, text)

    def receive(self, queue: str, limit: int | None = None) -> list[str]:
        """Takes up to `limit` messages, all if None, in the order they were sent."""
        with self._lock:
            messages = self._messages[queue]
            count = len(messages) if limit is None else min(limit, len(messages))
            return [messages.popleft().text for _ in range(count)]

    def waiting(self, queue: str) -> Sequence[SentMessage]:
        """The messages that wait, without taking them."""
        with self._lock:
            return list(self._messages[queue])

    def snapshot(self) -> dict[str, Plain]:
        with self._lock:
            return {
                queue: [f"{message.delay.total_seconds():g} s: {message.text}" for message in messages]
                for queue, messages in self._messages.items()
                if messages
            }


class MemorySecrets:
    def __init__(self) -> None:
        self._lock = RLock()
        self._values: dict[SecretRef, str] = {}
        self._set_on: dict[SecretRef, datetime] = {}

    def get(self, ref: SecretRef) -> str:
        with self._lock:
            return self._values[ref]

    def set(self, name: str, value: str) -> SecretRef:
        ref = SecretRef(name, uuid4().hex)
        with self._lock:
            self._values[ref] = checked_secret(name, value)
            self._set_on[ref] = datetime.now(UTC)
        return ref

    def set_on(self, ref: SecretRef) -> datetime | None:
        with self._lock:
            return self._set_on.get(ref)

    def snapshot(self) -> dict[str, Plain]:
        """Names only: versions are random, and values do not belong in the output of a failed test."""
        with self._lock:
            return {ref.name: len([each for each in self._values if each.name == ref.name]) for ref in self._values}
