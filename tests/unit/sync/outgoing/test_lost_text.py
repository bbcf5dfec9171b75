"""An email of which the store has lost a text cannot be sent: it says so, and nobody else waits for it."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from typing import cast

import pytest

from shared.domain.choices import EmailStatus
from shared.domain.ids import ActivityId
from shared.domain.operations import RunOutcome
from shared.domain.steps import StoredEmail
from shared.ports import Activities
from tests.unit.sync.outgoing.scene import OutgoingScene, by_exchange, by_smtp


class LosingTexts:
    """Activities as tables keep them: a large text stands in a blob, which somebody deleted."""

    def __init__(self, inner: Activities) -> None:
        self._inner = inner
        self.lost: set[ActivityId] = set()

    def whole(self, activity_ids: Collection[ActivityId]) -> Mapping[ActivityId, StoredEmail]:
        if gone := self.lost & set(activity_ids):
            raise KeyError(f"emails/{gone.pop()}/text")
        return self._inner.whole(activity_ids)

    def __getattr__(self, name: str) -> object:
        return getattr(self._inner, name)


@pytest.mark.parametrize("build", [by_smtp, by_exchange])
def test_an_email_whose_text_is_lost_has_failed_in_words_and_the_others_are_sent(build: Callable[[], OutgoingScene]) -> None:
    scene = build()
    losing = LosingTexts(scene.stores.activities)
    scene.stores = replace(scene.stores, activities=cast("Activities", losing))
    emails = [scene.send(subject) for subject in ("First", "Lost", "Last")]
    losing.lost.add(emails[1])
    assert scene.run() is RunOutcome.COMPLETED
    assert [scene.status(each) for each in emails] == [EmailStatus.SENT, EmailStatus.FAILED, EmailStatus.SENT]
    delivery = scene.delivery(emails[1])
    assert (delivery.error, delivery.detail) == ("text_lost", "A text of the email is not in the store any more.")
    assert scene.outcomes(emails[1]) == ["refused"]
    assert scene.waiting() == []


@pytest.mark.parametrize("build", [by_smtp, by_exchange])
def test_one_that_was_interrupted_and_lost_its_text_comes_to_an_end_too(build: Callable[[], OutgoingScene]) -> None:
    scene = build()
    losing = LosingTexts(scene.stores.activities)
    scene.stores = replace(scene.stores, activities=cast("Activities", losing))
    email = scene.send("Lost")
    scene.world.watch = lambda name: scene.world.die() if name in ("mail.send", "mail.submit") else None
    assert scene.attempt() is None
    scene.world.watch = None
    losing.lost.add(email)
    scene.until_settled()
    assert scene.status(email) in (EmailStatus.FAILED, EmailStatus.SENT)
    assert scene.waiting() == []
