"""No email holds up the others, whatever it does to the connection, the process or the run."""

from collections.abc import Sequence
from datetime import timedelta

import pytest

from shared.domain.choices import EmailStatus
from shared.domain.email import ListOf, TimelineEntry
from shared.domain.errors import (
    AccessDenied,
    Busy,
    ConnectionRefused,
    SendingQuotaSpent,
    Unreachable,
)
from shared.domain.operations import RunOutcome
from tests.unit.sync.outgoing.in_memory_servers import InMemoryDrafting
from tests.unit.sync.outgoing.scene import MINUTE, Build, both_servers, by_exchange, by_smtp, sent


@both_servers
def test_an_unknown_exception_of_one_email_is_that_emails_and_counted(build: Build) -> None:
    scene = build(delivery_attempts=3)
    failure = RuntimeError("carol@fabrikam.example does not fit")
    scene.server.always["Odd"] = failure
    emails = [scene.send(subject) for subject in ("First", "Odd", "Last")]
    assert scene.run() is RunOutcome.COMPLETED
    assert sorted(sent(scene)) == ["First", "Last"]
    scene.until_settled()
    assert scene.status(emails[1]) is EmailStatus.FAILED
    assert (scene.delivery(emails[1]).error, scene.delivery(emails[1]).detail) == ("unexpected", "RuntimeError")


@both_servers
def test_an_email_that_breaks_the_connection_each_time_does_not_hold_up_the_others(build: Build) -> None:
    scene = build(delivery_attempts=4)
    scene.server.always["Breaks"] = Unreachable("connection lost")
    bad = scene.send("Breaks")
    good = [scene.send(f"Offer {number}") for number in range(12)]
    assert scene.run() is RunOutcome.COMPLETED
    assert {scene.status(each) for each in good} == {EmailStatus.SENT}
    assert scene.status(bad) is EmailStatus.PENDING_SEND
    assert scene.schedule().failures == 0
    scene.until_settled()
    assert scene.status(bad) is EmailStatus.FAILED
    assert scene.delivery(bad).attempts == 4
    if isinstance(scene.server, InMemoryDrafting):
        assert scene.server.drafts == {}


def test_one_whose_draft_cannot_be_made_does_not_hold_up_its_window() -> None:
    scene = by_exchange(delivery_attempts=2)
    assert isinstance(scene.server, InMemoryDrafting)
    scene.server.fails_to_prepare["Breaks"] = Unreachable("connection lost")
    emails = [scene.send(subject) for subject in ("One", "Breaks", "Two")]
    scene.until_settled()
    assert sorted(sent(scene)) == ["One", "Two"]
    assert scene.status(emails[1]) is EmailStatus.FAILED
    assert scene.server.drafts == {}


def test_a_server_that_breaks_at_everybody_ends_the_run_and_no_attempt_is_counted() -> None:
    scene = by_smtp()
    for subject in ("One", "Two", "Three"):
        scene.server.answers[subject] = [Unreachable("connection lost")]
    emails = [scene.send(subject) for subject in ("One", "Two", "Three")]
    assert scene.run() is RunOutcome.FAILED
    assert [scene.delivery(each).attempts for each in emails] == [0, 0, 0]
    assert {scene.status(each) for each in emails} == {EmailStatus.PENDING_SEND}
    assert scene.schedule().failures == 1
    scene.until_settled()
    assert sorted(sent(scene)) == ["One", "Three", "Two"]


@both_servers
@pytest.mark.parametrize(
    "error", [SendingQuotaSpent("quota", timedelta(hours=2)), Busy("busy"), ConnectionRefused("no"), AccessDenied("no")]
)
def test_what_no_email_can_be_the_cause_of_ends_the_run_and_counts_for_none(build: Build, error: Exception) -> None:
    scene = build()
    scene.server.answers["One"] = [error]
    emails = [scene.send("One")]
    scene.clock.advance(MINUTE)
    emails.append(scene.send("Two"))
    assert scene.run() is RunOutcome.FAILED
    assert {scene.status(each) for each in emails} == {EmailStatus.PENDING_SEND}
    assert [scene.delivery(each).attempts for each in emails] == [0, 0]
    assert len(scene.waiting()) == 2
    if isinstance(error, SendingQuotaSpent):
        assert scene.wait() == timedelta(hours=2)
    if isinstance(scene.server, InMemoryDrafting):
        assert scene.server.drafts == {}
    scene.until_settled()
    assert sorted(sent(scene)) == ["One", "Two"]


@both_servers
def test_an_email_that_stops_the_process_each_time_does_not_hold_up_the_others(build: Build) -> None:
    scene = build(delivery_attempts=1)
    deadly = scene.send("Deadly", attachments=[b"x"])

    def watch(name: str) -> None:
        if name == "blobs.read":
            scene.world.die()

    scene.world.watch = watch
    others = [scene.send(f"Offer {number}") for number in range(4)]
    scene.until_settled()
    assert {scene.status(each) for each in others} == {EmailStatus.SENT}
    assert scene.status(deadly) is EmailStatus.FAILED
    assert set(scene.outcomes(deadly)) == {"interrupted"}


@both_servers
def test_an_email_that_cannot_be_listed_does_not_keep_the_others_from_it(build: Build) -> None:
    scene = build()
    put = scene.stores.timeline.put

    def refuses_one(entries: Sequence[TimelineEntry]) -> None:
        if any(entry.subject == "Unlistable" for entry in entries):
            raise ValueError("the store does not like it")
        put(entries)

    emails = [scene.send(subject) for subject in ("One", "Unlistable", "Two")]
    scene.stores.timeline.put = refuses_one  # type: ignore[method-assign]  # put in between
    assert scene.run() is RunOutcome.COMPLETED
    assert [scene.status(email) for email in emails] == [EmailStatus.SENT] * 3
    assert scene.listed(ListOf.SENT) == ["One", "Two"]
    scene.stores.timeline.put = put  # type: ignore[method-assign]  # as it was
    scene.until_settled()
    assert scene.listed(ListOf.SENT) == ["One", "Two", "Unlistable"]
    assert sorted(sent(scene)) == ["One", "Two", "Unlistable"]
