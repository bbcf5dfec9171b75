"""Real and deliberately broken mail: every message is listed, and comes as a message or as that message's error."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from local.mailserver import MailServer
from shared.connectors.connect import Connect
from shared.domain.email import IncomingMessage
from shared.domain.errors import ItemError
from shared.ports import IncomingEmail
from tests.contracts.exchange_mailboxes import PASSWORD, SERVICE, KnownSecrets, a_mailbox, a_new_mailbox, a_profile
from tests.contracts.incoming_email import content, everything

CORPUS = Path(__file__).parents[3] / "shared" / "mail-corpus"

pytestmark = pytest.mark.skipif(not CORPUS.is_dir(), reason="the corpus is not beside the repository")


@pytest.fixture(scope="module")
def delivered() -> Iterator[tuple[IncomingEmail, dict[str, bytes]]]:
    """The mailbox, and what was delivered, by item id."""
    connect = Connect(KnownSecrets(), allow_local_servers=True)
    with MailServer() as server:
        server.add_account(SERVICE, PASSWORD, impersonation=True)
        served = a_new_mailbox(server)
        raws: dict[str, bytes] = {}
        for path in sorted(CORPUS.rglob("*.eml")):
            raw = path.read_bytes()
            (item_id,) = server.deliver(raw, [served.address], internal=None)
            raws[item_id] = raw
        with connect(a_profile(server.ews_url), a_mailbox(served.address)) as incoming:
            yield incoming, raws
    connect.close()


def test_every_file_is_listed(delivered: tuple[IncomingEmail, dict[str, bytes]]) -> None:
    incoming, raws = delivered
    items, _ = everything(incoming, limit=100)
    assert sorted(item.ref.id for item in items) == sorted(raws)
    assert len(raws) > 400


def test_every_file_is_a_message_or_has_an_error_of_its_own(delivered: tuple[IncomingEmail, dict[str, bytes]]) -> None:
    incoming, raws = delivered
    outcomes = list(incoming.fetch([item.ref for item in everything(incoming)[0]]))
    assert len(outcomes) == len(raws)
    failed = [outcome for _, outcome in outcomes if isinstance(outcome, ItemError)]
    assert not failed, failed
    for _, outcome in outcomes:
        assert isinstance(outcome, IncomingMessage)
        assert outcome.received.tzinfo is not None
        for attachment in outcome.attachments:
            assert isinstance(content(attachment), bytes)
            assert not attachment.is_message or attachment.identity


def test_every_file_can_be_had_as_it_was_delivered(delivered: tuple[IncomingEmail, dict[str, bytes]]) -> None:
    incoming, raws = delivered
    for item in everything(incoming)[0]:
        assert b"".join(incoming.raw(item.ref)) == raws[item.ref.id]
