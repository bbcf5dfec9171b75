"""However many entries stand in front of an email in the outbox, it is sent."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from tests.unit.sync.outgoing.scene import OutgoingScene, by_exchange, by_smtp


@pytest.fixture(params=[by_smtp, by_exchange], ids=["SMTP", "Exchange"])
def scene(request: pytest.FixtureRequest) -> OutgoingScene:
    make: Callable[[], OutgoingScene] = request.param
    return make()


def test_an_email_behind_more_unfinished_hints_than_are_read_at_once_is_sent(scene: OutgoingScene) -> None:
    """Each `send` that does not come to its second part leaves one for an hour."""
    draft = scene.draft("Draft")
    for _ in range(scene.budget.outbox_batch + 1):
        scene.clock.advance(timedelta(milliseconds=1))
        scene.hint(draft)
    scene.send("Offer")
    scene.run()
    assert list(scene.server.copies()) == ["offer@contoso.example"]


def test_all_are_sent_where_as_many_are_read_at_once_as_are_filed_at_once() -> None:
    scene = by_smtp()
    scene.budget = replace(scene.budget, window=4, drafts_at_once=4, outbox_batch=4)
    for number in range(13):
        scene.send(f"Offer {number}")
    scene.run()
    assert sum(scene.server.copies().values()) == 13
