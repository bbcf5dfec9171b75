"""What a run has done beside the sending: it needs few threads for that, and leaves nothing half done."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Thread
from typing import NoReturn

import pytest

from shared.domain.choices import EmailStatus
from shared.domain.errors import ConnectionRefused, Unreachable
from shared.domain.operations import RunOutcome
from shared.sync.budgets import RunBudget
from tests.unit.sync.outgoing.in_memory_servers import InMemoryDrafting
from tests.unit.sync.outgoing.scene import MINUTE, OutgoingScene, by_exchange, by_smtp


@pytest.mark.parametrize("build", [by_smtp, by_exchange])
def test_a_run_needs_no_more_than_one_thread_beside_its_own(build: Callable[[], OutgoingScene]) -> None:
    """All runs of a process share the threads: none may wait in one of them for another."""
    scene = build()
    emails = [scene.send(f"Offer {number}") for number in range(30)]
    scene.executor = threads = ThreadPoolExecutor(1)
    run = Thread(target=scene.run, daemon=True)
    run.start()
    run.join(60)
    threads.shutdown(wait=False, cancel_futures=True)
    assert not run.is_alive()
    assert {scene.status(each) for each in emails} == {EmailStatus.SENT}


def test_emails_that_were_only_begun_ahead_wait_as_before_though_the_server_is_away() -> None:
    scene = by_exchange()
    scene.budget = RunBudget(drafts_at_once=2)
    emails = []
    for number in range(4):
        emails.append(scene.send(f"Offer {number}"))
        scene.clock.advance(MINUTE)

    def watch(name: str) -> None:
        if name.startswith("mail."):
            raise ConnectionRefused("away")

    scene.world.watch = watch
    assert scene.run() is RunOutcome.FAILED
    assert [scene.delivery(each).attempts for each in emails[2:]] == [0, 0]
    assert {scene.status(each) for each in emails[2:]} == {EmailStatus.PENDING_SEND}


def test_a_recorded_draft_stays_known_while_its_email_waits_behind_a_clock_that_was_set_back() -> None:
    scene = by_exchange()
    server = scene.server
    assert isinstance(server, InMemoryDrafting)
    email = scene.send("Offer")

    def away(name: str) -> None:
        if server.sent and name.startswith("mail."):
            raise Unreachable("away")

    def no_answer(drafts: Sequence[str], *, save_copy: bool) -> NoReturn:
        InMemoryDrafting.submit(server, drafts, save_copy=save_copy)
        raise Unreachable("the answer is lost")

    server.submit = no_answer  # type: ignore[method-assign]  # put in between
    scene.world.watch = away
    assert scene.run() is RunOutcome.FAILED
    assert scene.status(email) is EmailStatus.SENDING
    del server.submit
    scene.world.watch = None
    scene.clock.advance(-MINUTE)
    scene.send("Other")
    assert scene.run() is RunOutcome.COMPLETED
    scene.until_settled()
    assert list(scene.server.copies().values()) == [1, 1]
