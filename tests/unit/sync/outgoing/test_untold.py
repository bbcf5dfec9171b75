"""A server that says of a draft neither that it is there nor that it is gone: it is not sent twice, and holds up nobody."""

from collections.abc import Sequence

import pytest

from shared.domain.choices import EmailStatus
from shared.domain.errors import ConnectionRefused, DeliveryError, DeliveryPostponed, DeliveryUnknown, NoAnswer
from shared.domain.outgoing import Receipt
from shared.sync.budgets import RunBudget
from tests.unit.sync.faults import FaultyWorld
from tests.unit.sync.outgoing.in_memory_servers import InMemoryDrafting
from tests.unit.sync.outgoing.scene import MINUTE, OutgoingScene, by_exchange, sent

SUBJECTS = ["Offer 0", "Offer 1", "Offer 2"]


class FailingOver(InMemoryDrafting):
    """It sends, and fails over: what it answers to that SendItem says nothing, and it cannot look at items for a time."""

    answers_one_by_one = True
    is_failing_over = False
    finds = 0

    def submit(self, drafts: Sequence[str], *, save_copy: bool) -> Sequence[Receipt | DeliveryError]:
        answers = super().submit(drafts, save_copy=save_copy)
        if self.finds:
            return answers
        self.is_failing_over = True
        if self.answers_one_by_one:
            return [DeliveryUnknown("ErrorMailboxFailover") for _ in drafts]
        raise NoAnswer("SendItem: ReadTimeout")

    def find(self, drafts: Sequence[str]) -> Sequence[str | DeliveryError | None]:
        self.finds += 1
        found = super().find(drafts)
        return [DeliveryPostponed("ErrorMailboxStoreUnavailable") for _ in drafts] if self.is_failing_over else found


def failing_over(*, answers_one_by_one: bool, save_sent_items: bool) -> tuple[OutgoingScene, FailingOver]:
    scene = by_exchange(FaultyWorld(), save_sent_items=save_sent_items)
    scene.server = scene.outward.server = server = FailingOver(world=scene.world)
    server.answers_one_by_one = answers_one_by_one
    scene.budget = RunBudget(window=3, drafts_at_once=3)
    return scene, server


@pytest.mark.parametrize("number", [1, 3])
@pytest.mark.parametrize("answers_one_by_one", [True, False])
@pytest.mark.parametrize("save_sent_items", [True, False])
def test_what_may_have_been_sent_waits_until_the_server_tells(
    number: int, answers_one_by_one: bool, save_sent_items: bool
) -> None:
    scene, server = failing_over(answers_one_by_one=answers_one_by_one, save_sent_items=save_sent_items)
    emails = [scene.send(subject) for subject in SUBJECTS[:number]]
    scene.attempt()
    assert {scene.status(email) for email in emails} == {EmailStatus.SENDING}
    server.is_failing_over = False
    scene.clock.advance(10 * MINUTE)
    scene.until_settled()
    assert sorted(sent(scene)) == SUBJECTS[:number]
    assert {scene.status(email) for email in emails} == {EmailStatus.SENT}


def test_a_draft_of_which_the_server_tells_nothing_is_sent_by_the_reference_that_is_known() -> None:
    scene, server = failing_over(answers_one_by_one=True, save_sent_items=True)
    email = scene.send("Offer")
    scene.world.watch = lambda name: scene.world.die() if name == "server.send" else None
    assert scene.attempt() is None
    scene.world.watch = None
    server.finds, server.is_failing_over = 1, True
    scene.clock.advance(10 * MINUTE)
    scene.run()
    assert (sent(scene), scene.status(email), scene.delivery(email).may_be_twice) == (["Offer"], EmailStatus.SENT, False)
    assert server.prepared == 1, "no other draft was made"


def test_what_may_be_sent_yet_is_sent_as_the_same_draft_and_no_other() -> None:
    scene = by_exchange(FaultyWorld())
    email = scene.send("Offer")
    server = scene.server
    assert isinstance(server, InMemoryDrafting)
    server.answers["Offer"] = [DeliveryUnknown("ErrorTimeoutExpired")]
    scene.run()
    assert (scene.status(email), len(server.drafts)) == (EmailStatus.SENDING, 1)
    scene.until_settled()
    assert (sent(scene), scene.status(email), server.prepared) == (["Offer"], EmailStatus.SENT, 1)


def test_what_an_earlier_run_may_have_sent_does_not_go_back_because_the_server_refuses_connections_now() -> None:
    scene, server = failing_over(answers_one_by_one=True, save_sent_items=False)
    email = scene.send("Offer")
    scene.world.watch = lambda _: scene.world.die() if server.sent else None
    assert scene.attempt() is None
    server.finds, server.is_failing_over = 1, True
    scene.world.watch = refuse_to_send
    scene.clock.advance(10 * MINUTE)
    scene.run()
    scene.world.watch, server.is_failing_over = None, False
    scene.until_settled()
    assert (sent(scene), scene.status(email)) == (["Offer"], EmailStatus.SENT)


def refuse_to_send(name: str) -> None:
    if name == "mail.submit":
        raise ConnectionRefused("away")
