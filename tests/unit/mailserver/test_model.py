"""A client that only follows the changes of a folder knows what is in it."""

from datetime import UTC, datetime, timedelta
from itertools import count
from random import Random

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from local.mailserver.contents import ChangeKind
from local.mailserver.message import Message
from local.mailserver.model import Mailbox

START = datetime(2026, 11, 2, tzinfo=UTC)


class FollowedFolder(RuleBasedStateMachine):
    """Mail comes, goes, moves and changes while a client reads the folder page by page."""

    def __init__(self) -> None:
        super().__init__()
        self.mailbox = Mailbox("anna@contoso.example", "Anna", count(1))
        self.inbox = self.mailbox.folder("inbox")
        self.known: dict[str, bool] = {}
        self.position: int | None = None
        self.oldest: tuple[datetime, int] | None = None
        self.listed = False

    @rule(hour=st.integers(0, 5))
    def mail_arrives(self, hour: int) -> None:
        self.mailbox.add_item(Message(b"\r\n"), received=START + timedelta(hours=hour))

    @precondition(lambda self: self.inbox.items)
    @rule(pick=st.randoms(use_true_random=False))
    def mail_is_removed(self, pick: Random) -> None:
        self.mailbox.remove(self._any(pick))

    @precondition(lambda self: self.inbox.items)
    @rule(pick=st.randoms(use_true_random=False))
    def mail_is_moved_away(self, pick: Random) -> None:
        self.mailbox.move(self._any(pick), "archive")

    @precondition(lambda self: self.mailbox.folder("archive").items)
    @rule()
    def mail_is_moved_back(self) -> None:
        self.mailbox.move(next(iter(self.mailbox.folder("archive").items)), "inbox")

    @precondition(lambda self: self.inbox.items)
    @rule(pick=st.randoms(use_true_random=False), read=st.booleans())
    def mail_is_read(self, pick: Random, read: bool) -> None:
        self.mailbox.mark_read(self._any(pick), read)

    @precondition(lambda self: self.inbox.items)
    @rule(pick=st.randoms(use_true_random=False))
    def mail_is_changed(self, pick: Random) -> None:
        self.mailbox.touch(self._any(pick))

    @precondition(lambda self: self.inbox.items)
    @rule(pick=st.randoms(use_true_random=False))
    def mail_is_categorized(self, pick: Random) -> None:
        self.mailbox.categorize(self._any(pick), ["Tracked"])

    @precondition(lambda self: self.inbox.items)
    @rule(pick=st.randoms(use_true_random=False), folder=st.sampled_from(["inbox", "archive"]))
    def mail_is_copied(self, pick: Random, folder: str) -> None:
        self.mailbox.copy(self._any(pick), folder)

    @rule(limit=st.integers(1, 3))
    def the_client_reads_a_page(self, limit: int) -> None:
        self._read(limit)

    @rule()
    def the_client_catches_up_and_knows_what_is_there(self) -> None:
        while not self._read(2):
            pass
        assert self.known == {item.id: item.is_read for item in self.inbox.items.values()}

    @invariant()
    def the_index_by_time_is_the_folder(self) -> None:
        listed = self.inbox.newest_first()
        assert {item.id for item in listed} == set(self.inbox.items)
        assert listed == sorted(listed, key=lambda item: item.place, reverse=True)

    def _any(self, pick: Random) -> str:
        return pick.choice(sorted(self.inbox.items))

    def _read(self, limit: int) -> bool:
        """Reads a page as the heads do; True when there was no more."""
        if not self.listed:
            if self.position is None:
                self.position = self.mailbox.clock
            page, self.listed = self.inbox.listing(self.position, self.oldest, limit)
            assert len(page) <= limit
            self.known |= {item.id: item.is_read for item in page}
            self.oldest = page[-1].place if page else None
            return self.listed and not self.inbox.has_changed_after(self.position)
        assert self.position is not None
        changes, self.position, is_all = self.inbox.changes_after(self.position, limit)
        assert len(changes) <= limit
        for change in changes:
            if change.kind is ChangeKind.DELETED:
                self.known.pop(change.item_id, None)
            else:
                assert change.item is not None
                assert (change.item_id in self.known) or change.kind is not ChangeKind.READ_FLAG
                self.known[change.item_id] = change.item.is_read
        return is_all


TestFollowedFolder = FollowedFolder.TestCase
TestFollowedFolder.settings = settings(max_examples=60, stateful_step_count=30)


def test_ids_of_items_differ_and_are_as_long_as_those_of_exchange() -> None:
    mailbox = Mailbox("anna@contoso.example", "Anna", count(1))
    ids = {mailbox.add_item(Message(b"\r\n")).id for _ in range(100)}
    assert len(ids) == 100
    assert {len(each) for each in ids} == {152}


def test_an_item_that_moves_gets_another_id() -> None:
    mailbox = Mailbox("anna@contoso.example", "Anna", count(1))
    before = mailbox.add_item(Message(b"\r\n")).id
    assert mailbox.move(before, "archive").id != before


def test_whoever_still_holds_an_item_that_moved_reads_it_as_it_was() -> None:
    mailbox = Mailbox("anna@contoso.example", "Anna", count(1))
    held = mailbox.add_item(Message(b"\r\n"))
    before = held.id, held.folder
    moved = mailbox.move(held.id, "archive")
    mailbox.categorize(moved.id, ["Tracked"])
    assert (held.id, held.folder, held.categories) == (*before, ())


def test_categories_ignore_case_and_keep_their_order() -> None:
    mailbox = Mailbox("anna@contoso.example", "Anna", count(1))
    item = mailbox.add_item(Message(b"\r\n"))
    assert mailbox.categorize(item.id, ["Red", "Blue", "RED"]).categories == ("Red", "Blue")
