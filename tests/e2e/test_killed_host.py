"""kill -9 of the real host in the middle of a sync: started again, the store is complete, and nothing is in it twice."""

import base64
import hashlib
from collections import Counter
from collections.abc import Iterator

import pytest

from shared.domain.choices import Verdict, Workload
from shared.domain.configuration import Mailbox
from shared.domain.email import ListOf
from shared.domain.ledger import LedgerItem
from shared.ports import Stores
from tests.e2e.killing import World, a_world, wait_until

MESSAGES = 540
"""More than a page holds; the second page is another run, by way of the backfill queue."""
ATTACHMENT = b"delivery note\r\n" * 400


def _with_mail(world: World, name: str) -> Mailbox:
    address = f"{name}@contoso.example"
    world.server.add_mailbox(address)
    for number in range(MESSAGES):
        world.server.deliver(_mail(name, number), [address])
    return world.configure(name)


def _mail(name: str, number: int) -> bytes:
    head = (
        f"From: a{number % 7}@northwind.example\nTo: {name}@contoso.example\nSubject: Number {number}\n"
        f"Message-ID: <{name}.{number}@northwind.example>\nDate: Mon, 02 Nov 2026 08:00:00 +0000\n"
    )
    if number % 90:
        return f"{head}\ntext of number {number}\n".encode()
    content = base64.encodebytes(ATTACHMENT + str(number).encode()).decode()
    return (
        f"{head}Content-Type: multipart/mixed; boundary=x\n\n--x\nContent-Type: text/plain\n\ntext of number {number}\n"
        f"--x\nContent-Type: application/pdf; name=note.pdf\nContent-Transfer-Encoding: base64\n\n{content}--x--\n"
    ).encode()


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with a_world(tmp_path_factory.mktemp("host")) as running:
        yield running


@pytest.fixture(scope="module")
def undisturbed(world: World) -> int:
    """How many requests a sync takes that nobody disturbs."""
    mailbox = _with_mail(world, "undisturbed")
    world.watch(None, effect_happens=False)
    world.trigger(mailbox)
    wait_until(lambda: world.is_caught_up(mailbox))
    requests = world.count
    _assert_complete(world, mailbox, "undisturbed")
    return requests


@pytest.mark.slow
@pytest.mark.parametrize(("share", "effect_happens"), [(0.15, True), (0.4, False), (0.6, True), (0.75, True), (0.88, False)])
def test_a_host_that_is_killed_in_the_middle_loses_and_repeats_nothing(
    world: World, undisturbed: int, share: float, effect_happens: bool
) -> None:
    name = f"at{round(share * 100)}"
    mailbox = _with_mail(world, name)
    world.watch(max(1, round(undisturbed * share)), effect_happens=effect_happens)
    world.trigger(mailbox)
    wait_until(lambda: not world.host.running)
    assert not world.is_caught_up(mailbox)

    world.restart()
    world.let_time_pass(mailbox)
    world.trigger(mailbox)
    wait_until(lambda: world.is_caught_up(mailbox))
    _assert_complete(world, mailbox, name)


def _assert_complete(world: World, mailbox: Mailbox, name: str) -> None:
    """Every message is one activity with its content and attachment, listed once, and one promoted item of the ledger."""
    stores = world.stores
    expected = {f"{name}.{number}@northwind.example" for number in range(MESSAGES)}
    items = list(stores.ledger.items(mailbox.id, Workload.INCOMING))
    assert Counter(item.message_id for item in items) == Counter(expected)
    assert {item.verdict for item in items} == {Verdict.PROMOTED}
    listed = _listed(stores, mailbox)
    assert Counter(listed) == Counter(item.activity_id for item in items)
    for item in items[:: MESSAGES // 30]:
        assert item.activity_id is not None
        content = stores.activities.content(item.activity_id)
        assert content is not None
        assert content.message_id == item.message_id
        assert [sighting.mailbox_id for sighting in stores.activities.sightings(item.activity_id)] == [mailbox.id]
    _assert_attachments(stores, name, items)


def _assert_attachments(stores: Stores, name: str, items: list[LedgerItem]) -> None:
    by_id = {item.message_id: item.activity_id for item in items if item.activity_id is not None}
    for number in range(0, MESSAGES, 90):
        content = stores.activities.content(by_id[f"{name}.{number}@northwind.example"])
        assert content is not None
        (attachment,) = content.attachments
        stored = b"".join(stores.blobs.read(attachment.blob))
        assert stored == ATTACHMENT + str(number).encode()
        assert hashlib.sha256(stored).hexdigest() == attachment.sha256


def _listed(stores: Stores, mailbox: Mailbox) -> list[str]:
    listed: list[str] = []
    continuation: str | None = None
    while True:
        part = stores.timeline.list(ListOf.MAILBOX, mailbox.id, continuation, 500)
        listed.extend(entry.activity_id for entry in part.items)
        continuation = part.continuation
        if continuation is None:
            return listed
