"""What people do with messages in their mail program, on Dovecot: keywords, read marks, marks of deletion; and what it makes of
folders with special uses."""

import imaplib
from collections.abc import Callable

import pytest

from shared.domain.configuration import EmailServerProfile
from shared.domain.email import ChangeKind
from shared.domain.folders import INBOX
from tests.contracts.imap_email import OverImap
from tests.contracts.incoming_email import a_message, everything
from tests.contracts.internet_email import OverTheInternet
from tests.contracts.internet_mailboxes import DovecotPlace, Place, ServedByDovecot
from tests.dovecot import PASSWORD, Dovecot

type Told = set[tuple[str | None, ChangeKind, tuple[str, ...]]]


class TestWhatPeopleDo(OverImap, OverTheInternet):
    @pytest.fixture
    def place(self, dovecot: Dovecot) -> Place:
        return DovecotPlace(dovecot)

    def by_hand(self, served: ServedByDovecot, act: Callable[[imaplib.IMAP4], object]) -> None:
        server = served.maildir.server
        with imaplib.IMAP4(server.host, server.imap_port) as imap:
            imap.login(served.address, PASSWORD)
            imap.select()
            act(imap)

    def store(self, served: ServedByDovecot, number: str, sign: str, flag: str) -> None:
        self.by_hand(served, lambda imap: imap.store(number, f"{sign}FLAGS", f"({flag})"))

    def told(self, profile: EmailServerProfile, served: ServedByDovecot, watermark: str) -> tuple[Told, str]:
        items, watermark = self.in_one_session(profile, served, lambda mail: everything(mail, watermark))
        return {(item.message_id, item.kind, item.categories) for item in items}, watermark

    def test_a_category_that_is_given_or_taken_away_is_told(self, profile: EmailServerProfile, served: ServedByDovecot) -> None:
        for name in ("one", "two", "three"):
            served.deliver(bytes(a_message(name)))
        _, watermark = self.in_one_session(profile, served, everything)
        self.store(served, "1", "+", "Tracked")
        self.store(served, "2", "+", "\\Seen")
        told, watermark = self.told(profile, served, watermark)
        assert told == {("one", ChangeKind.UPDATED, ("Tracked",)), (None, ChangeKind.READ_FLAG, ())}
        assert self.told(profile, served, watermark) == (set(), watermark)
        self.store(served, "1", "-", "Tracked")
        told, watermark = self.told(profile, served, watermark)
        assert told == {("one", ChangeKind.UPDATED, ())}
        self.store(served, "1", "+", "\\Seen")
        assert self.told(profile, served, watermark)[0] == {(None, ChangeKind.READ_FLAG, ())}

    def test_what_is_marked_as_deleted_is_no_news_until_the_mark_is_taken_off(
        self, profile: EmailServerProfile, served: ServedByDovecot
    ) -> None:
        served.deliver(bytes(a_message("one")))
        self.store(served, "1", "+", "\\Deleted")
        items, watermark = self.in_one_session(profile, served, everything)
        assert items == []
        self.store(served, "1", "-", "\\Deleted")
        assert self.told(profile, served, watermark)[0] == {("one", ChangeKind.UPDATED, ())}

    def test_deleting_leaves_what_others_marked(self, profile: EmailServerProfile, served: ServedByDovecot) -> None:
        for name in ("one", "two"):
            served.deliver(bytes(a_message(name)))
        self.store(served, "1", "+", "\\Deleted")
        (item,), _ = self.in_one_session(profile, served, everything)
        assert self.in_one_session(profile, served, lambda mail: mail.discard([item.ref])) == {}
        assert [b"<one>" in raw for raw in served.maildir.messages()] == [True]

    def test_new_mail_comes_before_old_mail_that_is_still_being_listed(
        self, profile: EmailServerProfile, served: ServedByDovecot
    ) -> None:
        for number in range(12):
            served.deliver(bytes(a_message(f"old{number}")))
        page = self.in_one_session(profile, served, lambda mail: mail.changes(INBOX, None, limit=5))
        served.deliver(bytes(a_message("new")))
        following = self.in_one_session(profile, served, lambda mail: mail.changes(INBOX, page.watermark, limit=5))
        assert following.items[0].message_id == "new"
        assert following.more
