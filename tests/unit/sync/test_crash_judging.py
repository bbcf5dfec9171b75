"""Judging that fails at any external call, in any way, ends as if it had never failed.

The scenario has everything that judging writes beside the emails themselves: answers in the same page, answers before their
original, a queue, folder rules and mail that is moved between their folders, categories that people set and take away, stamps,
sent items, contacts that are created, delivery reports, a conversation that was opted out, requests by hand, process and
delete.
"""

import base64
from collections import Counter
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from shared.domain.choices import (
    CorrelationMethod,
    Direction,
    IncomingFilteringMethod,
    OwnerKind,
    Reason,
    RegardingSource,
    SenderOrigin,
    Verdict,
    Workload,
)
from shared.domain.email import DeliveryReport, IncomingMessage, ListOf, OptOut, RecipientReport
from shared.domain.errors import ItemUnreadable
from shared.domain.folders import SENT_ITEMS, Folder, TreeFolder
from shared.domain.ids import OwnerId, email_id
from shared.domain.ledger import LedgerCommit, Todo, TodoKind
from shared.domain.organisation import InternalMail, OrganisationSettings
from shared.domain.records import RecordRef
from shared.sync.budgets import ItemLimits, RunBudget
from shared.sync.incoming import IncomingSync
from tests.builders import MONDAY, a_mailbox, a_message, a_profile, a_queue, a_rule, a_sync_of
from tests.unit.sync.faults import Fault, FaultyWorld
from tests.unit.sync.in_memory_mail import InMemoryMail
from tests.unit.sync.scene import Scene
from tests.unit.sync.snapshots import outcome_of

FABRIKAM, TAILSPIN = Folder("folder-fabrikam", "Fabrikam"), Folder("folder-tailspin", "Tailspin")
INDEX, OTHER_INDEX = (base64.b64encode(bytes(range(first, first + 27))).decode() for first in (1, 100))
SETTINGS = OrganisationSettings(
    correlation_methods=tuple(method for method in CorrelationMethod if method > 1),
    exclude=("spam.example",),
    internal_mail=InternalMail.ONE_ACTIVITY,
    track_sent_items=True,
    create_contacts=True,
    stamp_categories=True,
)


def a_scene(world: FaultyWorld) -> Scene:
    """Anna accepts answers only, Ben and the queue everything; Ben's mailbox is emptied."""
    boxes = {"anna": a_mailbox("anna"), "ben": a_mailbox("ben", process_and_delete=True)}
    scene = Scene(
        InMemoryMail("server/anna", page_items=5),
        InMemoryMail("server/ben", page_items=5),
        world,
        budget=RunBudget(batch_items=3),
        limits=ItemLimits(attempts=2),
        mailboxes=boxes,
        profile=a_profile(move_undeliverable=True),
    )
    stores = scene.stores
    stores.settings.put(SETTINGS, None)
    stores.owners.create(a_queue("support"))
    anna = stores.owners.get(OwnerKind.USER, OwnerId("user-anna"))
    assert anna is not None
    stores.owners.replace(replace(anna.record, filtering_method=IncomingFilteringMethod.RESPONSES), anna.etag)
    for folder, account in ((FABRIKAM, "fabrikam"), (TAILSPIN, "tailspin")):
        stores.tracking_rules.put(a_rule(boxes["anna"], folder, account), None)
        scene.anna.folders_below.append(TreeFolder(folder.id, folder.name))
    deliver(scene)
    return scene


def deliver(scene: Scene) -> None:
    anna, ben = scene.anna, scene.ben
    anna.deliver(_at(1, a_message("Newsletter", sender="news@elsewhere.example")))
    anna.deliver(_at(2, a_message("Filed", message_id="filed@fabrikam.example", conversation_index=INDEX)), FABRIKAM)
    anna.deliver(_at(3, a_message("Re: Filed", in_reply_to="filed@fabrikam.example", message_id="r1@fabrikam.example")))
    anna.deliver(_at(4, a_message("Re: Filed", references=("r1@fabrikam.example",), message_id="r2@fabrikam.example")))
    anna.deliver(_at(6, a_message("Marked", categories=("Tracked",), sender="dora@elsewhere.example")))
    anna.deliver(_at(7, a_message("Early", in_reply_to="late@fabrikam.example", message_id="early@fabrikam.example")))
    anna.deliver(_at(8, a_message("Help", to=["anna@contoso.example", "support@contoso.example"])))
    anna.deliver(
        _at(9, a_message("Offer to you", sender="anna@contoso.example", in_reply_to="filed@fabrikam.example")), SENT_ITEMS
    )
    anna.deliver(_at(10, a_report("Undeliverable", "filed@fabrikam.example")))
    anna.deliver(_at(11, a_message("Spam", sender="x@spam.example", to=["support@contoso.example"])))
    internal = a_message(
        "Lunch", sender="anna@contoso.example", sender_origin=SenderOrigin.INTERNAL, to=["ben@contoso.example"]
    )
    anna.deliver(_at(12, internal), SENT_ITEMS)
    ben.deliver(_at(12, internal))
    ben.deliver(_at(13, a_message("For Ben", to=["ben@contoso.example"])))
    broken = ben.deliver(_at(14, a_message("Broken", to=["ben@contoso.example"])))
    ben.unreadable[broken.id] = ItemUnreadable("the server cannot convert it")


def a_report(subject: str, about: str) -> IncomingMessage:
    report = DeliveryReport(about, (RecipientReport("carol@fabrikam.example", "failed", "5.1.1"),))
    sender = "postmaster@fabrikam.example"
    return a_message(subject, sender=sender, in_reply_to=about, report=report, item_class="REPORT.IPM.Note.NDR")


def what_happens_then(scene: Scene) -> None:
    """The second act, once all of the first is settled: of it each step depends on what the first one left."""
    anna = scene.anna
    moved = next(listed.ref for message, listed in anna._messages.values() if message.subject == "Filed")
    anna.file(moved, TAILSPIN)
    marked = next(listed.ref for message, listed in anna._messages.values() if message.subject == "Marked")
    anna.change(marked, categories=())
    late = a_message("Late", message_id="late@fabrikam.example", categories=("tracked",), conversation_index=OTHER_INDEX)
    anna.deliver(_at(20, late))
    anna.deliver(_at(21, a_message("No prefix", conversation_index=OTHER_INDEX)))
    anna.deliver(_at(21, a_message("Opted out by index", conversation_index=INDEX)))
    conversation = scene.stores.activities.get(email_id("filed@fabrikam.example", Direction.INCOMING))
    assert conversation is not None
    scene.stores.correlations.opt_out(OptOut(conversation.record.id, "anna", MONDAY))
    anna.deliver(_at(21, a_message("Re: Filed", in_reply_to="r2@fabrikam.example", message_id="r3@fabrikam.example")))
    anna.deliver(_at(22, a_message("Re: Filed", in_reply_to="r3@fabrikam.example", message_id="r4@fabrikam.example")))
    ask_by_hand(scene, "newsletter@fabrikam.example")


def ask_by_hand(scene: Scene, message_id: str) -> None:
    head = scene.head()
    assert head.state is not None
    [row] = [row for row in scene.ledger().values() if row.message_id == message_id]
    todo = Todo(TodoKind.TRACK, row.decided_on, row, regarding=RecordRef("lead", "news"))
    commit = LedgerCommit(replace(head.state, nonce="asked"), todos=(todo,))
    scene.stores.ledger.commit(scene.mailboxes["anna"].id, Workload.INCOMING, head.etag, commit)


def played(world: FaultyWorld) -> Scene:
    scene = a_scene(world)
    scene.until_nothing_is_left()
    what_happens_then(scene)
    scene.until_nothing_is_left()
    return scene


def _at(hour: int, message: IncomingMessage) -> IncomingMessage:
    return replace(message, received=MONDAY - timedelta(days=1) + timedelta(hours=hour))


READING = frozenset(
    {
        "activities.content", "activities.find", "activities.get", "activities.sightings", "addresses.find",
        "correlations.find", "correlations.opted_out", "folder_trees.get", "ledger.find", "ledger.get", "ledger.head",
        "ledger.items", "ledger.items.next", "mail.changes", "mail.envelopes", "mail.envelopes.next", "mail.fetch",
        "mail.fetch.next", "mail.raw", "mail.raw.next", "mail.tree", "mailboxes.get", "open", "owners.get", "profiles.get",
        "quarantine.get", "settings.get", "tracking_rules.list",
    }
)  # fmt: skip


def outcome(scene: Scene) -> dict[str, Any]:
    """Where the watermarks stand depends on when each folder was asked last."""
    content = outcome_of(scene.stores)
    for ledger in content["ledger"].values():
        ledger["marks"] = sorted(ledger["marks"])
    return content


UNDISTURBED = played(FaultyWorld())
EXPECTED = outcome(UNDISTURBED)


def reasons(scene: Scene, name: str = "anna") -> dict[str, list[tuple[Verdict, Reason]]]:
    found: dict[str, list[tuple[Verdict, Reason]]] = {}
    for row in scene.ledger(name).values():
        assert row.message_id is not None
        found.setdefault(row.message_id.partition("@")[0], []).append((row.verdict, row.reason))
    return found


def test_the_undisturbed_sync_has_everything_in_it() -> None:
    assert reasons(UNDISTURBED) == {
        "newsletter": [(Verdict.PROMOTED, Reason.BY_HAND)],
        "filed": [(Verdict.PROMOTED, Reason.FOLDER_RULE)] * 2,
        "r1": [(Verdict.PROMOTED, Reason.RESPONSE)],
        "r2": [(Verdict.PROMOTED, Reason.RESPONSE)],
        "no-prefix": [(Verdict.PROMOTED, Reason.RESPONSE)],
        "opted-out-by-index": [(Verdict.SKIPPED, Reason.OPTED_OUT)],
        "marked": [(Verdict.SKIPPED, Reason.UNTRACKED)],
        "early": [(Verdict.PROMOTED, Reason.RESPONSE)],
        "help": [(Verdict.PROMOTED, Reason.RELEVANT)],
        "offer-to-you": [(Verdict.PROMOTED, Reason.RESPONSE)],
        "undeliverable": [(Verdict.PROMOTED, Reason.DELIVERY_REPORT)],
        "spam": [(Verdict.SKIPPED, Reason.EXCLUDED)],
        "lunch": [(Verdict.SKIPPED, Reason.NO_CORRELATION_MATCH)],
        "late": [(Verdict.PROMOTED, Reason.CATEGORY)],
        "r3": [(Verdict.SKIPPED, Reason.OPTED_OUT)],
        "r4": [(Verdict.SKIPPED, Reason.OPTED_OUT)],
    }


def calls_to_fail(fault: Fault) -> list[int]:
    """All that write. A process that dies at a call that only reads dies as at the next one that writes, so of those a failure
    is tried, for each the first times that it is made: most are those of idle polls."""
    chosen, times = [], Counter[str]()
    for at, call in enumerate(UNDISTURBED.world.calls, 1):
        times[call] += 1
        if call in READING:
            if fault is Fault.FAILURE_BEFORE and times[call] <= 8:
                chosen.append(at)
        elif times[call] <= 40:
            chosen.append(at)
    return chosen


def test_what_the_undisturbed_sync_leaves_is_what_the_rules_say() -> None:
    stores = UNDISTURBED.stores

    def listed(list_of: ListOf, whose: str) -> list[str]:
        return sorted(entry.subject for entry in stores.timeline.list(list_of, whose).items)

    assert listed(ListOf.QUEUE, "queue-support") == ["Help"]
    assert listed(ListOf.REGARDING, "account:tailspin") == ["Filed"], "the mail was moved to the other folder"
    assert listed(ListOf.REGARDING, "account:fabrikam") == ["Offer to you", "Re: Filed", "Re: Filed", "Undeliverable"]
    assert listed(ListOf.REGARDING, "lead:news") == ["Newsletter"]
    assert "Marked" not in UNDISTURBED.subjects(), "a person untracked it"
    filed = UNDISTURBED.activity(email_id("filed@fabrikam.example", Direction.INCOMING)).record
    assert [each.recipients[0].status for each in stores.activities.annotations(filed.id)] == ["5.1.1"]
    sent = UNDISTURBED.activity(email_id("offer-to-you@fabrikam.example", Direction.OUTGOING)).record
    assert (sent.correlated_to, sent.conversation, sent.regarding_set_by) == (filed.id, filed.id, RegardingSource.CORRELATION)
    contacts = {record.record.name for record in stores.address_book.list("contact").items}
    assert contacts == {"carol@fabrikam.example", "dora@elsewhere.example", "news@elsewhere.example"}


def test_what_the_undisturbed_sync_does_on_the_server() -> None:
    anna, ben = UNDISTURBED.anna, UNDISTURBED.ben
    tracked = {message.subject for message, listed in anna._messages.values() if listed.categories == ("Tracked",)}
    assert {"Filed", "Re: Filed", "Newsletter", "Help"} <= tracked
    assert not {"Marked", "Spam"} & tracked
    [(broken, listed)] = ben._messages.values()
    assert (broken.subject, listed.ref.folder, listed.categories) == ("Broken", "folder-Undeliverable", ("Undeliverable",))


@pytest.mark.parametrize("fault", list(Fault))
def test_failing_at_any_call_changes_nothing_in_the_end(fault: Fault) -> None:
    for at in calls_to_fail(fault):
        scene = played(FaultyWorld(at=at, fault=fault))
        assert outcome(scene) == EXPECTED, f"{fault} at call {at}, {UNDISTURBED.world.calls[at - 1]}"


# ---- two workers


def play_first_act(scene: Scene) -> None:
    """Until the last answer was judged again."""
    scene.until_nothing_is_left()
    scene.clock.advance(timedelta(hours=3))
    scene.until_idle()


def test_a_worker_that_is_overtaken_while_it_judges_or_marks_leaves_what_the_other_one_would() -> None:
    """At a call of the one its lease expires, and another one does the mailbox from start to end."""
    undisturbed = a_scene(FaultyWorld())
    play_first_act(undisturbed)
    expected = outcome(undisturbed)
    begun = len(undisturbed.world.calls)
    for at in range(1, begun // 2, 3):
        world = FaultyWorld()
        scene = a_scene(world)
        second = IncomingSync(scene.stores, scene.servers, scene.clock, scene.budget, scene.limits)

        def overtake(_: str, scene: Scene = scene, second: IncomingSync = second, at: int = at) -> None:
            if len(scene.world.calls) == at:
                scene.clock.advance(timedelta(minutes=10))
                second.run(a_sync_of(scene.mailboxes["anna"], message_id="second"))

        world.watch = overtake
        play_first_act(scene)
        assert outcome(scene) == expected, f"overtaken at call {at}, {world.calls[at - 1]}"
