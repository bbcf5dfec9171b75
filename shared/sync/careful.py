"""Reads items one by one, where reading them together failed repeatedly: so that one item cannot block a mailbox.

Before an item is touched the ledger says that it is being tried. If the process dies of it, the next run finds its name
there and quarantines it untouched. An item during which calls fail is a suspect, and a failing item once another one can be
read; where calls fail for several and for none they are fine, the server is down and no item is bad.
"""

from collections.abc import Callable, Generator, Sequence

from shared.domain.errors import ItemError, ItemUnreadable, LeaseLost, MailboxError, Throttled, TransientError
from shared.domain.ledger import ItemKey
from shared.sync.items import Candidate, StoppedTheProcess
from shared.sync.lease import Lease
from shared.sync.reading import Reader, Results

MOST_SUSPECTS = 10
"""A server that is down is not asked for more items than these in one run."""


class OneByOneReader:
    """Reads and writes every item alone. `condemned` is the item that a process died of; `blaming`: there are suspects."""

    def __init__(self, reader: Reader, lease: Lease, *, condemned: ItemKey | None, blaming: bool) -> None:
        self._reader = reader
        self._lease = lease
        self._condemned = condemned
        self._blaming = blaming

    def read(self, candidates: Sequence[Candidate], meanwhile: Callable[[], None]) -> Generator[Results]:
        suspects: list[tuple[Candidate, Exception]] = []
        for candidate in candidates:
            if candidate.key == self._condemned:
                self._condemned = None
                yield [(candidate, StoppedTheProcess("The process stopped while it read this item."))]
                continue
            self._lease.try_alone(candidate.key)
            results = self._read_alone(candidate)
            if isinstance(results, Exception):
                if len(suspects) == MOST_SUSPECTS:
                    raise results
                suspects.append((candidate, results))
                if not candidate.attempts:
                    continue
                results = []  # it failed before while others could be read: that is proof enough
            yield [*_blamed(suspects), *results]
            suspects = []
        if len(suspects) > 1:
            raise suspects[-1][1]
        yield _blamed(suspects)
        meanwhile()

    def _read_alone(self, candidate: Candidate) -> Results | Exception:
        """The results, or the failure where that may be the item's."""
        try:
            return [result for batch in self._reader.read([candidate], _nothing) for result in batch]
        except Exception as error:
            if not self._blaming or isinstance(error, MailboxError | LeaseLost | Throttled):
                raise
            return error


def _blamed(suspects: Sequence[tuple[Candidate, Exception]]) -> Results:
    return [(candidate, _failure(error)) for candidate, error in suspects]


def _failure(error: Exception) -> ItemError:
    code = error.code if isinstance(error, TransientError) else type(error).__name__
    return ItemUnreadable(f"Reading this item failed repeatedly while others could be read: {code}.").because_of(error)


def _nothing() -> None:
    return None
