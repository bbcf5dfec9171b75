"""People see the drafts of what is being sent, and delete or move them: nothing is lost in silence, nothing goes out twice."""

from collections.abc import Callable

import pytest

from shared.domain.choices import EmailStatus
from shared.domain.delivery import AttemptOutcome
from shared.domain.ids import ActivityId
from tests.unit.sync.faults import Fault, FaultyWorld
from tests.unit.sync.outgoing.in_memory_servers import InMemoryDrafting
from tests.unit.sync.outgoing.scene import MINUTE, OutgoingScene, by_exchange

type Deed = Callable[[InMemoryDrafting], None]

SUBJECTS = ("First", "Second", "Third")


def discarded(server: InMemoryDrafting) -> None:
    server.take_all()


def destroyed(server: InMemoryDrafting) -> None:
    server.drafts.clear()


def server_of(scene: OutgoingScene) -> InMemoryDrafting:
    assert isinstance(scene.server, InMemoryDrafting)
    return scene.server


def written(scene: OutgoingScene) -> dict[str, ActivityId]:
    return {subject: scene.send(subject) for subject in SUBJECTS}


def calls_of_a_run(*, save_sent_items: bool = True) -> list[str]:
    scene = by_exchange(save_sent_items=save_sent_items)
    written(scene)
    scene.run()
    return scene.world.calls


def at_call(scene: OutgoingScene, number: int, deed: Deed) -> None:
    def watch(_: str) -> None:
        if len(scene.world.calls) == number:
            deed(server_of(scene))

    scene.world.watch = watch


def dies_while_sending(scene: OutgoingScene) -> None:
    """All drafts are recorded, and none was sent."""
    scene.world.watch = lambda name: scene.world.die() if name == "server.send" else None
    assert scene.attempt() is None
    scene.world.watch = None


def is_told(scene: OutgoingScene, email: ActivityId) -> bool:
    """That nobody knows for certain whether it was sent."""
    return any(each.outcome is AttemptOutcome.FOUND_SENT and each.detail for each in scene.attempts(email))


def check_what_is_said_is_true(scene: OutgoingScene, emails: dict[str, ActivityId], where: str) -> set[EmailStatus]:
    """What is called sent went out once, unless the attempt says that nobody knows; what failed did not go out."""
    went_out = [message.subject for message in server_of(scene).sent]
    for subject, email in emails.items():
        status, copies = scene.status(email), went_out.count(subject)
        assert status in (EmailStatus.SENT, EmailStatus.FAILED), where
        if status is EmailStatus.FAILED:
            assert (copies, scene.delivery(email).error) == (0, "draft_taken"), where
        else:
            assert copies == 1 or (copies == 0 and is_told(scene, email)), where
    assert scene.waiting() == [], where
    return {scene.status(email) for email in emails.values()}


@pytest.mark.parametrize("deed", [discarded, destroyed])
@pytest.mark.parametrize("save_sent_items", [True, False])
def test_drafts_that_somebody_takes_while_they_are_sent_are_never_called_sent(deed: Deed, save_sent_items: bool) -> None:
    ends: set[EmailStatus] = set()
    for at in range(1, len(calls_of_a_run(save_sent_items=save_sent_items)) + 1):
        scene = by_exchange(save_sent_items=save_sent_items)
        emails = written(scene)
        at_call(scene, at, deed)
        scene.until_settled()
        where = f"taken at call {at}, {scene.world.calls[at - 1]}"
        ends |= check_what_is_said_is_true(scene, emails, where)
        assert not any(is_told(scene, email) for email in emails.values()), where
        assert server_of(scene).drafts == {}, where
    assert ends == {EmailStatus.SENT, EmailStatus.FAILED}


@pytest.mark.parametrize("deed", [discarded, destroyed])
@pytest.mark.parametrize("save_sent_items", [True, False])
@pytest.mark.parametrize("fault", list(Fault))
def test_drafts_that_somebody_takes_after_a_fault_at_any_call_are_told_from_what_was_sent(
    fault: Fault, deed: Deed, save_sent_items: bool
) -> None:
    for at in range(1, len(calls_of_a_run(save_sent_items=save_sent_items)) + 1):
        scene = by_exchange(FaultyWorld(at=at, fault=fault), save_sent_items=save_sent_items)
        emails = written(scene)
        scene.until_dead()
        deed(server_of(scene))
        scene.clock.advance(10 * MINUTE)
        scene.until_settled()
        where = f"{fault} at call {at}, {scene.world.calls[at - 1]}"
        check_what_is_said_is_true(scene, emails, where)
        if deed is discarded and save_sent_items:
            assert not any(is_told(scene, email) for email in emails.values()), f"{where}: it can be found out"


def test_a_fault_at_any_call_of_the_recovery_changes_nothing_about_that() -> None:
    for at in range(1, 40):
        for fault in Fault:
            scene = by_exchange()
            emails = written(scene)
            dies_while_sending(scene)
            server_of(scene).take_all()
            scene.clock.advance(10 * MINUTE)
            scene.world.at, scene.world.fault = len(scene.world.calls) + at, fault
            scene.until_settled()
            where = f"{fault} at call {at} of the recovery"
            assert check_what_is_said_is_true(scene, emails, where) == {EmailStatus.FAILED}, where


def test_one_that_failed_because_its_draft_was_taken_is_sent_when_it_is_sent_again() -> None:
    scene = by_exchange()
    email = scene.send("Offer")
    server = server_of(scene)
    server.on_submit = server.take_all
    scene.run()
    assert (scene.status(email), scene.outcomes(email)) == (EmailStatus.FAILED, ["refused"])
    assert "deleted or moved" in scene.delivery(email).detail
    server.on_submit = None
    scene.announce(scene.hint(email))
    scene.until_settled()
    assert (scene.status(email), [message.subject for message in server.sent]) == (EmailStatus.SENT, ["Offer"])
    assert len(server.taken) == 1, "what somebody took is his"


def test_a_run_in_which_nothing_fails_searches_for_nothing() -> None:
    assert {"mail.trace", "mail.find", "mail.withdraw"} & set(calls_of_a_run()) == set()
