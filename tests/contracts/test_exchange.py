"""`ExchangeMail` fulfils the contract: on the local mail server, and on a live one when variables name it."""

from collections.abc import Iterator
from os import environ

import pytest

from local.mailserver import MailServer
from shared.connectors.connect import Connect
from shared.connectors.exchange.marking import GetCategories
from shared.domain.choices import AuthenticationProtocol
from shared.domain.email import ItemRef
from shared.domain.errors import FolderNotFound, TransientError
from shared.ports import IncomingEmail, Marking
from tests.contracts.exchange_mailboxes import (
    PASSWORD,
    SERVICE,
    KnownSecrets,
    ServedByExchange,
    a_mailbox,
    a_new_mailbox,
    a_profile,
)
from tests.contracts.incoming_email import IncomingEmailContract, ReadsAnyMailbox, a_message, content, everything, fetched
from tests.contracts.marking_email import EnvelopeContract, FolderTreeContract, MarkingContract


@pytest.fixture(scope="module")
def server() -> Iterator[MailServer]:
    with MailServer() as running:
        running.add_account(SERVICE, PASSWORD, impersonation=True, full_access=["*"])
        yield running


@pytest.fixture(scope="module")
def connect() -> Iterator[Connect]:
    connecting = Connect(KnownSecrets(), allow_local_servers=True)
    yield connecting
    connecting.close()


class TestExchangeImpersonating(IncomingEmailContract, EnvelopeContract, FolderTreeContract, MarkingContract):
    use_impersonation = True

    @pytest.fixture
    def served(self, server: MailServer) -> ServedByExchange:
        return a_new_mailbox(server)

    @pytest.fixture
    def incoming(self, server: MailServer, served: ServedByExchange, connect: Connect) -> Iterator[IncomingEmail]:
        profile = a_profile(server.ews_url, use_impersonation=self.use_impersonation)
        with connect(profile, a_mailbox(served.address)) as opened:
            yield opened


class TestExchangeAsDelegate(TestExchangeImpersonating):
    use_impersonation = False


def test_what_somebody_changed_meanwhile_is_not_written_over(
    server: MailServer, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    served = a_new_mailbox(server)
    served.deliver(bytes(a_message()))
    read = GetCategories.of

    def interrupted(self: GetCategories, ref: ItemRef) -> tuple[tuple[str, ...], str | None]:
        found = read(self, ref)
        served.categorize("one@fabrikam.example", "Blue")
        return found

    with connect(a_profile(server.ews_url), a_mailbox(served.address)) as incoming:
        assert isinstance(incoming, Marking)
        ((item,), _) = everything(incoming)
        monkeypatch.setattr(GetCategories, "of", interrupted)
        with pytest.raises(TransientError):
            incoming.categorize(item.ref, ["Tracked"], [])
        monkeypatch.setattr(GetCategories, "of", read)
        incoming.categorize(item.ref, ["Tracked"], [])
    assert served.categories("one@fabrikam.example") == {"Blue", "Tracked"}


def test_a_folder_that_somebody_deletes_meanwhile_is_made_again(server: MailServer, connect: Connect) -> None:
    served = a_new_mailbox(server)
    for name in ("one@fabrikam.example", "two@fabrikam.example"):
        served.deliver(bytes(a_message(name)))
    with connect(a_profile(server.ews_url), a_mailbox(served.address)) as incoming:
        assert isinstance(incoming, Marking)
        one, two = everything(incoming)[0]
        former = incoming.move(one.ref, "Undeliverable", None)
        server.remove_folder(served.address, former.folder)
        with pytest.raises(FolderNotFound):
            incoming.move(two.ref, "Undeliverable", None)
        assert incoming.move(two.ref, "Undeliverable", None).folder != former.folder


def test_compressed_replies_are_read(connect: Connect) -> None:
    with MailServer(compress=True) as server:
        server.add_account(SERVICE, PASSWORD, impersonation=True)
        served = a_new_mailbox(server)
        message = a_message(text="words and words\r\n" * 5000)
        message.add_attachment(b"terms" * 200_000, maintype="text", subtype="plain", filename="terms.txt")
        served.deliver(bytes(message))
        with connect(a_profile(server.ews_url), a_mailbox(served.address)) as incoming:
            (got,) = fetched(incoming)
            assert len(got.body_text or "") >= 75_000
            assert content(got.attachments[0]) == b"terms" * 200_000


@pytest.mark.skipif("SIDESYNC_LIVE_EWS_URL" not in environ, reason="no live server is named")
class TestLiveExchange(ReadsAnyMailbox):
    @pytest.fixture
    def incoming(self) -> Iterator[IncomingEmail]:
        connecting = Connect(KnownSecrets(), allow_local_servers=True)
        profile = a_profile(
            environ["SIDESYNC_LIVE_EWS_URL"],
            username=environ["SIDESYNC_LIVE_EWS_USERNAME"],
            secret=environ["SIDESYNC_LIVE_EWS_PASSWORD"],
            authentication=AuthenticationProtocol.AUTO_DETECT,
            use_impersonation=False,
        )
        with connecting(profile, a_mailbox(environ["SIDESYNC_LIVE_EWS_MAILBOX"])) as opened:
            yield opened
        connecting.close()
