"""Reads items one by one, where reading them together failed repeatedly: so that one item cannot block a mailbox.

Before an item is touched the ledger says that it is being tried. If the process dies of it, the next run finds its name
there and quarantines it untouched. An item during which calls fail that are otherwise fine is a failing item too: but only
one at a time, since two in a row mean that the server is down, not that both items are bad.
"""

from collections.abc import Callable, Generator, Sequence

from shared.domain.errors import ItemError, ItemUnreadable, LeaseLost, MailboxError, Throttled, TransientError
from shared.domain.ledger import ItemKey
from shared.sync.items import Candidate, StoppedTheProcess
from shared.sync.lease import Lease
from shared.sync.reading import Reader, Results


class OneByOneReader:
    """Reads and writes every item alone. `condemned` is the item that a process died of; `blaming`: see above."""

    def __init__(self, reader: Reader, lease: Lease, *, condemned: ItemKey | None, blaming: bool) -> None:
        self._reader = reader
        self._lease = lease
        self._condemned = condemned
        self._blaming = blaming

    def read(self, candidates: Sequence[Candidate], meanwhile: Callable[[], None]) -> Generator[Results]:
        suspect: tuple[Candidate, ItemError] | None = None
        for candidate in candidates:
            if candidate.key == self._condemned:
                self._condemned = None
                yield [(candidate, StoppedTheProcess("The process stopped while it read this item."))]
                continue
            self._lease.try_alone(candidate.key)
            try:
                results = [result for batch in self._reader.read([candidate], _nothing) for result in batch]
            except Exception as error:
                if suspect is not None or not self._blaming or not _may_be_the_item(error):
                    raise
                suspect = (candidate, _blamed(error))
                continue
            if suspect is not None:
                yield [suspect]
                suspect = None
            yield results
        if suspect is not None:
            yield [suspect]
        meanwhile()


def _may_be_the_item(error: Exception) -> bool:
    return not isinstance(error, MailboxError | LeaseLost | Throttled)


def _blamed(error: Exception) -> ItemError:
    code = error.code if isinstance(error, TransientError) else type(error).__name__
    failure = ItemUnreadable(f"Reading this item failed repeatedly while others could be read: {code}.")
    failure.__cause__ = error
    return failure


def _nothing() -> None:
    return None
