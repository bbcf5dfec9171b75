"""`ImapMail` fulfils the contract: on the local mail server, on Dovecot, and on a live server when variables name one."""

from collections.abc import Iterator
from os import environ

import pytest

from local.mailserver import MailServer
from local.mailserver.habits import Habit
from shared.domain.choices import AuthenticationProtocol, ServerType
from shared.ports import IncomingEmail
from tests.contracts.exchange_mailboxes import a_mailbox, a_profile
from tests.contracts.imap_email import ImapContract, OverImap
from tests.contracts.incoming_email import ReadsAnyMailbox, a_message, everything
from tests.contracts.internet_email import LARGE, OverTheInternet
from tests.contracts.internet_mailboxes import DovecotPlace, InternetMailServed, LocalPlace, Place
from tests.dovecot import Dovecot

KINDS_OF_SERVER = [
    Habit.IMAP_WITHOUT_CONDSTORE,
    Habit.IMAP_WITHOUT_MOVE,
    Habit.IMAP_WITHOUT_UIDPLUS,
    Habit.IMAP_WITHOUT_SPECIAL_USE,
    Habit.IMAP_WITHOUT_KEYWORDS,
    Habit.IMAP_WITH_OBJECTID,
]


class TestImapOnTheLocalServer(ImapContract):
    memory_of_a_large_message = 5 * LARGE

    @pytest.fixture
    def place(self, server: MailServer) -> Place:
        server.reset()
        return LocalPlace(server)


class TestImapOnDovecot(ImapContract):
    @pytest.fixture
    def place(self, dovecot: Dovecot) -> Place:
        return DovecotPlace(dovecot)


class TestImapOnAnyKindOfServer(OverImap, OverTheInternet):
    @pytest.fixture
    def place(self, server: MailServer) -> Iterator[Place]:
        server.reset()
        yield LocalPlace(server)
        server.set_habits()

    @pytest.mark.parametrize("habit", KINDS_OF_SERVER)
    def test_mail_is_listed_once_and_discarded_alone(self, place: LocalPlace, served: InternetMailServed, habit: Habit) -> None:
        place.server.set_habits([habit])
        profile = self.profile_of(place, served)
        for name in ("a@fabrikam.example", "b@fabrikam.example", "c@fabrikam.example"):
            served.deliver(bytes(a_message(name)))
        items, watermark = self.in_one_session(profile, served, everything)
        served.deliver(bytes(a_message("d@fabrikam.example")))
        later = self.in_one_session(profile, served, lambda mail: everything(mail, watermark)[0])
        assert [item.message_id for item in later] == ["d@fabrikam.example"]
        wanted = [item.ref for item in items if item.message_id == "b@fabrikam.example"]
        assert self.in_one_session(profile, served, lambda mail: mail.discard(wanted)) == {}
        left = self.in_one_session(profile, served, lambda mail: everything(mail)[0])
        assert {item.message_id for item in left} == {"a@fabrikam.example", "c@fabrikam.example", "d@fabrikam.example"}


@pytest.mark.skipif("SIDESYNC_TEST_IMAP_HOST" not in environ, reason="no live IMAP server is named")
class TestLiveImap(ReadsAnyMailbox):
    """SIDESYNC_TEST_IMAP_HOST, _USERNAME and _PASSWORD, over TLS from the start, at _PORT where it is not 993."""

    @pytest.fixture
    def incoming(self) -> Iterator[IncomingEmail]:
        profile = a_profile(
            environ["SIDESYNC_TEST_IMAP_HOST"],
            username=environ["SIDESYNC_TEST_IMAP_USERNAME"],
            secret=environ["SIDESYNC_TEST_IMAP_PASSWORD"],
            authentication=AuthenticationProtocol.AUTO_DETECT,
            server_type=ServerType.IMAP_SMTP,
            incoming_port=int(environ.get("SIDESYNC_TEST_IMAP_PORT", "993")),
        )
        with OverImap().opened(profile, a_mailbox(environ["SIDESYNC_TEST_IMAP_USERNAME"])) as opened:
            yield opened
