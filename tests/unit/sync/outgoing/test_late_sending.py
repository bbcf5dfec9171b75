"""A server that still sends what it was told to after its caller gave up waiting: nothing goes out twice for that."""

from collections.abc import Sequence

import pytest

from shared.domain.choices import EmailStatus
from shared.domain.errors import Busy, DeliveryError, NoAnswer, TransientError
from shared.domain.ids import ActivityId
from shared.domain.outgoing import Receipt
from shared.sync.budgets import RunBudget
from tests.unit.sync.faults import FaultyWorld
from tests.unit.sync.outgoing.in_memory_servers import InMemoryDrafting
from tests.unit.sync.outgoing.scene import MINUTE, OutgoingScene, by_exchange, sent

SUBJECTS = ["Offer 0", "Offer 1", "Offer 2"]


class SlowServer(InMemoryDrafting):
    """Does not answer the first SendItem in time. It sends those drafts all the same, later."""

    first_answer: TransientError = NoAnswer("SendItem: ReadTimeout")
    late: Sequence[str] = ()
    is_slow = True

    def submit(self, drafts: Sequence[str], *, save_copy: bool) -> Sequence[Receipt | DeliveryError]:
        if self.is_slow:
            self.is_slow = False
            self.late = drafts
            raise self.first_answer
        return super().submit(drafts, save_copy=save_copy)

    def send_late(self) -> None:
        for draft in self.late:
            if draft in self.drafts:
                self.sent.append(self.drafts.pop(draft)[0])
                self.copied.append(True)
        self.late = ()


def told(number: int, first_answer: TransientError) -> tuple[OutgoingScene, SlowServer, list[ActivityId]]:
    scene = by_exchange(FaultyWorld())
    scene.server = scene.outward.server = server = SlowServer(world=scene.world)
    server.first_answer = first_answer
    scene.budget = RunBudget(window=3, drafts_at_once=3)
    return scene, server, [scene.send(subject) for subject in SUBJECTS[:number]]


def finishes(scene: OutgoingScene, server: SlowServer, at: int, behind: str) -> None:
    """At that call after the SendItem that it did not answer, which is the last of the run unless all goes on."""
    calls = 0

    def watch(name: str) -> None:
        nonlocal calls
        calls += not server.is_slow
        if calls == at:
            server.send_late()
        if calls >= at and behind == "the process dies":
            scene.world.die()
        if calls >= at and behind == "the server is silent" and name.startswith(("mail.", "server.")):
            raise NoAnswer("nobody")

    scene.world.watch = watch


@pytest.mark.parametrize("number", [1, 3])
@pytest.mark.parametrize("first_answer", [NoAnswer("SendItem: ReadTimeout"), Busy("HTTP 504")])
@pytest.mark.parametrize("behind", ["all goes on", "the process dies", "the server is silent"])
def test_what_is_sent_late_is_not_sent_again(number: int, first_answer: TransientError, behind: str) -> None:
    for at in range(1, 12):
        scene, server, emails = told(number, first_answer)
        finishes(scene, server, at, behind)
        scene.attempt()
        scene.world.watch = None
        scene.clock.advance(10 * MINUTE)
        scene.until_settled()
        where = f"at call {at}: {scene.world.calls}"
        assert sorted(sent(scene)) == SUBJECTS[:number], where
        assert server.drafts == {}, where
        assert {scene.status(email) for email in emails} == {EmailStatus.SENT}, where
