"""Whatever the mailbox holds and wherever a run stopped, doing it again changes nothing."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from shared.domain.choices import SenderOrigin, Workload
from shared.domain.email import IncomingMessage
from shared.domain.ledger import LedgerCommit, Mark, RunState
from tests.builders import MONDAY, a_message
from tests.unit.sync.scene import Scene
from tests.unit.sync.snapshots import outcome_of

MESSAGES = st.lists(
    st.builds(
        lambda number, minutes, message_id, sender, attached, draft: (
            a_message(
                f"Offer {number}",
                message_id=message_id,
                received=MONDAY - timedelta(minutes=minutes),
                sender=sender,
                attachments=[bytes([number])] * attached,
            ),
            draft,
        ),
        st.integers(0, 5),
        st.integers(0, 100_000),
        st.sampled_from(["one@example", "two@example", "three@example", None]),
        st.sampled_from(["carol@fabrikam.example", "ben@contoso.example"]),
        st.integers(0, 2),
        st.booleans(),
    ),
    max_size=12,
)


def a_scene(messages: list[tuple[IncomingMessage, bool]], page_items: int) -> Scene:
    scene = Scene()
    scene.anna.page_items = page_items
    for message, is_draft in messages:
        scene.anna.deliver(message, is_draft=is_draft, sender_origin=SenderOrigin.UNKNOWN)
    return scene


def set_mark(scene: Scene, change: Callable[[Mark], Mark]) -> None:
    """Moves the watermark as a reset does, and says that a page may be half done, as after a crash."""
    head = scene.head()
    assert head.state is not None
    state = RunState(nonce="reset", page_open=True)
    marks = tuple(change(mark) for mark in head.marks)
    scene.stores.ledger.commit(scene.mailboxes["anna"].id, Workload.INCOMING, head.etag, LedgerCommit(state, marks=marks))


def without_state(scene: Scene) -> dict[str, Any]:
    """A page that is still marked as open costs the next run a look at the ledger, nothing else."""
    content = outcome_of(scene.stores)
    for ledger in content["ledger"].values():
        del ledger["state"]
    return content


@settings(deadline=None, max_examples=60)
@given(MESSAGES, st.integers(1, 5), st.integers(0, 5))
def test_replaying_any_prefix_of_the_pages_changes_nothing(
    messages: list[tuple[IncomingMessage, bool]], page_items: int, replayed: int
) -> None:
    scene = a_scene(messages, page_items)
    marks = []
    for _ in range(30):
        if scene.attempt("anna") == "idle":
            break
        marks.append(scene.head().marks[0])
    before, fetched = without_state(scene), len(scene.anna.fetched)

    earlier = marks[replayed % len(marks)]
    set_mark(scene, lambda _: earlier)
    scene.until_idle("anna")
    assert without_state(scene) == before
    known = {item.ref.id for item in scene.ledger().values()}
    assert known.isdisjoint(scene.anna.fetched[fetched:]), "what is known is not fetched again"


@settings(deadline=None, max_examples=60)
@given(MESSAGES, st.integers(1, 5))
def test_a_ledger_that_was_lost_altogether_is_rebuilt_over_the_same_activities(
    messages: list[tuple[IncomingMessage, bool]], page_items: int
) -> None:
    """The ledger of a mailbox is gone, its activities are not: reading everything again makes nothing twice."""
    scene = a_scene(messages, page_items)
    scene.until_idle("anna")
    before = outcome_of(scene.stores)
    scene.stores = replace(scene.stores, ledger=Scene().stores.ledger)
    scene.until_idle("anna")
    after = outcome_of(scene.stores)
    for part in ("activities", "timeline", "blobs"):
        assert after[part] == before[part]


@settings(deadline=None, max_examples=60)
@given(MESSAGES, st.integers(1, 5), st.integers(1, 5))
def test_how_the_server_cuts_its_pages_does_not_matter(
    messages: list[tuple[IncomingMessage, bool]], one: int, other: int
) -> None:
    """But for which of several contents with one Message-ID came first, and so for who is the variant of whom."""
    contents = []
    for page_items in (one, other):
        scene = a_scene(messages, page_items)
        scene.until_idle("anna")
        stored = [scene.activity(activity_id).record for activity_id in scene.activity_ids()]
        contents.append(sorted((record.content_id, record.has_variants, record.subject) for record in stored))
    assert contents[0] == contents[1]
