"""What reading a page takes: two batches at most are held at once, however many the page has."""

from collections.abc import Iterator, Sequence
from dataclasses import fields
from typing import ClassVar, Self
from weakref import ref

from shared.domain.email import IncomingMessage, ItemRef
from shared.domain.errors import ItemError
from shared.sync.budgets import RunBudget
from tests.builders import a_message
from tests.unit.sync.in_memory_mail import InMemoryMail
from tests.unit.sync.scene import Scene


class Counted(IncomingMessage):
    """One that is known for as long as somebody holds it."""

    made: ClassVar[list[ref[Self]]] = []

    def __new__(cls, *_: object, **__: object) -> Self:
        one = super().__new__(cls)
        cls.made.append(ref(one))
        return one


class CountingMail(InMemoryMail):
    """Gives every message afresh, as a server does, and counts those that somebody still holds."""

    held = 0

    def fetch(self, refs: Sequence[ItemRef]) -> Iterator[tuple[ItemRef, IncomingMessage | ItemError]]:
        for item, answer in super().fetch(refs):
            self.held = max(self.held, sum(made() is not None for made in Counted.made))
            yield item, answer if isinstance(answer, ItemError) else _afresh(answer)


def test_messages_of_two_batches_are_held_at_most() -> None:
    mail = CountingMail()
    scene = Scene(anna=mail, budget=RunBudget(batch_items=2))
    for number in range(20):
        mail.deliver(a_message(f"Offer {number}"))
    scene.run()
    assert len(scene.subjects()) == 20
    assert 0 < mail.held <= 4


def _afresh(message: IncomingMessage) -> Counted:
    return Counted(**{field.name: getattr(message, field.name) for field in fields(message)})
