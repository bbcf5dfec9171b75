"""A server that refuses connections in the middle: what it was certainly not given waits as before, and no attempt counts."""

from collections.abc import Sequence

import pytest

from shared.domain.choices import EmailStatus
from shared.domain.errors import ConnectionRefused, DeliveryError, NoAnswer, TransientError
from shared.domain.ids import ActivityId
from shared.domain.operations import RunOutcome
from shared.domain.outgoing import OutgoingMessage
from shared.sync.budgets import RunBudget
from tests.unit.sync.faults import FaultyWorld
from tests.unit.sync.outgoing.in_memory_servers import InMemoryDrafting
from tests.unit.sync.outgoing.scene import MINUTE, OutgoingScene, by_exchange, sent

SUBJECTS = [f"Offer {number}" for number in range(5)]
DAY = 24 * 60 * MINUTE


def written(subjects: list[str] = SUBJECTS) -> tuple[OutgoingScene, list[ActivityId]]:
    scene = by_exchange(FaultyWorld(), delivery_attempts=3)
    scene.budget = RunBudget(window=3, drafts_at_once=2, outbox_batch=4)
    return scene, [scene.send(subject) for subject in subjects]


def is_of_server(name: str) -> bool:
    """Nobody is asked when a mailbox is opened."""
    return name.startswith(("mail.", "server."))


def goes_away(scene: OutgoingScene, at: int, error: TransientError) -> None:
    def watch(name: str) -> None:
        if len(scene.world.calls) >= at and is_of_server(name):
            raise error

    scene.world.watch = watch


def calls_of_a_run() -> list[str]:
    scene, _ = written()
    scene.run()
    return scene.world.calls


def drafts_of(scene: OutgoingScene) -> int:
    assert isinstance(scene.server, InMemoryDrafting)
    return len(scene.server.drafts)


def test_what_was_not_sent_when_connections_are_refused_waits_as_before_and_no_attempt_counts() -> None:
    for at, name in enumerate(calls_of_a_run(), start=1):
        scene, emails = written()
        goes_away(scene, at, ConnectionRefused("away"))
        outcome = scene.run()
        where = f"away from call {at}, {name}"
        assert outcome is RunOutcome.FAILED or len(sent(scene)) == 5, where
        statuses = [scene.status(email) for email in emails]
        assert statuses.count(EmailStatus.SENT) == len(sent(scene)), where
        assert set(statuses) <= {EmailStatus.SENT, EmailStatus.PENDING_SEND}, where
        waiting = [email for email, status in zip(emails, statuses, strict=True) if status is EmailStatus.PENDING_SEND]
        assert {scene.delivery(email).attempts for email in waiting} <= {0}, where
        scene.world.watch = None
        scene.until_settled()
        assert sorted(sent(scene)) == SUBJECTS, where
        assert {scene.status(email) for email in emails} == {EmailStatus.SENT}, where
        assert drafts_of(scene) == 0, where


@pytest.mark.parametrize("error", [NoAnswer("nobody"), ConnectionRefused("away")])
@pytest.mark.parametrize("subjects", [SUBJECTS, SUBJECTS[:1]], ids=["several", "alone"])
def test_no_email_fails_because_its_server_is_away_however_long(subjects: list[str], error: TransientError) -> None:
    for call in ("mail.prepare", "server.create", "server.complete", "mail.submit", "server.send"):
        scene, emails = written(subjects)
        scene.world.watch = lambda name, scene=scene, call=call: _fails(error, is_of_server(name) and call in scene.world.calls)
        for _ in range(20):
            scene.run()
            scene.clock.advance(60 * MINUTE)
        scene.world.watch = None
        scene.until_settled()
        assert {scene.status(email) for email in emails} == {EmailStatus.SENT}, call
        assert sorted(sent(scene)) == subjects, call
        assert drafts_of(scene) == 0, call


def _fails(error: TransientError, does: bool) -> None:
    if does:
        raise error


@pytest.mark.parametrize("call", ["mail.prepare", "server.create", "mail.submit", "server.send"])
def test_an_email_at_which_the_server_breaks_down_each_time_holds_up_no_other(call: str) -> None:
    """It does not answer for the rest of the run, so that nobody can ask it whose fault that is."""
    scene, _ = written([])
    breaks = scene.send("Breaks")
    scene.clock.advance(MINUTE)
    others = [scene.send(subject) for subject in SUBJECTS]
    server, is_down = scene.server, False
    assert isinstance(server, InMemoryDrafting)

    def watch(name: str) -> None:
        nonlocal is_down
        if name == "open":
            is_down = False
        is_down |= name == call and "Breaks" in [message.subject for message in server.in_hand]
        if is_down and is_of_server(name):
            raise NoAnswer("nobody")

    scene.world.watch = watch
    scene.until_settled()
    assert {scene.status(email) for email in others} == {EmailStatus.SENT}
    assert scene.status(breaks) is EmailStatus.FAILED
    assert sorted(sent(scene)) == SUBJECTS


# ---- drafts that nobody could remove


def test_a_draft_that_the_server_makes_after_its_caller_gave_up_is_removed_within_a_day() -> None:
    scene, emails = written()
    server = scene.server
    assert isinstance(server, InMemoryDrafting)
    scene.world.watch = _at_first("mail.prepare", NoAnswer("too slow"))
    kept = server.prepare
    late: list[Sequence[OutgoingMessage]] = []

    def prepare(messages: Sequence[OutgoingMessage]) -> Sequence[str | DeliveryError]:
        late.append(messages)
        return kept(messages)

    server.prepare = prepare  # type: ignore[method-assign]  # put in between
    scene.run()
    kept(late[0])
    assert drafts_of(scene) > 0
    scene.until_settled()
    assert {scene.status(email) for email in emails} == {EmailStatus.SENT}
    scene.clock.advance(DAY)
    scene.run()
    assert drafts_of(scene) == 0
    assert sorted(sent(scene)) == SUBJECTS
    scene.clock.advance(DAY)
    assert scene.run() is RunOutcome.IDLE, "there is nothing left to look for"


def _at_first(call: str, error: TransientError) -> "Watch":
    return Watch(call, error)


class Watch:
    """Fails the first call of that name."""

    def __init__(self, call: str, error: TransientError) -> None:
        self._call, self._error = call, error
        self._is_over = False

    def __call__(self, name: str) -> None:
        if name == self._call and not self._is_over:
            self._is_over = True
            raise self._error


@pytest.mark.parametrize("call", ["server.create", "server.complete"])
def test_a_worker_that_dies_while_it_prepares_long_after_its_lease_leaves_no_draft(call: str) -> None:
    for nth in range(1, 5):
        scene, emails = written()
        seen = 0

        def stands_still_and_dies(name: str, scene: OutgoingScene = scene, nth: int = nth) -> None:
            nonlocal seen
            seen += name == call
            if seen == nth and name == call:
                scene.clock.advance(10 * MINUTE)
                scene.world.watch = None
                scene.run()
                scene.world.watch = lambda _: scene.world.die()

        scene.world.watch = stands_still_and_dies
        assert scene.attempt() is None
        scene.world.watch = None
        scene.until_settled()
        scene.clock.advance(DAY)
        scene.run()
        assert drafts_of(scene) == 0, f"{call} {nth}"
        assert sorted(sent(scene)) == SUBJECTS
        assert {scene.status(email) for email in emails} == {EmailStatus.SENT}
