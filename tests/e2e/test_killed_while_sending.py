"""kill -9 of the real host while it sends: started again, every email is sent, with Exchange once; by SMTP the one whose answer
was lost is there twice, with the same Message-ID, and says so."""

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

import pytest

from shared.administration import Administration, Rules
from shared.domain.audit import Caller
from shared.domain.choices import (
    AuthenticationProtocol,
    CredentialSource,
    EmailDeliveryMethod,
    EmailStatus,
    OwnerKind,
    ServerType,
    Workload,
)
from shared.domain.configuration import Credentials, Mailbox, OwnerRef, WorkloadSchedule
from shared.domain.delivery import AttemptOutcome
from shared.domain.drafts import Draft, Recipient
from shared.domain.email import ListOf
from shared.domain.ids import ActivityId, OwnerId, ProfileId
from shared.domain.steps import StoredEmail
from shared.sync.delivering import delivery_of
from tests.builders import a_mailbox, a_profile, an_owner
from tests.e2e.killing import World, a_world, wait_until
from tests.e2e.organisation import PASSWORD

EMAILS = 25
"""More than one window holds."""
ADA = Caller("ada@contoso.example")
CAROL = "carol@fabrikam.example"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with a_world(tmp_path_factory.mktemp("host")) as running:
        running.server.add_mailbox(CAROL)
        yield running


def a_writer(world: World, name: str, profile: str = "contoso") -> Mailbox:
    """A user who sends, and whose mailbox is not due before it is triggered."""
    world.server.add_mailbox(f"{name}@contoso.example", password=PASSWORD)
    world.stores.owners.create(an_owner(name))
    mailbox = a_mailbox(name, outgoing_method=EmailDeliveryMethod.SERVER_SIDE, profile_id=ProfileId(profile))
    world.stores.mailboxes.create(mailbox, {Workload.OUTGOING: WorkloadSchedule()})
    return mailbox


def writes(world: World, mailbox: Mailbox) -> Sequence[ActivityId]:
    """Emails that wait to be sent while no host is there."""
    assert mailbox.owner is not None
    world.host.kill()
    outgoing = Administration(world.stores, lambda: datetime.now(UTC), Rules(allow_local_servers=True)).outgoing
    queued = WorkloadSchedule(queued_until=datetime.max.replace(tzinfo=UTC))
    world.stores.mailboxes.reschedule(mailbox.id, Workload.OUTGOING, queued)
    ids = []
    for number in range(EMAILS):
        draft = Draft(
            OwnerRef(OwnerKind.USER, OwnerId(mailbox.owner.id)),
            to=(Recipient(CAROL),),
            subject=f"Letter {number}",
            body_html="<p>Dear Carol</p>" * 50,
        )
        ids.append(outgoing.drafts.create(draft, ADA).stored.record.id)
        outgoing.sending.send(ids[-1], ADA)
    world.stores.mailboxes.reschedule(mailbox.id, Workload.OUTGOING, WorkloadSchedule())
    world.host.start()
    return ids


def emails_of(world: World, ids: Sequence[ActivityId]) -> Sequence[StoredEmail]:
    return list(world.stores.activities.whole(ids).values())


def are_sent(world: World, ids: Sequence[ActivityId]) -> bool:
    return all(each.activity.record.status is EmailStatus.SENT for each in emails_of(world, ids))


def copies(world: World, ids: Sequence[ActivityId]) -> Counter[str]:
    accepted = Counter(each.message_id for each in world.server.accepted())
    return Counter({str(each.content.message_id): accepted[f"<{each.content.message_id}>"] for each in emails_of(world, ids)})


def is_filed(world: World, mailbox: Mailbox, ids: Sequence[ActivityId]) -> bool:
    """Nothing waits, and every email is listed as sent, once."""
    listed = [each.activity_id for each in world.stores.timeline.list(ListOf.SENT, mailbox.id, limit=500).items]
    return world.stores.outbox.next_due(mailbox.id) is None and sorted(listed) == sorted(ids)


@pytest.fixture(scope="module")
def undisturbed(world: World) -> int:
    """How many requests it takes to send when nobody disturbs."""
    mailbox = a_writer(world, "undisturbed")
    ids = writes(world, mailbox)
    world.watch(None, effect_happens=False)
    world.trigger(mailbox, Workload.OUTGOING)
    wait_until(lambda: are_sent(world, ids) and is_filed(world, mailbox, ids))
    assert set(copies(world, ids).values()) == {1}
    return world.count


@pytest.mark.slow
@pytest.mark.parametrize(("share", "effect_happens"), [(0.15, True), (0.3, False), (0.45, True), (0.6, False), (0.8, True)])
def test_over_exchange_every_email_is_sent_once(world: World, undisturbed: int, share: float, effect_happens: bool) -> None:
    mailbox = a_writer(world, f"at{round(share * 100)}")
    ids = writes(world, mailbox)
    world.watch(max(1, round(undisturbed * share)), effect_happens=effect_happens)
    world.trigger(mailbox, Workload.OUTGOING)
    wait_until(lambda: not world.host.running)

    world.restart()
    world.let_time_pass(mailbox, Workload.OUTGOING)
    world.trigger(mailbox, Workload.OUTGOING)
    wait_until(lambda: are_sent(world, ids) and is_filed(world, mailbox, ids))
    assert set(copies(world, ids).values()) == {1}
    assert world.server.items(mailbox.address, "drafts") == []
    assert len(world.server.items(mailbox.address, "sentitems")) == EMAILS
    assert not any(delivery_of(each.activity.record).may_be_twice for each in emails_of(world, ids))


@pytest.mark.slow
def test_by_smtp_the_email_whose_answer_was_lost_is_there_twice_and_says_so(world: World) -> None:
    credentials = Credentials(username="writer@contoso.example", secret=world.stores.secrets.set("profile-smtp", PASSWORD))
    world.stores.profiles.create(
        a_profile(
            id=ProfileId("smtp"),
            server_type=ServerType.IMAP_SMTP,
            incoming_location="127.0.0.1",
            incoming_use_tls=False,
            use_same_settings_for_outgoing=False,
            outgoing_location="127.0.0.1",
            outgoing_port=world.server.smtp_port,
            outgoing_use_tls=False,
            authentication=AuthenticationProtocol.BASIC,
            credential_source=CredentialSource.PROFILE,
            credentials=credentials,
        )
    )
    mailbox = a_writer(world, "writer", "smtp")
    ids = writes(world, mailbox)
    world.watch(None, effect_happens=False)
    before = len(world.server.accepted())
    slow = world.server.faults.add("slow_reply", operation="Message", after=10, seconds=30)
    world.trigger(mailbox, Workload.OUTGOING)
    wait_until(lambda: len(world.server.accepted()) == before + 11)
    world.host.kill()  # the eleventh is accepted, and the server has not said so yet
    world.server.faults.clear(slow)

    world.restart()
    world.let_time_pass(mailbox, Workload.OUTGOING)
    world.trigger(mailbox, Workload.OUTGOING)
    wait_until(lambda: are_sent(world, ids) and is_filed(world, mailbox, ids))
    found = copies(world, ids)
    assert sorted(found.values()) == [1] * (EMAILS - 1) + [2]
    (twice,) = (each for each in emails_of(world, ids) if found[str(each.content.message_id)] == 2)
    assert twice.activity.record.delivery is not None
    assert twice.activity.record.delivery.may_be_twice
    outcomes = [each.outcome for each in world.stores.activities.attempts(twice.activity.record.id)]
    assert outcomes == [AttemptOutcome.INTERRUPTED, AttemptOutcome.ACCEPTED]
    doubtful = [each for each in emails_of(world, ids) if delivery_of(each.activity.record).may_be_twice]
    assert len(doubtful) <= 3, "an intent ahead and a receipt behind at most"
