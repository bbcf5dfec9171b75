"""Whose fault a broken connection is where only one email waits: the server is asked without it."""

from datetime import timedelta

import pytest

from shared.domain.choices import EmailStatus
from shared.domain.errors import NoAnswer, Unreachable
from shared.domain.operations import RunOutcome
from shared.domain.outgoing import OutgoingMessage, Receipt
from tests.unit.sync.outgoing.in_memory_servers import InMemorySending
from tests.unit.sync.outgoing.scene import OutgoingScene, by_smtp


class ServerAway(InMemorySending):
    """Nobody answers, whatever is asked."""

    is_away = True

    def check(self) -> None:
        if self.is_away:
            raise NoAnswer("no answer within 30 seconds")

    def send(self, message: OutgoingMessage) -> Receipt:
        if self.is_away:
            raise NoAnswer("no answer within 30 seconds")
        return super().send(message)


def away(scene: OutgoingScene) -> ServerAway:
    scene.server = scene.outward.server = ServerAway(world=scene.world)
    return scene.server


def test_an_email_never_fails_because_the_server_is_away_however_long() -> None:
    scene = by_smtp(delivery_attempts=3)
    server = away(scene)
    email = scene.send("Offer")
    until = scene.clock() + timedelta(days=2)
    while scene.clock() < until:
        assert scene.run() is RunOutcome.FAILED
        scene.clock.now = scene.schedule().due or until
    assert (scene.status(email), scene.delivery(email).attempts) == (EmailStatus.PENDING_SEND, 0)
    assert [alert.code for alert in scene.alerts()] == ["no_answer"]
    server.is_away = False
    scene.until_settled()
    assert scene.status(email) is EmailStatus.SENT


@pytest.mark.parametrize("others", [0, 1])
def test_an_email_at_which_alone_the_connection_breaks_is_put_off_whether_others_wait_or_not(others: int) -> None:
    scene = by_smtp(delivery_attempts=3)
    scene.server.always["Breaks"] = Unreachable("connection lost")
    email = scene.send("Breaks")
    for number in range(others):
        scene.send(f"Offer {number}")
    assert scene.run() is RunOutcome.COMPLETED
    assert (scene.status(email), scene.delivery(email).attempts) == (EmailStatus.PENDING_SEND, 1)
    scene.until_settled()
    assert (scene.status(email), scene.delivery(email).error) == (EmailStatus.FAILED, "unreachable")
