"""Sending that fails at any external call, in any way, ends as if it had never failed: every email went out.

Through a server that keeps drafts exactly once; through one that cannot be asked once, or twice with the same Message-ID where
the process died between the server's acceptance and our receipt, and the email says so.
"""

from collections.abc import Callable

import pytest

from shared.domain.choices import EmailStatus, ParticipationType, Priority
from shared.domain.delivery import AttemptOutcome
from shared.domain.email import ListOf, Party
from shared.domain.errors import DeliveryPostponed, DeliveryRefused
from shared.domain.ids import ActivityId
from shared.sync.budgets import RunBudget
from tests.unit.sync.faults import Fault, FaultyWorld
from tests.unit.sync.outgoing.in_memory_servers import InMemoryDrafting, InMemorySending
from tests.unit.sync.outgoing.scene import OutgoingScene, by_exchange, by_smtp

SENT = ["Attached", "First", "Later", "Put off", "Second", "Urgent"]


def written(scene: OutgoingScene) -> dict[str, ActivityId]:
    scene.budget = RunBudget(window=3, drafts_at_once=2, outbox_batch=4)
    scene.server.answers["Put off"] = [DeliveryPostponed("451 greylisted", status_code="4.7.1")]
    scene.server.always["Refused"] = DeliveryRefused("550 no", status_code="5.7.1")
    emails = {subject: scene.send(subject) for subject in ("First", "Put off", "Refused", "Second")}
    emails["Attached"] = scene.send("Attached", attachments=[b"drawing", b"plan"])
    emails["Urgent"] = scene.send("Urgent", priority=Priority.HIGH)
    emails["Later"] = scene.send("Later", after=scene.budget.time * 3)
    emails["Canceled"] = scene.send("Canceled")
    assert scene.cancel(emails["Canceled"])
    return emails


def check(scene: OutgoingScene, emails: dict[str, ActivityId]) -> None:
    statuses = {subject: scene.status(email) for subject, email in emails.items()}
    assert statuses == {
        **dict.fromkeys(SENT, EmailStatus.SENT),
        "Refused": EmailStatus.FAILED,
        "Canceled": EmailStatus.CANCELED,
    }
    assert scene.waiting() == []
    assert scene.listed(ListOf.SENT) == SENT
    assert scene.listed(ListOf.MAILBOX) == SENT
    assert scene.listed(ListOf.PARTY, "contact:carol") == SENT
    assert scene.listed(ListOf.UNSENT) == ["Canceled", "Refused"]
    for email in emails.values():
        check_history(scene, email)
    assert scene.delivery(emails["Refused"]).status_code == "5.7.1"
    assert AttemptOutcome.REFUSED in scene.outcomes(emails["Refused"])


def check_history(scene: OutgoingScene, email: ActivityId) -> None:
    """Each attempt has its number and its end, and what was sent has one that says so."""
    attempts = scene.attempts(email)
    assert [attempt.number for attempt in attempts] == list(range(1, len(attempts) + 1))
    assert all(attempt.ended_on is not None for attempt in attempts)
    assert AttemptOutcome.UNDER_WAY not in [attempt.outcome for attempt in attempts]
    delivery = scene.delivery(email)
    assert (delivery.attempt, delivery.due) == (None, None)
    ends = [a for a in attempts if a.outcome in (AttemptOutcome.ACCEPTED, AttemptOutcome.FOUND_SENT)]
    assert len(ends) == (1 if scene.status(email) is EmailStatus.SENT else 0)


def calls_of(build: Callable[[FaultyWorld], OutgoingScene]) -> list[str]:
    scene = build(FaultyWorld())
    emails = written(scene)
    scene.until_settled()
    check(scene, emails)
    return scene.world.calls


@pytest.mark.parametrize("fault", list(Fault))
def test_with_drafts_each_email_goes_out_exactly_once_whatever_fails_where(fault: Fault) -> None:
    calls = calls_of(by_exchange)
    assert {"mail.prepare", "mail.submit", "server.create", "server.send", "activities.advance", "outbox.put"} <= set(calls)
    for at in range(1, len(calls) + 1):
        scene = by_exchange(FaultyWorld(at=at, fault=fault))
        emails = written(scene)
        scene.until_settled()
        server, where = scene.server, f"{fault} at call {at}, {scene.world.calls[at - 1]}"
        assert isinstance(server, InMemoryDrafting)
        assert sorted(message.subject for message in server.sent) == SENT, where
        assert server.drafts == {}, where
        assert not any(scene.delivery(email).may_be_twice for email in emails.values()), where
        check(scene, emails)


@pytest.mark.parametrize("fault", list(Fault))
def test_without_drafts_an_email_goes_out_twice_only_where_the_process_died_before_its_receipt(fault: Fault) -> None:
    calls = calls_of(by_smtp)
    for at in range(1, len(calls) + 1):
        scene = by_smtp(FaultyWorld(at=at, fault=fault))
        emails = written(scene)
        scene.until_settled()
        where = f"{fault} at call {at}, {scene.world.calls[at - 1]}"
        contents = scene.stores.activities.contents(list(emails.values()))
        copies = {content.message_id: email for email, content in contents.items()}
        found = scene.server.copies()
        assert set(found) == {f"{subject.lower().replace(' ', '-')}@contoso.example" for subject in SENT}, where
        twice = [message_id for message_id, number in found.items() if number > 1]
        assert all(found[each] == 2 for each in twice), where
        assert all(scene.delivery(copies[each]).may_be_twice for each in twice), where
        may_be = fault in (Fault.DEATH_BEFORE, Fault.DEATH_AFTER) or scene.world.calls[at - 1] == "mail.send"
        assert len(twice) <= (2 if may_be else 0), where
        check(scene, emails)


def test_two_more_of_the_same_kind_change_nothing_either() -> None:
    """A second process dies at the same place as the first."""
    for build in (by_smtp, by_exchange):
        calls = calls_of(build)
        for at in range(1, len(calls) + 1, 3):
            scene = build(FaultyWorld(at=at, fault=Fault.DEATH_AFTER))
            emails = written(scene)
            scene.until_dead()
            scene.world.at = len(scene.world.calls) + at
            scene.until_settled()
            check(scene, emails)


def test_a_recipient_in_two_roles_is_a_party_twice_and_written_to_once_in_each() -> None:
    scene = by_smtp()
    parties = (
        Party(ParticipationType.TO, "carol@fabrikam.example", "Carol", "contact", "carol"),
        Party(ParticipationType.TO, "Carol@fabrikam.example", "Carol again", "lead", "carol"),
        Party(ParticipationType.CC, "dave@fabrikam.example", is_left_out=True),
    )
    scene.send("Offer", parties=parties)
    scene.run()
    assert isinstance(scene.server, InMemorySending)
    [message] = scene.server.accepted
    assert message.recipients == ("carol@fabrikam.example",)
