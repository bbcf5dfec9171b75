"""Where a mailbox is: found out once a day, looked for anew after what a move explains, and never in the way of a poll."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

import pytest

from shared.domain.choices import AuthenticationProtocol
from shared.domain.configuration import Discovered, EmailServerProfile, Mailbox, WorkloadSchedule
from shared.domain.errors import AuthenticationFailed, MailboxNotFound, SyncError, Throttled, Unreachable
from shared.domain.operations import RunOutcome
from tests.builders import a_message, a_profile
from tests.unit.sync.scene import Scene

HOUR = timedelta(hours=1)


@dataclass
class Autodiscover:
    """Every answer names another server."""

    asked: int = 0
    fails: SyncError | None = None
    answers: list[Discovered] = field(default_factory=list)

    def __call__(self, profile: EmailServerProfile, mailbox: Mailbox, now: datetime) -> Discovered:  # noqa: ARG002
        self.asked += 1
        if self.fails is not None:
            raise self.fails
        endpoint = f"https://mail{self.asked}.contoso.example/EWS/Exchange.asmx"
        self.answers.append(Discovered(endpoint, "15.2.1544.4", AuthenticationProtocol.NTLM, now))
        return self.answers[-1]


@pytest.fixture
def autodiscover() -> Autodiscover:
    return Autodiscover()


@pytest.fixture
def scene(autodiscover: Autodiscover) -> Scene:
    profile = a_profile(use_autodiscover=True, incoming_location=None)
    return Scene(profile=profile, discover=autodiscover)


def test_a_mailbox_is_found_once_and_read_there(scene: Scene, autodiscover: Autodiscover) -> None:
    scene.anna.deliver(a_message("Offer"))
    assert scene.run() is RunOutcome.COMPLETED
    assert scene.run() is RunOutcome.IDLE
    assert autodiscover.asked == 1
    assert scene.servers.discovered == [autodiscover.answers[0]] * 2


def test_an_idle_poll_of_a_mailbox_that_was_found_asks_the_stores_no_more_than_any_other(scene: Scene) -> None:
    scene.run()
    scene.world.calls.clear()
    plain = Scene()
    plain.run()
    plain.world.calls.clear()
    for each in (scene, plain):
        assert each.run() is RunOutcome.IDLE
    assert scene.world.calls == plain.world.calls


def test_it_is_found_out_anew_after_a_day(scene: Scene, autodiscover: Autodiscover) -> None:
    scene.run()
    scene.clock.advance(23 * HOUR)
    scene.run()
    assert autodiscover.asked == 1
    scene.clock.advance(HOUR)
    scene.run()
    assert scene.servers.discovered[-1] == autodiscover.answers[1]


def test_while_autodiscover_is_down_what_was_found_before_serves(scene: Scene, autodiscover: Autodiscover) -> None:
    scene.run()
    scene.clock.advance(25 * HOUR)
    autodiscover.fails = Unreachable("down")
    for _ in range(3):
        assert scene.run() is RunOutcome.IDLE
    assert autodiscover.asked == 2, "and it is asked again in an hour, not at every poll"
    scene.clock.advance(HOUR)
    scene.run()
    assert autodiscover.asked == 3


@pytest.mark.parametrize("error", [Unreachable("down"), AuthenticationFailed("401", profile_wide=True)])
def test_a_mailbox_that_was_never_found_is_not_opened(scene: Scene, autodiscover: Autodiscover, error: SyncError) -> None:
    autodiscover.fails = error
    assert scene.run() is RunOutcome.FAILED
    assert scene.schedule().last_error == error.code
    assert scene.servers.attempts == []


@pytest.mark.parametrize(("error", "asked"), [(Unreachable("x"), 2), (MailboxNotFound("x"), 2), (Throttled("x"), 1)])
def test_it_is_looked_for_after_what_a_move_explains(
    scene: Scene, autodiscover: Autodiscover, error: SyncError, asked: int
) -> None:
    scene.run()
    scene.anna.listing_fails = [error]
    assert scene.run() is RunOutcome.FAILED
    scene.clock.advance(2 * HOUR)
    scene.run()
    assert autodiscover.asked == asked


def test_a_profile_without_autodiscover_asks_nobody(autodiscover: Autodiscover) -> None:
    scene = Scene(discover=autodiscover)
    scene.run()
    assert autodiscover.asked == 0
    assert scene.schedule() != WorkloadSchedule()
