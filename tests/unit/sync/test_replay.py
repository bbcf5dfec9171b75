"""Whatever the mailbox holds and wherever a run stopped, doing it again changes nothing."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from shared.domain.choices import IncomingFilteringMethod, OwnerKind, SenderOrigin, Workload
from shared.domain.email import IncomingMessage, ItemRef
from shared.domain.folders import INBOX, Folder, TreeFolder
from shared.domain.ids import OwnerId
from shared.domain.ledger import LedgerCommit, Mark, RunState
from shared.domain.organisation import OrganisationSettings
from tests.builders import MONDAY, a_message, a_rule
from tests.unit.sync.scene import Scene
from tests.unit.sync.snapshots import outcome_of

FABRIKAM = Folder("folder-fabrikam", "Fabrikam")
FILTERS = st.sampled_from([IncomingFilteringMethod.ALL, IncomingFilteringMethod.RESPONSES])

MESSAGES = st.lists(
    st.builds(
        lambda number, minutes, message_id, sender, attached, draft, answered, folder, categories: (
            a_message(
                f"Offer {number}",
                message_id=message_id,
                received=MONDAY - timedelta(minutes=minutes),
                sender=sender,
                attachments=[bytes([number])] * attached,
                in_reply_to=answered,
                ref=ItemRef("", folder.id),
                categories=categories,
            ),
            draft,
        ),
        st.integers(0, 5),
        st.integers(0, 100_000),
        st.sampled_from(["one@example", "two@example", "three@example", None]),
        st.sampled_from(["carol@fabrikam.example", "ben@contoso.example"]),
        st.integers(0, 2),
        st.booleans(),
        st.sampled_from(["one@example", "two@example", "nobody@example", None]),
        st.sampled_from([INBOX, INBOX, FABRIKAM]),
        st.sampled_from([(), (), ("Tracked",)]),
    ),
    max_size=12,
)


def a_scene(
    messages: list[tuple[IncomingMessage, bool]],
    page_items: int,
    accepting: IncomingFilteringMethod = IncomingFilteringMethod.ALL,
) -> Scene:
    scene = Scene()
    scene.anna.page_items = page_items
    scene.stores.settings.put(OrganisationSettings(stamp_categories=True), None)
    owner = scene.stores.owners.get(OwnerKind.USER, OwnerId("user-anna"))
    assert owner is not None
    scene.stores.owners.replace(replace(owner.record, filtering_method=accepting), owner.etag)
    scene.anna.folders_below.append(TreeFolder(FABRIKAM.id, FABRIKAM.name))
    scene.stores.tracking_rules.put(a_rule(scene.mailboxes["anna"], FABRIKAM, "fabrikam"), None)
    for message, is_draft in messages:
        folder = FABRIKAM if message.ref.folder == FABRIKAM.id else INBOX
        scene.anna.deliver(message, folder, is_draft=is_draft, sender_origin=SenderOrigin.UNKNOWN)
    return scene


def set_marks(scene: Scene, marks: tuple[Mark, ...]) -> None:
    """Moves the watermarks as a reset does, and says that a page may be half done, as after a crash."""
    head = scene.head()
    assert head.state is not None
    state = RunState(nonce="reset", page_open=True)
    scene.stores.ledger.commit(scene.mailboxes["anna"].id, Workload.INCOMING, head.etag, LedgerCommit(state, marks=marks))


def without_state(scene: Scene) -> dict[str, Any]:
    """A page that is still marked as open costs the next run a look at the ledger, nothing else; where a watermark stands
    depends on when its folder was asked last."""
    content = outcome_of(scene.stores)
    for ledger in content["ledger"].values():
        del ledger["state"]
        ledger["marks"] = sorted(ledger["marks"])
    return content


@settings(max_examples=60)
@given(MESSAGES, st.integers(1, 5), st.integers(0, 5), FILTERS)
def test_replaying_any_prefix_of_the_pages_changes_nothing(
    messages: list[tuple[IncomingMessage, bool]], page_items: int, replayed: int, accepting: IncomingFilteringMethod
) -> None:
    scene = a_scene(messages, page_items, accepting)
    marks = []
    for _ in range(30):
        if scene.attempt("anna") == "idle":
            break
        marks.append(scene.head().marks)
    before, fetched = without_state(scene), len(scene.anna.fetched)

    set_marks(scene, marks[replayed % len(marks)])
    scene.until_idle("anna")
    assert without_state(scene) == before
    known = {item.ref.id for item in scene.ledger().values()}
    assert known.isdisjoint(scene.anna.fetched[fetched:]), "what is known is not fetched again"


@settings(max_examples=60)
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


@settings(max_examples=60)
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
