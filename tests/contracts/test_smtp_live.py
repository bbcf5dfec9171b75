"""A live server takes what is sent: where variables name one, and a mailbox that writes to itself."""

from collections.abc import Iterator
from dataclasses import dataclass
from os import environ
from uuid import uuid4

import pytest

from shared.connectors.connect import Connect
from shared.domain.choices import ServerType
from shared.ports import Drafting, Sending
from tests.contracts.exchange_mailboxes import KnownSecrets, a_mailbox, a_profile
from tests.contracts.smtp_mailboxes import an_attachment, an_outgoing

_PREFIX = "SIDESYNC_LIVE_SMTP_"


@dataclass(frozen=True, slots=True)
class Live:
    """A mailbox of which nothing is known but where it is."""

    address: str

    def messages(self) -> list[bytes]:
        raise NotImplementedError

    def arrived(self, count: int) -> list[bytes]:
        raise NotImplementedError


@pytest.mark.skipif(f"{_PREFIX}HOST" not in environ, reason="no live server is named")
class TestLiveSmtp:
    """SIDESYNC_LIVE_SMTP_ with HOST, PORT (465 has TLS from the start, others STARTTLS), USERNAME, PASSWORD, MAILBOX."""

    @pytest.fixture
    def owner(self) -> Live:
        return Live(environ[f"{_PREFIX}MAILBOX"])

    @pytest.fixture
    def sending(self, owner: Live) -> Iterator[Sending]:
        port = int(environ.get(f"{_PREFIX}PORT", "465"))
        profile = a_profile(
            environ[f"{_PREFIX}HOST"],
            username=environ[f"{_PREFIX}USERNAME"],
            secret=environ[f"{_PREFIX}PASSWORD"],
            server_type=ServerType.IMAP_SMTP,
            use_same_settings_for_outgoing=False,
            outgoing_location=environ[f"{_PREFIX}HOST"],
            outgoing_port=port,
            outgoing_starttls=port != 465,
        )
        connect = Connect(KnownSecrets(), allow_local_servers=True)
        with connect.outgoing(profile, a_mailbox(owner.address)) as opened:
            assert not isinstance(opened, Drafting)
            yield opened
        connect.close()

    def test_several_emails_are_taken(self, sending: Sending, owner: Live) -> None:
        for number in range(2):
            message_id = f"{uuid4()}@{owner.address.rpartition('@')[2]}"
            email = an_outgoing(
                owner, owner, message_id=message_id, subject=f"Größe {number} 🙂", attachments=(an_attachment(),)
            )
            assert sending.send(email).refused == ()
