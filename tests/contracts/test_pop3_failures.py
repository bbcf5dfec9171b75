"""What can go wrong with a POP3 server, and what that means to the run: on the local mail server and on Dovecot."""

import pytest

from local.mailserver import MailServer
from tests.contracts.internet_mailboxes import DovecotPlace, LocalPlace, Place
from tests.contracts.pop3_email import Pop3Failures
from tests.dovecot import Dovecot


class TestPop3FailuresOnTheLocalServer(Pop3Failures):
    @pytest.fixture
    def place(self, server: MailServer) -> Place:
        server.reset()
        return LocalPlace(server)


class TestPop3FailuresOnDovecot(Pop3Failures):
    @pytest.fixture
    def place(self, dovecot: Dovecot) -> Place:
        return DovecotPlace(dovecot)
