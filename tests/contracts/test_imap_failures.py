"""What can go wrong with an IMAP server, and what that means to the run: on the local mail server and on Dovecot."""

import pytest

from local.mailserver import MailServer
from tests.contracts.imap_email import ImapFailures
from tests.contracts.internet_mailboxes import DovecotPlace, LocalPlace, Place
from tests.dovecot import Dovecot


class TestImapFailuresOnTheLocalServer(ImapFailures):
    @pytest.fixture
    def place(self, server: MailServer) -> Place:
        server.reset()
        return LocalPlace(server)


class TestImapFailuresOnDovecot(ImapFailures):
    @pytest.fixture
    def place(self, dovecot: Dovecot) -> Place:
        return DovecotPlace(dovecot)
