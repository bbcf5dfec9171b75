"""kill -9 of the real host while it judges, follows rules and marks messages: the outcome is the undisturbed one.

Each mailbox gets the same mail under names of its own; what became of it is compared with the names taken out.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta

import pytest

from shared.domain.choices import IncomingFilteringMethod, Reason, Verdict, Workload
from shared.domain.configuration import Mailbox
from shared.domain.email import ListOf
from shared.domain.ids import ActivityId, mailbox_id_of
from shared.domain.ledger import TodoKind
from shared.domain.organisation import OrganisationSettings
from shared.domain.records import AddressBookRecord, FolderTrackingRule, RecordRef
from tests.builders import a_queue, an_owner
from tests.e2e.killing import World, a_world, wait_until

CUSTOMERS, ANSWERS, STRANGERS, EARLY, FILED = 25, 25, 20, 5, 15
QUEUE = a_queue("support", filtering_method=IncomingFilteringMethod.LEADS_CONTACTS_ACCOUNTS)
type Outcome = list[tuple[Verdict, Reason, str]]
"""Per message: its verdict, and all that became of it."""
RECEIVED = datetime(2026, 11, 2, tzinfo=UTC)
FAR = datetime(9999, 1, 1, tzinfo=UTC)
"""Every todo is due by then."""
ACCOUNT = RecordRef("account", "tailspin")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with a_world(tmp_path_factory.mktemp("host")) as running:
        stores = running.stores
        stores.settings.put(OrganisationSettings(stamp_categories=True), None)
        stores.owners.create(QUEUE)
        stores.address_book.create(AddressBookRecord("contact", "carol", "Carol", ("carol@fabrikam.example",)))
        yield running


@pytest.fixture(scope="module")
def undisturbed(world: World) -> tuple[int, Outcome]:
    """How many requests it takes where nobody disturbs, and the outcome."""
    world.watch(None, effect_happens=False)
    mailbox = _with_mail(world, "undisturbed")
    world.watch(None, effect_happens=False)
    world.trigger(mailbox)
    wait_until(lambda: _is_settled(world, mailbox))
    requests = world.count
    outcome = _outcome(world, mailbox, "undisturbed")
    assert _verdicts(outcome) == {
        "promoted:known_sender": CUSTOMERS,
        "promoted:response": ANSWERS,
        "promoted:folder_rule": FILED,
        "skipped:no_correlation_match": STRANGERS + EARLY,
    }
    return requests, outcome


@pytest.mark.slow
@pytest.mark.parametrize(
    ("share", "effect_happens"), [(0.1, True), (0.3, False), (0.45, True), (0.6, False), (0.75, True), (0.85, True)]
)
def test_a_host_that_is_killed_while_it_judges_leaves_the_undisturbed_outcome(
    world: World, undisturbed: tuple[int, Outcome], share: float, effect_happens: bool
) -> None:
    requests, expected = undisturbed
    name = f"at{round(share * 100)}"
    mailbox = _with_mail(world, name)
    world.watch(max(1, round(requests * share)), effect_happens=effect_happens)
    world.trigger(mailbox)
    wait_until(lambda: not world.host.running)
    assert not _is_settled(world, mailbox)

    world.restart()
    world.let_time_pass(mailbox)
    world.trigger(mailbox)
    wait_until(lambda: _is_settled(world, mailbox))
    outcome = _outcome(world, mailbox, name)
    assert [each for each in outcome if each not in expected] == []
    assert len(outcome) == len(expected)


# ---- the mail


def _with_mail(world: World, name: str) -> Mailbox:
    """Customers who write to the queue too, answers to them, strangers, answers that came before their originals, and a folder
    with a rule."""
    address = f"{name}@contoso.example"
    world.server.add_mailbox(address)
    folder = world.server.add_folder(address, "Tailspin", parent="inbox")
    inbox = [
        *(_mail(name, "customer", number, "carol@fabrikam.example", cc=QUEUE.address) for number in range(CUSTOMERS)),
        *(_mail(name, "answer", number, "x@y.example", answers=f"{name}.customer.{number}") for number in range(ANSWERS)),
        *(_mail(name, "stranger", number, "x@y.example") for number in range(STRANGERS)),
        *(_mail(name, "early", number, "x@y.example", answers=f"{name}.nothing.{number}") for number in range(EARLY)),
    ]
    for number, raw in enumerate(inbox):
        world.server.deliver(raw, [address], RECEIVED + timedelta(minutes=number))
    for number in range(FILED):
        world.server.deliver(_mail(name, "filed", number, "x@y.example"), [address], folder=folder)
    owner = an_owner(name)
    rule = FolderTrackingRule(mailbox_id_of(owner.kind, owner.id), folder, "Tailspin", ACCOUNT)
    mailbox = world.configure(name, IncomingFilteringMethod.RESPONSES)
    world.stores.tracking_rules.put(rule, None)
    return mailbox


def _mail(name: str, kind: str, number: int, sender: str, cc: str = "", answers: str = "") -> bytes:
    message_id = f"{name}.{kind}.{number}@northwind.example"
    copied = f"Cc: <{cc}>\n" if cc else ""
    answered = f"In-Reply-To: <{answers}@northwind.example>\n" if answers else ""
    return (
        f"From: <{sender}>\nTo: <{name}@contoso.example>\n{copied}{answered}Subject: {kind} {number} of {name}\n"
        f"Message-ID: <{message_id}>\nDate: Mon, 02 Nov 2026 08:00:00 +0000\n\n{kind} {number}\n"
    ).encode()


# ---- what became of it


def _is_settled(world: World, mailbox: Mailbox) -> bool:
    """All folders are read, nobody holds the lease, and nothing is left to be marked."""
    todos = world.stores.ledger.head(mailbox.id, Workload.INCOMING, FAR).todos
    return world.is_caught_up(mailbox, folders=2) and not any(todo.kind is TodoKind.STAMP for todo in todos)


def _outcome(world: World, mailbox: Mailbox, name: str) -> Outcome:
    """Per message what is stored of it, where it is listed, what is still to be done, and its category in the mailbox."""
    stores = world.stores
    items = sorted(stores.ledger.items(mailbox.id, Workload.INCOMING), key=lambda item: str(item.message_id))
    names = {item.activity_id: item.message_id for item in items if item.activity_id is not None}
    lists = {
        "mailbox": _listed(world, ListOf.MAILBOX, mailbox.id),
        "queue": _listed(world, ListOf.QUEUE, QUEUE.id),
        "regarding": _listed(world, ListOf.REGARDING, f"{ACCOUNT.type}:{ACCOUNT.id}"),
    }
    todos = [(todo.kind, todo.item.key) for todo in stores.ledger.head(mailbox.id, Workload.INCOMING, FAR).todos]
    told = [
        (
            item.message_id,
            item.verdict,
            item.reason,
            item.judgement and (item.judgement.votes, item.judgement.queues, item.judgement.correlation.method),
            _activity(world, mailbox, item.activity_id, names),
            {which: listed.count(item.activity_id) for which, listed in lists.items()},
            sorted(kind for kind, key in todos if key == item.key),
            world.server.categories(mailbox.address, item.ref.id),
        )
        for item in items
    ]
    return [(item.verdict, item.reason, _without(name, each)) for item, each in zip(items, told, strict=True)]


def _activity(world: World, mailbox: Mailbox, activity_id: ActivityId | None, names: dict[ActivityId, str | None]) -> object:
    """What is stored, with other emails called by their Message-ID."""
    stored = world.stores.activities.get(activity_id) if activity_id else None
    if stored is None or activity_id is None:
        return None
    email = stored.record
    return {
        "state": (email.direction, email.state, email.status),
        "owner": email.owner and email.owner.id,
        "accepted_by": email.accepted_by and email.accepted_by.id,
        "conversation": names.get(email.conversation or email.id),
        "continues": email.correlated_to and names.get(email.correlated_to),
        "regarding": (email.regarding, email.regarding_set_by),
        "seen_here": [each.mailbox_id == mailbox.id for each in world.stores.activities.sightings(activity_id)],
    }


def _listed(world: World, list_of: ListOf, whose: str) -> Sequence[ActivityId]:
    listed: list[ActivityId] = []
    continuation: str | None = None
    while True:
        part = world.stores.timeline.list(list_of, whose, continuation, 500)
        listed.extend(entry.activity_id for entry in part.items)
        continuation = part.continuation
        if continuation is None:
            return listed


def _without(name: str, value: object) -> str:
    """The text of `value` without the name of the mailbox."""
    return repr(value).replace(f"{name}.", "").replace(f"user-{name}", "user")


def _verdicts(outcome: Outcome) -> Counter[str]:
    return Counter(f"{verdict}:{reason}" for verdict, reason, _ in outcome)
