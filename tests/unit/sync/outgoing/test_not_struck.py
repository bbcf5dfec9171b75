"""A recorded draft is removed only when it is certain that it is not recorded any more, whatever the store does meanwhile."""

import pytest

from shared.domain.choices import EmailStatus
from shared.domain.errors import DeliveryPostponed, NoAnswer, TransientError
from shared.sync.budgets import RunBudget
from tests.unit.sync.faults import FaultyWorld
from tests.unit.sync.outgoing.scene import MINUTE, OutgoingScene, by_exchange, sent

_OF_THE_SERVER = ("mail.", "server.", "open")


@pytest.mark.parametrize("answer", [DeliveryPostponed("busy"), NoAnswer("nobody")])
@pytest.mark.parametrize("number", [1, 2])
def test_an_email_that_was_not_sent_before_the_store_went_away_is_not_called_sent(answer: Exception, number: int) -> None:
    """The mail server answers all the time."""
    away_from, is_over = 0, False
    while not is_over:
        away_from += 1
        scene = by_exchange(FaultyWorld())
        scene.budget = RunBudget(window=3, drafts_at_once=2)
        subjects = [f"Offer {each}" for each in range(number)]
        emails = [scene.send(subject) for subject in subjects]
        scene.server.answers[subjects[0]] = [answer] * 2
        calls = store_goes_away(scene, away_from)
        scene.attempt()
        is_over = len(calls) < away_from
        scene.world.watch = None
        scene.clock.advance(10 * MINUTE)
        scene.until_settled()
        where = f"away from call {away_from} after the first email was given to the server"
        assert sorted(sent(scene)) == subjects, where
        assert {scene.status(email) for email in emails} == {EmailStatus.SENT}, where


def store_goes_away(scene: OutgoingScene, at: int) -> list[str]:
    """At that call after an email was given to the server; the calls since, as they come."""
    calls: list[str] = []

    def watch(name: str) -> None:
        if not name.startswith(_OF_THE_SERVER) and "server.send" in scene.world.calls:
            calls.append(name)
            if len(calls) >= at:
                raise TransientError("the store is away")

    scene.world.watch = watch
    return calls
