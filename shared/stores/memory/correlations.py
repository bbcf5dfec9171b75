"""What emails are found by that In-Reply-To does not lead to, and opted-out conversations, in memory."""

from collections.abc import Collection, Mapping, Sequence
from heapq import nsmallest
from threading import RLock

from shared.domain.email import CorrelationEntry, CorrelationKind, OptOut
from shared.domain.ids import ActivityId
from shared.stores.codec import Plain, codec_of
from shared.stores.entities import inverted_time
from shared.stores.limits import checked_id, checked_limit, storable_correlation, storable_opt_out

type _Entries = dict[tuple[str, ActivityId], CorrelationEntry]
"""By inverted time and activity."""


class MemoryCorrelations:
    def __init__(self) -> None:
        self._lock = RLock()
        self._entries: dict[tuple[CorrelationKind, str], _Entries] = {}
        self._opted_out: dict[ActivityId, OptOut] = {}

    def put(self, entries: Sequence[CorrelationEntry]) -> None:
        with self._lock:
            for entry in entries:
                key = (inverted_time(entry.time), checked_id(entry.activity_id, "activity_id"))
                self._entries.setdefault((entry.kind, entry.key), {})[key] = storable_correlation(entry)

    def find(self, kind: CorrelationKind, keys: Collection[str], limit: int = 50) -> Mapping[str, Sequence[CorrelationEntry]]:
        checked_limit(limit)
        with self._lock:
            return {key: self._latest((kind, key), limit) for key in keys}

    def remove(self, entries: Sequence[CorrelationEntry]) -> None:
        with self._lock:
            for entry in entries:
                self._entries.get((entry.kind, entry.key), {}).pop((inverted_time(entry.time), entry.activity_id), None)

    def opt_out(self, opted_out: OptOut) -> None:
        with self._lock:
            self._opted_out.setdefault(checked_id(opted_out.conversation, "conversation"), storable_opt_out(opted_out))

    def opt_in(self, conversation: ActivityId) -> None:
        with self._lock:
            self._opted_out.pop(conversation, None)

    def opted_out(self, conversations: Collection[ActivityId]) -> Mapping[ActivityId, OptOut]:
        with self._lock:
            return {each: self._opted_out[each] for each in conversations if each in self._opted_out}

    def _latest(self, of: tuple[CorrelationKind, str], limit: int) -> Sequence[CorrelationEntry]:
        found = self._entries.get(of, {})
        return [found[key] for key in nsmallest(limit, found)]

    def snapshot(self) -> dict[str, Plain]:
        with self._lock:
            return {
                "entries": {
                    f"{kind}:{key}": [codec_of(CorrelationEntry).plain(entry) for _, entry in sorted(entries.items())]
                    for (kind, key), entries in self._entries.items()
                },
                "opted_out": {key: codec_of(OptOut).plain(found) for key, found in self._opted_out.items()},
            }
