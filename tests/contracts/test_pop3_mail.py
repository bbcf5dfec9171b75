"""`Pop3Mail` fulfils the contract: on the local mail server, on Dovecot, and on a live server when variables name one."""

from collections.abc import Iterator
from os import environ

import pytest

from local.mailserver import MailServer
from local.mailserver.habits import Habit
from shared.connectors.pop3.errors import UidlMissing
from shared.domain.choices import AuthenticationProtocol, ServerType
from shared.domain.email import IncomingMessage
from shared.domain.folders import INBOX
from shared.ports import IncomingEmail
from tests.contracts.exchange_mailboxes import a_mailbox, a_profile, failure
from tests.contracts.incoming_email import ReadsAnyMailbox, a_message, everything
from tests.contracts.internet_email import LARGE, OverTheInternet
from tests.contracts.internet_mailboxes import DovecotPlace, InternetMailServed, LocalPlace, Place
from tests.contracts.pop3_email import OverPop3, Pop3Contract
from tests.dovecot import Dovecot

KINDS_OF_SERVER = [
    Habit.POP3_WITHOUT_CAPA,
    Habit.POP3_WITHOUT_APOP,
    Habit.POP3_WITHOUT_TOP,
    Habit.POP3_WITHOUT_PIPELINING,
    Habit.POP3_NEWEST_FIRST,
    Habit.POP3_LISTS_BACKWARDS,
    Habit.POP3_REPEATED_UIDLS,
]


class TestPop3OnTheLocalServer(Pop3Contract):
    memory_of_a_large_message = 5 * LARGE

    @pytest.fixture
    def place(self, server: MailServer) -> Place:
        server.reset()
        return LocalPlace(server)


class TestPop3OnDovecot(Pop3Contract):
    @pytest.fixture
    def place(self, dovecot: Dovecot) -> Place:
        return DovecotPlace(dovecot)


class TestPop3OnAnyKindOfServer(OverPop3, OverTheInternet):
    @pytest.fixture
    def place(self, server: MailServer) -> Iterator[Place]:
        server.reset()
        yield LocalPlace(server)
        server.set_habits()

    @pytest.mark.parametrize("habit", KINDS_OF_SERVER)
    def test_all_mail_is_read_once(self, place: LocalPlace, served: InternetMailServed, habit: Habit) -> None:
        place.server.set_habits([habit])
        profile = self.profile_of(place, served)
        for number in range(6):
            served.deliver(bytes(a_message(f"{number}@fabrikam.example")))
        first, watermark = self.in_one_session(profile, served, everything)
        served.deliver(bytes(a_message("new@fabrikam.example")))
        with self.opened(profile, a_mailbox(served.address)) as incoming:
            second, _ = everything(incoming, watermark)
            messages = [outcome for _, outcome in incoming.fetch([item.ref for item in (*first, *second)])]
        names = {message.message_id for message in messages if isinstance(message, IncomingMessage)}
        assert names == {*(f"{number}@fabrikam.example" for number in range(6)), "new@fabrikam.example"}
        assert (len(first), len(second)) == (6, 1)

    def test_copies_with_one_uidl_are_two_messages(self, place: LocalPlace, served: InternetMailServed) -> None:
        place.server.set_habits([Habit.POP3_REPEATED_UIDLS])
        profile = self.profile_of(place, served)
        for _ in range(2):
            served.deliver(bytes(a_message()))
        items, watermark = self.in_one_session(profile, served, everything)
        assert len({item.ref for item in items}) == 2
        assert self.in_one_session(profile, served, lambda mail: everything(mail, watermark)[0]) == []
        served.deliver(bytes(a_message()))
        later = self.in_one_session(profile, served, lambda mail: everything(mail, watermark)[0])
        assert len(later) == 1
        assert later[0].ref not in [item.ref for item in items]

    def test_a_server_without_uidl_is_refused_with_what_to_do(self, place: LocalPlace, served: InternetMailServed) -> None:
        place.server.set_habits([Habit.POP3_WITHOUT_UIDL])
        served.deliver(bytes(a_message()))
        profile = self.profile_of(place, served)
        error = failure(lambda: self.in_one_session(profile, served, lambda mail: mail.changes(INBOX, None, limit=1)))
        assert isinstance(error, UidlMissing)
        assert "IMAP" in error.remedy


@pytest.mark.skipif("SIDESYNC_TEST_POP3_HOST" not in environ, reason="no live POP3 server is named")
class TestLivePop3(ReadsAnyMailbox):
    """SIDESYNC_TEST_POP3_HOST, _USERNAME and _PASSWORD, over TLS from the start, at _PORT where it is not 995."""

    @pytest.fixture
    def incoming(self) -> Iterator[IncomingEmail]:
        profile = a_profile(
            environ["SIDESYNC_TEST_POP3_HOST"],
            username=environ["SIDESYNC_TEST_POP3_USERNAME"],
            secret=environ["SIDESYNC_TEST_POP3_PASSWORD"],
            authentication=AuthenticationProtocol.AUTO_DETECT,
            server_type=ServerType.POP3_SMTP,
            incoming_port=int(environ.get("SIDESYNC_TEST_POP3_PORT", "995")),
        )
        mailbox = a_mailbox(environ["SIDESYNC_TEST_POP3_USERNAME"])
        with OverPop3().opened(profile, mailbox) as opened:
            yield opened
