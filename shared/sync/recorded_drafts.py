"""The drafts that are about to be sent: their references, by the attempt whose key they carry, kept in a mark of the ledger.

What stands there is complete, and may have been sent; what does not was not. One write records all drafts of a window, fenced
by the lease like every commit: whoever has lost the lease records nothing, and so sends nothing. A reference says nothing to
another server or mailbox than the one that gave it: each names its source.
"""

import json
from collections.abc import Collection, Mapping
from threading import Lock

from shared.domain.ledger import LedgerHead, Mark
from shared.sync.lease import Lease

_FOLDER = "drafts"


class RecordedDrafts:
    """Those of the runs before, until it is stored what became of them, and those of this one. Safe for several threads."""

    def __init__(self, lease: Lease, head: LedgerHead) -> None:
        self._lease = lease
        self._lock = Lock()
        kept = next((mark.watermark for mark in head.marks if mark.folder == _FOLDER), None)
        self._references: dict[str, tuple[str, str]] = _read(kept) if kept else {}
        """Source and reference."""
        self._is_kept = bool(self._references)
        """The ledger has some."""

    def reference(self, attempt: str, source: str) -> str | None:
        """Where this source gave it."""
        with self._lock:
            known, reference = self._references.get(attempt, ("", ""))
        return reference if known == source else None

    def is_elsewhere(self, attempt: str, source: str) -> bool:
        """It was recorded where this source cannot be asked: the mailbox has moved, or has another profile."""
        with self._lock:
            return attempt in self._references and self._references[attempt][0] != source

    def record(self, references: Mapping[str, str], source: str) -> None:
        """By attempt: from now on they may be sent. Raises LeaseLost, TransientError: then they must not be."""
        with self._lock:
            self._references |= {attempt: (source, reference) for attempt, reference in references.items()}
        self._write()

    def strike(self, attempts: Collection[str]) -> None:
        """Before their drafts are removed: a recorded one that is gone counts as sent. Raises LeaseLost, TransientError: then
        they are recorded still, and must stay."""
        with self._lock:
            struck = {attempt: self._references[attempt] for attempt in attempts if attempt in self._references}
        if not struck:
            return
        self.forget(struck)
        try:
            self._write()
        except Exception:  # whatever kept it from being written, it is raised again
            with self._lock:
                self._references |= struck
            raise

    def forget(self, attempts: Collection[str]) -> None:
        """What became of them is stored; they go with the next write."""
        with self._lock:
            for attempt in attempts:
                self._references.pop(attempt, None)

    def mark(self) -> Mark | None:
        """To be kept for the next run; None where the ledger has none and needs none."""
        with self._lock:
            if not self._references and not self._is_kept:
                return None
            return Mark(_FOLDER, "", _written(self._references))

    def _write(self) -> None:
        self._is_kept = True
        if (mark := self.mark()) is not None:
            self._lease.note(mark)


def _written(references: Mapping[str, tuple[str, str]]) -> str:
    """By source: nearly always there is but one."""
    by_source: dict[str, dict[str, str]] = {}
    for attempt, (source, reference) in references.items():
        by_source.setdefault(source, {})[attempt] = reference
    return json.dumps(by_source, separators=(",", ":"))


def _read(text: str) -> dict[str, tuple[str, str]]:
    return {attempt: (source, found) for source, each in json.loads(text).items() for attempt, found in each.items()}
