"""What comes to a forward mailbox: the originals become activities of those they were for, and are deleted only once all are
stored."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any

import pytest

from shared.domain.choices import Approval, Direction, IncomingFilteringMethod, OwnerKind, Reason, Verdict
from shared.domain.email import IncomingMessage, ItemRef, ListOf
from shared.domain.errors import ItemUnreadable
from shared.domain.folders import SENT_ITEMS
from shared.domain.ids import MailboxId, OwnerId, email_id
from shared.domain.organisation import OrganisationSettings
from shared.messages import ChangeItems, ItemTask
from shared.sync.budgets import ItemLimits, RunBudget
from shared.sync.forwarding import MOST_ATTACHMENTS, MOST_ORIGINALS
from shared.sync.item_changes import ItemChanges
from shared.sync.preview import ChangedConfiguration, Preview
from tests.builders import a_mailbox, a_message, a_queue
from tests.unit.sync.faults import Fault, FaultyWorld
from tests.unit.sync.forwards import ANNA, a_forward, a_scene, attached, listed, verdicts
from tests.unit.sync.scene import Scene
from tests.unit.sync.snapshots import outcome_of


def test_the_original_becomes_the_activity_of_the_user_whom_it_was_for() -> None:
    scene = a_scene()
    scene.ben.deliver(a_forward(a_message("Offer")))
    scene.until_idle("ben")
    stored = scene.activity(email_id("offer@fabrikam.example", Direction.INCOMING)).record
    assert (stored.subject, stored.sender) == ("Offer", "carol@fabrikam.example")
    assert (stored.owner, stored.accepted_by, stored.receiving_mailbox) == (ANNA, ANNA, "collection")
    assert scene.subjects("ben") == ["Offer"]
    assert verdicts(scene) == [(Verdict.PROMOTED, Reason.RELEVANT)]


def test_an_original_that_reached_a_user_by_an_alias_is_the_forwarders() -> None:
    scene = a_scene()
    scene.ben.deliver(a_forward(a_message("Offer", to=["sales-all@contoso.example"])))
    scene.until_idle("ben")
    assert scene.activity(email_id("offer@fabrikam.example", Direction.INCOMING)).record.owner == ANNA


def test_an_original_to_a_queue_becomes_its_item() -> None:
    scene = a_scene()
    scene.ben.deliver(a_forward(a_message("Help", to=["support@contoso.example"]), sender="support@contoso.example"))
    scene.until_idle("ben")
    assert listed(scene, ListOf.QUEUE, "queue-support") == ["Help"]


def test_every_message_that_one_forward_carries_is_stored() -> None:
    scene = a_scene(discards=True)
    scene.ben.deliver(a_forward(a_message("One"), a_message("Two"), a_message("Three")))
    scene.until_idle("ben")
    assert scene.subjects("ben") == ["One", "Three", "Two"]
    assert scene.ben._messages == {}


def test_a_forward_is_kept_on_the_server_where_one_of_its_messages_is_not_stored() -> None:
    scene = a_scene(discards=True)
    spam = a_message("Spam", sender="x@spam.example")
    settings = scene.stores.settings.get()
    scene.stores.settings.put(replace(settings.record, exclude=("spam.example",)), settings.etag)
    scene.ben.deliver(a_forward(spam, a_message("One"), subject="FW: both"))
    scene.ben.deliver(a_forward(a_message("Two"), spam, subject="FW: both the other way round"))
    scene.ben.deliver(a_forward(a_message("Three")))
    scene.until_idle("ben")
    assert scene.subjects("ben") == ["One", "Three", "Two"]
    left = sorted(message.subject for message, _ in scene.ben._messages.values())
    assert left == ["FW: both", "FW: both the other way round"]


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (a_message("Hello", sender="anna@contoso.example"), Reason.PLAIN_FORWARD),
        (a_forward(a_message("Offer"), sender="stranger@elsewhere.example"), Reason.UNKNOWN_FORWARDER),
        (a_forward(a_message("Offer", to=["ben@contoso.example"]), sender="dora@contoso.example"), Reason.NOT_COLLECTED),
        (
            a_forward(a_message("Returned"), item_class="REPORT.IPM.Note.NDR"),
            Reason.PLAIN_FORWARD,
        ),
    ],
)
def test_what_is_no_forward_for_anybody_is_left_alone_with_its_reason(message: IncomingMessage, reason: Reason) -> None:
    scene = a_scene(discards=True)
    dora = a_mailbox("dora")
    scene.stores.mailboxes.create(dora, {})
    scene.stores.owners.create(replace(a_queue("dora"), id=OwnerId("user-dora"), kind=OwnerKind.USER))
    scene.ben.deliver(message)
    scene.until_idle("ben")
    assert verdicts(scene) == [(Verdict.SKIPPED, reason)]
    assert len(scene.ben._messages) == 1


@pytest.mark.parametrize("changes", [{"approval": Approval.PENDING}, {"active": False}])
def test_who_is_not_approved_or_active_has_no_mail_read(changes: dict[str, Any]) -> None:
    scene = a_scene()
    stored = scene.stored_mailbox("anna")
    scene.stores.mailboxes.replace(replace(stored.record, **changes), stored.etag, {})
    scene.ben.deliver(a_forward(a_message("Offer")))
    scene.until_idle("ben")
    assert verdicts(scene) == [(Verdict.SKIPPED, Reason.NOT_COLLECTED)]


def test_the_same_message_in_a_mailbox_of_its_own_is_the_same_activity() -> None:
    scene = a_scene()
    offer = a_message("Offer", to=["anna@contoso.example", "support@contoso.example"])
    scene.ben.deliver(a_forward(offer))
    scene.ben.deliver(a_forward(offer, sender="support@contoso.example", subject="FW: once more"))
    scene.until_idle("ben")
    assert scene.subjects("ben") == ["Offer"]
    assert [row.activity_id for row in scene.ledger("ben").values()] == [
        email_id("offer@fabrikam.example", Direction.INCOMING)
    ] * 2


@pytest.mark.parametrize("error", [ItemUnreadable("no message"), ValueError("a surprise")])
def test_an_original_that_cannot_be_read_is_tried_again_and_then_kept_in_quarantine(error: Exception) -> None:
    scene = a_scene(discards=True, limits=ItemLimits(attempts=2))
    broken = attached(a_message("Broken"), error)
    fine = attached(a_message("Fine")), attached(a_message("Fine too"))
    scene.ben.deliver(replace(a_forward(a_message("Fine")), attachments=(fine[0], broken, fine[1])))
    for _ in range(3):
        scene.until_idle("ben")
        scene.clock.advance(timedelta(minutes=20))
    assert verdicts(scene) == [(Verdict.QUARANTINED, Reason.UNREADABLE)]
    assert len(scene.ben._messages) == 1
    assert scene.subjects("ben") == ["Fine", "Fine too"]


def test_a_forward_in_quarantine_is_replayed_as_a_whole() -> None:
    scene = a_scene(discards=True, limits=ItemLimits(attempts=1))
    fine, mended = attached(a_message("Fine")), attached(a_message("Mended"))
    failures = [ItemUnreadable("no message")]

    def read() -> IncomingMessage:
        if failures:
            raise failures.pop()
        return a_message("Mended")

    scene.ben.deliver(replace(a_forward(a_message("Fine")), attachments=(fine, replace(mended, message=read))))
    scene.until_idle("ben")
    assert verdicts(scene) == [(Verdict.QUARANTINED, Reason.UNREADABLE)]
    (key,) = scene.ledger("ben")
    replay = ChangeItems("request", MailboxId("collection"), ItemTask.REPLAY, key.identity)
    ItemChanges(scene.stores, scene.clock).run(replay)
    scene.until_idle("ben")
    assert verdicts(scene) == [(Verdict.PROMOTED, Reason.RELEVANT)]
    assert scene.subjects("ben") == ["Fine", "Mended"]
    assert scene.ben._messages == {}
    assert scene.stores.quarantine.get(MailboxId("collection"), key) is None


def test_what_people_track_of_a_forward_mailbox_is_nobodys_unless_it_was_for_somebody() -> None:
    scene = a_scene()
    scene.ben.deliver(a_message("Hello", sender="anna@contoso.example"))
    scene.ben.deliver(a_forward(a_message("Offer", to=["x@elsewhere.example"]), sender="stranger@elsewhere.example"))
    scene.until_idle("ben")
    for key in scene.ledger("ben"):
        track = ChangeItems("request", MailboxId("collection"), ItemTask.TRACK, key.identity)
        ItemChanges(scene.stores, scene.clock).run(track)
    scene.until_idle("ben")
    assert verdicts(scene) == [(Verdict.PROMOTED, Reason.BY_HAND)] * 2
    owners = [
        scene.activity(email_id(f"{name}@fabrikam.example", Direction.INCOMING)).record.owner for name in ("hello", "offer")
    ]
    assert owners == [ANNA, None]


@pytest.mark.parametrize(
    ("count", "attachments"), [(MOST_ORIGINALS + 1, 0), (MOST_ORIGINALS, MOST_ATTACHMENTS // MOST_ORIGINALS + 1)]
)
def test_a_forward_without_end_is_read_as_far_as_is_bounded_and_kept(count: int, attachments: int) -> None:
    scene = a_scene(discards=True, limits=ItemLimits(attempts=1))
    each = a_message("Offer", attachments=[b"%PDF"] * attachments)
    read: list[int] = []

    def counted(number: int) -> IncomingMessage:
        read.append(number)
        return each

    forward = a_forward(*[each] * count)
    counting = tuple(replace(one, message=partial(counted, place)) for place, one in enumerate(forward.attachments))
    scene.ben.deliver(replace(forward, attachments=counting))
    scene.until_idle("ben")
    assert verdicts(scene) == [(Verdict.QUARANTINED, Reason.TOO_LARGE)]
    assert scene.subjects("ben") == ["Offer"]
    assert len(read) <= MOST_ORIGINALS
    assert len(read) * attachments <= MOST_ATTACHMENTS + attachments
    assert len(scene.ben._messages) == 1


def test_a_forward_is_judged_again_where_any_of_its_messages_awaits_what_it_answers() -> None:
    """The second one is the answer."""
    scene = a_scene()
    anna = scene.stores.owners.get(ANNA.kind, ANNA.id)
    assert anna is not None
    scene.stores.owners.replace(replace(anna.record, filtering_method=IncomingFilteringMethod.RESPONSES), anna.etag)
    answer = a_message("Re: Offer", message_id="answer@fabrikam.example", in_reply_to="offer@contoso.example")
    scene.ben.deliver(a_forward(a_message("Advertisement"), answer))
    scene.until_idle("ben")
    (row,) = scene.ledger("ben").values()
    assert (row.reason, row.attempts) == (Reason.NO_CORRELATION_MATCH, 1)


def test_a_dry_run_of_a_forward_mailbox_is_about_the_originals() -> None:
    scene = a_scene()
    scene.ben.deliver(a_forward(a_message("Offer")))
    scene.ben.deliver(a_message("Hello", sender="anna@contoso.example"))
    preview = Preview(scene.stores, scene.servers, scene.clock)
    settings = OrganisationSettings(exclude=("fabrikam.example",))
    result = preview.run(MailboxId("collection"), 10, ChangedConfiguration(settings=settings))
    told = {message.subject: (message.before.reason, message.after.reason) for message in result.messages}
    assert told == {
        "Offer": (Reason.RELEVANT, Reason.EXCLUDED),
        "Hello": (Reason.PLAIN_FORWARD, Reason.PLAIN_FORWARD),
    }


def test_a_dry_run_reads_no_forward_that_a_run_leaves_for_its_size() -> None:
    scene = a_scene()
    largest = OrganisationSettings().largest_message
    scene.ben.deliver(replace(a_forward(a_message("Offer"), subject="FW: Offer"), size=largest + 1))
    scene.ben.deliver(a_forward(a_message("One"), a_message("Two"), a_message("Three")))
    preview = Preview(scene.stores, scene.servers, scene.clock)
    few = preview.run(MailboxId("collection"), 2, ChangedConfiguration())
    assert [message.subject for message in few.messages] == ["Three", "Two"]
    assert scene.ben.fetched == ["item-2"]
    told = {
        each.subject: each.before.reason for each in preview.run(MailboxId("collection"), 9, ChangedConfiguration()).messages
    }
    assert told["FW: Offer"] is Reason.TOO_LARGE


def test_what_a_forward_mailbox_sends_is_nobodys_mail() -> None:
    scene = a_scene()
    settings = scene.stores.settings.get()
    scene.stores.settings.put(replace(settings.record, track_sent_items=True), settings.etag)
    scene.ben.deliver(a_forward(a_message("Offer")), SENT_ITEMS)
    scene.until_idle("ben")
    assert verdicts(scene) == []
    preview = Preview(scene.stores, scene.servers, scene.clock)
    assert preview.run(MailboxId("collection"), 9, ChangedConfiguration()).messages == ()


# ---- crash and repetition


def played(world: FaultyWorld) -> Scene:
    scene = a_scene(world, discards=True, budget=RunBudget(batch_items=2), limits=ItemLimits(attempts=2))
    for number in range(3):
        scene.ben.deliver(a_forward(a_message(f"Offer {number}"), a_message(f"Annex {number}")))
    scene.ben.deliver(a_message("Hello", sender="anna@contoso.example"))
    scene.ben.deliver(a_forward(a_message("Help", to=["support@contoso.example"]), sender="support@contoso.example"))
    scene.until_idle("ben")
    scene.clock.advance(timedelta(minutes=20))  # what could not be deleted is tried again
    scene.until_idle("ben")
    return scene


UNDISTURBED = played(FaultyWorld())


def test_the_undisturbed_run_stores_all_and_deletes_what_it_stored() -> None:
    subjects = [*(f"{kind} {number}" for kind in ("Annex", "Offer") for number in range(3)), "Help"]
    assert UNDISTURBED.subjects("ben") == sorted(subjects)
    assert [message.subject for message, _ in UNDISTURBED.ben._messages.values()] == ["Hello"]


@pytest.mark.parametrize("fault", list(Fault))
def test_failing_at_any_call_loses_and_doubles_nothing(fault: Fault) -> None:
    expected, left = outcome_of(UNDISTURBED.stores), _left(UNDISTURBED)
    for at in range(1, len(UNDISTURBED.world.calls) + 1):
        scene = played(FaultyWorld(at=at, fault=fault))
        what = f"{fault} at call {at}, {UNDISTURBED.world.calls[at - 1]}"
        assert outcome_of(scene.stores) == expected, what
        assert _left(scene) == left, what


def test_nothing_is_deleted_before_it_is_committed() -> None:
    """A process that dies when it is about to delete has committed every row."""
    calls = UNDISTURBED.world.calls
    for at in [place for place, call in enumerate(calls, 1) if call == "mail.discard"]:
        scene = a_scene(FaultyWorld(at=at, fault=Fault.DEATH_BEFORE), discards=True, budget=RunBudget(batch_items=2))
        for number in range(3):
            scene.ben.deliver(a_forward(a_message(f"Offer {number}"), a_message(f"Annex {number}")))
        scene.attempt("ben")
        held = {row.ref.id for row in scene.ledger("ben").values() if row.verdict is Verdict.PROMOTED}
        assert held >= {f"item-{number}" for number in range(1, 4)} - {ref.id for ref in _refs(scene)}


def _left(scene: Scene) -> list[str]:
    return sorted(message.subject for message, _ in scene.ben._messages.values())


def _refs(scene: Scene) -> Sequence[ItemRef]:
    return [listed.ref for _, listed in scene.ben._messages.values()]
