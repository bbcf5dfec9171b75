"""What reading a page takes: two batches at most are held at once, however many the page has."""

import gc
from collections.abc import Iterator, Sequence
from dataclasses import replace

from shared.domain.email import IncomingMessage, ItemRef
from shared.domain.errors import ItemError
from shared.sync.budgets import RunBudget
from tests.builders import a_message
from tests.unit.sync.in_memory_mail import InMemoryMail
from tests.unit.sync.scene import Scene


class CountingMail(InMemoryMail):
    """Gives every message afresh, as a server does, and counts those that somebody still holds."""

    held = 0

    def fetch(self, refs: Sequence[ItemRef]) -> Iterator[tuple[ItemRef, IncomingMessage | ItemError]]:
        before = _messages_in_memory()
        for ref, answer in super().fetch(refs):
            self.held = max(self.held, _messages_in_memory() - before)
            yield ref, answer if isinstance(answer, ItemError) else replace(answer)


def test_messages_of_two_batches_are_held_at_most() -> None:
    gc.collect()  # what other tests left behind must not go while this one counts
    mail = CountingMail()
    scene = Scene(anna=mail, budget=RunBudget(batch_items=2))
    for number in range(20):
        mail.deliver(a_message(f"Offer {number}"))
    scene.run()
    assert len(scene.subjects()) == 20
    assert 0 < mail.held <= 4


def _messages_in_memory() -> int:
    return sum(type(each) is IncomingMessage for each in gc.get_objects())
